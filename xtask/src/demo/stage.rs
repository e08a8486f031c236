//! What the steps of the demo have at hand: changes, and ways to see from the outside what follows.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    client,
    devcluster::Info,
    kinds::{Kind, WorkloadRef},
    workloads::Observer,
};

/// Nothing in the demo takes a tenth of this on a machine with two cores.
pub const LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// A rollout as it was seen.
pub struct Rollout {
    /// From the moment the API server had confirmed the change to the changed pod template.
    pub patched: Duration,
    /// The same until all pods were replaced and ready.
    pub ready: Duration,
}

/// The namespace of the demo.
pub struct Stage {
    client: Client,
    namespace: &'static str,
    observer: Observer,
    level: u32,
}

impl Stage {
    /// Makes the namespace new and applies the examples.
    pub async fn set(info: &Info, namespace: &'static str, system: &str) -> Result<Self> {
        let client = client::connect(info.kubeconfig("admin")?).await?;
        remove_namespace(&client, namespace).await?;
        ensure_namespace(&client, system).await?;
        let status = info
            .kubectl()?
            .args(["apply", "--filename", "examples/"])
            .stdout(std::process::Stdio::null())
            .status()
            .context("run kubectl apply")?;
        ensure!(status.success(), "kubectl apply --filename examples/ failed ({status})");
        let observer = Observer::start(&client, namespace, &[Kind::Deployment, Kind::StatefulSet]).await?;
        Ok(Self {
            client,
            namespace,
            observer,
            level: 1,
        })
    }

    /// The watch on the workloads.
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// How many rollouts of it there have been since we watch.
    pub fn rollouts(&self, workload: impl Into<WorkloadRef>) -> Result<usize> {
        let workload = workload.into();
        let seen = self
            .observer
            .get(&workload)
            .with_context(|| format!("there is no {workload}"))?;
        Ok(seen.template_changes.len())
    }

    /// Which pods it has.
    pub async fn pods(&self, deployment: &str) -> Result<BTreeSet<String>> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace);
        let pods = api
            .list(&ListParams::default().labels(&format!("app={deployment}")))
            .await
            .context("list pods")?;
        Ok(pods
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .filter_map(ResourceExt::uid)
            .collect())
    }

    /// Changes one key of a ConfigMap; returns when the API server has confirmed.
    pub async fn change(&self, config_map: &str, key: &str, value: &str) -> Result<Instant> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), self.namespace);
        let patch = Patch::Merge(json!({"data": {key: value}}));
        let patched = api.patch(config_map, &PatchParams::default(), &patch).await;
        patched.with_context(|| format!("change key {key} of ConfigMap {config_map}"))?;
        Ok(Instant::now())
    }

    /// Changes one key of a Secret; returns when the API server has confirmed.
    pub async fn change_secret(&self, secret: &str, key: &str, value: &str) -> Result<Instant> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace);
        let patch = Patch::Merge(json!({"stringData": {key: value}}));
        let patched = api.patch(secret, &PatchParams::default(), &patch).await;
        patched.with_context(|| format!("change key {key} of Secret {secret}"))?;
        Ok(Instant::now())
    }

    /// Waits for the rollout after the first `before` ones to end.
    pub async fn rollout(&self, workload: impl Into<WorkloadRef>, before: usize, changed: Instant) -> Result<Rollout> {
        let workload = workload.into();
        self.observer
            .wait(
                LIMIT,
                &format!("{workload} rolls and all its pods become ready"),
                |all| {
                    let seen = all.get(&workload)?;
                    let patched = seen.template_changes.get(before)?;
                    Some(Rollout {
                        patched: patched.saturating_duration_since(changed),
                        ready: seen.complete?.saturating_duration_since(changed),
                    })
                },
            )
            .await
    }

    /// Causes a rollout of `worker` and waits for it. What was due before it has happened by then:
    /// the controller sees changes in order and lets each settle equally long.
    pub async fn marker(&mut self) -> Result<()> {
        let before = self.rollouts("worker")?;
        self.level += 1;
        let changed = self.change("worker", "LEVEL", &self.level.to_string()).await?;
        self.rollout("worker", before, changed).await.map(drop)
    }

    /// Fails unless that workload had exactly so many rollouts.
    pub fn expect_rollouts(&self, workload: impl Into<WorkloadRef>, expected: usize) -> Result<()> {
        let workload = workload.into();
        let seen = self.rollouts(workload.clone())?;
        ensure!(
            seen == expected,
            "{workload} should have rolled {expected} times by now, and did {seen} times"
        );
        Ok(())
    }

    /// Waits for the Event on a workload that names this key.
    pub async fn event_naming(&self, workload: impl Into<WorkloadRef>, key: &str) -> Result<Event> {
        let workload = workload.into();
        let deadline = Instant::now() + LIMIT;
        loop {
            let events = self.events(workload.clone()).await?;
            if let Some(event) = events.iter().find(|event| message(event).contains(key)) {
                return Ok(event.clone());
            }
            if Instant::now() > deadline {
                let said: Vec<&str> = events.iter().map(message).collect();
                bail!("no Event on {workload} names the key {key}; there are: {said:?}");
            }
            sleep(POLL).await;
        }
    }

    /// Everything that was said about a workload.
    pub async fn events(&self, workload: impl Into<WorkloadRef>) -> Result<Vec<Event>> {
        let WorkloadRef { kind, name } = workload.into();
        let api: Api<Event> = Api::namespaced(self.client.clone(), self.namespace);
        let selector = format!("involvedObject.kind={},involvedObject.name={name}", kind.word());
        let events = api
            .list(&ListParams::default().fields(&selector))
            .await
            .context("list Events")?;
        Ok(events.items.into_iter().filter(is_ours).collect())
    }
}

/// The text of an Event.
pub fn message(event: &Event) -> &str {
    event.message.as_deref().unwrap_or_default()
}

/// The kinds' own controllers write Events on them as well.
fn is_ours(event: &Event) -> bool {
    let reporter = event.reporting_component.as_deref().unwrap_or_default();
    let source = event
        .source
        .as_ref()
        .and_then(|source| source.component.as_deref())
        .unwrap_or_default();
    [reporter, source].iter().any(|name| name.contains("windlass"))
}

async fn remove_namespace(client: &Client, name: &str) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    if api.get_opt(name).await.context("look for an earlier demo")?.is_none() {
        return Ok(());
    }
    api.delete(name, &DeleteParams::background())
        .await
        .context("remove an earlier demo")?;
    let deadline = Instant::now() + LIMIT;
    while api
        .get_opt(name)
        .await
        .context("wait for an earlier demo to go")?
        .is_some()
    {
        ensure!(
            Instant::now() < deadline,
            "the namespace {name} of an earlier demo does not go away"
        );
        sleep(POLL).await;
    }
    Ok(())
}

async fn ensure_namespace(client: &Client, name: &str) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    if api.get_opt(name).await?.is_none() {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        api.create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("create namespace {name}"))?;
    }
    Ok(())
}
