//! Changes that go into the files of running pods: who is touched, and who is not.

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::support::{
    Test, annotation,
    audit::Audit,
    await_condition,
    build::{deployment, env, volume},
    policies::{for_web, install, policies, policy},
    tests,
};

tests! {
    every_pod_that_mounts_the_source_is_touched_and_nothing_else: live, down, crashed;
    nobody_is_touched_where_the_policy_says_so: embedded;
    a_change_that_has_to_wait_is_in_the_files_meanwhile: live;
    a_mixed_change_that_restarts_at_once_touches_nobody: embedded;
    agents_that_do_not_answer_are_named: live, down;
    and_the_workload_is_restarted_where_that_is_wanted: live, crashed;
    an_immutable_source_that_is_replaced_is_restarted_and_held: live, down;
    one_that_a_mutable_one_replaces_is_restarted_and_held: live, down, crashed;
    one_that_became_immutable_later_is_restarted_and_held: live;
}

const NUDGE: &str = "windlass.dev/nudge";

/// `web`, two pods: mounts `ConfigMap` `web`, and reads key `level` of it from its environment.
async fn web(t: &Test) {
    t.config("web", &[("flags", "A"), ("level", "A")]).await;
    let web = deployment("web").labelled("tier", "web").with("replicas", 2);
    t.deploy(web.uses(volume("web")).uses(env("web", "level"))).await;
}

async fn flags(t: &Test, flags: &str, level: &str) {
    t.config("web", &[("flags", flags), ("level", level)]).await;
}

fn nudged(pod: &Pod) -> Option<&str> {
    let annotations = pod.metadata.annotations.as_ref()?;
    annotations.get(NUDGE).map(String::as_str)
}

async fn touched(t: &Test, name: &str, pods: usize) {
    await_condition(&format!("{pods} pods of {name} are touched"), async || {
        let all = t.pods(name).await?;
        ensure!(all.len() == 2, "{} pods", all.len());
        let touched = all.iter().filter(|pod| nudged(pod).is_some()).count();
        ensure!(touched == pods, "{touched} are");
        Ok(())
    })
    .await;
}

/// Another workload, whose pods are touched when the test wants to know that nobody else's were before.
async fn later(t: &Test) {
    t.config("later", &[("a", "A")]).await;
    let later = deployment("later").labelled("tier", "later").with("replicas", 2);
    t.deploy(later.uses(volume("later"))).await;
    let selector = json!({"selector": {"matchLabels": {"tier": "later"}}});
    policy(t, "later", json!({"workloads": selector, "strategy": "InPlace"})).await;
}

/// Nobody else was, those among them that are gone.
async fn only_the_later_ones_are_touched(t: &Test, audit: &Audit) {
    t.config("later", &[("a", "B")]).await;
    touched(t, "later", 2).await;
    await_condition("these touches on record", async || {
        let touches: Vec<String> = audit
            .requests()
            .into_iter()
            .filter(|it| it.verb == "patch" && it.resource == "pods")
            .map(|it| it.name)
            .collect();
        ensure!(!touches.is_empty(), "none is");
        assert!(touches.iter().all(|name| name.starts_with("later-")), "{touches:?}");
        Ok(())
    })
    .await;
}

fn rules() -> Value {
    json!([{"name": "web", "keys": ["flags"], "strategy": "InPlace"}])
}

async fn every_pod_that_mounts_the_source_is_touched_and_nothing_else(t: &Test) {
    install(t).await;
    web(t).await;
    t.config("other", &[("a", "A")]).await;
    t.deploy(
        deployment("other")
            .labelled("tier", "web")
            .with("replicas", 2)
            .uses(volume("other")),
    )
    .await;
    policy(t, "web", for_web(json!({"rules": rules()}))).await;
    t.start_and_adopt(&[]).await;
    let before = t.pods("web").await.expect("pods");

    t.meanwhile(flags(t, "B", "A")).await;
    touched(t, "web", 2).await;
    // With the two markers.
    t.state("Current", 4).await;
    t.rolls("web", 0).await;
    let after = t.pods("web").await.expect("pods");
    for (before, mut after) in before.into_iter().zip(after) {
        after.metadata.annotations.as_mut().map(|all| all.remove(NUDGE));
        let annotations = |pod: &Pod| pod.metadata.annotations.clone().filter(|all| !all.is_empty());
        assert_eq!(before.metadata.uid, after.metadata.uid, "the pods are the same");
        assert_eq!(annotations(&before), annotations(&after));
        assert_eq!(before.metadata.labels, after.metadata.labels);
        assert_eq!(before.spec, after.spec);
    }
    touched(t, "other", 0).await;
}

async fn nobody_is_touched_where_the_policy_says_so(t: &Test) {
    install(t).await;
    web(t).await;
    let in_place = json!({"nudge": false, "timeout": "2s"});
    policy(t, "web", for_web(json!({"rules": rules(), "inPlace": in_place}))).await;
    later(t).await;
    t.start_and_adopt(&[]).await;
    let audit = t.audit("windlass");
    flags(t, "B", "A").await;
    t.event("web", "Propagating").await;
    t.state("Propagating", 0).await;
    t.everything_before_is_done().await;
    only_the_later_ones_are_touched(t, &audit).await;
}

async fn a_change_that_has_to_wait_is_in_the_files_meanwhile(t: &Test) {
    install(t).await;
    web(t).await;
    policy(t, "web", for_web(json!({"rules": rules(), "suspend": true}))).await;
    t.start_and_adopt(&[]).await;
    t.meanwhile(flags(t, "B", "B")).await;
    t.held("Suspended", 1).await;
    touched(t, "web", 2).await;
    t.rolls("web", 0).await;
    policy(t, "web", for_web(json!({"rules": rules()}))).await;
    t.rolls("web", 1).await;
}

async fn a_mixed_change_that_restarts_at_once_touches_nobody(t: &Test) {
    install(t).await;
    web(t).await;
    policy(t, "web", for_web(json!({"rules": rules()}))).await;
    later(t).await;
    t.start_and_adopt(&[]).await;
    let audit = t.audit("windlass");
    flags(t, "B", "B").await;
    t.rolls("web", 1).await;
    only_the_later_ones_are_touched(t, &audit).await;
}

/// Nobody answers at the addresses of these pods.
async fn with_agent(t: &Test, on_timeout: &str) {
    install(t).await;
    web(t).await;
    t.create::<k8s_openapi::api::core::v1::Secret>(json!({
        "metadata": {"name": "windlass-agent"},
        "stringData": {"token": "0123456789abcdef0123456789abcdef"},
    }))
    .await;
    let agent = json!({"port": 9533, "tokenSecretRef": {"name": "windlass-agent"}});
    let in_place = json!({"agent": agent, "timeout": "3s", "onTimeout": on_timeout});
    policy(t, "web", for_web(json!({"rules": rules(), "inPlace": in_place}))).await;
    t.start_and_adopt(&[]).await;
}

async fn agents_that_do_not_answer_are_named(t: &Test) {
    with_agent(t, "Report").await;
    t.meanwhile(flags(t, "B", "A")).await;
    let note = t.event("web", "NotApplied").await;
    assert!(note.contains("0/2 pods") && note.contains("9533"), "{note}");
    let pods = t.pods("web").await.expect("pods");
    let name = pods[0].metadata.name.as_deref().expect("a name");
    assert!(note.contains(name), "{note}");
    t.state("Failed", 1).await;
    t.rolls("web", 0).await;
    await_condition("the policy says so", async || {
        let status = policies(t).get("web").await?.status.unwrap_or_default();
        let mut messages = status.conditions.iter().map(|it| &it.message);
        let said = messages.any(|message| message.contains("Deployment web 0/2 pods"));
        ensure!(said, "{:?}", status.conditions);
        Ok(())
    })
    .await;
    let nudges = t.pods("web").await.expect("pods");
    assert!(nudges.iter().all(|pod| nudged(pod).is_some()));
}

async fn and_the_workload_is_restarted_where_that_is_wanted(t: &Test) {
    with_agent(t, "Restart").await;
    t.meanwhile(flags(t, "B", "A")).await;
    t.rolls("web", 1).await;
    let note = t.event("web", "Restarted").await;
    assert!(
        note.contains("ConfigMap web") && note.contains("not applied in place in time"),
        "{note}"
    );
    t.complete("web").await;
    t.everything_before_is_done().await;
    t.rolls("web", 1).await;
    t.state("Failed", 0).await;
}

async fn an_immutable_source_that_is_replaced_is_restarted_and_held(t: &Test) {
    let object = |value: &str| json!({"metadata": {"name": "web"}, "immutable": true, "data": {"flags": value}});
    t.config_object("web", object("A")).await;
    let web = deployment("web")
        .annotated("windlass.dev/strategy", "InPlace")
        .with("replicas", 2);
    t.deploy(web.uses(volume("web"))).await;
    t.start_and_adopt(&[]).await;
    // Its time of creation is told to the second.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    t.meanwhile(async {
        t.delete_config("web").await;
        t.config_object("web", object("B")).await;
    })
    .await;
    t.rolls("web", 1).await;
    t.complete("web").await;
    t.held("ImmutableReplaced", 1).await;
    let note = t.event("web", "ImmutableReplaced").await;
    assert!(note.contains("ConfigMap web") && note.contains("new name"), "{note}");
    touched(t, "web", 0).await;
    let now = jiff::Timestamp::now().to_string();
    t.annotate("web", "windlass.dev/skip", now).await;
    t.held("ImmutableReplaced", 0).await;
    assert!(annotation(&t.deployment("web").await, "windlass.dev/observed").is_some());
    t.rolls("web", 1).await;
}

/// It was taken in place; a kubelet goes on serving the immutable object that it has.
async fn one_that_a_mutable_one_replaces_is_restarted_and_held(t: &Test) {
    let object = |value: &str, immutable: bool| json!({"metadata": {"name": "web"}, "immutable": immutable, "data": {"flags": value}});
    t.config_object("web", object("A", true)).await;
    let web = deployment("web")
        .annotated("windlass.dev/strategy", "InPlace")
        .with("replicas", 2);
    t.deploy(web.uses(volume("web"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        t.delete_config("web").await;
        t.config_object("web", object("B", false)).await;
    })
    .await;
    t.rolls("web", 1).await;
    t.held("ImmutableReplaced", 1).await;
    let note = t.event("web", "ImmutableReplaced").await;
    assert!(note.contains("ConfigMap web") && note.contains("new name"), "{note}");
    touched(t, "web", 0).await;
    // The kubelets still have it, whatever comes after it.
    t.meanwhile(t.config_object("web", object("C", false))).await;
    t.rolls("web", 2).await;
    t.held("ImmutableReplaced", 1).await;
    touched(t, "web", 0).await;
    // A person says that they have not: from here on it is a source like any other.
    let now = jiff::Timestamp::now().to_string();
    t.annotate("web", "windlass.dev/skip", now).await;
    t.held("ImmutableReplaced", 0).await;
    t.meanwhile(t.config_object("web", object("D", false))).await;
    touched(t, "web", 2).await;
    t.rolls("web", 2).await;
}

async fn one_that_became_immutable_later_is_restarted_and_held(t: &Test) {
    let object = |value: &str, immutable: bool| json!({"metadata": {"name": "web"}, "immutable": immutable, "data": {"flags": value}});
    t.config_object("web", object("A", false)).await;
    let web = deployment("web")
        .annotated("windlass.dev/strategy", "InPlace")
        .with("replicas", 2);
    t.deploy(web.uses(volume("web"))).await;
    t.start_and_adopt(&[]).await;
    t.config_object("web", object("A", true)).await;
    t.everything_before_is_done().await;

    t.delete_config("web").await;
    t.config_object("web", object("B", false)).await;
    t.rolls("web", 1).await;
    t.held("ImmutableReplaced", 1).await;
    touched(t, "web", 0).await;
}
