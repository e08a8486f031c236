//! A CronJob's next run reads the present content by itself: it is only said.

use k8s_openapi::api::batch::v1::Job;
use kube::{ResourceExt, api::ListParams};
use serde_json::json;

use crate::support::{
    OBSERVED, Test, annotation, await_condition,
    build::{deployment, env},
    kinds::cron_job,
    tests,
};

tests! {
    a_change_is_said_and_nothing_is_written: live, paused;
    a_restart_of_windlass_says_nothing: live;
}

async fn jobs(t: &Test) -> Vec<(String, Option<String>)> {
    let jobs = t.api::<Job>().list(&ListParams::default()).await.expect("a list");
    jobs.iter().map(|job| (job.name_any(), job.uid())).collect()
}

async fn a_change_is_said_and_nothing_is_written(t: &Test) {
    let w = cron_job().of(t);
    t.config("web", &[("level", "A"), ("unused", "A")]).await;
    let created = w.deploy(deployment("nightly").uses(env("web", "level"))).await;
    // A run that somebody started, and that goes on.
    let spec = &created.data["spec"]["jobTemplate"]["spec"];
    let mut run = spec.clone();
    run["template"]["metadata"]["annotations"] = json!({"windlass.test/never-ready": "true"});
    let _: Job = t.create(json!({"metadata": {"name": "run"}, "spec": run})).await;
    t.start_and_adopt(&[]).await;
    w.state("Current", 1).await;
    let (before, runs) = (w.get("nightly").await, jobs(t).await);
    assert_eq!(runs.len(), 1);

    t.meanwhile(t.config("web", &[("level", "B"), ("unused", "A")])).await;
    let message = t.event("nightly", "DeferredToNextRun").await;
    assert!(message.contains("ConfigMap web (key level)"), "{message}");
    assert_eq!(t.event_count("nightly", "DeferredToNextRun").await, 1);

    // What nobody reads is not worth a word.
    t.config("web", &[("level", "B"), ("unused", "B")]).await;
    t.everything_before_is_done().await;
    assert_eq!(t.event_count("nightly", "DeferredToNextRun").await, 1);

    t.meanwhile(t.config("web", &[("level", "C"), ("unused", "B")])).await;
    await_condition("the second change to be said", async || {
        let said = t.event_count("nightly", "DeferredToNextRun").await;
        anyhow::ensure!(said == 2, "{said} times");
        Ok(())
    })
    .await;

    t.everything_before_is_done().await;
    w.state("Current", 1).await;
    let after = w.get("nightly").await;
    assert_eq!(after.resource_version(), before.resource_version());
    assert_eq!(after.annotations(), before.annotations());
    assert_eq!(annotation(&after, OBSERVED), None);
    assert_eq!(jobs(t).await, runs);
    assert_eq!(w.template_changes("nightly").await, 0);
    t.metric("windlass_restarts_total", &[("kind", "CronJob")], 0).await;
}

async fn a_restart_of_windlass_says_nothing(t: &Test) {
    let w = cron_job().of(t);
    t.config("web", &[("level", "A")]).await;
    w.deploy(deployment("nightly").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
    w.state("Current", 1).await;
    let before = w.get("nightly").await;

    // Whatever has run meanwhile has read it, and so will the next.
    t.while_down(t.config("web", &[("level", "B")])).await;

    t.everything_before_is_done().await;
    w.state("Current", 1).await;
    assert_eq!(t.event_count("nightly", "DeferredToNextRun").await, 0);
    assert_eq!(w.get("nightly").await.resource_version(), before.resource_version());
}
