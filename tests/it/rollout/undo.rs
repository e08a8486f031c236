//! `kubectl rollout undo`, which brings the annotations of an old revision back, ours included.

use serde_json::json;

use crate::support::{
    Test, await_condition,
    build::{deployment, env},
    next_second, tests,
};

tests! {
    undoing_a_complete_rollout_restarts_nothing: live, down, paused, live_paged;
    undoing_half_a_rollout_holds: live, down, paused;
    a_rollout_restart_after_it_lifts_the_hold: live, down;
}

async fn undoing_a_complete_rollout_restarts_nothing(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;

    // The pods of the undo start with the new content, so there is nothing left to do.
    t.meanwhile(async {
        next_second().await;
        t.undo("web").await;
        t.complete("web").await;
    })
    .await;
    t.rolls("web", 2).await;
    t.state("Current", 3).await;
    assert_eq!(t.event_count("web", "RolledBack").await, 0);

    t.meanwhile(t.config("web", &[("level", "C")])).await;
    t.rolls("web", 3).await;
}

async fn undoing_half_a_rollout_holds(t: &Test) {
    undo_half_a_rollout(t).await;

    t.meanwhile(async {}).await;
    t.held("RolledBack", 1).await;
    t.rolled_no_more_than("web", 2).await;

    t.meanwhile(t.config("web", &[("level", "C")])).await;
    t.await_template_changes("web", 3).await;
    t.held("RolledBack", 0).await;
    t.rolled_no_more_than("web", 3).await;
}

async fn a_rollout_restart_after_it_lifts_the_hold(t: &Test) {
    undo_half_a_rollout(t).await;

    t.meanwhile(t.rollout_restart("web")).await;
    t.complete_by_hand("web").await;

    t.held("RolledBack", 0).await;
    t.state("Current", 3).await;
    t.rolled_no_more_than("web", 3).await;
    t.config("web", &[("level", "C")]).await;
    t.await_template_changes("web", 4).await;
    t.rolled_no_more_than("web", 4).await;
}

async fn undo_half_a_rollout(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(
        deployment("web")
            .uses(env("web", "level"))
            .made_ready_by_hand()
            .with("replicas", 2)
            .with(
                "strategy",
                json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
            ),
    )
    .await;
    t.complete_by_hand("web").await;
    t.start_and_adopt(&[]).await;

    t.config("web", &[("level", "B")]).await;
    t.await_template_changes("web", 1).await;
    await_condition("one new pod that is not ready besides the two old ones", async || {
        let pods = t.pods("web").await?.len();
        anyhow::ensure!(pods == 3, "{pods} pods");
        Ok(())
    })
    .await;
    t.state("Rolling", 1).await;

    // The two pods that go on running have never seen the new content.
    t.meanwhile(async {
        next_second().await;
        t.undo("web").await;
        t.complete("web").await;
    })
    .await;
    t.event("web", "RolledBack").await;
    t.held("RolledBack", 1).await;
    t.rolled_no_more_than("web", 2).await;
}
