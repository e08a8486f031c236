//! Somebody else changes the template around the time of a change: one upgrade is one rollout.

use serde_json::json;

use crate::support::{
    Test, await_condition,
    build::{deployment, env, volume},
    next_second, tests,
};

tests! {
    an_upgrade_after_the_change_is_the_rollout: live, down, paused, live_paged;
    an_upgrade_after_changes_of_several_sources_is_the_rollout: live, down, paused;
    an_upgrade_before_the_change_is_not_the_rollout: live, down, paused;
    an_upgrade_without_a_change_is_left_alone: live, down, paused;
    scaling_is_no_rollout: live, down, paused;
    an_upgrade_while_the_restart_is_due_makes_it_needless: live;
    a_change_after_an_absorbed_upgrade_is_a_rollout: live, down;
    an_upgrade_that_takes_our_annotations_away_is_not_fought: live, down;
}

async fn web(t: &Test, flags: &[&str]) {
    t.config("web", &[("level", "A")]).await;
    t.config("db", &[("url", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level")).uses(volume("db")))
        .await;
    t.start_and_adopt(flags).await;
}

async fn an_upgrade_after_the_change_is_the_rollout(t: &Test) {
    web(t, &["--settle", "5s"]).await;
    let adopted = t.baseline("web").await;

    t.meanwhile(async {
        t.config("web", &[("level", "B")]).await;
        if !t.is_live() {
            // What was not seen as it came is put in order by times of whole seconds.
            next_second().await;
        }
        t.upgrade("web", "2").await;
        t.complete("web").await;
    })
    .await;

    t.event("web", "CoveredByRollout").await;
    t.rolls("web", 1).await;
    assert_eq!(t.event_count("web", "Restarted").await, 0);
    assert_ne!(t.baseline("web").await["src"], adopted["src"], "the baseline has moved");
    t.state("Current", 3).await;
}

async fn an_upgrade_after_changes_of_several_sources_is_the_rollout(t: &Test) {
    web(t, &["--settle", "5s"]).await;

    t.meanwhile(async {
        t.config("web", &[("level", "B")]).await;
        t.config("db", &[("url", "B")]).await;
        if !t.is_live() {
            next_second().await;
        }
        t.upgrade("web", "2").await;
        t.complete("web").await;
    })
    .await;

    t.event("web", "CoveredByRollout").await;
    t.rolls("web", 1).await;
}

async fn an_upgrade_before_the_change_is_not_the_rollout(t: &Test) {
    web(t, &["--settle", "5s"]).await;

    t.meanwhile(async {
        t.upgrade("web", "2").await;
        // Pods that a busy cluster starts only after the change have read it.
        t.complete("web").await;
        t.config("web", &[("level", "B")]).await;
    })
    .await;

    t.rolls("web", 2).await;
    assert_eq!(t.event_count("web", "Restarted").await, 1);
    assert_eq!(t.event_count("web", "CoveredByRollout").await, 0);
}

async fn an_upgrade_without_a_change_is_left_alone(t: &Test) {
    web(t, &[]).await;

    t.meanwhile(async {
        t.upgrade("web", "2").await;
        t.complete("web").await;
    })
    .await;

    t.rolls("web", 1).await;
    t.meanwhile(t.config("web", &[("level", "B")])).await;
    t.rolls("web", 2).await;
}

async fn an_upgrade_while_the_restart_is_due_makes_it_needless(t: &Test) {
    web(t, &["--settle", "10s"]).await;

    t.config("web", &[("level", "B")]).await;
    t.state("Settling", 1).await;
    // It wakes up with the restart due and a patch in mind that is out of date.
    t.windlass().pause();
    next_second().await;
    t.upgrade("web", "2").await;
    t.complete("web").await;
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    t.windlass().resume();

    t.event("web", "CoveredByRollout").await;
    t.rolls("web", 1).await;
}

async fn a_change_after_an_absorbed_upgrade_is_a_rollout(t: &Test) {
    an_upgrade_after_the_change_is_the_rollout(t).await;

    t.meanwhile(t.config("web", &[("level", "C")])).await;

    t.rolls("web", 2).await;
    assert_eq!(t.event_count("web", "Restarted").await, 1);
}

async fn an_upgrade_that_takes_our_annotations_away_is_not_fought(t: &Test) {
    web(t, &[]).await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;

    t.meanwhile(async {
        let annotations = json!({"windlass.dev/config-digest": null, "windlass.dev/cause": null, "chart": "2"});
        t.patch_deployment(
            "web",
            json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}),
        )
        .await;
        t.complete("web").await;
    })
    .await;
    t.await_template_changes("web", 2).await;
    t.complete("web").await;
    t.rolled_no_more_than("web", 2).await;

    await_condition("web to be current", async || {
        let states = t
            .windlass()
            .metric("windlass_workloads", &[("state", "Current")])
            .await?;
        anyhow::ensure!((states - 3.0).abs() < 0.5, "{states} are");
        Ok(())
    })
    .await;
    t.meanwhile(t.config("web", &[("level", "C")])).await;
    t.await_template_changes("web", 3).await;
    t.rolled_no_more_than("web", 3).await;
}

async fn scaling_is_no_rollout(t: &Test) {
    web(t, &[]).await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;

    for replicas in [3, 0, 1] {
        t.meanwhile(async {
            t.patch_deployment("web", json!({"spec": {"replicas": replicas}})).await;
            t.complete("web").await;
        })
        .await;
    }

    t.rolls("web", 1).await;
    t.state("Current", 3).await;
}
