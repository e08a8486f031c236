//! Deployments that do not roll, cannot, or fail to.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    CONFIG_DIGEST, Test, await_condition,
    build::{deployment, env},
    next_second, template_annotation, tests,
};

tests! {
    a_deployment_without_pods_takes_the_change_in: live, down;
    a_paused_deployment_restarts_when_it_is_resumed: live, down, paused;
    there_and_back_while_paused_is_none: live, down, paused;
    there_and_back_while_paused_with_a_pod_replaced_is_one_rollout: live, down, paused;
    a_replace_while_paused_does_not_lose_the_restart: live, down, paused;
    a_rollout_that_fails_is_reported: live, down;
    a_change_in_the_middle_of_a_rollout_is_another: live, down, paused;
    an_observer_writes_nothing: embedded;
}

async fn a_deployment_without_pods_takes_the_change_in(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level")).with("replicas", 0))
        .await;
    t.start_and_adopt(&[]).await;
    let before = t.baseline("web").await;

    t.meanwhile(t.config("web", &[("level", "B")])).await;

    await_condition("the baseline to move", async || {
        anyhow::ensure!(t.baseline("web").await["src"] != before["src"], "it is as before");
        Ok(())
    })
    .await;
    t.rolls("web", 0).await;

    // Its first pod starts with the new content; the next change is one that it has to get.
    t.patch_deployment("web", json!({"spec": {"replicas": 1}})).await;
    t.complete("web").await;
    t.rolls("web", 0).await;
    t.meanwhile(t.config("web", &[("level", "C")])).await;
    t.rolls("web", 1).await;
}

async fn a_paused_deployment_restarts_when_it_is_resumed(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        t.patch_deployment("web", json!({"spec": {"paused": true}})).await;
        t.config("web", &[("level", "B")]).await;
    })
    .await;
    t.event("web", "Paused").await;
    t.held("Paused", 1).await;
    t.rolled_no_more_than("web", 0).await;

    t.meanwhile(t.patch_deployment("web", json!({"spec": {"paused": false}})))
        .await;
    t.rolls("web", 1).await;
    t.held("Paused", 0).await;
}

async fn paused_with_a_restart_due(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
    t.patch_deployment("web", json!({"spec": {"paused": true}})).await;
    t.config("web", &[("level", "B")]).await;
    t.held("Paused", 1).await;
}

async fn there_and_back_while_paused_is_none(t: &Test) {
    paused_with_a_restart_due(t).await;

    t.meanwhile(t.config("web", &[("level", "A")])).await;
    t.held("Paused", 0).await;
    t.state("Current", 3).await;
    t.patch_deployment("web", json!({"spec": {"paused": false}})).await;

    t.rolls("web", 0).await;
}

async fn there_and_back_while_paused_with_a_pod_replaced_is_one_rollout(t: &Test) {
    paused_with_a_restart_due(t).await;

    t.meanwhile(async {
        next_second().await;
        // Of the old template: pause holds back rollouts, not pods.
        t.replace_pods("web").await;
        next_second().await;
        t.config("web", &[("level", "A")]).await;
    })
    .await;
    t.patch_deployment("web", json!({"spec": {"paused": false}})).await;

    t.rolls("web", 1).await;
}

async fn a_replace_while_paused_does_not_lose_the_restart(t: &Test) {
    paused_with_a_restart_due(t).await;

    t.meanwhile(t.replace_without_baseline("web")).await;
    t.held("Paused", 1).await;
    t.adopted("web").await;
    t.rolled_no_more_than("web", 0).await;
    t.patch_deployment("web", json!({"spec": {"paused": false}})).await;

    t.rolls("web", 1).await;
}

async fn a_rollout_that_fails_is_reported(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(
        deployment("web")
            .uses(env("web", "level"))
            .made_ready_by_hand()
            .with("progressDeadlineSeconds", 5),
    )
    .await;
    t.complete_by_hand("web").await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(t.config("web", &[("level", "B")])).await;
    // The Deployment controller does not always come back by itself when the deadline is over (seen
    // on 1.37, on a busy machine); any change of the Deployment makes it look.
    let touches = async {
        for touch in 0_u32.. {
            tokio::time::sleep(Duration::from_secs(3)).await;
            t.annotate("web", "touch", touch.to_string()).await;
        }
    };
    tokio::select! {
        () = touches => unreachable!("they do not end"),
        _ = t.event("web", "RolloutFailed") => {}
    }
    t.state("Failed", 1).await;
    t.rolled_no_more_than("web", 1).await;

    // It recovers late, and then it is what was wanted.
    t.complete_by_hand("web").await;
    t.state("Failed", 0).await;
    t.state("Current", 3).await;
    t.rolls("web", 1).await;
}

async fn a_change_in_the_middle_of_a_rollout_is_another(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(
        deployment("web")
            .uses(env("web", "level"))
            .made_ready_by_hand()
            .with("replicas", 2),
    )
    .await;
    t.complete_by_hand("web").await;
    t.start_and_adopt(&[]).await;
    t.config("web", &[("level", "B")]).await;
    t.await_template_changes("web", 1).await;
    t.state("Rolling", 1).await;

    t.meanwhile(t.config("web", &[("level", "C")])).await;

    t.await_template_changes("web", 2).await;
    t.rolled_no_more_than("web", 2).await;
    t.complete_by_hand("web").await;
    t.rolls("web", 2).await;
    t.state("Current", 3).await;
}

async fn an_observer_writes_nothing(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.complete("web").await;
    let audit = t.audit("windlass");
    t.start(&["--observe-only"]).await;

    t.config("web", &[("level", "B")]).await;

    // The markers are of no use here: nothing is ever written that could be waited for. What the
    // controller says of itself comes no earlier than what it does.
    t.state("Observed", 1).await;
    t.stop().await;

    let deployment = t.deployment("web").await;
    assert_eq!(template_annotation(&deployment, CONFIG_DIGEST), None);
    assert_eq!(t.template_changes("web").await, 0);
    let requests = audit.requests();
    let patches: Vec<_> = requests
        .iter()
        .filter(|it| it.resource == "deployments" && it.verb == "patch")
        .collect();
    assert!(patches.is_empty(), "{patches:?}");
}
