//! The watches of policies, and of the namespaces whose labels those of the cluster select by.
//!
//! The definitions of policies may be installed, or not, or later: without them everything goes by
//! annotations and flags, and nobody asks for labels.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use kube::api::ApiResource;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::definitions::{self, Definitions};
use super::feed::{Feed, api};
use super::index::{Feeds, Index, Touched, WatchId};
use super::kinds::Relists;
use super::troubles::Troubles;
use crate::api::{ClusterRolloutPolicy, RolloutPolicy};
use crate::core::name::Namespace;
use crate::core::policy::PolicyRef;
use crate::k8s::discovery;
use crate::k8s::error::ApiError;
use crate::k8s::lean::{WatchedName, WatchedPolicy, resource};
use crate::k8s::watch::{Seen, Served, Trouble, Watching, follow};

#[cfg(test)]
mod tests;

/// The group of the definitions.
pub const GROUP: &str = "windlass.dev";

/// A tenant may edit selectors as often as they like, and each time all workloads may have to be
/// listed: the first time at once, and then not more often than this.
const RELIST_PAUSE: Duration = Duration::from_secs(10);

/// A kind of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    OfNamespaces,
    OfCluster,
}

const KINDS: [Kind; 2] = [Kind::OfNamespaces, Kind::OfCluster];

impl Kind {
    fn row(self) -> ApiResource {
        match self {
            Self::OfNamespaces => ApiResource::erase::<RolloutPolicy>(&()),
            Self::OfCluster => ApiResource::erase::<ClusterRolloutPolicy>(&()),
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::OfNamespaces => "rolloutpolicies",
            Self::OfCluster => "clusterrolloutpolicies",
        }
    }
}

/// The plurals of the kinds, for metrics.
pub const PLURALS: [&str; 2] = ["rolloutpolicies", "clusterrolloutpolicies"];

/// What the watches of policies need.
#[derive(Clone)]
pub struct Policies {
    /// Feeds the index.
    pub feed: Feed,
    /// One watch of namespaced policies for each of these.
    pub scopes: Vec<Option<Namespace>>,
    /// The watches of workloads, to make them list anew.
    pub relists: Relists,
    relist: Arc<Notify>,
}

/// A watch that has been announced.
#[derive(Clone)]
struct Announced {
    watch: WatchId,
    what: What,
    scope: Option<Namespace>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Policies(Kind),
    Namespaces,
}

/// A kind of policies that is served and its watches, or that is not served.
pub struct Prepared {
    kind: Kind,
    watches: Option<Vec<Announced>>,
}

impl Policies {
    /// None is watched yet.
    #[must_use]
    pub fn new(feed: Feed, scopes: Vec<Option<Namespace>>, relists: Relists) -> Self {
        Self {
            feed,
            scopes,
            relists,
            relist: Arc::default(),
        }
    }

    /// Looks which kinds are served, and announces their watches: nothing is decided before each has
    /// listed.
    pub async fn prepare(&self) -> Vec<Prepared> {
        let mut prepared = Vec::new();
        for kind in KINDS {
            let found = definitions::is_served(kind.plural(), || self.find(kind)).await;
            prepared.push(Prepared {
                kind,
                watches: found.map(|()| self.announce(kind)),
            });
        }
        prepared
    }

    /// Waits until all of them have been listed once: only then is known which workloads are to be kept.
    pub async fn listed(&self) {
        loop {
            let progress = self.feed.progress.notified();
            if self.feed.context.index().has_policies() {
                return;
            }
            progress.await;
        }
    }

    /// Has workloads listed anew when some are selected that nobody knows. Ends only when dropped.
    pub async fn list_anew(self) {
        // What was selected so far will be in their first list.
        self.relist.notified().now_or_never();
        loop {
            self.relist.notified().await;
            self.relists.all();
            tokio::time::sleep(RELIST_PAUSE).await;
        }
    }

    async fn find(&self, kind: Kind) -> Result<Option<()>, ApiError> {
        let context = &self.feed.context;
        let row = kind.row();
        let plural = discovery::plural(&context.client, &row.group, &row.version, &row.kind, context.timeout).await?;
        Ok(plural.map(|_| ()))
    }

    fn announce(&self, kind: Kind) -> Vec<Announced> {
        let mut index = self.feed.context.index();
        if index.serve_policies() && index.started() {
            // No labels were kept so far.
            self.relist.notify_one();
        }
        let mut announce = |what: What, scope: Option<Namespace>| {
            let feeds = match what {
                What::Policies(kind) => Feeds::Policies {
                    of_cluster: kind == Kind::OfCluster,
                },
                What::Namespaces => Feeds::Namespaces,
            };
            Announced {
                watch: index.add_watch(feeds, scope.clone(), None),
                what,
                scope,
            }
        };
        let policies = What::Policies(kind);
        match kind {
            Kind::OfNamespaces => {
                let scopes = self.scopes.iter().cloned();
                scopes.map(|scope| announce(policies, scope)).collect()
            }
            Kind::OfCluster => vec![announce(policies, None), announce(What::Namespaces, None)],
        }
    }

    /// Runs the watches as the kinds come and go. Ends only when dropped.
    pub async fn run(self, prepared: Vec<Prepared>, definitions: watch::Receiver<Definitions>) {
        let mut tasks = JoinSet::new();
        let all = Arc::new(self);
        for prepared in prepared {
            tasks.spawn(all.clone().serve(prepared, definitions.clone()));
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn serve(self: Arc<Self>, prepared: Prepared, mut definitions: watch::Receiver<Definitions>) {
        let Prepared { kind, mut watches } = prepared;
        loop {
            if let Some(announced) = watches.take() {
                let mut running = JoinSet::new();
                for announced in &announced {
                    running.spawn(self.clone().watch(announced.clone()));
                }
                // Each ends by itself when its kind is not served any more, or may not be watched where
                // nobody expects it to be.
                while let Some(ended) = running.join_next().await {
                    if matches!(ended, Ok(Ended::NotServed)) {
                        running.abort_all();
                    }
                }
                for announced in &announced {
                    self.let_go(announced);
                }
                info!(kind = kind.plural(), "let go: it is not served any more");
            }
            definitions::appears(|| self.find(kind), &mut definitions).await;
            info!(kind = kind.plural(), "picked up: it is served now");
            watches = Some(self.announce(kind));
        }
    }

    async fn watch(self: Arc<Self>, announced: Announced) -> Ended {
        let Announced { watch, what, ref scope } = announced;
        let ended = match what {
            What::Policies(kind) => self.policies(watch, kind, scope.clone()).await,
            What::Namespaces => self.namespaces(watch).await,
        };
        if ended == Ended::Forbidden {
            self.let_go(&announced);
            let resource = match what {
                What::Policies(kind) => kind.plural(),
                What::Namespaces => "namespaces",
            };
            warn!(
                resource,
                "no right to watch them, which --namespaces can do without: ClusterRolloutPolicies do not count here"
            );
            return std::future::pending().await;
        }
        ended
    }

    /// What is not served does not exist.
    fn let_go(&self, announced: &Announced) {
        let Announced { watch, what, scope } = announced;
        let mut index = self.feed.context.index();
        if let What::Policies(kind) = *what {
            self.keep_only(&HashSet::new(), &mut index, kind, scope.as_ref());
        }
        index.end_watch(*watch);
        drop(index);
        self.feed.progress.notify_one();
    }

    /// Whatever else of that kind and scope is known is gone.
    fn keep_only(&self, there: &HashSet<PolicyRef>, index: &mut Index, kind: Kind, scope: Option<&Namespace>) {
        let known = index.policies().map(|(policy, _)| &policy.reference);
        let gone = known.filter(|known| !there.contains(*known) && in_scope(known, kind, scope));
        let gone: Vec<PolicyRef> = gone.cloned().collect();
        for gone in gone {
            let touched = index.remove_policy(&gone);
            self.go_on(index, touched);
        }
    }

    /// Whether doing without is right where a right is missing: whoever gave us some namespaces only
    /// may have given us no right on the cluster.
    fn may_do_without(&self, scope: Option<&Namespace>) -> bool {
        scope.is_none() && self.scopes.iter().any(Option::is_some)
    }

    async fn policies(&self, watch: WatchId, kind: Kind, scope: Option<Namespace>) -> Ended {
        let api = api::<WatchedPolicy>(self.feed.context.client.clone(), scope.as_ref(), &kind.row());
        let mut troubles = Troubles::new(kind.plural(), scope.clone(), self.feed.metrics.clone());
        let mut listed: HashSet<PolicyRef> = HashSet::new();
        let forbidden = Notify::new();
        let watching = Watching {
            fields: self.feed.excluded.clone().filter(|_| kind == Kind::OfNamespaces),
            served: Served::ByDefinition,
            ..self.feed.watching(kind.plural())
        };
        let mut had = false;
        loop {
            let following = follow(api.clone(), watching.clone(), |seen| {
                let mut index = self.feed.context.index();
                match seen {
                    Seen::ListStart => {
                        listed.clear();
                        index.list_start(watch);
                    }
                    Seen::Listed(policy) => {
                        listed.insert(policy.reference());
                        let touched = index.apply_policy(policy.policy(), policy.about());
                        self.go_on(&index, touched);
                    }
                    Seen::ListEnd => {
                        troubles.over();
                        self.keep_only(&listed, &mut index, kind, scope.as_ref());
                        index.list_end(watch, self.feed.context.clock.now());
                        self.feed.progress.notify_one();
                        had = true;
                    }
                    Seen::Changed(policy) => {
                        troubles.over();
                        let touched = index.apply_policy(policy.policy(), policy.about());
                        self.go_on(&index, touched);
                    }
                    Seen::Gone(policy) => {
                        troubles.over();
                        let touched = index.remove_policy(&policy.reference());
                        self.go_on(&index, touched);
                    }
                    // What was known once goes on to hold: a right may be missing for a moment.
                    Seen::Trouble(Trouble::Forbidden(_)) if !had && self.may_do_without(scope.as_ref()) => {
                        forbidden.notify_one();
                    }
                    Seen::Trouble(trouble) => troubles.report(&trouble),
                }
            });
            tokio::select! {
                () = following => {}
                () = forbidden.notified() => return Ended::Forbidden,
            }
            // One answer may be a proxy's, or that of a server that has just started. Without its policies a
            // workload restarts that a freeze holds back.
            if definitions::soon(|| self.find(kind)).await.is_none() {
                return Ended::NotServed;
            }
        }
    }

    async fn namespaces(&self, watch: WatchId) -> Ended {
        let row = resource("", "v1", "Namespace", "namespaces");
        let api = api::<WatchedName>(self.feed.context.client.clone(), None, &row);
        let mut troubles = Troubles::new("namespaces", None, self.feed.metrics.clone());
        let forbidden = Notify::new();
        let mut had = false;
        let following = follow(api, self.feed.watching("namespaces"), |seen| {
            let mut index = self.feed.context.index();
            match seen {
                Seen::ListStart => index.list_start(watch),
                Seen::Listed(object) | Seen::Changed(object) => {
                    troubles.over();
                    let touched =
                        index.set_namespace_labels(&Namespace::from(object.name()), Some(object.labels().clone()));
                    self.go_on(&index, touched);
                }
                Seen::ListEnd => {
                    troubles.over();
                    index.list_end(watch, self.feed.context.clock.now());
                    self.feed.progress.notify_one();
                    had = true;
                }
                Seen::Gone(object) => {
                    troubles.over();
                    // With all that is in it.
                    index.set_namespace_labels(&Namespace::from(object.name()), None);
                }
                Seen::Trouble(Trouble::Forbidden(_)) if !had && self.may_do_without(None) => forbidden.notify_one(),
                Seen::Trouble(trouble) => troubles.report(&trouble),
            }
        });
        tokio::select! {
            () = following => Ended::NotServed,
            () = forbidden.notified() => Ended::Forbidden,
        }
    }

    /// Before the first lists are complete nothing is decided, and then everything is.
    fn go_on(&self, index: &Index, touched: Touched) {
        if touched.relist {
            self.relist.notify_one();
        }
        if index.started() {
            for workload in touched.workloads {
                self.feed.queue.push(workload);
            }
        }
    }
}

/// How a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    NotServed,
    Forbidden,
}

fn in_scope(policy: &PolicyRef, kind: Kind, scope: Option<&Namespace>) -> bool {
    match kind {
        Kind::OfCluster => policy.namespace.is_none(),
        Kind::OfNamespaces => policy
            .namespace
            .as_ref()
            .is_some_and(|namespace| scope.is_none_or(|scope| scope == namespace)),
    }
}
