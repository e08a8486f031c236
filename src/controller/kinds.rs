//! Which kinds of workloads are served, and their watches.
//!
//! Kinds of Kubernetes' own are always there. Those of custom resources come and go with their
//! definitions: a watch of these tells when to ask again, so that waiting costs no requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::config::WorkloadKind;
use super::feed::{Announced, Feed, api};
use super::index::Feeds;
use super::troubles::Troubles;
use crate::core::kind::KindId;
use crate::core::name::Namespace;
use crate::k8s::discovery;
use crate::k8s::lean::{WatchedName, resource};
use crate::k8s::watch::{Seen, Trouble, Watching, follow};

/// A definition is served a moment after it is written; so it is asked for a few times.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Without the right to watch definitions there is only asking.
const POLL: Duration = Duration::from_secs(30);

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

    fn set(&self, kind: KindId, watches: &[Announced]) {
        let relists = watches.iter().map(|announced| announced.relist.clone()).collect();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(kind, relists);
    }
}

/// The kinds that we are to work on.
pub struct Kinds {
    /// Feeds the index.
    pub feed: Feed,
    /// One watch of each kind for each of these.
    pub scopes: Vec<Option<Namespace>>,
    /// The watches' handles.
    pub relists: Relists,
}

/// A kind whose watches have been announced, or that is not served.
pub struct Prepared {
    wanted: WorkloadKind,
    watches: Option<(KindId, Vec<Announced>)>,
}

impl Kinds {
    /// Looks which kinds are served, and announces their watches. Waits for an API server that is away.
    pub async fn prepare(&self, wanted: &[WorkloadKind]) -> Vec<Prepared> {
        let mut found = Vec::new();
        for wanted in wanted {
            let mut pause = FIRST_PAUSE;
            let kind = loop {
                match self.find(wanted).await {
                    Ok(kind) => break kind,
                    Err(error) => {
                        warn!(kind = %wanted, %error, retry_in = ?pause, "waiting to know whether a kind is served");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(POLL);
                    }
                }
            };
            found.push((wanted.clone(), kind));
        }
        // All of them in one go: nothing is decided before each of these has listed.
        found
            .into_iter()
            .map(|(wanted, kind)| Prepared {
                watches: kind.map(|kind| (kind, self.announce(kind))),
                wanted,
            })
            .collect()
    }

    fn announce(&self, kind: KindId) -> Vec<Announced> {
        let scopes = self.scopes.iter().cloned();
        let watches: Vec<_> = scopes
            .map(|scope| self.feed.announce(Feeds::Workloads(kind), scope, None))
            .collect();
        self.relists.set(kind, &watches);
        watches
    }

    async fn find(&self, wanted: &WorkloadKind) -> Result<Option<KindId>, crate::k8s::error::ApiError> {
        let (group, version, kind) = match wanted {
            WorkloadKind::BuiltIn(kind) if !is_custom(*kind) => return Ok(Some(*kind)),
            WorkloadKind::BuiltIn(kind) => (kind.row().group, kind.row().version, kind.row().kind),
            WorkloadKind::Described(described) => (&*described.group, &*described.version, &*described.kind),
        };
        let context = &self.feed.context;
        let plural = discovery::plural(&context.client, group, version, kind, context.timeout).await?;
        Ok(plural.map(|plural| wanted.row(&plural)))
    }

    /// Runs the watches of all kinds, and begins and ends those of custom resources as these come
    /// and go. Ends only when dropped.
    pub async fn run(self, prepared: Vec<Prepared>) {
        let kinds = Arc::new(self);
        let mut tasks = JoinSet::new();
        let custom: Vec<String> = prepared.iter().filter_map(|it| it.wanted.custom_group()).collect();
        let (changed, definitions) = watch::channel(Definitions::default());
        if !custom.is_empty() {
            let feed = kinds.feed.clone();
            tasks.spawn(async move { watch_definitions(&feed, &custom, &changed).await });
        }
        for prepared in prepared {
            tasks.spawn(kinds.clone().serve(prepared, definitions.clone()));
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn serve(self: Arc<Self>, prepared: Prepared, mut definitions: watch::Receiver<Definitions>) {
        let Prepared { wanted, mut watches } = prepared;
        loop {
            let kind = if let Some((kind, announced)) = watches.take() {
                let mut running = JoinSet::new();
                for announced in announced {
                    running.spawn(self.feed.clone().run(announced));
                }
                // Each ends by itself when its kind is not served any more.
                while running.join_next().await.is_some() {}
                info!(kind = kind.row().kind, "let go: it is not served any more");
                // An API server that has just started may not know its definitions yet.
                self.find_soon(&wanted, TRIES).await
            } else {
                info!(kind = %wanted, "not served yet; it will be picked up when it is");
                None
            };
            let kind = match kind {
                Some(kind) => kind,
                None => self.appears(&wanted, &mut definitions).await,
            };
            info!(kind = kind.row().kind, "picked up: it is served now");
            watches = Some((kind, self.announce(kind)));
        }
    }

    /// Waits until a kind is served: asks when its definition has come, or now and then.
    async fn appears(&self, wanted: &WorkloadKind, definitions: &mut watch::Receiver<Definitions>) -> KindId {
        loop {
            let hidden = definitions.borrow().hidden;
            let tries = tokio::select! {
                changed = definitions.changed() => {
                    if changed.is_err() {
                        tokio::time::sleep(POLL).await;
                    }
                    TRIES
                }
                () = tokio::time::sleep(POLL), if hidden => 1,
            };
            if let Some(kind) = self.find_soon(wanted, tries).await {
                return kind;
            }
        }
    }

    async fn find_soon(&self, wanted: &WorkloadKind, tries: u32) -> Option<KindId> {
        let mut pause = FIRST_PAUSE;
        for left in (0..tries).rev() {
            if let Ok(Some(kind)) = self.find(wanted).await {
                return Some(kind);
            }
            if left > 0 {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        None
    }
}

/// Whether a built-in kind is a custom resource.
fn is_custom(kind: KindId) -> bool {
    kind.row().group.contains('.')
}

/// What is known of the definitions of custom resources.
#[derive(Clone, Copy, Debug, Default)]
struct Definitions {
    /// They must not be watched.
    hidden: bool,
}

async fn watch_definitions(feed: &Feed, groups: &[String], changed: &watch::Sender<Definitions>) {
    let row = resource(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    );
    let definitions = api::<WatchedName>(feed.context.client.clone(), None, &row);
    let mut troubles = Troubles::new("customresourcedefinitions", None, feed.metrics.clone());
    let forbidden = Notify::new();
    let watching = follow(definitions, Watching::default(), |seen| match seen {
        Seen::Listed(object) | Seen::Changed(object) => {
            troubles.over();
            // PLURAL.GROUP
            let group = object.name().split_once('.').map_or("", |(_, group)| group);
            if groups.iter().any(|wanted| wanted == group) {
                changed.send_replace(Definitions { hidden: false });
            }
        }
        Seen::Trouble(Trouble::Forbidden(_)) => {
            // Asked for now and then instead, which every account may do: no reason for alarm.
            info!("definitions of custom resources must not be watched; kinds are asked for every 30 s");
            changed.send_replace(Definitions { hidden: true });
            forbidden.notify_one();
        }
        Seen::Trouble(trouble) => troubles.report(&trouble),
        Seen::ListStart | Seen::ListEnd | Seen::Gone(_) => {}
    });
    tokio::select! {
        () = watching => {}
        () = forbidden.notified() => {
            // The other end would take a sender that is gone for a change.
            std::future::pending::<()>().await;
        }
    }
}
