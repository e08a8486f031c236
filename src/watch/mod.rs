//! Opening all watches, in an order in which nothing is decided too early.

pub mod baselines;
pub mod crds;
pub mod fetch;
pub mod health;
pub mod ingest;
pub mod namespaces;
pub mod observer;
pub mod policies;
#[cfg(test)]
mod tests;
pub mod workloads;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use windlass_core::types::name::{Namespace, SourceKind};
use windlass_core::types::time::Second;

use super::index::{Index, WatchedKind};
use crate::scope::{Scope, SourceKinds};
use crate::watch::crds::CrdWatchState;
use crate::watch::ingest::{AnnouncedWatch, Ingest};
use crate::watch::namespaces::{NamespaceWatch, PendingNamespaces};
use crate::watch::policies::PolicyWatches;
use crate::watch::workloads::{Relists, WorkloadWatches};

/// Opens all watches and waits until each has finished its first list.
pub async fn open(scope: &Scope, ingest: &Ingest, last_watched: Option<Second>) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    let pending = Arc::<PendingNamespaces>::default();
    if let Some(selector) = &scope.namespace_selector {
        ingest.reader.index().enable_namespace_selector();
        let places = NamespaceWatch {
            ingest: ingest.clone(),
            selector: selector.to_string(),
            excluded: scope.exclude_namespaces.iter().cloned().collect(),
            pending: pending.clone(),
        };
        watches.spawn(places.watch());
        pending.listed().await;
    }
    let scopes: Vec<Option<Namespace>> = if scope.namespaces.is_empty() {
        vec![None]
    } else {
        scope.namespaces.iter().cloned().map(Some).collect()
    };
    let kinds = WorkloadWatches {
        ingest: ingest.clone(),
        scopes: scopes.clone(),
        relists: Relists::default(),
    };
    // Before any workload is watched: what is not selected by any policy is not kept.
    let policies = PolicyWatches::new(
        ingest.clone(),
        scopes.clone(),
        scope.cluster_policies,
        kinds.relists.clone(),
    );
    let prepared_policies = policies.prepare().await;
    let prepared = kinds.prepare(&scope.workload_kinds).await;
    let (changed, definitions) = watch::channel(CrdWatchState::default());
    let custom = prepared.iter().filter_map(workloads::PreparedKind::custom_group);
    let groups: Vec<String> = custom.chain([policies::GROUP.to_owned()]).collect();
    let definitions_feed = ingest.clone();
    watches.spawn(async move { crds::watch(&definitions_feed, &groups, &changed).await });
    watches.spawn(policies.clone().run(prepared_policies, definitions.clone()));
    policies.listed().await;
    watches.spawn(policies.list_anew());
    let SourceKinds { configmaps, secrets } = scope.sources;
    let of_sources = [(configmaps, SourceKind::ConfigMap), (secrets, SourceKind::Secret)];
    let mut relists = Vec::new();
    let announced: Vec<AnnouncedWatch> = of_sources
        .into_iter()
        .filter_map(|(on, kind)| on.then_some(WatchedKind::Sources(kind)))
        .flat_map(|feeds| scopes.iter().map(move |scope| (feeds, scope.clone())))
        .map(|(feeds, scope)| ingest.announce(feeds, scope, last_watched))
        .collect();
    let workload_relists = kinds.relists.clone();
    watches.spawn(kinds.run(prepared, definitions));
    // Before any source is watched: the content of what nobody uses is not kept, and what is used does not
    // have to be read one by one.
    wait_until(ingest, Index::has_workloads).await;
    for announced in announced {
        relists.push(announced.relist.clone());
        watches.spawn(ingest.clone().run(announced));
    }
    wait_until(ingest, Index::started).await;
    if scope.namespace_selector.is_some() {
        watches.spawn(namespaces::relist_selected(
            ingest.clone(),
            pending,
            relists,
            workload_relists,
        ));
    }
    watches
}

pub(crate) async fn wait_until(ingest: &Ingest, holds: impl Fn(&Index) -> bool) {
    loop {
        let progress = ingest.progress.notified();
        if holds(&ingest.reader.index()) {
            return;
        }
        progress.await;
    }
}

/// Namespaces that the server leaves out of every list and watch.
pub fn exclusion_selector(namespaces: &[Namespace]) -> Option<String> {
    let each: Vec<String> = namespaces
        .iter()
        .map(|name| format!("metadata.namespace!={name}"))
        .collect();
    (!each.is_empty()).then(|| each.join(","))
}
