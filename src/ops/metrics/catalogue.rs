//! Every metric of ours: one row each, from which it is registered and documented.

/// What a metric is.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // The types of https://prometheus.io/docs/concepts/metric_types/
pub enum Type {
    Counter,
    Gauge,
    Histogram(&'static [f64]),
}

impl Type {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Without the prefix.
    pub name: &'static str,
    /// What it is.
    pub kind: Type,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// One sentence, which is served with it.
    pub help: &'static str,
    /// What the reference says besides.
    pub more: &'static str,
}

/// What all names begin with.
pub const PREFIX: &str = "windlass";

const fn family(name: &'static str, kind: Type, labels: &'static [&'static str], help: &'static str) -> Family {
    Family {
        name,
        kind,
        labels,
        help,
        more: "",
    }
}

impl Family {
    const fn more(self, more: &'static str) -> Self {
        Self { more, ..self }
    }
}

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
    ($($name:ident = $family:expr;)*) => {
        $(pub(super) const $name: Family = $family;)*

        /// All of them, in the order of the reference.
        pub const ALL: &[Family] = &[$($name),*];
    };
}

catalogue! {
    WORKLOADS = family(
        "workloads",
        Type::Gauge,
        &["kind", "state"],
        "Workloads that are opted in, by kind and state.",
    );
    WORKLOADS_HELD = family(
        "workloads_held",
        Type::Gauge,
        &["reason"],
        "Workloads that are not current and wait, by reason.",
    );
    OLDEST_UNAPPLIED_CHANGE_AGE = family(
        "oldest_unapplied_change_age_seconds",
        Type::Gauge,
        &["reason"],
        "Age of the oldest change that some workload does not run yet, by the reason for which it waits; 0 when none does.",
    )
    .more("Those that are `Observed` do not count: nothing is done about them.");
    SOURCES = family("sources", Type::Gauge, &["kind"], "Sources known, by kind.");
    CHANGES = family(
        "changes_total",
        Type::Counter,
        &["kind"],
        "Changes of sources in keys that some workload uses.",
    );
    RESTARTS = family(
        "restarts_total",
        Type::Counter,
        &["kind", "result"],
        "Decisions to restart a workload, by what became of them.",
    );
    IN_PLACE_CHANGES = family(
        "in_place_changes_total",
        Type::Counter,
        &["result"],
        "Changes in place of a workload, by what became of them.",
    );
    AGENT_REQUESTS = family(
        "agent_requests_total",
        Type::Counter,
        &["result"],
        "Questions to the agents in pods, by how they ended.",
    );
    CHANGE_TO_PATCH = family(
        "change_to_patch_seconds",
        Type::Histogram(CHANGE_TO_PATCH_BUCKETS),
        &[],
        "From the event of a change to the accepted patch.",
    )
    .more("Includes `--settle` and the wait for a place, not what a policy or a hold put off.");
    CHANGE_TO_CURRENT = family(
        "change_to_current_seconds",
        Type::Histogram(CHANGE_TO_CURRENT_BUCKETS),
        &[],
        "From the event of a change until the last pod of a workload runs it.",
    );
    DECISION_DURATION = family(
        "decision_duration_seconds",
        Type::Histogram(DECISION_BUCKETS),
        &[],
        "Duration of one decision, without requests.",
    );
    WORKQUEUE_DEPTH = family(
        "workqueue_depth",
        Type::Gauge,
        &[],
        "Workloads that are due and wait for a worker, or are with one.",
    )
    .more("There are `--write-concurrency` workers.");
    API_REQUESTS = family(
        "api_requests_total",
        Type::Counter,
        &["verb", "resource", "code"],
        "Requests to the API server.",
    );
    API_REQUEST_DURATION = family(
        "api_request_duration_seconds",
        Type::Histogram(API_REQUEST_BUCKETS),
        &["verb", "resource"],
        "Duration of requests to the API server; of a watch: until it was open.",
    );
    WATCH_IDLE = family(
        "watch_idle_seconds",
        Type::Gauge,
        &["resource"],
        "For how long the most silent watch of the resource has brought nothing, not even a bookmark.",
    )
    .more("The API server sends a bookmark about once a minute. 0 for what is not watched.");
    WATCH_RESTARTS = family(
        "watch_restarts_total",
        Type::Counter,
        &["resource", "reason"],
        "Watches that had to begin anew, by reason.",
    );
    EVENTS_DROPPED = family(
        "events_dropped_total",
        Type::Counter,
        &[],
        "Kubernetes Events that could not be written.",
    )
    .more("What they told of was done all the same.");
    EVENTS_LIMITED = family(
        "events_limited_total",
        Type::Counter,
        &["limit"],
        "Kubernetes Events that were not written, because their workload or namespace had had too many.",
    )
    .more("The log has them all.");
    EVENTS_REPEATED = family(
        "events_repeated_total",
        Type::Counter,
        &[],
        "Kubernetes Events that count in the series of an earlier one that says the same of the same workload.",
    );
    EVENTS_WAITING = family(
        "events_waiting",
        Type::Gauge,
        &[],
        "Kubernetes Events that wait to be written or are being written.",
    );
    NOTIFICATIONS = family(
        "notifications_total",
        Type::Counter,
        &["sink", "result"],
        "Notifications, by where they go and what became of them.",
    )
    .more("One for each workload that a message tells of.");
    NOTIFICATIONS_LIMITED = family(
        "notifications_limited_total",
        Type::Counter,
        &[],
        "Notifications that were counted and not told, because there were too many in one interval.",
    );
    ERRORS = family("errors_total", Type::Counter, &["reason"], "Errors, by reason.");
    LEADER = family(
        "leader",
        Type::Gauge,
        &[],
        "1 on the replica that writes, once it may; else 0.",
    );
    BUILD_INFO = family(
        "build_info",
        Type::Gauge,
        &["version", "revision"],
        "The version and the revision that run; always 1.",
    );
}
