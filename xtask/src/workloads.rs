//! What the workloads of a namespace do, seen by watches of our own: a third party that believes
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
    core::DynamicResourceScope,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::{Deserialize, Deserializer};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    kinds::{Kind, WorkloadRef},
    say,
};

/// The baseline that the controller writes on adoption and with each restart.
const BASELINE: &str = "windlass.dev/observed";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// All workloads that are watched.
pub type Workloads = BTreeMap<WorkloadRef, Seen>;

/// One workload and what happened to it since we watch.
#[derive(Clone)]
pub struct Seen {
    /// Counted by Kubernetes for Deployments: one more with each rollout.
    pub revision: Option<u64>,
    /// When its pod template changed; empty if it never did.
    pub template_changes: Vec<Instant>,
    /// When all its pods were ready and of the present template, for the first time since it changed;
    /// known of Deployments and StatefulSets only.
    pub complete: Option<Instant>,
    /// Whether the controller has taken note of it, and since when.
    pub adopted: Option<Instant>,
    template: u64,
}

/// Watches until dropped.
pub struct Observer {
    state: watch::Receiver<Workloads>,
    _watches: JoinSet<()>,
}

impl Observer {
    /// Returns when the lists of all these kinds are complete.
    pub async fn start(client: &Client, namespace: &str, kinds: &[Kind]) -> Result<Self> {
        let (sender, state) = watch::channel(Workloads::new());
        let (listed, mut are_listed) = watch::channel(0);
        let mut watches = JoinSet::new();
        for kind in kinds {
            let api = Api::namespaced_with(client.clone(), namespace, kind);
            watches.spawn(follow(*kind, api, sender.clone(), listed.clone()));
        }
        let observer = Self {
            state,
            _watches: watches,
        };
        let all_listed = are_listed.wait_for(|count| *count >= kinds.len());
        match timeout(Duration::from_mins(1), all_listed).await {
            Ok(Ok(_)) => Ok(observer),
            _ => bail!("the workloads of {namespace} could not be listed within a minute"),
        }
    }

    /// Waits until `check` finds what it looks for.
    pub async fn wait<T>(
        &self,
        limit: Duration,
        what: &str,
        mut check: impl FnMut(&Workloads) -> Option<T>,
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

    /// Waits until each of them has had its moment, and returns the last one.
    ///
    /// Looks at each only until it had it: with thousands of them, looking at all again with every
    /// event would take the machine from what is measured.
    pub async fn wait_for_each<T>(
        &self,
        limit: Duration,
        what: &str,
        each: &[T],
        moment: impl Fn(&Workloads, &T) -> Option<Instant>,
    ) -> Result<Instant> {
        let mut waiting = each.iter().peekable();
        let mut last = None;
        self.wait(limit, what, |all| {
            while let Some(next) = waiting.peek() {
                last = last.max(Some(moment(all, next)?));
                waiting.next();
            }
            last
        })
        .await
    }

    /// One of them as it is now.
    pub fn get(&self, workload: &WorkloadRef) -> Option<Seen> {
        self.state.borrow().get(workload).cloned()
    }

    /// Looks at all of them as they are now.
    pub fn all<T>(&self, look: impl FnOnce(&Workloads) -> T) -> T {
        look(&self.state.borrow())
    }
}

/// Keeps the state up to date with the workloads of one kind.
async fn follow(kind: Kind, api: Api<Workload>, state: watch::Sender<Workloads>, listed: watch::Sender<usize>) {
    let mut is_listed = false;
    let mut events = pin!(watcher(api, watcher::Config::default().streaming_lists()).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(workload) | Event::InitApply(workload)) => {
                let now = Instant::now();
                state.send_modify(|all| take(all, kind, &workload, now));
            }
            Ok(Event::Delete(workload)) => {
                let name = workload.metadata.name.unwrap_or_default();
                state.send_modify(|all| {
                    all.remove(&WorkloadRef { kind, name });
                });
            }
            Ok(Event::InitDone) => {
                // It lists again after an interruption.
                if !is_listed {
                    is_listed = true;
                    listed.send_modify(|count| *count += 1);
                }
            }
            Ok(Event::Init) => {}
            // It retries by itself; what was missed comes with the next event or list.
            Err(error) => say::note(format_args!("(our watch was interrupted: {error})")),
        }
    }
}

fn take(all: &mut Workloads, kind: Kind, workload: &Workload, now: Instant) {
    let Some(name) = workload.metadata.name.clone() else {
        return;
    };
    let annotations = workload.metadata.annotations.as_ref();
    let revision = annotations.and_then(|all| all.get(REVISION)?.parse().ok());
    let has_baseline = annotations.is_some_and(|all| all.contains_key(BASELINE));
    let is_complete = matches!(kind, Kind::Deployment | Kind::StatefulSet) && workload.is_complete();
    let template = workload.spec.template.0;
    let seen = all.entry(WorkloadRef { kind, name }).or_insert_with(|| Seen {
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

/// As much of a workload as is looked at.
#[derive(Clone, Debug, Deserialize)]
struct Workload {
    metadata: ObjectMeta,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Deserialize)]
struct Spec {
    #[serde(default)]
    replicas: i32,
    // A CronJob has its pod template within this one, which says as much.
    #[serde(alias = "jobTemplate")]
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

impl Workload {
    /// The rule of `kubectl rollout status` for Deployments and StatefulSets.
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

impl Resource for Workload {
    type DynamicType = Kind;
    type Scope = DynamicResourceScope;

    fn kind(kind: &Kind) -> Cow<'_, str> {
        kind.word().into()
    }

    fn group(kind: &Kind) -> Cow<'_, str> {
        kind.group().into()
    }

    fn version(_: &Kind) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural(kind: &Kind) -> Cow<'_, str> {
        kind.plural().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
