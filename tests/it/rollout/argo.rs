//! Argo Rollouts. The test plays Argo's controller, so each of its steps comes when the test says.

use kube::{
    ResourceExt,
    api::{Api, DynamicObject},
};
use serde_json::{Value, json};

use crate::support::{
    CONFIG_DIGEST, OBSERVED, Test, Workload, Workloads, annotation, await_condition,
    build::{deployment, env},
    kinds::rollout,
    template_annotation, tests,
};

tests! {
    a_rollout_with_a_template_is_restarted_by_it: embedded, embedded_down, embedded_paused;
    a_rollout_that_fails_is_reported: embedded;
    a_canary_waits_to_be_promoted: embedded, embedded_down;
    a_rollout_of_a_deployment_restarts_by_its_template: embedded, embedded_down, embedded_paused;
    a_rollout_of_a_deployment_says_how_far_it_is: embedded;
    a_deployment_of_a_rollout_may_ask_itself: embedded, embedded_down;
    a_deployment_is_let_go_with_its_rollout: embedded, embedded_down;
    a_deployment_that_asked_itself_outlives_its_rollout: embedded;
    a_rollout_that_asks_for_restart_at_gets_that: embedded, embedded_down;
}

/// What Argo counts in.
const REVISION: &str = "rollout.argoproj.io/revision";

/// Argo's controller: it has seen the Rollout as it is now, and says so.
async fn argo(w: &Workloads<'_>, name: &str, revision: u32, phase: &str) {
    w.annotate(name, REVISION, revision.to_string()).await;
    let generation = w.get(name).await.metadata.generation.expect("the API server counts");
    let status = json!({
        "phase": phase,
        "observedGeneration": generation.to_string(),
        "replicas": 1,
        "updatedReplicas": 1,
    });
    w.patch_status(name, status).await;
}

async fn level(t: &Test, level: &str) {
    t.config("web", &[("level", level), ("unused", "A")]).await;
}

// With a template of its own.

async fn web(w: &Workloads<'_>, flags: &[&str]) {
    level(w, "A").await;
    w.deploy(deployment("web").uses(env("web", "level"))).await;
    argo(w, "web", 1, "Healthy").await;
    w.start_and_adopt(flags).await;
    w.state("Current", 1).await;
}

async fn rollouts(t: &Test) -> Workloads<'_> {
    let kind = rollout();
    kind.define(t).await;
    kind.of(t)
}

async fn a_rollout_with_a_template_is_restarted_by_it(t: &Test) {
    let w = rollouts(t).await;
    web(&w, &[]).await;

    w.meanwhile(t.config("web", &[("level", "A"), ("unused", "B")])).await;
    w.rolled_no_more_than("web", 0).await;

    w.meanwhile(level(t, "B")).await;
    w.await_template_changes("web", 1).await;
    assert!(w.template("web").await["metadata"]["annotations"][CONFIG_DIGEST].is_string());
    let message = w.event("web", "Restarted").await;
    assert!(message.contains("ConfigMap web (key level)"), "{message}");
    w.state("Rolling", 1).await;
    w.meanwhile(argo(&w, "web", 2, "Progressing")).await;
    w.state("Rolling", 1).await;
    w.meanwhile(argo(&w, "web", 2, "Healthy")).await;
    w.state("Current", 1).await;
    w.rolled_no_more_than("web", 1).await;

    w.meanwhile(level(t, "C")).await;
    w.await_template_changes("web", 2).await;
    argo(&w, "web", 3, "Healthy").await;
    w.state("Current", 1).await;
    w.rolled_no_more_than("web", 2).await;
    assert!(w.get("web").await.data["spec"].get("restartAt").is_none());
}

async fn a_rollout_that_fails_is_reported(t: &Test) {
    let w = rollouts(t).await;
    web(&w, &[]).await;
    level(t, "B").await;
    w.await_template_changes("web", 1).await;

    argo(&w, "web", 2, "Degraded").await;

    w.event("web", "RolloutFailed").await;
    w.state("Failed", 1).await;
    w.rolled_no_more_than("web", 1).await;
    argo(&w, "web", 2, "Healthy").await;
    w.state("Current", 1).await;
    w.rolled_no_more_than("web", 1).await;
}

async fn a_canary_waits_to_be_promoted(t: &Test) {
    let w = rollouts(t).await;
    web(&w, &[]).await;
    level(t, "B").await;
    w.await_template_changes("web", 1).await;

    w.meanwhile(argo(&w, "web", 2, "Paused")).await;

    w.event("web", "AwaitsPromotion").await;
    w.held("AwaitsPromotion", 1).await;
    w.state("Held", 1).await;
    w.rolled_no_more_than("web", 1).await;
    w.meanwhile(argo(&w, "web", 2, "Healthy")).await;
    w.held("AwaitsPromotion", 0).await;
    w.state("Current", 1).await;
    w.rolled_no_more_than("web", 1).await;
}

// With the template of a Deployment.

/// Who asks for Windlass.
#[derive(Clone, Copy, PartialEq)]
enum Asks {
    TheRollout,
    TheDeployment,
}

fn opted_in(asks: bool) -> Value {
    if asks {
        json!({"windlass.dev/enabled": "true"})
    } else {
        json!({})
    }
}

async fn of_deployment(w: &Workloads<'_>, asks: Asks, flags: &[&str]) -> DynamicObject {
    let t: &Test = w;
    level(t, "A").await;
    let web: Workload = deployment("web").uses(env("web", "level")).with("replicas", 0);
    let web = if asks == Asks::TheDeployment {
        web
    } else {
        web.not_opted_in()
    };
    t.deploy(web).await;
    w.create_object(json!({
        "metadata": {"name": "canary", "annotations": opted_in(asks == Asks::TheRollout)},
        "spec": {"replicas": 1, "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    }))
    .await;
    argo(w, "canary", 1, "Healthy").await;
    t.start_and_adopt(flags).await;
    t.adopted("web").await;
    t.state("Current", 3).await;
    w.get("canary").await
}

/// Nobody but Argo has written to the Rollout, and by Argo only the status and the revision.
fn assert_same_but_for_argo(before: &DynamicObject, after: &DynamicObject) {
    assert_eq!(after.metadata.generation, before.metadata.generation);
    assert_eq!(after.data["spec"], before.data["spec"]);
    let without_revision = |object: &DynamicObject| {
        let mut annotations = object.annotations().clone();
        annotations.remove(REVISION);
        annotations
    };
    assert_eq!(without_revision(after), without_revision(before));
    let managers = after.metadata.managed_fields.iter().flatten();
    let managers: Vec<_> = managers.filter_map(|it| it.manager.as_deref()).collect();
    assert!(!managers.contains(&"windlass"), "{managers:?}");
}

async fn a_rollout_of_a_deployment_restarts_by_its_template(t: &Test) {
    let w = rollouts(t).await;
    let before = of_deployment(&w, Asks::TheRollout, &[]).await;

    t.meanwhile(t.config("web", &[("level", "A"), ("unused", "B")])).await;
    t.rolled_no_more_than("web", 0).await;

    t.meanwhile(level(t, "B")).await;
    t.await_template_changes("web", 1).await;
    assert!(template_annotation(&t.deployment("web").await, CONFIG_DIGEST).is_some());
    let message = t.event("web", "Restarted").await;
    assert!(message.contains("ConfigMap web (key level)"), "{message}");
    t.meanwhile(argo(&w, "canary", 2, "Progressing")).await;
    t.state("Rolling", 1).await;
    t.meanwhile(argo(&w, "canary", 2, "Healthy")).await;
    t.state("Current", 3).await;

    t.meanwhile(level(t, "C")).await;
    t.await_template_changes("web", 2).await;
    argo(&w, "canary", 3, "Healthy").await;
    t.state("Current", 3).await;
    t.rolled_no_more_than("web", 2).await;
    assert_same_but_for_argo(&before, &w.get("canary").await);
    // It is the same workload, and counted once.
    w.known(0).await;
}

async fn a_rollout_of_a_deployment_says_how_far_it_is(t: &Test) {
    let w = rollouts(t).await;
    of_deployment(&w, Asks::TheRollout, &[]).await;

    level(t, "B").await;
    t.await_template_changes("web", 1).await;
    // Argo has not seen the template yet: that it was healthy before says nothing.
    t.everything_before_is_done().await;
    assert_eq!(times_said_current(t), 0, "{}", t.logs());
    argo(&w, "canary", 2, "Paused").await;
    t.event("web", "AwaitsPromotion").await;
    t.held("AwaitsPromotion", 1).await;
    argo(&w, "canary", 2, "Progressing").await;
    t.held("AwaitsPromotion", 0).await;
    t.state("Rolling", 1).await;
    argo(&w, "canary", 2, "Degraded").await;
    t.event("web", "RolloutFailed").await;
    t.state("Failed", 1).await;
    argo(&w, "canary", 2, "Healthy").await;
    t.state("Failed", 0).await;
    t.state("Current", 3).await;
    t.rolled_no_more_than("web", 1).await;
    await_condition("the way back to be said", async || {
        let said = times_said_current(t);
        anyhow::ensure!(said > 0, "it was not");
        Ok(())
    })
    .await;
}

/// How often it was said that the Deployment is current again. The metric would count the markers,
/// too, which come and go.
fn times_said_current(t: &Test) -> usize {
    let namespace = format!("\"namespace\":\"{}\"", t.namespace);
    let about = [
        "\"kind\":\"Deployment\"",
        &namespace,
        "\"name\":\"web\"",
        "\"Unchanged\"",
    ];
    let logs = t.logs();
    logs.lines()
        .filter(|line| about.iter().all(|part| line.contains(part)))
        .count()
}

async fn a_deployment_of_a_rollout_may_ask_itself(t: &Test) {
    let w = rollouts(t).await;
    let before = of_deployment(&w, Asks::TheDeployment, &[]).await;

    t.meanwhile(level(t, "B")).await;
    // By itself it has no pods and would need no restart.
    t.await_template_changes("web", 1).await;
    t.meanwhile(argo(&w, "canary", 2, "Paused")).await;
    t.held("AwaitsPromotion", 1).await;
    t.meanwhile(argo(&w, "canary", 2, "Healthy")).await;
    t.state("Current", 3).await;
    t.rolled_no_more_than("web", 1).await;
    assert_same_but_for_argo(&before, &w.get("canary").await);
    w.known(0).await;
}

async fn a_deployment_is_let_go_with_its_rollout(t: &Test) {
    let w = rollouts(t).await;
    of_deployment(&w, Asks::TheRollout, &[]).await;
    level(t, "B").await;
    t.await_template_changes("web", 1).await;
    argo(&w, "canary", 2, "Paused").await;
    t.held("AwaitsPromotion", 1).await;

    t.meanwhile(w.delete("canary")).await;

    t.held("AwaitsPromotion", 0).await;
    t.metric("windlass_workloads", &[("kind", "Deployment")], 2).await;
    let observed = annotation(&t.deployment("web").await, OBSERVED).map(str::to_owned);
    t.meanwhile(level(t, "C")).await;
    t.rolled_no_more_than("web", 1).await;
    assert_eq!(annotation(&t.deployment("web").await, OBSERVED), observed.as_deref());
}

async fn a_deployment_that_asked_itself_outlives_its_rollout(t: &Test) {
    let w = rollouts(t).await;
    of_deployment(&w, Asks::TheDeployment, &[]).await;
    level(t, "B").await;
    t.await_template_changes("web", 1).await;
    argo(&w, "canary", 2, "Paused").await;
    t.held("AwaitsPromotion", 1).await;

    t.meanwhile(w.delete("canary")).await;

    t.held("AwaitsPromotion", 0).await;
    t.state("Current", 3).await;
    // By its own account it has no pods: the next change is taken in.
    let before = t.baseline("web").await;
    level(t, "C").await;
    await_condition("the baseline to move", async || {
        anyhow::ensure!(t.baseline("web").await["src"] != before["src"], "it is as before");
        Ok(())
    })
    .await;
    t.rolled_no_more_than("web", 1).await;
}

// In Reloader's words.

async fn a_rollout_that_asks_for_restart_at_gets_that(t: &Test) {
    let w = rollouts(t).await;
    level(t, "A").await;
    let web = deployment("web")
        .not_opted_in()
        .annotated("reloader.stakater.com/auto", "true")
        .annotated("reloader.stakater.com/rollout-strategy", "restart")
        .uses(env("web", "level"));
    w.deploy(web).await;
    argo(&w, "web", 1, "Healthy").await;
    t.start_and_adopt(&["--compat", "reloader"]).await;
    w.adopted("web").await;
    w.state("Current", 1).await;

    t.meanwhile(t.config("web", &[("level", "A"), ("unused", "B")])).await;
    t.everything_before_is_done().await;
    assert!(restart_at(&w.api).await.is_none());

    for (count, content) in ["B", "C"].into_iter().enumerate() {
        let before = restart_at(&w.api).await;
        t.meanwhile(level(t, content)).await;
        let asked = await_condition("spec.restartAt to be set", async || {
            let now = restart_at(&w.api).await;
            anyhow::ensure!(now.is_some() && now != before, "{now:?}");
            Ok(now)
        })
        .await;
        w.state("Rolling", 1).await;
        // Argo restarts the pods one by one and then says until when it has.
        argo(&w, "web", 1, "Healthy").await;
        w.state("Rolling", 1).await;
        w.patch_status("web", json!({"restartedAt": asked})).await;
        w.state("Current", 1).await;
        t.everything_before_is_done().await;
        assert_eq!(restart_at(&w.api).await, asked, "once for each change");
        await_condition("each restart to be said", async || {
            let said = t.event_count("web", "Restarted").await;
            anyhow::ensure!(usize::try_from(said).ok() == Some(count + 1), "{said} times");
            Ok(())
        })
        .await;
        // So that the two are of different seconds.
        crate::support::next_second().await;
    }
    w.rolled_no_more_than("web", 0).await;
}

async fn restart_at(rollouts: &Api<DynamicObject>) -> Option<String> {
    let web = rollouts.get("web").await.expect("it is there");
    web.data["spec"]["restartAt"].as_str().map(str::to_owned)
}
