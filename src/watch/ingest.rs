//! From the watches into the index, and from there into the queues.

use std::sync::Arc;

use kube::Client;
use kube::api::ApiResource;
use tokio::sync::Notify;
use windlass_core::types::name::{Namespace, SourceKind, WorkloadRef};
use windlass_core::types::time::Second;
use windlass_core::workload::kind::KindId;

use crate::index::{FetchRequest, Index, Observation, WatchId, WatchedKind};
use crate::k8s::watch::{Availability, WatchEvent, WatchOptions, WatchTarget, follow};
use crate::k8s::watch_activity::WatchActivity;
use crate::k8s::wire::{
    IntoSource, Role, WatchedConfigMap, WatchedSecret, WatchedWorkload, source_resource, workload_resource,
};
use crate::queue::Queue;
use crate::reader::Reader;
use crate::watch::health::WatchHealth;
use crate::watch::observer::WatchObserver;

/// Releases of Helm are Secrets, large and many, and no pod uses one.
const NO_HELM_RELEASES: &str = "type!=helm.sh/release.v1";

/// What every watch needs.
#[derive(Clone)]
pub struct Ingest {
    /// The index is in it.
    pub reader: Arc<Reader>,
    /// What has to be decided.
    pub queue: Arc<Queue<WorkloadRef>>,
    /// What has to be read.
    pub fetch_queue: Arc<Queue<FetchRequest>>,
    /// Told of troubles.
    pub observer: Arc<dyn WatchObserver>,
    /// Told when a list of workloads is complete, and after each event when all are, for those who wait.
    pub progress: Arc<Notify>,
    /// Which watches are to be open, and what comes of them.
    pub watch_activity: WatchActivity,
    /// Namespaces that the server leaves out, as a field selector.
    pub excluded: Option<String>,
    /// A label selector for sources.
    pub source_labels: Option<String>,
}

/// A watch that was announced to the index, so that nothing is decided before its first list.
pub struct AnnouncedWatch {
    watch: WatchId,
    kind: WatchedKind,
    scope: Option<Namespace>,
    /// Makes it list again.
    pub relist: Arc<Notify>,
}

impl Ingest {
    /// A watch of everything of this resource.
    pub fn watching(&self, plural: &'static str) -> WatchOptions {
        WatchOptions {
            activity: Some((self.watch_activity.clone(), plural)),
            ..WatchOptions::default()
        }
    }

    /// Announces a watch. `last_watched`: up to when a Windlass watched before.
    pub fn announce(
        &self,
        feeds: WatchedKind,
        scope: Option<Namespace>,
        last_watched: Option<Second>,
    ) -> AnnouncedWatch {
        let watch = self.reader.index().add_watch(feeds, scope.clone(), last_watched);
        AnnouncedWatch {
            watch,
            kind: feeds,
            scope,
            relist: Arc::default(),
        }
    }

    /// Runs an announced watch. Ends when its kind is not served, and then it has brought nothing.
    pub async fn run(self, announced: AnnouncedWatch) {
        let AnnouncedWatch {
            watch,
            kind: feeds,
            scope,
            relist,
        } = announced;
        let watching = |plural| WatchOptions {
            fields: self.excluded.clone(),
            relist: Some(relist),
            ..self.watching(plural)
        };
        match feeds {
            WatchedKind::Sources(SourceKind::ConfigMap) => {
                let watching = WatchOptions {
                    labels: self.source_labels.clone(),
                    ..watching("configmaps")
                };
                self.sources::<WatchedConfigMap>(watch, SourceKind::ConfigMap, scope, watching)
                    .await;
            }
            WatchedKind::Sources(SourceKind::Secret) => {
                let watching = watching("secrets");
                let fields = watching.fields.iter().map(String::as_str).chain([NO_HELM_RELEASES]);
                let watching = WatchOptions {
                    fields: Some(fields.collect::<Vec<_>>().join(",")),
                    labels: self.source_labels.clone(),
                    ..watching
                };
                self.sources::<WatchedSecret>(watch, SourceKind::Secret, scope, watching)
                    .await;
            }
            WatchedKind::Workloads(kind) => {
                let served = if kind.is_custom() {
                    Availability::ByDefinition
                } else {
                    Availability::Always
                };
                let watching = WatchOptions {
                    availability: served,
                    ..watching(kind.row().plural)
                };
                self.workloads(watch, kind, scope, watching).await;
            }
            // Followed by whoever announces them.
            WatchedKind::Policies { .. } | WatchedKind::Namespaces => {}
        }
        self.reader.index().end_watch(watch);
        self.progress.notify_one();
    }

    async fn sources<K>(&self, watch: WatchId, kind: SourceKind, scope: Option<Namespace>, watching: WatchOptions)
    where
        K: IntoSource
            + kube::Resource<DynamicType = kube::api::ApiResource, Scope = kube::core::DynamicResourceScope>
            + Clone
            + serde::de::DeserializeOwned
            + std::fmt::Debug
            + Send
            + 'static,
    {
        let target = target(self.reader.client.clone(), scope.as_ref(), source_resource(kind));
        let plural = match kind {
            SourceKind::ConfigMap => "configmaps",
            SourceKind::Secret => "secrets",
        };
        let mut health = WatchHealth::new(plural, scope, self.observer.clone());
        follow::<K>(target, watching, |seen| {
            let now = self.reader.clock.now();
            let mut index = self.reader.index();
            let touched = match seen {
                WatchEvent::ListStart => {
                    index.list_start(watch);
                    Vec::new()
                }
                WatchEvent::Listed(object) => index.apply_source(watch, object.into_source(), Observation::Listed, now),
                WatchEvent::Applied(object) => {
                    health.recovered();
                    let touched = index.apply_source(watch, object.into_source(), Observation::Watched, now);
                    if !touched.is_empty() {
                        self.observer.changed(kind);
                    }
                    touched
                }
                WatchEvent::Deleted(object) => {
                    health.recovered();
                    let source = object.into_source();
                    let touched = index.remove_source(watch, &source.reference, Some(source.version), now);
                    if !touched.is_empty() {
                        self.observer.changed(kind);
                    }
                    touched
                }
                WatchEvent::ListEnd => {
                    health.recovered();
                    index.list_end(watch, now)
                }
                WatchEvent::Error(trouble) => {
                    health.report(&trouble);
                    Vec::new()
                }
            };
            self.enqueue(&mut index, touched);
        })
        .await;
    }

    async fn workloads(&self, watch: WatchId, kind: KindId, scope: Option<Namespace>, watching: WatchOptions) {
        let target = target(self.reader.client.clone(), scope.as_ref(), workload_resource(kind));
        let mut health = WatchHealth::new(kind.row().plural, scope, self.observer.clone());
        follow::<WatchedWorkload>(target, watching, |seen| {
            let now = self.reader.clock.now();
            let mut index = self.reader.index();
            let mut touched = Vec::new();
            match seen {
                WatchEvent::ListStart => index.list_start(watch),
                WatchEvent::Listed(object) => {
                    touched.extend(apply(&mut index, watch, kind, &object, Observation::Listed, now));
                }
                WatchEvent::Applied(object) => {
                    health.recovered();
                    touched.extend(apply(&mut index, watch, kind, &object, Observation::Watched, now));
                }
                WatchEvent::Deleted(object) => {
                    health.recovered();
                    index.forget(&object.reference(kind));
                }
                WatchEvent::ListEnd => {
                    health.recovered();
                    touched = index.list_end(watch, now);
                    self.progress.notify_one();
                }
                WatchEvent::Error(trouble) => health.report(&trouble),
            }
            self.enqueue(&mut index, touched);
        })
        .await;
    }

    /// Before the first lists are complete nothing is decided, and then everything is.
    fn enqueue(&self, index: &mut Index, touched: Vec<WorkloadRef>) {
        for wanted in index.take_fetch_requests() {
            self.fetch_queue.push(wanted);
        }
        let called = index.take_called();
        if index.started() {
            for workload in touched.into_iter().chain(called) {
                self.queue.push(workload);
            }
            self.progress.notify_one();
        }
    }
}

/// Puts a workload that was seen or read into the index. Gives which one has to be decided by it.
pub fn apply(
    index: &mut Index,
    watch: WatchId,
    kind: KindId,
    object: &WatchedWorkload,
    how: Observation,
    now: jiff::Timestamp,
) -> Option<WorkloadRef> {
    match object.role(kind, index.settings().annotation_options) {
        Role::Workload(workload) => {
            let reference = workload.reference.clone();
            // It may have run another's template before.
            index.end_delegation(&reference);
            index.apply_workload(watch, *workload, how, now).then_some(reference)
        }
        Role::Delegation(delegation) => index.apply_delegation(watch, *delegation),
    }
}

pub(crate) fn target(client: Client, scope: Option<&Namespace>, resource: ApiResource) -> WatchTarget {
    WatchTarget {
        client,
        resource,
        namespace: scope.map(|namespace| namespace.as_str().to_owned()),
    }
}
