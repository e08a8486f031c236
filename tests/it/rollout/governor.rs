//! How much happens at a time, and how often: seen from outside.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;

use crate::support::{
    CONFIG_DIGEST, Test, await_condition,
    build::{deployment, env},
    template_annotation, tests,
};

tests! {
    no_more_roll_at_a_time_than_may: live, down;
    one_that_gets_nowhere_does_not_keep_another_namespace_waiting: live;
    writers_that_fight_cost_a_few_rollouts: live;
    a_flapping_source_is_remembered: down, crashed;
}

const CROWD: usize = 6;

fn name(number: usize) -> String {
    format!("web-{number}")
}

/// Those that were restarted, and of them those whose rollout is not complete.
async fn restarted_and_rolling(t: &Test) -> anyhow::Result<(usize, usize)> {
    let all = t.api::<Deployment>().list(&ListParams::default()).await?;
    let restarted: Vec<_> = all
        .iter()
        .filter(|it| it.metadata.name.as_deref().is_some_and(|name| name.starts_with("web-")))
        .filter(|it| template_annotation(it, CONFIG_DIGEST).is_some())
        .collect();
    let rolling = restarted.iter().filter(|it| {
        let status = it.status.clone().unwrap_or_default();
        let wanted = it.spec.as_ref().and_then(|spec| spec.replicas);
        status.observed_generation < it.metadata.generation
            || status.updated_replicas != wanted
            || status.replicas != wanted
            || status.available_replicas != wanted
    });
    Ok((restarted.len(), rolling.count()))
}

async fn no_more_roll_at_a_time_than_may(t: &Test) {
    t.config("shared", &[("level", "A")]).await;
    for number in 0..CROWD {
        t.deploy(
            deployment(&name(number))
                .made_ready_by_hand()
                .uses(env("shared", "level")),
        )
        .await;
        t.complete_by_hand(&name(number)).await;
    }
    t.start(&["--max-parallel", "2"]).await;
    for number in 0..CROWD {
        t.adopted(&name(number)).await;
    }
    t.meanwhile(t.config("shared", &[("level", "B")])).await;

    // Nothing becomes ready by itself, so that at each step those that roll can be counted.
    for done in (0..CROWD).step_by(2) {
        await_condition("two to roll", async || {
            let seen = restarted_and_rolling(t).await?;
            anyhow::ensure!(seen == (done + 2, 2), "{seen:?} are restarted and roll, after {done}");
            Ok(())
        })
        .await;
        t.state("Pending", u32::try_from(CROWD - done - 2).expect("few")).await;
        assert_eq!(restarted_and_rolling(t).await.expect("a list"), (done + 2, 2));
        let all = t
            .api::<Deployment>()
            .list(&ListParams::default())
            .await
            .expect("a list");
        for deployment in &all {
            if template_annotation(deployment, CONFIG_DIGEST).is_some() {
                t.complete_by_hand(deployment.metadata.name.as_deref().unwrap_or_default())
                    .await;
            }
        }
    }
    t.state("Current", u32::try_from(CROWD).expect("few")).await;
    for number in 0..CROWD {
        assert_eq!(t.template_changes(&name(number)).await, 1);
    }
}

async fn one_that_gets_nowhere_does_not_keep_another_namespace_waiting(t: &Test) {
    t.config("stuck", &[("level", "A")]).await;
    t.deploy(deployment("stuck").made_ready_by_hand().uses(env("stuck", "level")))
        .await;
    t.complete_by_hand("stuck").await;
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.complete("web").await;
    t.start(&["--max-parallel", "1"]).await;
    t.adopted("stuck").await;
    t.adopted("web").await;

    t.config("stuck", &[("level", "B")]).await;
    t.await_template_changes("stuck", 1).await;
    t.config("web", &[("level", "B")]).await;
    t.state("Pending", 1).await;
    // It goes as soon as the other one is gone.
    let deleted = t
        .api::<Deployment>()
        .delete("stuck", &kube::api::DeleteParams::default())
        .await;
    deleted.expect("it was there");
    t.await_template_changes("web", 1).await;
    t.complete("web").await;
    t.state("Current", 1).await;
}

async fn writers_that_fight_cost_a_few_rollouts(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&["--flap-limit", "5"]).await;

    // Two that cannot agree, at 10 changes a second for a minute.
    let mut writes = tokio::time::interval(Duration::from_millis(100));
    for number in 0..600 {
        writes.tick().await;
        let value = if number % 2 == 0 {
            format!("mine-{number}")
        } else {
            format!("yours-{number}")
        };
        t.config("web", &[("level", &value)]).await;
    }
    let note = t.event("web", "Flapping").await;
    assert!(note.contains("ConfigMap web"), "{note}");
    t.held("Flapping", 1).await;
    t.rolled_no_more_than("web", 5).await;
}

async fn a_flapping_source_is_remembered(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&["--flap-limit", "5"]).await;
    for number in 1..=5 {
        t.config("web", &[("level", &number.to_string())]).await;
        t.await_template_changes("web", number).await;
        t.complete("web").await;
    }
    t.meanwhile(t.config("web", &[("level", "6")])).await;
    t.held("Flapping", 1).await;
    t.rolled_no_more_than("web", 5).await;
}
