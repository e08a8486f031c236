//! Kinds that an operator describes by flag. They come and go with their definitions.

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::support::{
    CONFIG_DIGEST, Test, Workloads, await_condition,
    build::{deployment, env},
    kinds::{Kind, unique_group},
    next_second, tests,
};

tests! {
    a_described_kind_is_restarted_by_its_template: embedded, embedded_down, embedded_paused;
    its_conditions_say_how_far_it_is: embedded;
    a_change_of_its_spec_is_no_proof_of_new_pods: embedded, embedded_down;
    a_kind_is_picked_up_when_it_is_installed: embedded;
    a_kind_is_let_go_when_it_is_removed_and_picked_up_again: embedded;
}

const TEMPLATE: &[&str] = &["spec", "runner", "pod"];

fn worker() -> Kind {
    Kind::custom(&unique_group(), "Worker", TEMPLATE)
}

/// `--workload-kind GROUP/v1/Worker=.spec.runner.pod`
fn described(kind: &Kind) -> String {
    format!("{}/Worker=.{}", kind.resource.api_version, kind.template.join("."))
}

async fn level(t: &Test, level: &str) {
    t.config("web", &[("level", level), ("unused", "A")]).await;
}

async fn web(w: &Workloads<'_>) {
    w.deploy(deployment("web").uses(env("web", "level"))).await;
}

/// As its own controller makes one.
async fn pod_of_web(w: &Workloads<'_>) {
    let template = w.template("web").await;
    let pod =
        json!({"metadata": {"name": "web-1", "labels": template["metadata"]["labels"]}, "spec": template["spec"]});
    let _: Pod = w.create(pod).await;
    await_condition("its pod to run", async || {
        let pods = w.pods("web").await?;
        let running = pods.iter().filter(|pod| {
            pod.status
                .as_ref()
                .is_some_and(|it| it.phase.as_deref() == Some("Running"))
        });
        anyhow::ensure!(running.count() == 1, "it does not");
        Ok(())
    })
    .await;
}

async fn a_described_kind_is_restarted_by_its_template(t: &Test) {
    let kind = worker();
    kind.define(t).await;
    let w = kind.of(t);
    level(t, "A").await;
    next_second().await;
    web(&w).await;
    pod_of_web(&w).await;
    w.start_and_adopt(&["--workload-kind", &described(&kind)]).await;
    w.state("Current", 1).await;
    let (adopted, before) = (w.baseline("web").await, w.get("web").await);

    t.meanwhile(t.config("web", &[("level", "A"), ("unused", "B")])).await;
    w.rolls("web", 0).await;

    t.meanwhile(level(t, "B")).await;
    w.rolls("web", 1).await;
    assert!(w.template("web").await["metadata"]["annotations"][CONFIG_DIGEST].is_string());
    assert_ne!(w.baseline("web").await["src"], adopted["src"], "the baseline has moved");
    let message = t.event("web", "Restarted").await;
    assert!(message.contains("ConfigMap web (key level)"), "{message}");
    w.state("Current", 1).await;

    t.meanwhile(level(t, "C")).await;
    w.rolls("web", 2).await;
    assert_eq!(t.event_count("web", "Restarted").await, 2);
    // A merge leaves all that is not ours as it was.
    let mut after = w.get("web").await;
    let annotations = &mut after.data["spec"]["runner"]["pod"]["metadata"]["annotations"];
    let annotations = annotations.as_object_mut().expect("ours are there");
    annotations.retain(|name, _| !name.starts_with("windlass.dev/"));
    assert_eq!(after.data["spec"], before.data["spec"]);
    kind.undefine(t).await;
}

async fn its_conditions_say_how_far_it_is(t: &Test) {
    let kind = worker();
    kind.define(t).await;
    let w = kind.of(t);
    level(t, "A").await;
    web(&w).await;
    let says = async |condition: &str, value: &str| {
        let generation = w.get("web").await.metadata.generation;
        let condition = json!({"type": condition, "status": value});
        w.patch_status(
            "web",
            json!({"observedGeneration": generation, "conditions": [condition]}),
        )
        .await;
    };
    says("Ready", "True").await;
    w.start_and_adopt(&["--workload-kind", &described(&kind)]).await;
    w.state("Current", 1).await;

    level(t, "B").await;
    w.await_template_changes("web", 1).await;
    // Its controller has not looked yet.
    w.state("Rolling", 1).await;
    says("Ready", "False").await;
    t.everything_before_is_done().await;
    w.state("Rolling", 1).await;
    says("Stalled", "True").await;
    t.event("web", "RolloutFailed").await;
    w.state("Failed", 1).await;
    says("Ready", "True").await;
    w.state("Current", 1).await;
    w.rolls("web", 1).await;
    kind.undefine(t).await;
}

/// Nothing tells which pods are its own: those that nobody finds are not therefore new.
async fn a_change_of_its_spec_is_no_proof_of_new_pods(t: &Test) {
    let kind = worker();
    kind.define(t).await;
    let w = kind.of(t);
    level(t, "A").await;
    web(&w).await;
    w.start_and_adopt(&["--workload-kind", &described(&kind), "--settle", "5s"])
        .await;

    t.meanwhile(async {
        w.patch("web", json!({"spec": {"replicas": 2}})).await;
        level(t, "B").await;
    })
    .await;

    w.rolls("web", 1).await;
    assert_eq!(t.event_count("web", "CoveredByRollout").await, 0);
    kind.undefine(t).await;
}

async fn a_kind_is_picked_up_when_it_is_installed(t: &Test) {
    let kind = worker();
    level(t, "A").await;
    t.start_and_adopt(&["--workload-kind", &described(&kind)]).await;
    logged(t, "kind not served yet").await;

    kind.define(t).await;
    let w = kind.of(t);
    web(&w).await;

    w.adopted("web").await;
    w.state("Current", 1).await;
    w.rolls("web", 0).await;
    level(t, "B").await;
    w.rolls("web", 1).await;
    kind.undefine(t).await;
}

async fn a_kind_is_let_go_when_it_is_removed_and_picked_up_again(t: &Test) {
    let kind = worker();
    kind.define(t).await;
    level(t, "A").await;
    let w = kind.of(t);
    web(&w).await;
    w.start_and_adopt(&["--workload-kind", &described(&kind)]).await;
    w.state("Current", 1).await;

    kind.undefine(t).await;

    logged(t, "kind no longer served").await;
    w.known(0).await;
    t.everything_before_is_done().await;
    assert!(t.windlass().ready().await, "ready without it");
    t.everything_before_is_done().await;
    assert!(t.windlass().runs());

    kind.define(t).await;
    // The recorder of the first may not have noticed that they are others now.
    let w = kind.of(t);
    web(&w).await;
    w.adopted("web").await;
    w.state("Current", 1).await;
    level(t, "B").await;
    w.rolls("web", 1).await;
    assert!(t.windlass().ready().await);
    kind.undefine(t).await;
}

async fn logged(t: &Test, text: &str) {
    await_condition(&format!("a log line with {text:?}"), async || {
        let log = t.windlass().log();
        anyhow::ensure!(
            log.lines().any(|line| line.contains(text) && line.contains("Worker")),
            "none"
        );
        Ok(())
    })
    .await;
}
