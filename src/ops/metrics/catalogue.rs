//! Every metric of ours: one row each, from which it is registered and documented, and the typed methods that move
//! it.

use std::time::Duration;

use prometheus::{
    GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result,
};

use super::instrument::{Family, Instrument, family, register};
use super::label::{
    AgentResult, ApiCode, EventLimit, InPlaceResult, Label, NotificationResult, RestartResult, Sink, Verb, WatchRestart,
};
use super::{Metrics, Vocabulary};

/// From 1 ms, an idle API server's own time for a patch, to a minute, where something is wrong.
const CHANGE_TO_PATCH_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// A rollout takes seconds for one quick pod and up to an hour for a large slow one.
const CHANGE_TO_CURRENT_BUCKETS: &[f64] = &[
    0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0,
];
/// Up to the timeout of a request.
const API_REQUEST_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// A decision is a comparison of small values: anything in milliseconds is a defect to be seen.
const DECISION_BUCKETS: &[f64] = &[0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0];

macro_rules! catalogue {
    ($($field:ident: $type:ty = $family:expr;)*) => {
        /// All of them, registered.
        pub(super) struct Instruments {
            $($field: $type,)*
        }

        impl Instruments {
            /// Registers each, with zeros for the label values that are known.
            pub(super) fn register(registry: &Registry, vocabulary: &Vocabulary<'_>) -> Result<Self> {
                Ok(Self { $($field: register::<$type>(registry, &$family, vocabulary)?,)* })
            }
        }

        /// The type and the rest of each, in the order of the reference.
        pub const ALL: &[(&str, Family)] = &[$((<$type as Instrument>::TYPE, $family)),*];
    };
}

catalogue! {
    workloads: IntGaugeVec = family(
        "workloads",
        &[Label::WorkloadKind, Label::State],
        "Opted-in workloads, by kind and state.",
    );
    workloads_held: IntGaugeVec = family(
        "workloads_held",
        &[Label::HeldReason],
        "Workloads that wait for a change, by reason.",
    );
    oldest_unapplied_change_age: GaugeVec = family(
        "oldest_unapplied_change_age_seconds",
        &[Label::StaleReason],
        "Age of the oldest change that is not applied everywhere, by reason; 0 if there is none.",
    )
    .more("Excludes `Observed` workloads.");
    sources: IntGaugeVec = family("sources", &[Label::SourceKind], "Sources known, by kind.");
    changes: IntCounterVec = family(
        "changes_total",
        &[Label::SourceKind],
        "Source changes in keys that a workload uses.",
    );
    restarts: IntCounterVec = family(
        "restarts_total",
        &[Label::WorkloadKind, Label::RestartResult],
        "Decisions to restart a workload, by result.",
    );
    in_place_changes: IntCounterVec = family(
        "in_place_changes_total",
        &[Label::InPlaceResult],
        "Changes of a workload in place, by result.",
    );
    agent_requests: IntCounterVec = family(
        "agent_requests_total",
        &[Label::AgentResult],
        "Requests to the agents in pods, by result.",
    );
    change_to_patch: Histogram = family(
        "change_to_patch_seconds",
        &[],
        "Time from the watch event of a change to the accepted patch.",
    )
    .buckets(CHANGE_TO_PATCH_BUCKETS)
    .more("Includes `--settle` and the wait for a rollout slot, but no time for which a policy or a hold delayed the restart.");
    change_to_current: Histogram = family(
        "change_to_current_seconds",
        &[],
        "Time from the watch event of a change until the last pod of a workload runs it.",
    )
    .buckets(CHANGE_TO_CURRENT_BUCKETS);
    decision_duration: Histogram = family(
        "decision_duration_seconds",
        &[],
        "Duration of one decision, without requests.",
    )
    .buckets(DECISION_BUCKETS);
    workqueue_depth: IntGauge = family(
        "workqueue_depth",
        &[],
        "Workloads that wait for a worker or are being processed.",
    )
    .more("There are `--write-concurrency` workers.");
    api_requests: IntCounterVec = family(
        "api_requests_total",
        &[Label::Verb, Label::Resource, Label::Code],
        "Requests to the API server.",
    );
    api_request_duration: HistogramVec = family(
        "api_request_duration_seconds",
        &[Label::Verb, Label::Resource],
        "Duration of requests to the API server; for a watch, until the stream opens.",
    )
    .buckets(API_REQUEST_BUCKETS);
    watch_idle: GaugeVec = family(
        "watch_idle_seconds",
        &[Label::Watched],
        "Longest time without an event or bookmark among the watches of the resource.",
    )
    .more("The API server sends a bookmark about once a minute. 0 for resources without a watch.");
    watch_restarts: IntCounterVec = family(
        "watch_restarts_total",
        &[Label::Watched, Label::WatchRestart],
        "Watch restarts, by reason.",
    );
    events_dropped: IntCounter = family(
        "events_dropped_total",
        &[],
        "Kubernetes Events that could not be written.",
    )
    .more("The reported actions themselves were performed.");
    events_limited: IntCounterVec = family(
        "events_limited_total",
        &[Label::Limit],
        "Kubernetes Events not written because of the limit of their workload or namespace.",
    )
    .more("The log has all of them.");
    events_repeated: IntCounter = family(
        "events_repeated_total",
        &[],
        "Kubernetes Events added to the series of an identical earlier Event.",
    );
    events_waiting: IntGauge = family(
        "events_waiting",
        &[],
        "Kubernetes Events in the write queue.",
    );
    notifications: IntCounterVec = family(
        "notifications_total",
        &[Label::Sink, Label::NotificationResult],
        "Notifications, by receiver and result.",
    )
    .more("Counts each workload in a message.");
    notifications_limited: IntCounter = family(
        "notifications_limited_total",
        &[],
        "Notifications counted but not listed in a message because the interval had too many.",
    );
    errors: IntCounterVec = family("errors_total", &[Label::ErrorReason], "Errors, by reason.");
    leader: IntGauge = family(
        "leader",
        &[],
        "1 on the leader once it may write; otherwise 0.",
    );
    build_info: IntGaugeVec = family(
        "build_info",
        &[Label::Version, Label::Revision],
        "Version and revision of the running build; always 1.",
    );
}

impl Metrics {
    /// How many workloads of this kind are in this state.
    pub fn workloads(&self, kind: &'static str, state: &'static str, count: usize) {
        self.0.all.workloads.with_label_values(&[kind, state]).set(gauge(count));
    }

    /// How many sources of this kind are known.
    pub fn sources(&self, kind: &'static str, count: usize) {
        self.0.all.sources.with_label_values(&[kind]).set(gauge(count));
    }

    /// A source of this kind changed in a key that some workload consumes.
    pub fn change(&self, kind: &'static str) {
        self.0.all.changes.with_label_values(&[kind]).inc();
    }

    /// What became of the decision to restart a workload of this kind.
    pub fn restart(&self, kind: &'static str, result: RestartResult) {
        self.0.all.restarts.with_label_values(&[kind, result.as_str()]).inc();
    }

    /// What became of a change in place of one workload.
    pub fn in_place_change(&self, result: InPlaceResult) {
        self.0.all.in_place_changes.with_label_values(&[result.as_str()]).inc();
    }

    /// A question to an agent ended.
    pub fn agent_request(&self, result: AgentResult) {
        self.0.all.agent_requests.with_label_values(&[result.as_str()]).inc();
    }

    /// How many workloads are held for this reason.
    pub fn workloads_held(&self, reason: &'static str, count: usize) {
        self.0.all.workloads_held.with_label_values(&[reason]).set(gauge(count));
    }

    /// From the event of the change to the accepted patch.
    pub fn change_to_patch(&self, elapsed: Duration) {
        self.0.all.change_to_patch.observe(elapsed.as_secs_f64());
    }

    /// From the event of the change until the last pod runs it.
    pub fn change_to_current(&self, elapsed: Duration) {
        self.0.all.change_to_current.observe(elapsed.as_secs_f64());
    }

    /// Age of the oldest change that some workload does not run for this reason; zero when none waits for it.
    pub fn oldest_unapplied_change_age(&self, reason: &'static str, age: Duration) {
        let gauges = &self.0.all.oldest_unapplied_change_age;
        gauges.with_label_values(&[reason]).set(age.as_secs_f64());
    }

    /// How many workloads wait for a worker or are with one.
    pub fn workqueue_depth(&self, depth: usize) {
        self.0.all.workqueue_depth.set(gauge(depth));
    }

    /// A request to the API server ended.
    pub fn api_request(&self, verb: Verb, resource: &'static str, code: ApiCode, elapsed: Duration) {
        let all = &self.0.all;
        code.with_word(|code| {
            all.api_requests
                .with_label_values(&[verb.as_str(), resource, code])
                .inc();
        });
        all.api_request_duration
            .with_label_values(&[verb.as_str(), resource])
            .observe(elapsed.as_secs_f64());
    }

    /// For how long the most silent watch of the resource has brought nothing.
    pub fn watch_idle(&self, resource: &'static str, silence: Duration) {
        let gauges = &self.0.all.watch_idle;
        gauges.with_label_values(&[resource]).set(silence.as_secs_f64());
    }

    /// A watch had to begin anew.
    pub fn watch_restart(&self, resource: &'static str, reason: WatchRestart) {
        self.0
            .all
            .watch_restarts
            .with_label_values(&[resource, reason.as_str()])
            .inc();
    }

    /// One decision took this long, without the requests that follow from it.
    pub fn decision(&self, elapsed: Duration) {
        self.0.all.decision_duration.observe(elapsed.as_secs_f64());
    }

    /// An Event for people could not be written and is lost. The decision it told of stands.
    pub fn event_dropped(&self) {
        self.0.all.events_dropped.inc();
    }

    /// An Event happened again and counts in the series of the first one.
    pub fn event_repeated(&self) {
        self.0.all.events_repeated.inc();
    }

    /// An Event was not written because of a limit. The decision it told of stands.
    pub fn event_limited(&self, limit: EventLimit) {
        self.0.all.events_limited.with_label_values(&[limit.as_str()]).inc();
    }

    /// How many Events wait to be written or are being written.
    pub fn events_waiting(&self, count: usize) {
        self.0.all.events_waiting.set(gauge(count));
    }

    /// What became of this many notifications.
    pub fn notifications(&self, sink: Sink, result: NotificationResult, count: usize) {
        let labels = [sink.as_str(), result.as_str()];
        self.0.all.notifications.with_label_values(&labels).inc_by(count as u64);
    }

    /// A notification is counted in its message and not told by itself.
    pub fn notification_limited(&self) {
        self.0.all.notifications_limited.inc();
    }

    /// Something went wrong, for this reason.
    pub fn error(&self, reason: &'static str) {
        self.0.all.errors.with_label_values(&[reason]).inc();
    }

    /// Whether this replica is the one that writes.
    pub fn leader(&self, leads: bool) {
        self.0.all.leader.set(i64::from(leads));
    }

    /// What is known at the start: the build, and zeros of requests, of which not every combination is made.
    pub(super) fn begin(&self, vocabulary: &Vocabulary<'_>) {
        let all = &self.0.all;
        let build = [crate::ops::VERSION, crate::ops::REVISION];
        all.build_info.with_label_values(&build).set(1);
        for (verb, resource) in vocabulary.requests {
            verb.success().with_word(|code| {
                let _ = all.api_requests.with_label_values(&[verb.as_str(), resource, code]);
            });
            let _ = all.api_request_duration.with_label_values(&[verb.as_str(), resource]);
        }
    }
}

/// A count as a gauge's value. Nobody has more objects than an `i64` holds.
fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
