//! The labels and those of their values that are ours to choose: each set closed, each value one stable word.

use super::Vocabulary;

/// A label of a metric: its name and the set of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Kinds of workloads.
    WorkloadKind,
    /// Kinds of sources.
    SourceKind,
    /// States of workloads.
    State,
    /// Reasons to hold a workload.
    HeldReason,
    /// Reasons for which a workload may not be current.
    StaleReason,
    /// Reasons of errors.
    ErrorReason,
    /// Limits of Events.
    Limit,
    /// Receivers of notifications.
    Sink,
    /// Verbs of requests.
    Verb,
    /// Resources that are watched.
    Watched,
    /// Results of restarts.
    RestartResult,
    /// Results of changes in place.
    InPlaceResult,
    /// Results of questions to agents.
    AgentResult,
    /// Results of notifications.
    NotificationResult,
    /// Why watches began anew.
    WatchRestart,
    /// Resources of requests.
    Resource,
    /// How requests ended.
    Code,
    /// The version of the build.
    Version,
    /// The revision of the build.
    Revision,
}

impl Label {
    /// Those whose values the reference lists without a meaning for each, in its order.
    pub(super) const LISTED: [Self; 9] = [
        Self::WorkloadKind,
        Self::SourceKind,
        Self::State,
        Self::StaleReason,
        Self::ErrorReason,
        Self::Limit,
        Self::Sink,
        Self::Verb,
        Self::Watched,
    ];

    /// The name in a series.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WorkloadKind | Self::SourceKind => "kind",
            Self::State => "state",
            Self::HeldReason | Self::StaleReason | Self::ErrorReason | Self::WatchRestart => "reason",
            Self::Limit => "limit",
            Self::Sink => "sink",
            Self::Verb => "verb",
            Self::Watched | Self::Resource => "resource",
            Self::RestartResult | Self::InPlaceResult | Self::AgentResult | Self::NotificationResult => "result",
            Self::Code => "code",
            Self::Version => "version",
            Self::Revision => "revision",
        }
    }

    /// The values whose series begin at zero. None: of requests some combinations are, of which the vocabulary
    /// tells.
    pub(super) fn values(self, vocabulary: &Vocabulary<'_>) -> Vec<&'static str> {
        match self {
            Self::WorkloadKind => vocabulary.workload_kinds.into(),
            Self::SourceKind => vocabulary.source_kinds.into(),
            Self::State => vocabulary.states.into(),
            Self::HeldReason => vocabulary.held_reasons.into(),
            Self::StaleReason => vocabulary.stale_reasons.into(),
            Self::ErrorReason => vocabulary.error_reasons.into(),
            Self::Watched => vocabulary.watched.into(),
            Self::Limit => EventLimit::ALL.map(EventLimit::as_str).into(),
            Self::Sink => Sink::ALL.map(Sink::as_str).into(),
            Self::RestartResult => RestartResult::ALL.map(RestartResult::as_str).into(),
            Self::InPlaceResult => InPlaceResult::ALL.map(InPlaceResult::as_str).into(),
            Self::AgentResult => AgentResult::ALL.map(AgentResult::as_str).into(),
            Self::NotificationResult => NotificationResult::ALL.map(NotificationResult::as_str).into(),
            Self::WatchRestart => WatchRestart::ALL.map(WatchRestart::as_str).into(),
            Self::Verb | Self::Resource | Self::Code | Self::Version | Self::Revision => Vec::new(),
        }
    }
}

windlass_core::words! {
    /// What a request asks of the API server, in Kubernetes' words.
    ///
    /// They are the verbs of <https://kubernetes.io/docs/reference/access-authn-authz/authorization/>.
    pub enum Verb {
        Get = "get",
        List = "list",
        Watch = "watch",
        Create = "create",
        Patch = "patch",
        Update = "update",
        Delete = "delete",
    }
}

impl Verb {
    pub(super) fn success(self) -> ApiCode {
        match self {
            Self::Create => ApiCode::Status(201),
            Self::Get | Self::List | Self::Watch | Self::Patch | Self::Update | Self::Delete => ApiCode::Status(200),
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiCode {
    /// The API server answered with this HTTP status.
    Status(u16),
    /// No answer came in time.
    Timeout,
    /// The connection could not be made or broke.
    Transport,
}

impl ApiCode {
    pub(super) fn with_word<T>(self, use_word: impl FnOnce(&str) -> T) -> T {
        match self {
            // A proxy in between may answer with anything: unbounded numbers are no label.
            Self::Status(status @ 100..=599) => use_word(&status.to_string()),
            Self::Status(_) => use_word("invalid"),
            Self::Timeout => use_word("timeout"),
            Self::Transport => use_word("transport"),
        }
    }
}

windlass_core::words! {
    /// What became of the decision to restart a workload.
    pub enum RestartResult {
        Patched = "patched" => "a rollout started",
        Absorbed = "absorbed" => "another rollout counted for the change; nothing was written to the template",
        Observed = "observed" => "a restart was due, but `--observe-only` or the policy's `mode: Observe` forbids it",
        Conflict = "conflict" => "the workload had changed meanwhile (409); Windlass reads it and decides again",
        Gone = "gone" => "the workload was deleted, or replaced by another one of its name",
        Forbidden = "forbidden" => "a right is missing (401, 403)",
        Rejected = "rejected" => "the API server, admission or a quota rejected the patch (other 4xx)",
        Unavailable = "unavailable" => "overload, server error, timeout or broken connection; retried with growing pauses",
    }
}

windlass_core::words! {
    /// What became of a change in place.
    pub enum InPlaceResult {
        Verified = "verified" => "every agent proved the change",
        Propagated = "propagated" => "the kubelet had time to update the files, and applications were called where asked for; nothing proved the change",
        NotApplied = "not_applied" => "some pod did not apply the change in time",
    }
}

windlass_core::words! {
    /// How a question to an agent ended.
    pub enum AgentResult {
        Answered = "answered" => "the agent answered",
        Unreachable = "unreachable" => "no answer in time",
        Refused = "refused" => "the agent refused the token, or there were too many questions",
        Invalid = "invalid" => "the answer is not one of this agent",
    }
}

windlass_core::words! {
    /// Why a watch had to begin anew.
    pub enum WatchRestart {
        Expired = "expired" => "the server no longer has the version to continue from (410); listed again",
        Forbidden = "forbidden" => "no permission to list or watch",
        Unavailable = "unavailable" => "overload, server error, timeout, broken connection",
        Undecodable = "undecodable" => "an event could not be read; listed again",
        NoStreamingList = "no_streaming_list" => "the server has no streaming lists; paged lists are used instead",
        NotServed = "not_served" => "the resource is no longer served",
    }
}

windlass_core::words! {
    /// Where notifications go.
    pub enum Sink {
        /// A receiver of CloudEvents.
        CloudEvents = "cloudevents",
        /// An incoming webhook of Slack.
        Slack = "slack",
        /// A webhook of a Teams workflow.
        Teams = "teams",
    }
}

windlass_core::words! {
    /// What became of notifications.
    pub enum NotificationResult {
        Delivered = "delivered" => "the receiver accepted it",
        Refused = "refused" => "the receiver refused it (3xx, most of 4xx); not tried again",
        Failed = "failed" => "the receiver did not accept it in several tries",
        Dropped = "dropped" => "earlier notifications were still being sent",
    }
}

windlass_core::words! {
    /// Whose limit of Events was reached.
    pub enum EventLimit {
        /// The workload's.
        Object = "object",
        /// The namespace's.
        Namespace = "namespace",
    }
}
