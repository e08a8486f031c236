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
use tokio::time::Instant;
use tracing::{info, warn};
use windlass_core::policy::PolicyRef;
use windlass_core::types::name::Namespace;

use crate::api::{ClusterRolloutPolicy, RolloutPolicy};
use crate::index::{Index, PolicyEffect, WatchId, WatchedKind};
use crate::k8s::discovery;
use crate::k8s::error::ApiError;
use crate::k8s::watch::{Availability, WatchError, WatchEvent, WatchOptions, follow};
use crate::k8s::wire::{WatchedMetadata, WatchedPolicy, resource};
use crate::scope::ClusterPolicies;
use crate::watch::crds::{self, CrdWatchState};
use crate::watch::health::WatchHealth;
use crate::watch::ingest::{Ingest, target};
use crate::watch::workloads::Relists;

#[cfg(test)]
mod tests;

/// The group of the definitions.
pub const GROUP: &str = "windlass.dev";

/// A tenant may edit selectors as often as they like, and each time all workloads may have to be
/// listed: the first time at once, and then not more often than this.
const RELIST_PAUSE: Duration = Duration::from_secs(10);

/// A right that is missing for less long may be one that is only being given: an account and its roles are often
/// written after the Deployment.
const MISSING_FOR: Duration = Duration::from_secs(10);

/// How long to wait before it is tried again whether a right is there that can be done without.
const FIRST_TRY_AGAIN: Duration = Duration::from_secs(30);
const LONGEST_TRY_AGAIN: Duration = Duration::from_mins(5);

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
pub struct PolicyWatches {
    /// Feeds the index.
    pub ingest: Ingest,
    /// One watch of namespaced policies for each of these.
    pub scopes: Vec<Option<Namespace>>,
    /// Whether those of the cluster hold.
    pub of_cluster: ClusterPolicies,
    /// The watches of workloads, to make them list anew.
    pub relists: Relists,
    relist: Arc<Notify>,
}

#[derive(Clone)]
struct AnnouncedWatch {
    watch: WatchId,
    what: WatchedObjects,
    scope: Option<Namespace>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WatchedObjects {
    Policies(Kind),
    Namespaces,
}

/// A kind of policies that is served and its watches, or that is not served.
pub struct PreparedKind {
    kind: Kind,
    watches: Option<Vec<AnnouncedWatch>>,
}

impl PolicyWatches {
    /// None is watched yet.
    #[must_use]
    pub fn new(ingest: Ingest, scopes: Vec<Option<Namespace>>, of_cluster: ClusterPolicies, relists: Relists) -> Self {
        Self {
            ingest,
            scopes,
            of_cluster,
            relists,
            relist: Arc::default(),
        }
    }

    /// Looks which kinds are served, and announces their watches: nothing is decided before each has
    /// listed.
    pub async fn prepare(&self) -> Vec<PreparedKind> {
        let mut prepared = Vec::new();
        let kinds = KINDS.into_iter();
        let count = |kind: &Kind| *kind != Kind::OfCluster || self.of_cluster != ClusterPolicies::Ignored;
        for kind in kinds.filter(count) {
            let found = crds::is_established(kind.plural(), || self.find(kind)).await;
            prepared.push(PreparedKind {
                kind,
                watches: found.map(|()| self.announce(kind)),
            });
        }
        prepared
    }

    /// Waits until all of them have been listed once: only then is known which workloads are to be kept.
    pub async fn listed(&self) {
        loop {
            let progress = self.ingest.progress.notified();
            if self.ingest.reader.index().has_policies() {
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
        let reader = &self.ingest.reader;
        let row = kind.row();
        let plural = discovery::plural(&reader.client, &row.group, &row.version, &row.kind, reader.timeout).await?;
        Ok(plural.map(|_| ()))
    }

    fn announce(&self, kind: Kind) -> Vec<AnnouncedWatch> {
        let mut index = self.ingest.reader.index();
        if index.serve_policies() && index.started() {
            // No labels were kept so far.
            self.relist.notify_one();
        }
        let mut announce = |what: WatchedObjects, scope: Option<Namespace>| {
            let feeds = match what {
                WatchedObjects::Policies(kind) => WatchedKind::Policies {
                    of_cluster: kind == Kind::OfCluster,
                },
                WatchedObjects::Namespaces => WatchedKind::Namespaces,
            };
            AnnouncedWatch {
                watch: index.add_watch(feeds, scope.clone(), None),
                what,
                scope,
            }
        };
        let policies = WatchedObjects::Policies(kind);
        match kind {
            Kind::OfNamespaces => {
                let scopes = self.scopes.iter().cloned();
                scopes.map(|scope| announce(policies, scope)).collect()
            }
            Kind::OfCluster => vec![announce(policies, None), announce(WatchedObjects::Namespaces, None)],
        }
    }

    /// Runs the watches as the kinds come and go. Ends only when dropped.
    pub async fn run(self, prepared: Vec<PreparedKind>, definitions: watch::Receiver<CrdWatchState>) {
        let mut tasks = JoinSet::new();
        let all = Arc::new(self);
        for prepared in prepared {
            tasks.spawn(all.clone().serve(prepared, definitions.clone()));
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn serve(self: Arc<Self>, prepared: PreparedKind, mut definitions: watch::Receiver<CrdWatchState>) {
        let PreparedKind { kind, mut watches } = prepared;
        loop {
            if let Some(announced) = watches.take() {
                let mut running = JoinSet::new();
                for announced in &announced {
                    running.spawn(self.clone().watch(announced.clone()));
                }
                // Each ends by itself when its kind is not served any more.
                if running.join_next().await.is_some() {
                    running.shutdown().await;
                }
                for announced in &announced {
                    self.drop_policies(announced);
                }
                info!(
                    resource = kind.plural(),
                    "policies no longer served; their watches stopped"
                );
            }
            crds::wait_established(|| self.find(kind), &mut definitions).await;
            info!(resource = kind.plural(), "policies served; watches started");
            watches = Some(self.announce(kind));
        }
    }

    /// Ends when its kind is not served any more.
    async fn watch(self: Arc<Self>, announced: AnnouncedWatch) {
        let AnnouncedWatch { watch, what, scope } = announced;
        match what {
            WatchedObjects::Policies(kind) => self.policies(watch, kind, scope).await,
            WatchedObjects::Namespaces => self.namespaces(watch).await,
        }
    }

    /// What is not served does not exist.
    fn drop_policies(&self, announced: &AnnouncedWatch) {
        let AnnouncedWatch { watch, what, scope } = announced;
        let mut index = self.ingest.reader.index();
        if let WatchedObjects::Policies(kind) = *what {
            self.keep_only(&HashSet::new(), &mut index, kind, scope.as_ref());
        }
        index.end_watch(*watch);
        drop(index);
        self.ingest.progress.notify_one();
    }

    /// Whatever else of that kind and scope is known is gone.
    fn keep_only(&self, there: &HashSet<PolicyRef>, index: &mut Index, kind: Kind, scope: Option<&Namespace>) {
        let known = index.policies().map(|(policy, _)| &policy.reference);
        let gone = known.filter(|known| !there.contains(*known) && in_scope(known, kind, scope));
        let gone: Vec<PolicyRef> = gone.cloned().collect();
        for gone in gone {
            let touched = index.remove_policy(&gone);
            self.enqueue(index, touched);
        }
    }

    /// Whether a right on the cluster may be missing: whoever gave us some namespaces only may have given us
    /// none.
    fn may_do_without(&self, scope: Option<&Namespace>) -> bool {
        scope.is_none() && self.of_cluster == ClusterPolicies::IfPermitted
    }

    /// Ends when the kind is not served any more.
    async fn policies(&self, watch: WatchId, kind: Kind, scope: Option<Namespace>) {
        let target = target(self.ingest.reader.client.clone(), scope.as_ref(), kind.row());
        let mut health = WatchHealth::new(kind.plural(), scope.clone(), self.ingest.observer.clone());
        let mut listed: HashSet<PolicyRef> = HashSet::new();
        let watching = WatchOptions {
            fields: self.ingest.excluded.clone().filter(|_| kind == Kind::OfNamespaces),
            availability: Availability::ByDefinition,
            ..self.ingest.watching(kind.plural())
        };
        let mut right = OptionalPermission::new(kind.plural(), self.may_do_without(scope.as_ref()));
        loop {
            let missing = Notify::new();
            let following = follow::<WatchedPolicy>(target.clone(), watching.clone(), |seen| {
                let mut index = self.ingest.reader.index();
                match seen {
                    WatchEvent::ListStart => {
                        listed.clear();
                        index.list_start(watch);
                    }
                    WatchEvent::Listed(policy) => {
                        listed.insert(policy.reference());
                        let touched = index.apply_policy(policy.policy(), policy.metadata());
                        self.enqueue(&index, touched);
                    }
                    WatchEvent::ListEnd => {
                        health.recovered();
                        self.keep_only(&listed, &mut index, kind, scope.as_ref());
                        index.list_end(watch, self.ingest.reader.clock.now());
                        self.ingest.progress.notify_one();
                        right.is_there();
                    }
                    WatchEvent::Applied(policy) => {
                        health.recovered();
                        let touched = index.apply_policy(policy.policy(), policy.metadata());
                        self.enqueue(&index, touched);
                    }
                    WatchEvent::Deleted(policy) => {
                        health.recovered();
                        let touched = index.remove_policy(&policy.reference());
                        self.enqueue(&index, touched);
                    }
                    WatchEvent::Error(trouble) => match right.is_missing(&trouble) {
                        MissingPermission::Matters => health.report(&trouble),
                        MissingPermission::ForNow => {}
                        MissingPermission::ForLong => missing.notify_one(),
                    },
                }
            });
            tokio::select! {
                () = following => {}
                () = missing.notified() => {
                    self.do_without(watch, &mut right).await;
                    continue;
                }
            }
            // One answer may be a proxy's, or that of a server that has just started. Without its policies a
            // workload restarts that a freeze holds back.
            if crds::recheck(|| self.find(kind)).await.is_none() {
                return;
            }
        }
    }

    /// Ends only when dropped.
    async fn namespaces(&self, watch: WatchId) {
        let row = resource("", "v1", "Namespace", "namespaces");
        let target = target(self.ingest.reader.client.clone(), None, row);
        let mut health = WatchHealth::new("namespaces", None, self.ingest.observer.clone());
        let mut right = OptionalPermission::new("namespaces", self.may_do_without(None));
        loop {
            let missing = Notify::new();
            let following = follow::<WatchedMetadata>(target.clone(), self.ingest.watching("namespaces"), |seen| {
                let mut index = self.ingest.reader.index();
                match seen {
                    WatchEvent::ListStart => index.list_start(watch),
                    WatchEvent::Listed(object) | WatchEvent::Applied(object) => {
                        health.recovered();
                        let touched =
                            index.set_namespace_labels(&Namespace::from(object.name()), Some(object.labels().clone()));
                        self.enqueue(&index, touched);
                    }
                    WatchEvent::ListEnd => {
                        health.recovered();
                        index.list_end(watch, self.ingest.reader.clock.now());
                        self.ingest.progress.notify_one();
                        right.is_there();
                    }
                    WatchEvent::Deleted(object) => {
                        health.recovered();
                        // With all that is in it.
                        index.set_namespace_labels(&Namespace::from(object.name()), None);
                    }
                    WatchEvent::Error(trouble) => match right.is_missing(&trouble) {
                        MissingPermission::Matters => health.report(&trouble),
                        MissingPermission::ForNow => {}
                        MissingPermission::ForLong => missing.notify_one(),
                    },
                }
            });
            tokio::select! {
                () = following => {}
                () = missing.notified() => {}
            }
            self.do_without(watch, &mut right).await;
        }
    }

    /// Decides without what may not be read, and waits until it is time to try again.
    async fn do_without(&self, watch: WatchId, right: &mut OptionalPermission) {
        self.ingest.reader.index().wait_no_more_for(watch);
        self.ingest.progress.notify_one();
        tokio::time::sleep(right.try_again_after()).await;
    }

    /// Before the first lists are complete nothing is decided, and then everything is.
    fn enqueue(&self, index: &Index, touched: PolicyEffect) {
        if touched.relist {
            self.relist.notify_one();
        }
        if index.started() {
            for workload in touched.workloads {
                self.ingest.queue.push(workload);
            }
        }
    }
}

/// The right to read something of the cluster that may have to be done without.
struct OptionalPermission {
    resource: &'static str,
    may_be_missing: bool,
    /// It has been there once: what was known then goes on to hold.
    was_there: bool,
    missing_since: Option<Instant>,
    given_up: bool,
    pause: Duration,
}

/// What a trouble says of a right.
enum MissingPermission {
    /// Nothing, or it is needed: it is waited for, and told.
    Matters,
    /// It may be on its way.
    ForNow,
    /// Whoever gave us the others gave us no such one.
    ForLong,
}

impl OptionalPermission {
    fn new(resource: &'static str, may_be_missing: bool) -> Self {
        Self {
            resource,
            may_be_missing,
            was_there: false,
            missing_since: None,
            given_up: false,
            pause: FIRST_TRY_AGAIN,
        }
    }

    fn is_there(&mut self) {
        self.was_there = true;
        if std::mem::take(&mut self.given_up) {
            info!(
                resource = self.resource,
                "permission granted; resource in use from now on"
            );
        }
    }

    fn is_missing(&mut self, trouble: &WatchError) -> MissingPermission {
        if self.was_there || !self.may_be_missing {
            return MissingPermission::Matters;
        }
        let WatchError::Forbidden(_) = trouble else {
            self.missing_since = None;
            return MissingPermission::Matters;
        };
        let since = *self.missing_since.get_or_insert_with(Instant::now);
        if self.given_up || since.elapsed() >= MISSING_FOR {
            MissingPermission::ForLong
        } else {
            MissingPermission::ForNow
        }
    }

    fn try_again_after(&mut self) -> Duration {
        if !std::mem::replace(&mut self.given_up, true) {
            warn!(
                resource = self.resource,
                "no permission to list and watch; ClusterRolloutPolicies are ignored (--cluster-policies=true waits for \
                 the permission, --cluster-policies=false does not request it)"
            );
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_TRY_AGAIN);
        pause
    }
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
