//! The metrics: what exists, what it is called, and typed methods to move it.
//!
//! Every series whose labels are known is there from the start with the value 0, so that a rate or
//! an alert does not miss the first occurrence. The reference for people is `docs/metrics.md`.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

mod label;
#[cfg(test)]
mod tests;

pub use label::{AgentResult, ApiCode, InPlaceResult, NotificationResult, RestartResult, Sink, Verb, WatchRestart};

/// From 1 ms, an idle API server's own time for a patch, to a minute, where something is wrong.
const CHANGE_TO_PATCH: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// A rollout takes seconds for one quick pod and up to an hour for a large slow one.
const CHANGE_TO_CURRENT: &[f64] = &[
    0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0,
];
/// Up to the timeout of a request.
const API_REQUEST: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// A decision is a comparison of small values: anything in milliseconds is a defect to be seen.
const RECONCILE: &[f64] = &[0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0];

/// The label values that the rest of the program uses, for the zeros at the start.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'a> {
    /// Kinds of workloads, such as `Deployment`.
    pub workload_kinds: &'a [&'static str],
    /// Kinds of sources, such as `ConfigMap`.
    pub source_kinds: &'a [&'static str],
    /// States that a workload can be in, such as `Current`.
    pub states: &'a [&'static str],
    /// Reasons to hold a workload, such as `Undone`.
    pub held_reasons: &'a [&'static str],
    /// Reasons of errors, such as `Forbidden`.
    pub error_reasons: &'a [&'static str],
    /// Resources that are watched, such as `configmaps`.
    pub watched: &'a [&'static str],
    /// Requests that are made, such as `(Verb::Patch, "deployments")`.
    pub requests: &'a [(Verb, &'static str)],
}

/// All metrics of the process, in a registry of their own. A clone is one reference count.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    workloads: IntGaugeVec,
    sources: IntGaugeVec,
    changes: IntCounterVec,
    restarts: IntCounterVec,
    in_place: IntCounterVec,
    agent_requests: IntCounterVec,
    held: IntGaugeVec,
    change_to_patch: Histogram,
    change_to_current: Histogram,
    oldest_stale: Gauge,
    write_queue_depth: IntGauge,
    api_requests: IntCounterVec,
    api_request: HistogramVec,
    watch_restarts: IntCounterVec,
    reconcile: Histogram,
    events_dropped: IntCounter,
    notifications: IntCounterVec,
    notifications_limited: IntCounter,
    errors: IntCounterVec,
    leader: IntGauge,
}

impl Metrics {
    /// Registers every metric and sets the series of the known label values to 0.
    ///
    /// # Panics
    /// Never: names are constants of this file, and its tests build them.
    #[must_use]
    pub fn new(vocabulary: &Vocabulary<'_>) -> Self {
        let registry = Registry::new();
        let build_info = int_gauges(
            &registry,
            "build_info",
            "The version and the revision that run; always 1.",
            &["version", "revision"],
        );
        build_info.with_label_values(&[super::VERSION, super::REVISION]).set(1);
        #[cfg(target_os = "linux")]
        {
            let process = prometheus::process_collector::ProcessCollector::for_self();
            known(registry.register(Box::new(process)));
        }

        let metrics = Self(Arc::new(Inner::new(registry)));
        metrics.0.zero(vocabulary);
        metrics
    }

    /// How many workloads of this kind are in this state.
    pub fn workloads(&self, kind: &'static str, state: &'static str, count: usize) {
        self.0.workloads.with_label_values(&[kind, state]).set(gauge(count));
    }

    /// How many sources of this kind are known.
    pub fn sources(&self, kind: &'static str, count: usize) {
        self.0.sources.with_label_values(&[kind]).set(gauge(count));
    }

    /// A source of this kind changed in a key that some workload consumes.
    pub fn change(&self, kind: &'static str) {
        self.0.changes.with_label_values(&[kind]).inc();
    }

    /// What became of the decision to restart a workload of this kind.
    pub fn restart(&self, kind: &'static str, result: RestartResult) {
        self.0.restarts.with_label_values(&[kind, result.word()]).inc();
    }

    /// What became of a change in place of one workload.
    pub fn in_place(&self, result: InPlaceResult) {
        self.0.in_place.with_label_values(&[result.word()]).inc();
    }

    /// A question to an agent ended.
    pub fn agent_request(&self, result: AgentResult) {
        self.0.agent_requests.with_label_values(&[result.word()]).inc();
    }

    /// How many workloads are held for this reason.
    pub fn held(&self, reason: &'static str, count: usize) {
        self.0.held.with_label_values(&[reason]).set(gauge(count));
    }

    /// From the event of the change to the accepted patch.
    pub fn change_to_patch(&self, elapsed: Duration) {
        self.0.change_to_patch.observe(elapsed.as_secs_f64());
    }

    /// From the event of the change until the last pod runs it.
    pub fn change_to_current(&self, elapsed: Duration) {
        self.0.change_to_current.observe(elapsed.as_secs_f64());
    }

    /// How long the workload that has been stale the longest has been so; zero when none is.
    pub fn oldest_stale(&self, age: Duration) {
        self.0.oldest_stale.set(age.as_secs_f64());
    }

    /// How many writes wait for a worker.
    pub fn write_queue_depth(&self, depth: usize) {
        self.0.write_queue_depth.set(gauge(depth));
    }

    /// A request to the API server ended.
    pub fn api_request(&self, verb: Verb, resource: &'static str, code: ApiCode, elapsed: Duration) {
        let inner = &self.0;
        code.with_word(|code| {
            inner
                .api_requests
                .with_label_values(&[verb.word(), resource, code])
                .inc();
        });
        inner
            .api_request
            .with_label_values(&[verb.word(), resource])
            .observe(elapsed.as_secs_f64());
    }

    /// A watch had to begin anew.
    pub fn watch_restart(&self, resource: &'static str, reason: WatchRestart) {
        self.0
            .watch_restarts
            .with_label_values(&[resource, reason.word()])
            .inc();
    }

    /// One decision took this long, without the requests that follow from it.
    pub fn reconcile(&self, elapsed: Duration) {
        self.0.reconcile.observe(elapsed.as_secs_f64());
    }

    /// An Event for people could not be written and is lost. The decision it told of stands.
    pub fn event_dropped(&self) {
        self.0.events_dropped.inc();
    }

    /// What became of this many notifications.
    pub fn notifications(&self, sink: Sink, result: NotificationResult, count: usize) {
        let labels = [sink.word(), result.word()];
        self.0.notifications.with_label_values(&labels).inc_by(count as u64);
    }

    /// A notification is counted in its message and not told by itself.
    pub fn notification_limited(&self) {
        self.0.notifications_limited.inc();
    }

    /// Something went wrong, for this reason.
    pub fn error(&self, reason: &'static str) {
        self.0.errors.with_label_values(&[reason]).inc();
    }

    /// Whether this replica is the one that writes.
    pub fn leader(&self, leads: bool) {
        self.0.leader.set(i64::from(leads));
    }

    /// Everything in the Prometheus text format, version 0.0.4.
    ///
    /// # Panics
    /// Never: the encoder refuses only families without a name or a series, and gathering drops those.
    #[must_use]
    pub fn encode(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.0.registry.gather())
            .expect("a gathered family has a name and a series")
    }
}

impl Inner {
    #[allow(clippy::too_many_lines)] // A table.
    fn new(registry: Registry) -> Self {
        let r = &registry;
        Self {
            workloads: int_gauges(
                r,
                "workloads",
                "Workloads that are opted in, by kind and state.",
                &["kind", "state"],
            ),
            sources: int_gauges(r, "sources", "Sources known, by kind.", &["kind"]),
            changes: counters(
                r,
                "changes_total",
                "Changes of sources in keys that some workload consumes.",
                &["kind"],
            ),
            restarts: counters(
                r,
                "restarts_total",
                "Decisions to restart a workload, by what became of them.",
                &["kind", "result"],
            ),
            in_place: counters(
                r,
                "in_place_total",
                "Changes in place of a workload, by what became of them.",
                &["result"],
            ),
            agent_requests: counters(
                r,
                "agent_requests_total",
                "Questions to the agents in pods, by how they ended.",
                &["result"],
            ),
            held: int_gauges(
                r,
                "held",
                "Workloads that are not current and wait for a person, by reason.",
                &["reason"],
            ),
            change_to_patch: histogram(
                r,
                "change_to_patch_seconds",
                "From the event of a change to the accepted patch, the settle time included.",
                CHANGE_TO_PATCH,
            ),
            change_to_current: histogram(
                r,
                "change_to_current_seconds",
                "From the event of a change until the last pod of a workload runs it.",
                CHANGE_TO_CURRENT,
            ),
            oldest_stale: register(
                r,
                known(Gauge::with_opts(opts(
                    "oldest_stale_seconds",
                    "Age of the oldest change that some workload does not run yet; 0 when all do.",
                ))),
            ),
            write_queue_depth: register(
                r,
                known(IntGauge::with_opts(opts(
                    "write_queue_depth",
                    "Writes that wait for a worker.",
                ))),
            ),
            api_requests: counters(
                r,
                "api_requests_total",
                "Requests to the API server; code is an HTTP status, timeout or transport.",
                &["verb", "resource", "code"],
            ),
            api_request: register(
                r,
                known(HistogramVec::new(
                    histogram_opts(
                        "api_request_seconds",
                        "Duration of requests to the API server; of a watch: until it was open.",
                        API_REQUEST,
                    ),
                    &["verb", "resource"],
                )),
            ),
            watch_restarts: counters(
                r,
                "watch_restarts_total",
                "Watches that had to begin anew, by reason.",
                &["resource", "reason"],
            ),
            reconcile: histogram(
                r,
                "reconcile_seconds",
                "Duration of one decision, without requests.",
                RECONCILE,
            ),
            events_dropped: register(
                r,
                known(IntCounter::with_opts(opts(
                    "events_dropped_total",
                    "Kubernetes Events that could not be written.",
                ))),
            ),
            notifications: counters(
                r,
                "notifications_total",
                "Notifications, by where they go and what became of them.",
                &["sink", "result"],
            ),
            notifications_limited: register(
                r,
                known(IntCounter::with_opts(opts(
                    "notifications_limited_total",
                    "Notifications that were counted and not told, because there were too many in one interval.",
                ))),
            ),
            errors: counters(r, "errors_total", "Errors, by reason.", &["reason"]),
            leader: register(
                r,
                known(IntGauge::with_opts(opts(
                    "leader",
                    "1 on the replica that writes, else 0.",
                ))),
            ),
            registry,
        }
    }

    fn zero(&self, vocabulary: &Vocabulary<'_>) {
        let Vocabulary {
            workload_kinds,
            source_kinds,
            states,
            held_reasons,
            error_reasons,
            watched,
            requests,
        } = *vocabulary;
        for kind in workload_kinds {
            for state in states {
                let _ = self.workloads.with_label_values(&[kind, state]);
            }
            for result in RestartResult::ALL {
                let _ = self.restarts.with_label_values(&[*kind, result.word()]);
            }
        }
        for kind in source_kinds {
            let _ = self.sources.with_label_values(&[kind]);
            let _ = self.changes.with_label_values(&[kind]);
        }
        for result in InPlaceResult::ALL {
            let _ = self.in_place.with_label_values(&[result.word()]);
        }
        for result in AgentResult::ALL {
            let _ = self.agent_requests.with_label_values(&[result.word()]);
        }
        for sink in Sink::ALL {
            for result in NotificationResult::ALL {
                let _ = self.notifications.with_label_values(&[sink.word(), result.word()]);
            }
        }
        for reason in held_reasons {
            let _ = self.held.with_label_values(&[reason]);
        }
        for reason in error_reasons {
            let _ = self.errors.with_label_values(&[reason]);
        }
        for resource in watched {
            for reason in WatchRestart::ALL {
                let _ = self.watch_restarts.with_label_values(&[*resource, reason.word()]);
            }
        }
        for (verb, resource) in requests {
            verb.success().with_word(|code| {
                let _ = self.api_requests.with_label_values(&[verb.word(), resource, code]);
            });
            let _ = self.api_request.with_label_values(&[verb.word(), resource]);
        }
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("windlass")
}

fn histogram_opts(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts {
        common_opts: opts(name, help),
        buckets: buckets.to_vec(),
    }
}

fn int_gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(registry, known(IntGaugeVec::new(opts(name, help), labels)))
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, known(IntCounterVec::new(opts(name, help), labels)))
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    register(
        registry,
        known(Histogram::with_opts(histogram_opts(name, help, buckets))),
    )
}

fn known<T>(metric: prometheus::Result<T>) -> T {
    metric.expect("names, labels and buckets are valid constants")
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> C {
    known(registry.register(Box::new(metric.clone())));
    metric
}

/// A count as a gauge's value. Nobody has more objects than an `i64` holds.
fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
