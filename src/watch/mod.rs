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

use super::index::{Feeds, Index};
use crate::scope::{Scope, Sources};
use crate::watch::crds::Definitions;
use crate::watch::ingest::{Announced, Feed};
use crate::watch::namespaces::{Gained, Places};
use crate::watch::policies::Policies;
use crate::watch::workloads::{Kinds, Relists};

/// Opens all watches and waits until each has finished its first list.
pub async fn open(scope: &Scope, feed: &Feed, last_watched: Option<Second>) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    let gained = Arc::<Gained>::default();
    if let Some(selector) = &scope.namespace_selector {
        feed.reader.index().select_namespaces();
        let places = Places {
            feed: feed.clone(),
            selector: selector.to_string(),
            excluded: scope.exclude_namespaces.iter().cloned().collect(),
            gained: gained.clone(),
        };
        watches.spawn(places.watch());
        gained.listed().await;
    }
    let scopes: Vec<Option<Namespace>> = if scope.namespaces.is_empty() {
        vec![None]
    } else {
        scope.namespaces.iter().cloned().map(Some).collect()
    };
    let kinds = Kinds {
        feed: feed.clone(),
        scopes: scopes.clone(),
        relists: Relists::default(),
    };
    // Before any workload is watched: what is not selected by any policy is not kept.
    let policies = Policies::new(
        feed.clone(),
        scopes.clone(),
        scope.cluster_policies,
        kinds.relists.clone(),
    );
    let prepared_policies = policies.prepare().await;
    let prepared = kinds.prepare(&scope.workload_kinds).await;
    let (changed, definitions) = watch::channel(Definitions::default());
    let custom = prepared.iter().filter_map(workloads::Prepared::custom_group);
    let groups: Vec<String> = custom.chain([policies::GROUP.to_owned()]).collect();
    let definitions_feed = feed.clone();
    watches.spawn(async move { crds::watch(&definitions_feed, &groups, &changed).await });
    watches.spawn(policies.clone().run(prepared_policies, definitions.clone()));
    policies.listed().await;
    watches.spawn(policies.list_anew());
    let Sources { configmaps, secrets } = scope.sources;
    let of_sources = [(configmaps, SourceKind::ConfigMap), (secrets, SourceKind::Secret)];
    let mut relists = Vec::new();
    let announced: Vec<Announced> = of_sources
        .into_iter()
        .filter_map(|(on, kind)| on.then_some(Feeds::Sources(kind)))
        .flat_map(|feeds| scopes.iter().map(move |scope| (feeds, scope.clone())))
        .map(|(feeds, scope)| feed.announce(feeds, scope, last_watched))
        .collect();
    let workload_relists = kinds.relists.clone();
    watches.spawn(kinds.run(prepared, definitions));
    // Before any source is watched: the content of what nobody uses is not kept, and what is used does not
    // have to be read one by one.
    until(feed, Index::has_workloads).await;
    for announced in announced {
        relists.push(announced.relist.clone());
        watches.spawn(feed.clone().run(announced));
    }
    until(feed, Index::started).await;
    if scope.namespace_selector.is_some() {
        watches.spawn(namespaces::take_up(feed.clone(), gained, relists, workload_relists));
    }
    watches
}

/// Waits until this holds of the index.
pub(crate) async fn until(feed: &Feed, holds: impl Fn(&Index) -> bool) {
    loop {
        let progress = feed.progress.notified();
        if holds(&feed.reader.index()) {
            return;
        }
        progress.await;
    }
}

/// Namespaces that the server leaves out of every list and watch.
pub fn excluded(namespaces: &[Namespace]) -> Option<String> {
    let each: Vec<String> = namespaces
        .iter()
        .map(|name| format!("metadata.namespace!={name}"))
        .collect();
    (!each.is_empty()).then(|| each.join(","))
}
