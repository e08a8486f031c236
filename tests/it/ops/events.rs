//! Events tell people what was done. They neither flood the cluster nor come late.

use std::{pin::pin, time::Duration};

use anyhow::{Context, ensure};
use futures::future::{Either, select};

use crate::support::{
    Test, await_condition, await_condition_within,
    build::{deployment, env},
    kinds::cron_job,
    tests,
};

tests! {
    a_flood_becomes_one_series_for_each_workload_and_costs_others_no_event: embedded;
    a_warning_comes_within_seconds_in_a_crowd: live;
}

const CRON_JOBS: usize = 30;
const WRITES: usize = 50;

/// Requests for Events so far.
fn written(audit: &crate::support::audit::Audit, verb: &str) -> usize {
    let requests = audit.requests();
    requests
        .iter()
        .filter(|it| it.resource == "events" && it.verb == verb)
        .count()
}

async fn a_flood_becomes_one_series_for_each_workload_and_costs_others_no_event(t: &Test) {
    let other = t.beside().await;
    for namespace in [t, &other] {
        namespace.config("web", &[("level", "0")]).await;
    }
    let flooded = cron_job().of(t);
    for number in 0..CRON_JOBS {
        let name = format!("nightly-{number}");
        flooded.deploy(deployment(&name).uses(env("web", "level"))).await;
    }
    let quiet = cron_job().of(&other);
    quiet.deploy(deployment("nightly").uses(env("web", "level"))).await;
    t.start(&["--namespaces", &format!("{},{}", t.namespace, other.namespace)])
        .await;
    let all = u32::try_from(CRON_JOBS + 1).expect("few");
    flooded.state("Current", all).await;
    let audit = t.audit("windlass");

    for write in 1..=WRITES {
        t.config("web", &[("level", &write.to_string())]).await;
        if write == WRITES / 2 {
            other.config("web", &[("level", "1")]).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    other.event("nightly", "DeferredToNextRun").await;
    for number in 0..CRON_JOBS {
        let name = format!("nightly-{number}");
        await_condition(&format!("{name} to have its series"), async || {
            let events = t.events(&name, "DeferredToNextRun").await;
            let [(message, count)] = &*events else {
                anyhow::bail!("{} Events", events.len());
            };
            ensure!(message.contains("ConfigMap web (key level)"), "{message}");
            ensure!(*count > 1, "no repeat is counted");
            Ok(())
        })
        .await;
    }
    t.metric("windlass_events_waiting", &[], 0).await;
    assert_eq!(written(&audit, "create"), CRON_JOBS);
    // No more than 25 for each in all.
    let counted = written(&audit, "patch");
    assert!(counted <= CRON_JOBS * 24, "{counted} times a repeat was counted");
    t.counted("windlass_events_repeated_total", &[]).await;
    t.metric("windlass_events_dropped_total", &[], 0).await;
    t.metric("windlass_events_limited_total", &[("limit", "namespace")], 0)
        .await;
}

/// How many Deployments change all the time.
const BUSY: usize = 24;

async fn a_warning_comes_within_seconds_in_a_crowd(t: &Test) {
    for number in 0..BUSY {
        let name = format!("busy-{number}");
        t.config(&name, &[("level", "0")]).await;
        t.deploy(deployment(&name).uses(env(&name, "level"))).await;
    }
    t.start(&["--compat", "wave", "--max-parallel", "0", "--settle", "0s"])
        .await;
    t.all_adopted().await;

    let crowd = async {
        for round in 1.. {
            for number in 0..BUSY {
                t.config(&format!("busy-{number}"), &[("level", &format!("{round}"))])
                    .await;
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        }
    };
    let warning = async {
        // The crowd is at work.
        for number in 0..BUSY {
            t.await_template_changes(&format!("busy-{number}"), 2).await;
        }
        let odd = deployment("odd")
            .not_opted_in()
            .annotated("wave.pusher.com/update-on-config-change", "true")
            .annotated("wave.pusher.com/extra-configmaps", "kube-system/x");
        t.deploy(odd).await;
        let deadline = Duration::from_secs(20);
        await_condition_within(deadline, "a Warning about the entry", async || {
            let (message, _) = t
                .events("odd", "InvalidAnnotation")
                .await
                .pop()
                .context("there is none")?;
            ensure!(message.contains("kube-system/x"), "{message}");
            Ok(())
        })
        .await;
    };
    if let Either::Left(_) = select(pin!(crowd), pin!(warning)).await {
        unreachable!("the crowd has no end");
    }
}
