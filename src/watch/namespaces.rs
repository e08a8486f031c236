//! Namespaces that belong to us by their labels: taken up when they gain them, let go when they lose
//! them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::info;
use windlass_core::types::name::Namespace;

use crate::index::SelectionStage;
use crate::k8s::watch::{WatchEvent, WatchOptions, follow};
use crate::k8s::wire::{WatchedMetadata, resource};
use crate::watch::health::WatchHealth;
use crate::watch::ingest::{Ingest, target};

/// Namespaces that come within this time are taken up together: each time costs new lists.
const GATHER: Duration = Duration::from_millis(200);

/// The watch of namespaces.
pub struct NamespaceWatch {
    /// Feeds the index.
    pub ingest: Ingest,
    /// Which namespaces, as a label selector.
    pub selector: String,
    /// Never these.
    pub excluded: HashSet<Namespace>,
    /// New ones that are not taken up yet.
    pub pending: Arc<PendingNamespaces>,
}

/// Namespaces that wait to be taken up.
#[derive(Default)]
pub struct PendingNamespaces {
    names: Mutex<Vec<Namespace>>,
    changed: Notify,
    listed: Notify,
}

impl PendingNamespaces {
    fn push(&self, namespace: Namespace) {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(namespace);
        self.changed.notify_one();
    }

    fn take(&self) -> Vec<Namespace> {
        std::mem::take(&mut *self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for the first list.
    pub async fn listed(&self) {
        self.listed.notified().await;
    }
}

impl NamespaceWatch {
    /// Watches for ever.
    pub async fn watch(self) {
        let row = resource("", "v1", "Namespace", "namespaces");
        let namespaces = target(self.ingest.reader.client.clone(), None, row);
        let watching = WatchOptions {
            labels: Some(self.selector.clone()),
            ..self.ingest.watching("namespaces")
        };
        let mut health = WatchHealth::new("namespaces", None, self.ingest.observer.clone());
        let mut first = true;
        let mut listed: HashSet<Namespace> = HashSet::new();
        let wanted = |object: &WatchedMetadata| {
            let name = Namespace::from(object.name());
            (!self.excluded.contains(&name)).then_some(name)
        };
        follow::<WatchedMetadata>(namespaces, watching, |seen| match seen {
            WatchEvent::ListStart => listed.clear(),
            WatchEvent::Listed(object) => listed.extend(wanted(&object)),
            WatchEvent::ListEnd => {
                health.recovered();
                let known = self.ingest.reader.index().selected_namespaces();
                for lost in known.iter().filter(|known| !listed.contains(*known)) {
                    self.deselect(lost);
                }
                for name in listed.drain() {
                    if first {
                        // Nothing has been watched yet, so nothing has to be listed again.
                        let mut index = self.ingest.reader.index();
                        index.select_namespace(&name, SelectionStage::Sources);
                        index.select_namespace(&name, SelectionStage::Workloads);
                    } else {
                        self.select(name);
                    }
                }
                if first {
                    first = false;
                    self.pending.listed.notify_one();
                }
            }
            WatchEvent::Applied(object) => {
                health.recovered();
                if let Some(name) = wanted(&object) {
                    self.select(name);
                }
            }
            WatchEvent::Deleted(object) => {
                health.recovered();
                self.deselect(&Namespace::from(object.name()));
            }
            WatchEvent::Error(trouble) => health.report(&trouble),
        })
        .await;
    }

    fn select(&self, namespace: Namespace) {
        if self
            .ingest
            .reader
            .index()
            .select_namespace(&namespace, SelectionStage::Sources)
        {
            info!(%namespace, "selected by --namespace-selector");
            self.pending.push(namespace);
        }
    }

    fn deselect(&self, namespace: &Namespace) {
        let mut index = self.ingest.reader.index();
        if index.selected_namespaces().contains(namespace) {
            info!(%namespace, "no longer selected by --namespace-selector");
            index.deselect_namespace(namespace);
        }
    }
}

/// Lists anew for the namespaces that were gained: sources first, and workloads when all of them
/// are known.
pub async fn relist_selected(
    ingest: Ingest,
    pending: Arc<PendingNamespaces>,
    sources: Vec<Arc<Notify>>,
    workloads: crate::watch::workloads::Relists,
) {
    loop {
        pending.changed.notified().await;
        tokio::time::sleep(GATHER).await;
        let names = pending.take();
        let begun = ingest.reader.index().source_lists_begun();
        for relist in &sources {
            relist.notify_one();
        }
        loop {
            let progress = ingest.progress.notified();
            if ingest.reader.index().have_listed_since(&begun) {
                break;
            }
            progress.await;
        }
        let known = ingest.reader.index().selected_namespaces();
        for name in names.iter().filter(|name| known.contains(name)) {
            ingest.reader.index().select_namespace(name, SelectionStage::Workloads);
        }
        workloads.all();
    }
}
