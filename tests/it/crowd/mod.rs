//! A shared Secret changes, and a thousand workloads want to roll.

use std::{cell::RefCell, collections::BTreeMap, pin::pin, time::Duration};

use anyhow::ensure;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    ResourceExt,
    api::{PostParams, WatchEvent, WatchParams},
};
use serde_json::json;

use crate::support::{
    CONFIG_DIGEST, Test, await_condition_within,
    build::{Workload, deployment, env},
    from,
    policies::{counts, install, policy},
    template_annotation, tests,
};

mod agents;

tests! {
    a_thousand_that_share_a_secret_roll_ten_at_a_time: embedded;
}

const CROWD: usize = 1000;
const AT_A_TIME: usize = 10;
const PATIENCE: Duration = Duration::from_mins(20);

fn member(number: usize) -> Workload {
    deployment(&format!("member-{number}"))
        .not_opted_in()
        .labelled("tier", "crowd")
        .uses(env("shared", "password").of_secret())
}

/// As `kubectl rollout status` reads it.
fn is_complete(deployment: &Deployment) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    status.observed_generation == deployment.metadata.generation
        && status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
}

/// What somebody sees who watches from outside.
#[derive(Default)]
struct Seen {
    rolling: BTreeMap<String, bool>,
    most: usize,
    restarted: usize,
}

impl Seen {
    fn note(&mut self, deployment: &Deployment) {
        let ours = template_annotation(deployment, CONFIG_DIGEST).is_some();
        self.rolling
            .insert(deployment.name_any(), ours && !is_complete(deployment));
        let rolling = self.rolling.values().filter(|rolling| **rolling).count();
        self.most = self.most.max(rolling);
        self.restarted += usize::from(ours && is_complete(deployment));
    }
}

async fn watch(t: &Test, from: &str, seen: &RefCell<Seen>) {
    let api = t.api::<Deployment>();
    let mut version = from.to_owned();
    loop {
        let params = WatchParams::default().labels("tier=crowd").timeout(290);
        let stream = api.watch(&params, &version).await.expect("a watch");
        let mut stream = pin!(stream);
        while let Some(event) = stream.next().await {
            match event.expect("an event") {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    version = object.resource_version().unwrap_or(version);
                    seen.borrow_mut().note(&object);
                }
                WatchEvent::Bookmark(bookmark) => version.clone_from(&bookmark.metadata.resource_version),
                WatchEvent::Deleted(_) => {}
                WatchEvent::Error(error) => panic!("{error:?}"),
            }
        }
    }
}

async fn a_thousand_that_share_a_secret_roll_ten_at_a_time(t: &Test) {
    install(t).await;
    t.secret("shared", &[("password", "A")]).await;
    let api = t.api::<Deployment>();
    stream::iter(0..CROWD)
        .for_each_concurrent(8, async |number| {
            let manifest: Deployment = from(member(number).manifest().clone());
            let created = api.create(&PostParams::default(), &manifest).await;
            created.expect("it is created");
        })
        .await;
    let crowd = kube::api::ListParams::default().labels("tier=crowd");
    let version = await_condition_within(PATIENCE, "all to run", async || {
        let all = api.list(&crowd).await?;
        let running = all.iter().filter(|it| is_complete(it)).count();
        ensure!(running == CROWD, "{running} of {CROWD}");
        Ok(all.metadata.resource_version.unwrap_or_default())
    })
    .await;
    let selector = json!({"matchLabels": {"tier": "crowd"}});
    let restart = json!({"maxParallel": AT_A_TIME});
    policy(
        t,
        "crowd",
        json!({"workloads": {"selector": selector}, "restart": restart}),
    )
    .await;
    t.start(&["--max-parallel", "0"]).await;
    let all_are_current = async || {
        await_condition_within(PATIENCE, "all to be current", async || {
            let counts = counts(t, "crowd").await?;
            let all = i32::try_from(CROWD)?;
            ensure!((counts.total, counts.current) == (all, all), "{counts:?}");
            Ok(())
        })
        .await;
    };
    all_are_current().await;

    let seen = RefCell::new(Seen::default());
    let change = async {
        t.secret("shared", &[("password", "B")]).await;
        // All of it, until the last one is complete.
        await_condition_within(PATIENCE, "all to have been restarted", async || {
            let all = api.list(&crowd).await?;
            let done = all
                .iter()
                .filter(|it| template_annotation(it, CONFIG_DIGEST).is_some() && is_complete(it))
                .count();
            ensure!(done == CROWD, "{done} of {CROWD}");
            Ok(())
        })
        .await;
        all_are_current().await;
    };
    futures::future::select(pin!(watch(t, &version, &seen)), pin!(change)).await;
    let seen = seen.into_inner();
    assert!(seen.restarted >= CROWD, "the watch missed some: {}", seen.restarted);
    assert_eq!(seen.most, AT_A_TIME, "rolling at the same time");
    for number in [0, 1, CROWD - 1] {
        assert_eq!(t.template_changes(&format!("member-{number}")).await, 1);
    }
}
