//! What the Deployments of a namespace do, seen by a watch of our own: a third party that believes
//! neither the controller's logs nor its metrics.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, Resource,
    core::NamespaceResourceScope,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::{Deserialize, Deserializer};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::say;

/// The baseline that the controller writes on adoption and with each restart.
const BASELINE: &str = "windlass.dev/observed";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// All Deployments of the namespace by name.
pub type Deployments = BTreeMap<String, Seen>;

/// One Deployment and what happened to it since we watch.
#[derive(Clone)]
pub struct Seen {
    /// Counted by Kubernetes: one more with each rollout.
    pub revision: Option<u64>,
    /// When its pod template changed; empty if it never did.
    pub template_changes: Vec<Instant>,
    /// When all its pods were ready and of the present template, for the first time since it changed.
    pub complete: Option<Instant>,
    /// Whether the controller has taken note of it, and since when.
    pub adopted: Option<Instant>,
    template: u64,
}

/// Watches until dropped.
pub struct Observer {
    state: watch::Receiver<Deployments>,
    task: JoinHandle<()>,
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Observer {
    /// Returns when the list is complete.
    pub async fn start(client: Client, namespace: &str) -> Result<Self> {
        let api: Api<Deployment> = Api::namespaced(client, namespace);
        let (sender, state) = watch::channel(Deployments::new());
        let (listed, mut is_listed) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut events = pin!(watcher(api, watcher::Config::default().streaming_lists()).default_backoff());
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(deployment) | Event::InitApply(deployment)) => {
                        let now = Instant::now();
                        sender.send_modify(|all| take(all, &deployment, now));
                    }
                    Ok(Event::Delete(deployment)) => {
                        let name = deployment.metadata.name.unwrap_or_default();
                        sender.send_modify(|all| {
                            all.remove(&name);
                        });
                    }
                    Ok(Event::InitDone) => {
                        listed.send_replace(true);
                    }
                    Ok(Event::Init) => {}
                    // It retries by itself; what was missed comes with the next event or list.
                    Err(error) => say::note(format_args!("(our watch was interrupted: {error})")),
                }
            }
        });
        let observer = Self { state, task };
        match timeout(Duration::from_mins(1), is_listed.wait_for(|listed| *listed)).await {
            Ok(Ok(_)) => Ok(observer),
            _ => bail!("the Deployments of {namespace} could not be listed within a minute"),
        }
    }

    /// Waits until `check` finds what it looks for.
    pub async fn wait<T>(
        &self,
        limit: Duration,
        what: &str,
        mut check: impl FnMut(&Deployments) -> Option<T>,
    ) -> Result<T> {
        let mut state = self.state.clone();
        let mut found = None;
        let waiting = state.wait_for(|all| {
            found = check(all);
            found.is_some()
        });
        let ended = timeout(limit, waiting).await.map(|result| result.is_ok());
        match (ended, found) {
            (_, Some(found)) => Ok(found),
            (Ok(_), None) => bail!("our watch ended"),
            (Err(_), None) => bail!("did not happen within {}: {what}", say::time(limit)),
        }
    }

    /// One of them as it is now.
    pub fn get(&self, name: &str) -> Option<Seen> {
        self.state.borrow().get(name).cloned()
    }

    /// Looks at all of them as they are now.
    pub fn all<T>(&self, look: impl FnOnce(&Deployments) -> T) -> T {
        look(&self.state.borrow())
    }
}

fn take(all: &mut Deployments, deployment: &Deployment, now: Instant) {
    let Some(name) = deployment.metadata.name.clone() else {
        return;
    };
    let annotations = deployment.metadata.annotations.as_ref();
    let revision = annotations.and_then(|all| all.get(REVISION)?.parse().ok());
    let has_baseline = annotations.is_some_and(|all| all.contains_key(BASELINE));
    let is_complete = deployment.is_complete();
    let template = deployment.spec.template.0;
    let seen = all.entry(name).or_insert_with(|| Seen {
        revision,
        template_changes: Vec::new(),
        complete: None,
        adopted: None,
        template,
    });
    if seen.template != template {
        seen.template = template;
        seen.template_changes.push(now);
        seen.complete = None;
    }
    seen.revision = revision;
    seen.complete = is_complete.then(|| seen.complete.unwrap_or(now));
    seen.adopted = has_baseline.then(|| seen.adopted.unwrap_or(now));
}

/// As much of a Deployment as is looked at.
#[derive(Clone, Debug, Deserialize)]
struct Deployment {
    metadata: ObjectMeta,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Deserialize)]
struct Spec {
    #[serde(default)]
    replicas: i32,
    template: Fingerprint,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: i32,
    updated_replicas: i32,
    ready_replicas: i32,
}

impl Deployment {
    /// The rule of `kubectl rollout status`.
    fn is_complete(&self) -> bool {
        let Status {
            observed_generation,
            replicas,
            updated_replicas,
            ready_replicas,
        } = self.status;
        observed_generation >= self.metadata.generation.unwrap_or_default()
            && [replicas, updated_replicas, ready_replicas]
                .iter()
                .all(|count| *count == self.spec.replicas)
    }
}

/// A hash of the whole template, so that no write to it escapes us, whoever made it.
#[derive(Clone, Copy, Debug)]
struct Fingerprint(u64);

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let mut hasher = DefaultHasher::new();
        value.to_string().hash(&mut hasher);
        Ok(Self(hasher.finish()))
    }
}

impl Resource for Deployment {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Deployment".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "apps".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "deployments".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
