//! Workloads that another controller owns: it puts its own template back.

use anyhow::ensure;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::support::{
    CAUSE, CONFIG_DIGEST, Test, Workload, await_condition, await_condition_within,
    build::{deployment, env},
    template_annotation, tests,
};

tests! {
    an_owner_that_takes_restarts_back_is_not_fought: live, down, crashed, paused;
    an_owner_that_gives_in_the_second_time_gets_its_restart: live, down;
    an_owner_that_leaves_the_template_alone_is_no_reason_to_hold: live, down;
}

/// The object that the owner makes its Deployment from. Any kind will do.
async fn owned(t: &Test, web: Workload) -> Value {
    t.create::<ConfigMap>(json!({"metadata": {"name": "shop"}})).await;
    let owner = t.api::<ConfigMap>().get("shop").await.expect("it was created");
    let mut manifest = web.manifest().clone();
    manifest["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "shop",
        "uid": owner.uid(),
        "controller": true,
    }]);
    manifest
}

/// Pods that become ready only when the test says so: an old one is left when a restart is taken back.
async fn web(t: &Test, flags: &[&str]) {
    t.config("web", &[("level", "A")]).await;
    let surge = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    let web = deployment("web")
        .uses(env("web", "level"))
        .made_ready_by_hand()
        .with("strategy", surge);
    let web = owned(t, web).await;
    t.create::<Deployment>(web).await;
    t.complete_by_hand("web").await;
    t.start_and_adopt(flags).await;
}

/// Waits for the restart that is the `times`th template change and takes it back, as an owner does who
/// makes the whole object anew.
async fn take_back(t: &Test, times: usize) {
    t.await_template_changes("web", times).await;
    assert_eq!(t.template_changes("web").await, times, "template changes");
    await_condition("the owner's template", async || {
        let annotations = json!({CONFIG_DIGEST: null, CAUSE: null});
        let patch = Patch::Merge(json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}));
        t.api::<Deployment>()
            .patch("web", &PatchParams::default(), &patch)
            .await?;
        Ok(())
    })
    .await;
    assert_eq!(template_annotation(&t.deployment("web").await, CONFIG_DIGEST), None);
}

async fn an_owner_that_takes_restarts_back_is_not_fought(t: &Test) {
    web(t, &[]).await;
    let before = t.pods("web").await.expect("a list of pods");

    t.config("web", &[("level", "B")]).await;
    t.await_template_changes("web", 1).await;
    // What is not said yet dies with the process.
    assert_eq!(t.event_count("web", "Restarted").await, 1);
    t.meanwhile(take_back(t, 1)).await;
    t.await_template_changes("web", 3).await;
    assert_eq!(t.event_count("web", "Restarted").await, 2);
    t.meanwhile(take_back(t, 3)).await;

    let message = t.event("web", "Reverted").await;
    assert!(message.contains("ConfigMap shop"), "names the owner: {message}");
    assert!(
        message.contains("restart the workload through"),
        "says what to do: {message}"
    );
    t.held("Reverted", 1).await;
    t.state("Held", 1).await;
    t.rolled_no_more_than("web", 4).await;
    assert_eq!(t.event_count("web", "Restarted").await, 2);
    let pods = t.pods("web").await.expect("a list of pods");
    assert_eq!(
        pods.iter().map(ResourceExt::uid).collect::<Vec<_>>(),
        before.iter().map(ResourceExt::uid).collect::<Vec<_>>(),
        "its pod has never been restarted"
    );

    t.meanwhile(async {}).await;
    t.held("Reverted", 1).await;
    t.rolled_no_more_than("web", 4).await;

    // The next change is one more that its pods do not run, and no reason to begin anew.
    let adopted = t.baseline("web").await;
    t.meanwhile(t.config("web", &[("level", "C")])).await;
    t.rolled_no_more_than("web", 4).await;
    t.held("Reverted", 1).await;
    t.state("Held", 1).await;
    assert_eq!(
        t.baseline("web").await["src"],
        adopted["src"],
        "the change is not taken for done"
    );
    t.while_down(async {}).await;
    t.rolled_no_more_than("web", 4).await;
    t.held("Reverted", 1).await;

    // Restarted by way of its owner, it is current.
    t.meanwhile(async {
        t.upgrade("web", "2").await;
        t.complete_by_hand("web").await;
    })
    .await;
    t.held("Reverted", 0).await;
    t.state("Current", 3).await;
    t.rolled_no_more_than("web", 5).await;
}

async fn an_owner_that_gives_in_the_second_time_gets_its_restart(t: &Test) {
    web(t, &[]).await;

    t.config("web", &[("level", "B")]).await;
    t.await_template_changes("web", 1).await;
    t.meanwhile(take_back(t, 1)).await;
    t.await_template_changes("web", 3).await;
    t.complete_by_hand("web").await;

    t.state("Current", 3).await;
    t.rolled_no_more_than("web", 3).await;
    assert_eq!(t.event_count("web", "Reverted").await, 0);
    t.meanwhile(t.config("web", &[("level", "C")])).await;
    t.await_template_changes("web", 4).await;
    t.complete_by_hand("web").await;
    t.state("Current", 3).await;
    t.rolled_no_more_than("web", 4).await;
}

async fn an_owner_that_leaves_the_template_alone_is_no_reason_to_hold(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    let web = owned(t, deployment("web").uses(env("web", "level"))).await;
    t.create::<Deployment>(web).await;
    t.start_and_adopt(&[]).await;

    for (times, level) in ["B", "C", "D"].into_iter().enumerate() {
        t.meanwhile(t.config("web", &[("level", level)])).await;
        await_condition_within(
            std::time::Duration::from_mins(1),
            "the restart to be there",
            async || {
                let changes = t.template_changes("web").await;
                ensure!(changes == times + 1, "{changes} changes");
                Ok(())
            },
        )
        .await;
        t.rolls("web", times + 1).await;
    }
    t.held("Reverted", 0).await;
}
