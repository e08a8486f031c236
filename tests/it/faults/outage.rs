//! The API server goes away, and comes back.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::api::{ListParams, Patch};
use serde_json::json;

use crate::support::{
    CONFIG_DIGEST, Test, annotation, await_condition, await_condition_within,
    build::{deployment, env},
    by, template_annotation, tests, value,
};

tests! {
    a_burst_across_a_crash_of_the_api_server_loses_and_repeats_nothing: alone;
    it_waits_for_an_api_server_that_is_not_there_yet: alone;
    a_watch_that_is_too_old_to_resume_misses_nothing: alone;
    a_watch_closed_for_slowness_misses_nothing: embedded, live_paged;
}

const BURST: usize = 200;

/// 200 rollouts take the Deployment controller a while on two cores.
const LONG: Duration = Duration::from_mins(5);

/// The write is made, however often the API server goes away in between.
async fn insist_on(t: &Test, name: &str, level: &str) {
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"level": value(level)}});
    await_condition_within(LONG, "a write to succeed", async || {
        let patched = t
            .api::<ConfigMap>()
            .patch(name, &by("test").apply(), &Patch::Apply(&object))
            .await;
        Ok(patched.map(drop)?)
    })
    .await;
}

async fn a_burst_across_a_crash_of_the_api_server_loses_and_repeats_nothing(t: &Test) {
    let names: Vec<_> = (0..BURST).map(|number| format!("web-{number:03}")).collect();
    let at_once = 16;
    stream::iter(&names)
        .for_each_concurrent(at_once, async |name| {
            t.config(name, &[("level", "A")]).await;
            t.deploy(deployment(name).uses(env(name, "level"))).await;
        })
        .await;
    await_condition_within(LONG, "all pods to be ready", async || all_complete(t, 1).await).await;
    t.start_and_adopt(&[]).await;

    let audit = t.audit("windlass");

    let restarted = async || -> anyhow::Result<usize> {
        let all = t.api::<Deployment>().list(&ListParams::default()).await?;
        Ok(all
            .iter()
            .filter(|it| template_annotation(it, CONFIG_DIGEST).is_some())
            .count())
    };
    let burst = stream::iter(&names).for_each_concurrent(at_once, async |name| insist_on(t, name, "B").await);
    let crash = async {
        await_condition_within(LONG, "some restarts", async || {
            let so_far = restarted().await?;
            anyhow::ensure!(so_far >= 20, "{so_far}");
            Ok(())
        })
        .await;
        t.cluster.kill("kube-apiserver").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        t.cluster.start("kube-apiserver").await;
    };
    futures::join!(burst, crash);

    await_condition_within(LONG, "all rollouts", async || {
        let so_far = restarted().await?;
        anyhow::ensure!(so_far == BURST, "{so_far} of {BURST}");
        all_complete(t, 2).await
    })
    .await;
    t.windlass().await_ready().await;
    t.everything_before_is_done().await;
    all_complete(t, 2).await.expect("each was rolled once");
    // Two patches that come close together would be one revision.
    let mut patches: BTreeMap<String, usize> = BTreeMap::new();
    for request in audit.requests() {
        if (request.verb.as_str(), request.resource.as_str(), request.code) == ("patch", "deployments", 200) {
            *patches.entry(request.name).or_default() += 1;
        }
    }
    patches.retain(|name, count| name.starts_with("web-") && *count > 1);
    assert!(patches.is_empty(), "{patches:?}");
}

/// Whether the 200 are at this revision with all of their pods.
async fn all_complete(t: &Test, revision: u32) -> anyhow::Result<()> {
    let all = t.api::<Deployment>().list(&ListParams::default()).await?;
    let mut complete = 0;
    for deployment in all
        .iter()
        .filter(|it| it.metadata.name.as_deref().is_some_and(|it| it.starts_with("web-")))
    {
        let at = annotation(deployment, "deployment.kubernetes.io/revision");
        let status = deployment.status.clone().unwrap_or_default();
        let current = at == Some(&revision.to_string())
            && status.observed_generation >= deployment.metadata.generation
            && status.updated_replicas == Some(1)
            && status.available_replicas == Some(1)
            && status.replicas == Some(1);
        complete += usize::from(current);
    }
    anyhow::ensure!(
        complete == BURST,
        "{complete} of {BURST} are complete at revision {revision}"
    );
    Ok(())
}

async fn it_waits_for_an_api_server_that_is_not_there_yet(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
    t.stop().await;
    t.config("web", &[("level", "B")]).await;

    t.cluster.kill("kube-apiserver").await;
    t.start_unready(&[]).await;
    await_condition("the log to say that it waits", async || {
        let log = t.windlass().log();
        let said = log
            .lines()
            .any(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\""));
        anyhow::ensure!(said, "it says nothing");
        Ok(())
    })
    .await;
    assert!(!t.windlass().ready().await);
    // Waiting does not keep it from ending.
    t.stop().await;
    t.start_unready(&[]).await;
    assert!(!t.windlass().ready().await);
    t.cluster.start("kube-apiserver").await;

    t.windlass().await_ready().await;
    t.rolls("web", 1).await;
}

async fn a_watch_that_is_too_old_to_resume_misses_nothing(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.config("gone", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.deploy(deployment("optional").uses(env("gone", "level").optional()))
        .await;
    t.start_and_adopt(&[]).await;

    // The API server starts with an empty memory of what was before, so a watch from before can
    // only begin anew: the change, the deletion and the new workload are found by comparing.
    t.windlass().pause();
    t.cluster.kill("kube-apiserver").await;
    t.cluster.start("kube-apiserver").await;
    await_condition("the API server to take writes", async || {
        Ok(t.api::<ConfigMap>().list(&ListParams::default()).await.map(drop)?)
    })
    .await;
    t.config("web", &[("level", "B")]).await;
    t.delete_config("gone").await;
    t.config("late", &[("level", "A")]).await;
    t.deploy(deployment("late").uses(env("late", "level"))).await;
    t.windlass().resume();

    t.rolls("web", 1).await;
    t.rolls("optional", 1).await;
    t.adopted("late").await;
    t.rolls("late", 0).await;
    t.counted("windlass_watch_restarts_total", &[("resource", "configmaps")])
        .await;
}

async fn a_watch_closed_for_slowness_misses_nothing(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;

    let audit = t.audit("windlass");
    // Far more than the connection and the API server keep for a reader that does not read.
    t.windlass().pause();
    let fill = "x".repeat(100_000);
    stream::iter(0_u32..600)
        .for_each_concurrent(8, async |round| {
            let noise = format!("noise-{}", round % 8);
            t.config(&noise, &[("fill", &fill), ("round", &round.to_string())])
                .await;
            if round == 500 {
                t.config("web", &[("level", "B")]).await;
            }
        })
        .await;
    t.windlass().resume();

    t.rolls("web", 1).await;
    await_condition("the end of the watch that was not read", async || {
        anyhow::ensure!(audit.ended_watches("configmaps") > 0, "it never ended");
        Ok(())
    })
    .await;
}
