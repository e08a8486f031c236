//! Namespaces that belong to us by their labels: taken up when they gain them, let go when they lose
//! them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::info;
use windlass_core::types::name::Namespace;

use crate::index::Stage;
use crate::k8s::lean::{WatchedName, resource};
use crate::k8s::watch::{Seen, Watching, follow};
use crate::watch::health::Troubles;
use crate::watch::ingest::{Feed, target};

/// Namespaces that come within this time are taken up together: each time costs new lists.
const GATHER: Duration = Duration::from_millis(200);

/// The watch of namespaces.
pub struct Places {
    /// Feeds the index.
    pub feed: Feed,
    /// Which namespaces, as a label selector.
    pub selector: String,
    /// Never these.
    pub excluded: HashSet<Namespace>,
    /// New ones that are not taken up yet.
    pub gained: Arc<Gained>,
}

/// Namespaces that wait to be taken up.
#[derive(Default)]
pub struct Gained {
    names: Mutex<Vec<Namespace>>,
    changed: Notify,
    listed: Notify,
}

impl Gained {
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

impl Places {
    /// Watches for ever.
    pub async fn watch(self) {
        let row = resource("", "v1", "Namespace", "namespaces");
        let namespaces = target(self.feed.reader.client.clone(), None, row);
        let watching = Watching {
            labels: Some(self.selector.clone()),
            ..self.feed.watching("namespaces")
        };
        let mut troubles = Troubles::new("namespaces", None, self.feed.observer.clone());
        let mut first = true;
        let mut listed: HashSet<Namespace> = HashSet::new();
        let wanted = |object: &WatchedName| {
            let name = Namespace::from(object.name());
            (!self.excluded.contains(&name)).then_some(name)
        };
        follow::<WatchedName>(namespaces, watching, |seen| match seen {
            Seen::ListStart => listed.clear(),
            Seen::Listed(object) => listed.extend(wanted(&object)),
            Seen::ListEnd => {
                troubles.over();
                let known = self.feed.reader.index().taken_up();
                for lost in known.iter().filter(|known| !listed.contains(*known)) {
                    self.let_go(lost);
                }
                for name in listed.drain() {
                    if first {
                        // Nothing has been watched yet, so nothing has to be listed again.
                        let mut index = self.feed.reader.index();
                        index.take_up(&name, Stage::Sources);
                        index.take_up(&name, Stage::Workloads);
                    } else {
                        self.gain(name);
                    }
                }
                if first {
                    first = false;
                    self.gained.listed.notify_one();
                }
            }
            Seen::Changed(object) => {
                troubles.over();
                if let Some(name) = wanted(&object) {
                    self.gain(name);
                }
            }
            Seen::Gone(object) => {
                troubles.over();
                self.let_go(&Namespace::from(object.name()));
            }
            Seen::Trouble(trouble) => troubles.report(&trouble),
        })
        .await;
    }

    fn gain(&self, namespace: Namespace) {
        if self.feed.reader.index().take_up(&namespace, Stage::Sources) {
            info!(%namespace, "taken up: it has the labels of --namespace-selector");
            self.gained.push(namespace);
        }
    }

    fn let_go(&self, namespace: &Namespace) {
        let mut index = self.feed.reader.index();
        if index.taken_up().contains(namespace) {
            info!(%namespace, "let go: it has not the labels of --namespace-selector any more");
            index.let_go(namespace);
        }
    }
}

/// Lists anew for the namespaces that were gained: sources first, and workloads when all of them
/// are known.
pub async fn take_up(
    feed: Feed,
    gained: Arc<Gained>,
    sources: Vec<Arc<Notify>>,
    workloads: crate::watch::workloads::Relists,
) {
    loop {
        gained.changed.notified().await;
        tokio::time::sleep(GATHER).await;
        let names = gained.take();
        let begun = feed.reader.index().source_lists_begun();
        for relist in &sources {
            relist.notify_one();
        }
        loop {
            let progress = feed.progress.notified();
            if feed.reader.index().have_listed_since(&begun) {
                break;
            }
            progress.await;
        }
        let known = feed.reader.index().taken_up();
        for name in names.iter().filter(|name| known.contains(name)) {
            feed.reader.index().take_up(name, Stage::Workloads);
        }
        workloads.all();
    }
}
