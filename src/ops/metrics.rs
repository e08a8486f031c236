//! The metrics: what exists, what it is called, and typed methods to move it.
//!
//! Every series whose labels are known is there from the start with the value 0, so that a rate or
//! an alert does not miss the first occurrence. The reference for people, `docs/metrics.md`, is made of it.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

pub mod catalogue;
mod label;
mod reference;
#[cfg(test)]
mod tests;

use self::catalogue::{Family, Type};

pub use self::label::{
    AgentResult, ApiCode, EventLimit, InPlaceResult, NotificationResult, RestartResult, Sink, Verb, WatchRestart,
};
pub use self::reference::{Values, reference};

/// The label values that the rest of the program uses, for the zeros at the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vocabulary<'a> {
    /// Kinds of workloads, such as `Deployment`.
    pub workload_kinds: &'a [&'static str],
    /// Kinds of sources, such as `ConfigMap`.
    pub source_kinds: &'a [&'static str],
    /// States that a workload can be in, such as `Current`.
    pub states: &'a [&'static str],
    /// Reasons to hold a workload, such as `RolledBack`.
    pub held_reasons: &'a [&'static str],
    /// Reasons for which a workload can be not current, such as `Rolling`.
    pub stale_reasons: &'a [&'static str],
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
    workloads_held: IntGaugeVec,
    change_to_patch: Histogram,
    change_to_current: Histogram,
    oldest_unapplied_change_age: GaugeVec,
    workqueue_depth: IntGauge,
    api_requests: IntCounterVec,
    api_request: HistogramVec,
    watch_idle: GaugeVec,
    watch_restarts: IntCounterVec,
    reconcile: Histogram,
    events_dropped: IntCounter,
    events_limited: IntCounterVec,
    events_repeated: IntCounter,
    events_waiting: IntGauge,
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
        let build_info = int_gauges(&registry, &catalogue::BUILD_INFO);
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
        self.0.restarts.with_label_values(&[kind, result.as_str()]).inc();
    }

    /// What became of a change in place of one workload.
    pub fn in_place_change(&self, result: InPlaceResult) {
        self.0.in_place.with_label_values(&[result.as_str()]).inc();
    }

    /// A question to an agent ended.
    pub fn agent_request(&self, result: AgentResult) {
        self.0.agent_requests.with_label_values(&[result.as_str()]).inc();
    }

    /// How many workloads are held for this reason.
    pub fn workloads_held(&self, reason: &'static str, count: usize) {
        self.0.workloads_held.with_label_values(&[reason]).set(gauge(count));
    }

    /// From the event of the change to the accepted patch.
    pub fn change_to_patch(&self, elapsed: Duration) {
        self.0.change_to_patch.observe(elapsed.as_secs_f64());
    }

    /// From the event of the change until the last pod runs it.
    pub fn change_to_current(&self, elapsed: Duration) {
        self.0.change_to_current.observe(elapsed.as_secs_f64());
    }

    /// Age of the oldest change that some workload does not run for this reason; zero when none waits for it.
    pub fn oldest_unapplied_change_age(&self, reason: &'static str, age: Duration) {
        let gauges = &self.0.oldest_unapplied_change_age;
        gauges.with_label_values(&[reason]).set(age.as_secs_f64());
    }

    /// How many workloads wait for a worker or are with one.
    pub fn workqueue_depth(&self, depth: usize) {
        self.0.workqueue_depth.set(gauge(depth));
    }

    /// A request to the API server ended.
    pub fn api_request(&self, verb: Verb, resource: &'static str, code: ApiCode, elapsed: Duration) {
        let inner = &self.0;
        code.with_word(|code| {
            inner
                .api_requests
                .with_label_values(&[verb.as_str(), resource, code])
                .inc();
        });
        inner
            .api_request
            .with_label_values(&[verb.as_str(), resource])
            .observe(elapsed.as_secs_f64());
    }

    /// For how long the most silent watch of the resource has brought nothing.
    pub fn watch_idle(&self, resource: &'static str, silence: Duration) {
        let gauges = &self.0.watch_idle;
        gauges.with_label_values(&[resource]).set(silence.as_secs_f64());
    }

    /// A watch had to begin anew.
    pub fn watch_restart(&self, resource: &'static str, reason: WatchRestart) {
        self.0
            .watch_restarts
            .with_label_values(&[resource, reason.as_str()])
            .inc();
    }

    /// One decision took this long, without the requests that follow from it.
    pub fn decision(&self, elapsed: Duration) {
        self.0.reconcile.observe(elapsed.as_secs_f64());
    }

    /// An Event for people could not be written and is lost. The decision it told of stands.
    pub fn event_dropped(&self) {
        self.0.events_dropped.inc();
    }

    /// An Event happened again and counts in the series of the first one.
    pub fn event_repeated(&self) {
        self.0.events_repeated.inc();
    }

    /// An Event was not written because of a limit. The decision it told of stands.
    pub fn event_limited(&self, limit: EventLimit) {
        self.0.events_limited.with_label_values(&[limit.as_str()]).inc();
    }

    /// How many Events wait to be written or are being written.
    pub fn events_waiting(&self, count: usize) {
        self.0.events_waiting.set(gauge(count));
    }

    /// What became of this many notifications.
    pub fn notifications(&self, sink: Sink, result: NotificationResult, count: usize) {
        let labels = [sink.as_str(), result.as_str()];
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
    fn new(registry: Registry) -> Self {
        let r = &registry;
        Self {
            workloads: int_gauges(r, &catalogue::WORKLOADS),
            sources: int_gauges(r, &catalogue::SOURCES),
            changes: counters(r, &catalogue::CHANGES),
            restarts: counters(r, &catalogue::RESTARTS),
            in_place: counters(r, &catalogue::IN_PLACE_CHANGES),
            agent_requests: counters(r, &catalogue::AGENT_REQUESTS),
            workloads_held: int_gauges(r, &catalogue::WORKLOADS_HELD),
            change_to_patch: histogram(r, &catalogue::CHANGE_TO_PATCH),
            change_to_current: histogram(r, &catalogue::CHANGE_TO_CURRENT),
            oldest_unapplied_change_age: gauges(r, &catalogue::OLDEST_UNAPPLIED_CHANGE_AGE),
            workqueue_depth: int_gauge(r, &catalogue::WORKQUEUE_DEPTH),
            api_requests: counters(r, &catalogue::API_REQUESTS),
            api_request: histograms(r, &catalogue::API_REQUEST_DURATION),
            watch_idle: gauges(r, &catalogue::WATCH_IDLE),
            watch_restarts: counters(r, &catalogue::WATCH_RESTARTS),
            reconcile: histogram(r, &catalogue::DECISION_DURATION),
            events_dropped: register(r, known(IntCounter::with_opts(opts(&catalogue::EVENTS_DROPPED)))),
            events_limited: counters(r, &catalogue::EVENTS_LIMITED),
            events_repeated: register(r, known(IntCounter::with_opts(opts(&catalogue::EVENTS_REPEATED)))),
            events_waiting: int_gauge(r, &catalogue::EVENTS_WAITING),
            notifications: counters(r, &catalogue::NOTIFICATIONS),
            notifications_limited: register(r, known(IntCounter::with_opts(opts(&catalogue::NOTIFICATIONS_LIMITED)))),
            errors: counters(r, &catalogue::ERRORS),
            leader: int_gauge(r, &catalogue::LEADER),
            registry,
        }
    }

    fn zero(&self, vocabulary: &Vocabulary<'_>) {
        let Vocabulary {
            workload_kinds,
            source_kinds,
            states,
            held_reasons,
            stale_reasons,
            error_reasons,
            watched,
            requests,
        } = *vocabulary;
        for kind in workload_kinds {
            for state in states {
                let _ = self.workloads.with_label_values(&[kind, state]);
            }
            for result in RestartResult::ALL {
                let _ = self.restarts.with_label_values(&[*kind, result.as_str()]);
            }
        }
        for kind in source_kinds {
            let _ = self.sources.with_label_values(&[kind]);
            let _ = self.changes.with_label_values(&[kind]);
        }
        for result in InPlaceResult::ALL {
            let _ = self.in_place.with_label_values(&[result.as_str()]);
        }
        for result in AgentResult::ALL {
            let _ = self.agent_requests.with_label_values(&[result.as_str()]);
        }
        for limit in EventLimit::ALL {
            let _ = self.events_limited.with_label_values(&[limit.as_str()]);
        }
        for sink in Sink::ALL {
            for result in NotificationResult::ALL {
                let _ = self.notifications.with_label_values(&[sink.as_str(), result.as_str()]);
            }
        }
        for reason in held_reasons {
            let _ = self.workloads_held.with_label_values(&[reason]);
        }
        for reason in stale_reasons {
            let _ = self.oldest_unapplied_change_age.with_label_values(&[reason]);
        }
        for reason in error_reasons {
            let _ = self.errors.with_label_values(&[reason]);
        }
        for resource in watched {
            let _ = self.watch_idle.with_label_values(&[resource]);
            for reason in WatchRestart::ALL {
                let _ = self.watch_restarts.with_label_values(&[*resource, reason.as_str()]);
            }
        }
        for (verb, resource) in requests {
            verb.success().with_word(|code| {
                let _ = self.api_requests.with_label_values(&[verb.as_str(), resource, code]);
            });
            let _ = self.api_request.with_label_values(&[verb.as_str(), resource]);
        }
    }
}

fn opts(family: &Family) -> Opts {
    Opts::new(family.name, family.help).namespace(catalogue::PREFIX)
}

fn histogram_opts(family: &Family) -> HistogramOpts {
    let buckets = match family.kind {
        Type::Histogram(buckets) => buckets.to_vec(),
        Type::Counter | Type::Gauge => Vec::new(),
    };
    HistogramOpts {
        common_opts: opts(family),
        buckets,
    }
}

fn int_gauge(registry: &Registry, family: &Family) -> IntGauge {
    register(registry, known(IntGauge::with_opts(opts(family))))
}

fn int_gauges(registry: &Registry, family: &Family) -> IntGaugeVec {
    register(registry, known(IntGaugeVec::new(opts(family), family.labels)))
}

fn gauges(registry: &Registry, family: &Family) -> GaugeVec {
    register(registry, known(GaugeVec::new(opts(family), family.labels)))
}

fn counters(registry: &Registry, family: &Family) -> IntCounterVec {
    register(registry, known(IntCounterVec::new(opts(family), family.labels)))
}

fn histogram(registry: &Registry, family: &Family) -> Histogram {
    register(registry, known(Histogram::with_opts(histogram_opts(family))))
}

fn histograms(registry: &Registry, family: &Family) -> HistogramVec {
    register(
        registry,
        known(HistogramVec::new(histogram_opts(family), family.labels)),
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
