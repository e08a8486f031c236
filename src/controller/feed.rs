//! From the watches into the index, and from there into the queue.

use std::sync::Arc;
use std::time::Duration;

use kube::{Api, Client};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::gather::Context;
use super::index::How;
use super::queue::Queue;
use crate::core::kind::DEPLOYMENT;
use crate::core::name::{Namespace, WorkloadRef};
use crate::core::time::Second;
use crate::k8s::lean::{WatchedSource, WatchedWorkload, resource, workload_resource};
use crate::k8s::watch::{Seen, Trouble, follow};
use crate::ops::{Metrics, WatchRestart};

/// How often an ongoing trouble of a watch is logged again.
const REMIND: Duration = Duration::from_mins(1);

/// The watches; they end when this is dropped.
pub struct Watches {
    tasks: JoinSet<()>,
    progress: Arc<Notify>,
}

/// Opens all watches: one of each kind, or one of each kind and namespace.
pub fn start(
    context: &Arc<Context>,
    queue: &Arc<Queue<WorkloadRef>>,
    metrics: &Metrics,
    namespaces: &[String],
    last_watched: Option<Second>,
) -> Watches {
    let mut watches = Watches {
        tasks: JoinSet::new(),
        progress: Arc::default(),
    };
    let scopes: Vec<Option<Namespace>> = if namespaces.is_empty() {
        vec![None]
    } else {
        namespaces
            .iter()
            .map(|namespace| Some(Namespace::from(namespace.as_str())))
            .collect()
    };
    for scope in scopes {
        let feed = Feed {
            context: context.clone(),
            queue: queue.clone(),
            metrics: metrics.clone(),
            progress: watches.progress.clone(),
        };
        watches.tasks.spawn(feed.clone().sources(scope.clone(), last_watched));
        watches.tasks.spawn(feed.workloads(scope));
    }
    watches
}

/// Waits until every watch has finished its first list.
pub async fn synced(context: &Context, watches: &mut Watches) {
    loop {
        let progress = watches.progress.notified();
        {
            let index = context.index();
            // The tasks add their watches when they first run.
            if index.watch_count() == watches.tasks.len() && index.synced() {
                return;
            }
        }
        progress.await;
    }
}

#[derive(Clone)]
struct Feed {
    context: Arc<Context>,
    queue: Arc<Queue<WorkloadRef>>,
    metrics: Metrics,
    progress: Arc<Notify>,
}

impl Feed {
    async fn sources(self, scope: Option<Namespace>, last_watched: Option<Second>) {
        let watch = self.context.index().add_source_watch(scope.clone(), last_watched);
        let api = api::<WatchedSource>(
            self.context.client.clone(),
            scope.as_ref(),
            &resource("", "v1", "ConfigMap", "configmaps"),
        );
        let mut troubles = Troubles::new("configmaps", scope, self.metrics.clone());
        follow(api, |seen| {
            let now = self.context.clock.now();
            let mut index = self.context.index();
            let touched = match seen {
                Seen::ListStart => {
                    index.source_list_start(watch);
                    Vec::new()
                }
                Seen::Listed(object) => index.apply_source(watch, object.source, How::Listed, now),
                Seen::Changed(object) => {
                    troubles.over();
                    let touched = index.apply_source(watch, object.source, How::Watched, now);
                    if !touched.is_empty() {
                        self.metrics.change("ConfigMap");
                    }
                    touched
                }
                Seen::Gone(object) => {
                    troubles.over();
                    let source = object.source;
                    let touched = index.remove_source(watch, &source.reference, Some(source.version), now);
                    if !touched.is_empty() {
                        self.metrics.change("ConfigMap");
                    }
                    touched
                }
                Seen::ListEnd => {
                    troubles.over();
                    index.source_list_end(watch, now)
                }
                Seen::Trouble(trouble) => {
                    troubles.report(&trouble);
                    Vec::new()
                }
            };
            self.go_on(&index, touched);
        })
        .await;
    }

    async fn workloads(self, scope: Option<Namespace>) {
        let watch = self.context.index().add_workload_watch(scope.clone());
        let kind = DEPLOYMENT;
        let api = api::<WatchedWorkload>(self.context.client.clone(), scope.as_ref(), &workload_resource(kind));
        let mut troubles = Troubles::new(kind.row().plural, scope, self.metrics.clone());
        follow(api, |seen| {
            let now = self.context.clock.now();
            let mut index = self.context.index();
            let mut touched = Vec::new();
            match seen {
                Seen::ListStart => index.workload_list_start(watch),
                Seen::Listed(object) => {
                    if index.apply_workload(watch, object.workload(kind), How::Listed) {
                        touched.push(object.reference(kind));
                    }
                }
                Seen::Changed(object) => {
                    troubles.over();
                    if index.apply_workload(watch, object.workload(kind), How::Watched) {
                        touched.push(object.reference(kind));
                    }
                }
                Seen::Gone(object) => {
                    troubles.over();
                    index.forget(&object.reference(kind));
                }
                Seen::ListEnd => {
                    troubles.over();
                    index.workload_list_end(watch, now);
                }
                Seen::Trouble(trouble) => troubles.report(&trouble),
            }
            self.go_on(&index, touched);
        })
        .await;
    }

    /// Before the first lists are complete nothing is decided, and then everything is.
    fn go_on(&self, index: &super::index::Index, touched: Vec<WorkloadRef>) {
        if index.synced() {
            for workload in touched {
                self.queue.push(workload);
            }
            self.progress.notify_one();
        }
    }
}

fn api<K>(client: Client, scope: Option<&Namespace>, row: &kube::api::ApiResource) -> Api<K>
where
    K: kube::Resource<DynamicType = kube::api::ApiResource, Scope = kube::core::DynamicResourceScope>,
{
    match scope {
        Some(namespace) => Api::namespaced_with(client, namespace.as_str(), row),
        None => Api::all_with(client, row),
    }
}

/// Says what is wrong with a watch, once, and again when it lasts; and that it is over.
struct Troubles {
    plural: &'static str,
    scope: Option<Namespace>,
    metrics: Metrics,
    ongoing: Option<(Trouble, tokio::time::Instant)>,
}

impl Troubles {
    fn new(plural: &'static str, scope: Option<Namespace>, metrics: Metrics) -> Self {
        Self {
            plural,
            scope,
            metrics,
            ongoing: None,
        }
    }

    fn report(&mut self, trouble: &Trouble) {
        self.metrics.watch_restart(self.plural, counted_as(trouble));
        if matches!(trouble, Trouble::Forbidden(_)) {
            self.metrics.error("Forbidden");
        }
        let known = self
            .ongoing
            .as_ref()
            .is_some_and(|(ongoing, said)| counted_as(ongoing) == counted_as(trouble) && said.elapsed() < REMIND);
        if known {
            return;
        }
        self.ongoing = Some((trouble.clone(), tokio::time::Instant::now()));
        let (resource, scope) = (self.plural, self.scope.as_ref().map_or("all", Namespace::as_str));
        match trouble {
            Trouble::Forbidden(message) => {
                warn!(resource, namespace = scope, error = %message, "a right is missing: list and watch are needed");
            }
            Trouble::Interrupted(message) => {
                warn!(resource, namespace = scope, error = %message, "watch interrupted, trying again");
            }
            Trouble::Undecodable => {
                warn!(
                    resource,
                    namespace = scope,
                    "an event could not be decoded, listing again"
                );
            }
            Trouble::Expired => info!(
                resource,
                namespace = scope,
                "the server forgot our place, listing again"
            ),
            Trouble::NoStreamingLists => {
                info!(
                    resource,
                    namespace = scope,
                    "the server has no streaming lists, listing by pages"
                );
            }
        }
    }

    fn over(&mut self) {
        if let Some((trouble, _)) = self.ongoing.take() {
            debug!(resource = self.plural, "the watch is well again");
            if matches!(trouble, Trouble::Forbidden(_) | Trouble::Interrupted(_)) {
                info!(resource = self.plural, "watching again");
            }
        }
    }
}

fn counted_as(trouble: &Trouble) -> WatchRestart {
    match trouble {
        Trouble::Forbidden(_) => WatchRestart::Forbidden,
        Trouble::Expired => WatchRestart::Expired,
        Trouble::NoStreamingLists => WatchRestart::NoStreamingList,
        Trouble::Undecodable => WatchRestart::Undecodable,
        Trouble::Interrupted(_) => WatchRestart::Unavailable,
    }
}
