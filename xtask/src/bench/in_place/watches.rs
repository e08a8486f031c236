//! What the API server tells whoever watches: that Windlass has a change proven, and that there is one.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use futures::StreamExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{apps::v1::Deployment, core::v1::ConfigMap},
};
use kube::{
    Api, Client, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::{Who, objects::KEY};
use crate::{bench::NAMESPACE, say};

/// The baseline of a workload.
const BASELINE: &str = "windlass.dev/observed";

/// What was seen of one kind, by name, and when.
type Seen<T> = BTreeMap<String, (T, Instant)>;

/// Watches until dropped.
pub struct Watches {
    baselines: watch::Receiver<Seen<Baseline>>,
    values: watch::Receiver<Seen<String>>,
    _tasks: JoinSet<()>,
}

/// As much of a baseline as tells whether all is proven; see docs/annotations.md.
#[derive(Clone, Deserialize)]
struct Baseline {
    #[serde(default)]
    rv: u64,
    /// There while files of pods are left to the kubelet, and not proven.
    #[serde(default)]
    files: Option<serde::de::IgnoredAny>,
}

impl Watches {
    /// Begins at once; what is there already is told as well.
    pub fn start(client: &Client) -> Self {
        let mut tasks = JoinSet::new();
        let (sender, baselines) = watch::channel(Seen::new());
        tasks.spawn(follow(client.clone(), sender, |deployment: &Deployment| {
            serde_json::from_str(deployment.annotations().get(BASELINE)?).ok()
        }));
        let (sender, values) = watch::channel(Seen::new());
        tasks.spawn(follow(client.clone(), sender, |config_map: &ConfigMap| {
            config_map.data.as_ref()?.get(KEY).cloned()
        }));
        Self {
            baselines,
            values,
            _tasks: tasks,
        }
    }

    /// When Windlass has said that all pods have this version of the source. `version`: its resourceVersion.
    pub async fn proven(&self, who: Who, version: u64, limit: Duration) -> Result<Instant> {
        let is_proven = |it: &Baseline| it.rv >= version && it.files.is_none();
        wait(&self.baselines, who, limit, "Windlass has it proven", is_proven).await
    }

    /// When a bare watch was told of this value.
    pub async fn told(&self, who: Who, value: &str, limit: Duration) -> Result<Instant> {
        wait(&self.values, who, limit, "a watch tells of it", |it| it == value).await
    }
}

async fn wait<T>(
    seen: &watch::Receiver<Seen<T>>,
    who: Who,
    limit: Duration,
    what: &str,
    is_it: impl Fn(&T) -> bool,
) -> Result<Instant> {
    let mut seen = seen.clone();
    let mut at = None;
    let waiting = seen.wait_for(|all| {
        at = all.get(who.name()).filter(|(it, _)| is_it(it)).map(|(_, at)| *at);
        at.is_some()
    });
    match timeout(limit, waiting).await.map(|ended| ended.is_ok()) {
        Ok(false) => bail!("our watch ended"),
        Err(_) => bail!("did not happen within {}: {what}, of {}", say::time(limit), who.name()),
        Ok(true) => {}
    }
    Ok(at.expect("it was waited for"))
}

async fn follow<K, T>(client: Client, seen: watch::Sender<Seen<T>>, look: impl Fn(&K) -> Option<T>)
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<K> = Api::namespaced(client, NAMESPACE);
    let mut events = pin!(
        watcher(api, watcher::Config::default().streaming_lists())
            .default_backoff()
            .applied_objects()
    );
    while let Some(event) = events.next().await {
        let now = Instant::now();
        match event {
            Ok(object) => {
                if let Some(it) = look(&object) {
                    seen.send_modify(|all| _ = all.insert(object.name_any(), (it, now)));
                }
            }
            // It retries by itself.
            Err(error) => say::note(format_args!("(our watch was interrupted: {error})")),
        }
    }
}
