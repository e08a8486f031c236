//! Which policy holds for a workload, and what follows when policies come, change and go.

use anyhow::{Context, ensure};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::support::{
    OBSERVED, Test, annotation, await_condition,
    build::{Workload, deployment, env, volume},
    policies::{
        cluster_policies, cluster_policy, condition, counts, for_web, install, only_here, policies, policy,
        unique_policy,
    },
    tests,
};

tests! {
    a_selector_opts_in_what_asks_for_nothing: live, down, crashed;
    hands_off_holds_whatever_a_policy_selects: live;
    a_policy_of_the_cluster_opts_in_where_it_says_what_changes_do: live, down;
    a_cluster_policy_that_only_limits_opts_nobody_in: live;
    the_namespaces_labels_are_followed: live;
    a_workload_that_names_no_policy_that_exists_is_held: live, down, crashed;
    a_policy_that_makes_no_sense_holds_what_it_governs: live, down;
    the_highest_priority_governs_and_the_others_say_so: live;
    an_edit_restarts_nothing_and_lets_go_what_was_held: live, down;
    keys_go_by_their_rules: live, down, paused;
    moving_a_key_between_classes_restarts_nothing: live, down;
    a_key_that_cannot_be_in_place_restarts_and_says_so: live;
    sources_of_a_policy_count: live;
    reported_only_and_then_enforced: live;
    the_status_says_how_far_everything_is_and_is_left_alone_when_nothing_changes: live;
    policies_are_picked_up_when_their_definitions_come: alone;
}

/// `web` uses key `a` of `ConfigMap` `web` and asks for nothing itself.
async fn silent_web(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.deploy(
        deployment("web")
            .not_opted_in()
            .labelled("tier", "web")
            .uses(env("web", "a")),
    )
    .await;
}

/// `web` uses key `a` of `ConfigMap` `web` and opts in.
async fn web(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.deploy(deployment("web").labelled("tier", "web").uses(env("web", "a")))
        .await;
}

/// The labels that [`silent_web`] has.
fn tier() -> Value {
    json!({"matchLabels": {"tier": "web"}})
}

async fn delete_policy(t: &Test, name: &str) {
    let gone = policies(t).delete(name, &DeleteParams::default()).await;
    gone.expect("it was there");
}

async fn a_selector_opts_in_what_asks_for_nothing(t: &Test) {
    install(t).await;
    silent_web(t).await;
    t.start_and_adopt(&[]).await;
    t.config("web", &[("a", "B")]).await;
    t.rolls("web", 0).await;

    t.meanwhile(policy(t, "web", for_web(json!({})))).await;
    t.adopted("web").await;
    t.meanwhile(t.config("web", &[("a", "C")])).await;
    t.rolls("web", 1).await;
    t.complete("web").await;

    t.meanwhile(delete_policy(t, "web")).await;
    t.everything_before_is_done().await;
    t.config("web", &[("a", "D")]).await;
    t.rolls("web", 1).await;
}

async fn hands_off_holds_whatever_a_policy_selects(t: &Test) {
    install(t).await;
    t.config("web", &[("a", "A")]).await;
    t.deploy(
        deployment("web")
            .not_opted_in()
            .annotated("windlass.dev/enabled", "false")
            .labelled("tier", "web")
            .uses(env("web", "a")),
    )
    .await;
    policy(t, "web", for_web(json!({}))).await;
    t.start_and_adopt(&[]).await;
    t.config("web", &[("a", "B")]).await;
    t.rolls("web", 0).await;
    assert_eq!(annotation(&t.deployment("web").await, OBSERVED), None);
}

fn of_cluster(t: &Test, spec: Value) -> Value {
    let mut spec = spec;
    spec["workloads"] = json!({"selector": tier(), "namespaceSelector": only_here(t)});
    spec
}

async fn delete_cluster_policy(t: &Test, name: &str) {
    let gone = cluster_policies(t).delete(name, &DeleteParams::default()).await;
    gone.expect("it was there");
}

async fn a_policy_of_the_cluster_opts_in_where_it_says_what_changes_do(t: &Test) {
    install(t).await;
    silent_web(t).await;
    t.start_and_adopt(&[]).await;
    let name = unique_policy();
    t.meanwhile(cluster_policy(t, &name, of_cluster(t, json!({"strategy": "Restart"}))))
        .await;
    t.adopted("web").await;
    t.config("web", &[("a", "B")]).await;
    t.rolls("web", 1).await;
    delete_cluster_policy(t, &name).await;
}

async fn a_cluster_policy_that_only_limits_opts_nobody_in(t: &Test) {
    install(t).await;
    silent_web(t).await;
    let name = unique_policy();
    cluster_policy(t, &name, of_cluster(t, json!({"restart": {"maxParallel": 5}}))).await;
    t.start_and_adopt(&[]).await;
    t.config("web", &[("a", "B")]).await;
    t.rolls("web", 0).await;
    assert_eq!(annotation(&t.deployment("web").await, OBSERVED), None);
    delete_cluster_policy(t, &name).await;
}

async fn the_namespaces_labels_are_followed(t: &Test) {
    install(t).await;
    silent_web(t).await;
    let name = unique_policy();
    let selector = json!({"matchLabels": {"windlass.test/policy": name}});
    let spec = json!({"strategy": "Restart", "workloads": {"selector": {}, "namespaceSelector": selector}});
    cluster_policy(t, &name, spec).await;
    t.start_and_adopt(&[]).await;
    t.config("web", &[("a", "B")]).await;
    t.rolls("web", 0).await;

    t.label_namespace(json!({"windlass.test/policy": name})).await;
    t.adopted("web").await;
    t.config("web", &[("a", "C")]).await;
    t.rolls("web", 1).await;
    t.complete("web").await;
    t.label_namespace(json!({"windlass.test/policy": null})).await;
    await_condition("it to be let go", async || {
        let all = t
            .windlass()
            .metric("windlass_workloads", &[("state", "Current")])
            .await?;
        ensure!(all < 2.5, "{all} workloads are current, the two markers among them");
        Ok(())
    })
    .await;
    t.config("web", &[("a", "D")]).await;
    t.rolls("web", 1).await;
    delete_cluster_policy(t, &name).await;
}

async fn a_workload_that_names_no_policy_that_exists_is_held(t: &Test) {
    install(t).await;
    t.config("web", &[("a", "A")]).await;
    t.deploy(
        deployment("web")
            .not_opted_in()
            .annotated("windlass.dev/policy", "careful")
            .uses(env("web", "a")),
    )
    .await;
    t.start_and_adopt(&[]).await;
    t.adopted("web").await;
    t.held("PolicyMissing", 1).await;
    t.meanwhile(t.config("web", &[("a", "B")])).await;
    t.everything_before_is_done().await;
    t.rolls("web", 0).await;
    t.held("PolicyMissing", 1).await;
    assert!(t.event("web", "PolicyMissing").await.contains("careful"));

    t.meanwhile(policy(t, "careful", json!({}))).await;
    t.rolls("web", 1).await;
    t.complete("web").await;
    // And the other way round.
    t.meanwhile(delete_policy(t, "careful")).await;
    t.held("PolicyMissing", 1).await;
    t.config("web", &[("a", "C")]).await;
    t.rolls("web", 1).await;
}

/// The schema takes it for a cron line; there is no such day.
fn impossible() -> Value {
    json!({"restart": {"windows": [{"schedule": "0 0 30 2 *", "duration": "1h"}]}})
}

async fn a_policy_that_makes_no_sense_holds_what_it_governs(t: &Test) {
    install(t).await;
    web(t).await;
    t.start_and_adopt(&[]).await;
    t.meanwhile(policy(t, "web", for_web(impossible()))).await;
    t.held("PolicyInvalid", 1).await;
    t.meanwhile(t.config("web", &[("a", "B")])).await;
    t.everything_before_is_done().await;
    t.rolls("web", 0).await;
    let note = t.event("web", "PolicyInvalid").await;
    assert!(
        note.contains("spec.restart.windows[0]") && note.contains("schedule"),
        "{note}"
    );
    let ready = condition(t, "web", "Ready", "False").await;
    assert_eq!(ready.reason, "PolicyInvalid");
    assert!(ready.message.contains("schedule"), "{ready:?}");

    t.meanwhile(policy(t, "web", for_web(json!({})))).await;
    t.rolls("web", 1).await;
    assert_eq!(condition(t, "web", "Ready", "True").await.reason, "InForce");
}

async fn the_highest_priority_governs_and_the_others_say_so(t: &Test) {
    install(t).await;
    web(t).await;
    policy(t, "low", for_web(json!({"priority": 1, "suspend": true}))).await;
    policy(t, "high", for_web(json!({"priority": 2}))).await;
    t.start_and_adopt(&[]).await;
    t.config("web", &[("a", "B")]).await;
    t.rolls("web", 1).await;
    t.complete("web").await;
    let overruled = condition(t, "low", "Overruled", "True").await;
    assert!(overruled.message.contains("high"), "{overruled:?}");

    policy(t, "low", for_web(json!({"priority": 3, "suspend": true}))).await;
    condition(t, "high", "Overruled", "True").await;
    t.config("web", &[("a", "C")]).await;
    t.held("Suspended", 1).await;
    t.rolls("web", 1).await;
}

async fn an_edit_restarts_nothing_and_lets_go_what_was_held(t: &Test) {
    install(t).await;
    web(t).await;
    t.start_and_adopt(&[]).await;
    for spec in [json!({}), json!({"strategy": "Ignore"})] {
        t.meanwhile(policy(t, "web", for_web(spec))).await;
        t.everything_before_is_done().await;
    }
    t.rolls("web", 0).await;
    t.meanwhile(t.config("web", &[("a", "B")])).await;
    t.held("Ignored", 1).await;
    t.rolls("web", 0).await;
    t.meanwhile(policy(t, "web", for_web(json!({"strategy": "Restart"}))))
        .await;
    t.rolls("web", 1).await;
}

fn rules() -> Value {
    json!([
        {"kind": "ConfigMap", "name": "web", "keys": ["flags.*"], "strategy": "InPlace"},
        {"name": "w?b", "keys": ["README*"], "strategy": "Ignore"},
    ])
}

/// Mounts all of `ConfigMap` `web`.
async fn mounted_web(t: &Test) {
    content(t, ["A", "A", "A"]).await;
    t.deploy(deployment("web").labelled("tier", "web").uses(volume("web")))
        .await;
}

/// One key of each class.
async fn content(t: &Test, [flags, readme, level]: [&str; 3]) {
    t.config("web", &[("flags.x", flags), ("README.md", readme), ("level", level)])
        .await;
}

async fn keys_go_by_their_rules(t: &Test) {
    install(t).await;
    mounted_web(t).await;
    let in_place = json!({"timeout": "2s"});
    policy(t, "web", for_web(json!({"rules": rules(), "inPlace": in_place}))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(content(t, ["B", "A", "A"])).await;
    let note = t.event("web", "Propagating").await;
    assert!(note.contains("flags.x") && !note.contains("level"), "{note}");
    t.state("Propagating", 0).await;
    t.meanwhile(content(t, ["B", "B", "A"])).await;
    t.everything_before_is_done().await;
    t.rolls("web", 0).await;
    t.meanwhile(content(t, ["B", "B", "B"])).await;
    t.rolls("web", 1).await;
    t.complete("web").await;
    // A mixed change is one restart.
    t.meanwhile(content(t, ["C", "C", "C"])).await;
    t.rolls("web", 2).await;
    t.complete("web").await;
    t.everything_before_is_done().await;
    t.rolls("web", 2).await;
}

async fn moving_a_key_between_classes_restarts_nothing(t: &Test) {
    install(t).await;
    mounted_web(t).await;
    policy(t, "web", for_web(json!({"rules": rules()}))).await;
    t.start_and_adopt(&[]).await;
    for strategy in ["Ignore", "Restart", "InPlace"] {
        let rules = json!([{"keys": ["flags.*", "level"], "strategy": strategy}]);
        t.meanwhile(policy(t, "web", for_web(json!({"rules": rules})))).await;
        t.everything_before_is_done().await;
    }
    t.rolls("web", 0).await;
    t.meanwhile(policy(t, "web", for_web(json!({})))).await;
    t.everything_before_is_done().await;
    t.rolls("web", 0).await;
    content(t, ["B", "A", "A"]).await;
    t.rolls("web", 1).await;
}

async fn a_key_that_cannot_be_in_place_restarts_and_says_so(t: &Test) {
    install(t).await;
    web(t).await;
    t.annotate("web", "windlass.dev/strategy", "InPlace").await;
    t.start_and_adopt(&[]).await;
    let note = t.event("web", "NotInPlace").await;
    assert!(note.contains("ConfigMap web"), "{note}");
    t.config("web", &[("a", "B")]).await;
    t.rolls("web", 1).await;
}

async fn sources_of_a_policy_count(t: &Test) {
    install(t).await;
    for name in ["web", "other", "tls", "flags"] {
        t.config(name, &[("a", "A")]).await;
    }
    let uses = ["web", "other", "tls"].map(|name| env(name, "a"));
    let web = uses
        .into_iter()
        .fold(deployment("web").labelled("tier", "web"), Workload::uses);
    t.deploy(web).await;
    let of = |name: &str| json!({"kind": "ConfigMap", "name": name});
    let sources = json!({"include": [of("w*"), of("tls")], "exclude": [of("t?s")], "extra": [of("flags")]});
    policy(t, "web", for_web(json!({"sources": sources}))).await;
    t.start_and_adopt(&[]).await;
    for name in ["other", "tls"] {
        t.config(name, &[("a", "B")]).await;
    }
    t.rolls("web", 0).await;
    t.config("web", &[("a", "B")]).await;
    t.rolls("web", 1).await;
    t.complete("web").await;
    t.config("flags", &[("a", "B")]).await;
    t.rolls("web", 2).await;
}

async fn reported_only_and_then_enforced(t: &Test) {
    install(t).await;
    silent_web(t).await;
    policy(t, "web", for_web(json!({"mode": "Observe"}))).await;
    t.start_and_adopt(&[]).await;
    await_condition("it to be looked at", async || {
        let counts = counts(t, "web").await?;
        ensure!(counts.current == 1, "{counts:?}");
        Ok(())
    })
    .await;
    t.config("web", &[("a", "B")]).await;
    t.state("Observed", 1).await;
    t.rolls("web", 0).await;
    assert_eq!(
        annotation(&t.deployment("web").await, OBSERVED),
        None,
        "nothing is written"
    );
    assert!(t.event("web", "Restarted").await.contains("Would be restarted"));

    policy(t, "web", for_web(json!({"mode": "Enforce"}))).await;
    t.rolls("web", 1).await;
    t.complete("web").await;
    t.state("Observed", 0).await;
}

async fn the_status_says_how_far_everything_is_and_is_left_alone_when_nothing_changes(t: &Test) {
    install(t).await;
    t.config("web", &[("a", "A")]).await;
    for name in ["one", "two", "three"] {
        t.deploy(deployment(name).labelled("tier", "web").uses(env("web", "a")))
            .await;
    }
    policy(t, "web", for_web(json!({}))).await;
    t.start_and_adopt(&[]).await;
    let current = async |expected: i32| {
        await_condition("all to be current", async || {
            let counts = counts(t, "web").await?;
            ensure!((counts.total, counts.current) == (3, expected), "{counts:?}");
            Ok(())
        })
        .await;
    };
    current(3).await;
    policy(t, "web", for_web(json!({"suspend": true}))).await;
    t.config("web", &[("a", "B")]).await;
    await_condition("all to be held", async || {
        let counts = counts(t, "web").await?;
        ensure!((counts.held, counts.current) == (3, 0), "{counts:?}");
        Ok(())
    })
    .await;
    let progressing = condition(t, "web", "Progressing", "False").await;
    assert_eq!(progressing.reason, "Suspended");
    assert!(progressing.message.contains("3 Suspended"), "{progressing:?}");
    policy(t, "web", for_web(json!({}))).await;
    current(3).await;
    for name in ["one", "two", "three"] {
        t.complete(name).await;
    }
    let version = async || {
        let policy = policies(t).get("web").await.expect("it is there");
        (
            policy.metadata.resource_version,
            policy.metadata.generation,
            policy.status,
        )
    };
    await_condition("the generation to be seen", async || {
        let (_, generation, status) = version().await;
        let seen = status.context("no status")?.observed_generation;
        ensure!(seen == generation, "{seen:?} of {generation:?}");
        Ok(())
    })
    .await;
    condition(t, "web", "Progressing", "False").await;
    let before = version().await;
    t.everything_before_is_done().await;
    assert_eq!(version().await, before);
}

async fn policies_are_picked_up_when_their_definitions_come(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.deploy(
        deployment("web")
            .not_opted_in()
            .annotated("windlass.dev/policy", "web")
            .uses(env("web", "a")),
    )
    .await;
    t.config("silent", &[("a", "A")]).await;
    t.deploy(
        deployment("silent")
            .not_opted_in()
            .labelled("tier", "web")
            .uses(env("silent", "a")),
    )
    .await;
    t.start_and_adopt(&[]).await;
    t.held("PolicyMissing", 1).await;
    t.config("web", &[("a", "B")]).await;
    t.rolls("web", 0).await;

    install(t).await;
    policy(t, "web", for_web(json!({}))).await;
    t.rolls("web", 1).await;
    t.adopted("silent").await;
    t.config("silent", &[("a", "B")]).await;
    t.rolls("silent", 1).await;
}
