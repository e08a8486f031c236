//! What if the baseline, or the key without which it means nothing, is lost or belongs to another
//! installation.

use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::Value;

use crate::support::{
    DIGEST_KEY, OBSERVED, Test, await_condition,
    build::{deployment, env},
    next_second, tests,
};

tests! {
    a_baseline_stripped_live_is_restored: live, paused, live_paged;
    a_baseline_stripped_while_down_is_restored: live;
    a_baseline_stripped_while_down_does_not_hide_a_change: live, live_paged;
    a_lost_key_and_a_change_that_older_pods_may_not_have_is_held: live;
    a_rollout_restart_lifts_the_doubt: live, down;
    a_lost_key_and_no_older_pods_is_adopted: live;
    a_change_after_a_lost_key_is_a_rollout: live;
    a_second_installation_holds_and_says_so: embedded;
}

async fn web(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
    t.complete("web").await;
}

async fn is_restored(t: &Test, before: &Value) {
    t.adopted("web").await;
    t.rolls("web", 0).await;
    let after = t.baseline("web").await;
    for field in ["in", "key", "uid", "shape", "src"] {
        assert_eq!(after[field], before[field], "{field}");
    }
}

async fn a_baseline_stripped_live_is_restored(t: &Test) {
    web(t).await;
    let before = t.baseline("web").await;

    t.meanwhile(t.annotate("web", OBSERVED, Value::Null)).await;

    t.event("web", "BaselineRestored").await;
    is_restored(t, &before).await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
}

async fn a_baseline_stripped_while_down_is_restored(t: &Test) {
    web(t).await;
    // Written behind the patch; what is stopped in between never says it.
    t.event("web", "Adopted").await;
    let before = t.baseline("web").await;

    t.while_down(t.annotate("web", OBSERVED, Value::Null)).await;

    is_restored(t, &before).await;
    assert_eq!(t.event_count("web", "Adopted").await, 1, "it is known from before");
}

async fn a_baseline_stripped_while_down_does_not_hide_a_change(t: &Test) {
    web(t).await;

    t.while_down(async {
        t.annotate("web", OBSERVED, Value::Null).await;
        t.config("web", &[("level", "B")]).await;
    })
    .await;

    t.rolls("web", 1).await;
    t.adopted("web").await;
}

async fn lose_the_key(t: &Test) {
    t.api::<Secret>()
        .delete(DIGEST_KEY, &DeleteParams::default())
        .await
        .expect("it was there");
}

async fn a_lost_key_and_a_change_that_older_pods_may_not_have_is_held(t: &Test) {
    web(t).await;

    t.while_down(async {
        lose_the_key(t).await;
        next_second().await;
        t.config("web", &[("level", "B")]).await;
    })
    .await;

    t.event("web", "Unproven").await;
    // The markers have lost their baselines as well, but their sources are older than their pods.
    t.held("Unproven", 1).await;
    t.rolls("web", 0).await;

    t.while_down(async {}).await;
    t.held("Unproven", 1).await;
    t.rolls("web", 0).await;
}

async fn a_rollout_restart_lifts_the_doubt(t: &Test) {
    a_lost_key_and_a_change_that_older_pods_may_not_have_is_held(t).await;

    t.meanwhile(async {
        t.rollout_restart("web").await;
        t.complete("web").await;
    })
    .await;

    t.held("Unproven", 0).await;
    t.state("Current", 3).await;
    t.rolls("web", 1).await;
    t.config("web", &[("level", "C")]).await;
    t.rolls("web", 2).await;
}

async fn a_lost_key_and_no_older_pods_is_adopted(t: &Test) {
    web(t).await;
    let before = t.baseline("web").await;

    t.while_down(async {
        lose_the_key(t).await;
        t.config("web", &[("level", "B")]).await;
        next_second().await;
        t.replace_pods("web").await;
    })
    .await;

    await_condition("a baseline under the new key", async || {
        anyhow::ensure!(
            t.baseline("web").await["key"] != before["key"],
            "it is under the old one"
        );
        Ok(())
    })
    .await;
    t.rolls("web", 0).await;
    assert_eq!(t.event_count("web", "Unproven").await, 0);
}

async fn a_change_after_a_lost_key_is_a_rollout(t: &Test) {
    a_lost_key_and_no_older_pods_is_adopted(t).await;

    t.config("web", &[("level", "C")]).await;

    t.rolls("web", 1).await;
}

async fn a_second_installation_holds_and_says_so(t: &Test) {
    web(t).await;
    let before = t.baseline("web").await;
    let audit = t.audit("second");
    let lease = t.another_namespace().await;
    let flags = ["--lease-namespace", &lease].map(str::to_owned).to_vec();
    let second = t.installation(t.cluster.second.clone(), flags).await;
    second.await_ready().await;

    let message = t.event("web", "OtherInstallation").await;
    assert!(message.contains(&t.namespace), "{message}");
    await_condition("the second to hold all three", async || {
        let held = second
            .metric("windlass_workloads_held", &[("reason", "OtherInstallation")])
            .await?;
        anyhow::ensure!((held - 3.0).abs() < 0.5, "{held} are");
        Ok(())
    })
    .await;

    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    assert_eq!(t.baseline("web").await["in"], before["in"]);
    let writes = audit.requests();
    let writes: Vec<_> = writes
        .iter()
        .filter(|it| it.resource == "deployments" && it.verb != "list")
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
    second.stop().await;
}
