//! Which kinds of workloads are served, and their watches.
//!
//! Kinds of Kubernetes' own are always there. Those of custom resources come and go with their
//! definitions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::info;
use windlass_core::types::name::Namespace;
use windlass_core::workload::kind::KindId;

use crate::index::WatchedKind;
use crate::k8s::discovery;
use crate::scope::WorkloadKind;
use crate::watch::crds::{self, CrdWatchState};
use crate::watch::ingest::{AnnouncedWatch, Ingest};

/// What makes the watches of workloads list again.
#[derive(Clone, Default)]
pub struct Relists(Arc<Mutex<HashMap<KindId, Vec<Arc<Notify>>>>>);

impl Relists {
    /// Makes all of them.
    pub fn all(&self) {
        let watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for relist in watches.values().flatten() {
            relist.notify_one();
        }
    }

    fn set(&self, kind: KindId, watches: &[AnnouncedWatch]) {
        let relists = watches.iter().map(|announced| announced.relist.clone()).collect();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(kind, relists);
    }
}

/// The kinds that we are to work on.
pub struct WorkloadWatches {
    /// Feeds the index.
    pub ingest: Ingest,
    /// One watch of each kind for each of these.
    pub scopes: Vec<Option<Namespace>>,
    /// The watches' handles.
    pub relists: Relists,
}

/// A kind whose watches have been announced, or that is not served.
pub struct PreparedKind {
    wanted: WorkloadKind,
    watches: Option<(KindId, Vec<AnnouncedWatch>)>,
}

impl PreparedKind {
    /// The group of its definition, if it is a custom resource.
    pub fn custom_group(&self) -> Option<String> {
        self.wanted.custom_group()
    }
}

impl WorkloadWatches {
    /// Looks which kinds are served, and announces their watches. Waits for an API server that is away.
    pub async fn prepare(&self, wanted: &[WorkloadKind]) -> Vec<PreparedKind> {
        let mut found = Vec::new();
        for wanted in wanted {
            let kind = crds::is_established(wanted, || self.find(wanted)).await;
            found.push((wanted.clone(), kind));
        }
        // All of them in one go: nothing is decided before each of these has listed.
        found
            .into_iter()
            .map(|(wanted, kind)| PreparedKind {
                watches: kind.map(|kind| (kind, self.announce(kind))),
                wanted,
            })
            .collect()
    }

    fn announce(&self, kind: KindId) -> Vec<AnnouncedWatch> {
        let scopes = self.scopes.iter().cloned();
        let watches: Vec<_> = scopes
            .map(|scope| self.ingest.announce(WatchedKind::Workloads(kind), scope, None))
            .collect();
        self.relists.set(kind, &watches);
        watches
    }

    async fn find(&self, wanted: &WorkloadKind) -> Result<Option<KindId>, crate::k8s::error::ApiError> {
        let (group, version, kind) = match wanted {
            WorkloadKind::BuiltIn(kind) if !kind.is_custom() => return Ok(Some(*kind)),
            WorkloadKind::BuiltIn(kind) => (kind.row().group, kind.row().version, kind.row().kind),
            WorkloadKind::Custom(described) => (&*described.group, &*described.version, &*described.kind),
        };
        let reader = &self.ingest.reader;
        let plural = discovery::plural(&reader.client, group, version, kind, reader.timeout).await?;
        Ok(plural.map(|plural| wanted.row(&plural)))
    }

    /// Runs the watches of all kinds, and begins and ends those of custom resources as these come
    /// and go. Ends only when dropped.
    pub async fn run(self, prepared: Vec<PreparedKind>, definitions: watch::Receiver<CrdWatchState>) {
        let kinds = Arc::new(self);
        let mut tasks = JoinSet::new();
        for prepared in prepared {
            tasks.spawn(kinds.clone().serve(prepared, definitions.clone()));
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn serve(self: Arc<Self>, prepared: PreparedKind, mut definitions: watch::Receiver<CrdWatchState>) {
        let PreparedKind { wanted, mut watches } = prepared;
        loop {
            let kind = if let Some((kind, announced)) = watches.take() {
                let mut running = JoinSet::new();
                for announced in announced {
                    running.spawn(self.ingest.clone().run(announced));
                }
                // Each ends by itself when its kind is not served any more.
                while running.join_next().await.is_some() {}
                info!(kind = kind.row().kind, "kind no longer served; its watches stopped");
                // An API server that has just started may not know its definitions yet.
                crds::recheck(|| self.find(&wanted)).await
            } else {
                info!(kind = %wanted, "kind not served yet; waiting for its definition");
                None
            };
            let kind = match kind {
                Some(kind) => kind,
                None => crds::wait_established(|| self.find(&wanted), &mut definitions).await,
            };
            info!(kind = kind.row().kind, "kind served; watches started");
            watches = Some((kind, self.announce(kind)));
        }
    }
}
