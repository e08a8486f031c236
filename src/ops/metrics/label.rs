//! The label values that are ours to choose: each set closed, each value one stable word.

/// What a request asks of the API server, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The verbs of https://kubernetes.io/docs/reference/access-authn-authz/authorization/
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Patch,
    Update,
    Delete,
}

impl Verb {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

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

/// What became of the decision to restart a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartResult {
    /// The patch was accepted: a rollout begins.
    Patched,
    /// Somebody else's rollout came after the change and counts for it.
    Absorbed,
    /// Nothing was written because the controller only observes.
    Observed,
    /// The workload had changed meanwhile (409): read and decided again.
    Conflict,
    /// The workload was deleted, or another one of that name took its place (404, or 422 on its uid).
    Gone,
    /// A right is missing (401, 403).
    Forbidden,
    /// The API server, admission or a quota refused the patch (other 4xx).
    Rejected,
    /// No usable answer: 5xx, 429, timeout, broken connection.
    Unavailable,
}

impl RestartResult {
    pub(super) const ALL: [Self; 8] = [
        Self::Patched,
        Self::Absorbed,
        Self::Observed,
        Self::Conflict,
        Self::Gone,
        Self::Forbidden,
        Self::Rejected,
        Self::Unavailable,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Patched => "patched",
            Self::Absorbed => "absorbed",
            Self::Observed => "observed",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Forbidden => "forbidden",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
        }
    }

    /// For the reference.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Patched => "a rollout has begun",
            Self::Absorbed => "somebody else's rollout counted for the change: nothing was written to the template",
            Self::Observed => {
                "it would have been restarted, but `--observe-only` is set, or its policy has `mode: Observe`"
            }
            Self::Conflict => "the workload had changed meanwhile: read and decided again",
            Self::Gone => "the workload was deleted, or another one of that name took its place",
            Self::Forbidden => "a right is missing",
            Self::Rejected => "the API server, admission or a quota refused the patch",
            Self::Unavailable => "overload, server error, timeout, broken connection: tried again, later each time",
        }
    }
}

/// What became of a change in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InPlaceResult {
    /// Every agent proved it.
    Verified,
    /// It was left to the kubelet and, where asked for, the applications were called; nobody proved it.
    Propagated,
    /// Some pod did not take it in time.
    NotApplied,
}

impl InPlaceResult {
    pub(super) const ALL: [Self; 3] = [Self::Verified, Self::Propagated, Self::NotApplied];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Propagated => "propagated",
            Self::NotApplied => "not_applied",
        }
    }

    /// For the reference.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Verified => "every agent proved it",
            Self::Propagated => {
                "it was left to the kubelet and, where asked for, the applications were called; nobody proved it"
            }
            Self::NotApplied => "some pod did not take it in time",
        }
    }
}

/// How a question to an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentResult {
    /// With an answer of its own.
    Answered,
    /// Nobody answered in time.
    Unreachable,
    /// It did not want to answer.
    Refused,
    /// The answer cannot be an agent's, or not this one's.
    Invalid,
}

impl AgentResult {
    pub(super) const ALL: [Self; 4] = [Self::Answered, Self::Unreachable, Self::Refused, Self::Invalid];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
        }
    }

    /// For the reference.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Answered => "with an answer of its own",
            Self::Unreachable => "nobody answered in time",
            Self::Refused => "another token, none, or asked too often",
            Self::Invalid => "no answer of that agent's",
        }
    }
}

/// Why a watch had to begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchRestart {
    /// The server no longer has the version to go on from (410).
    Expired,
    /// The right to list or watch is missing.
    Forbidden,
    /// Overload, server error, timeout, broken connection.
    Unavailable,
    /// An event could not be read: only a new list restores the truth.
    Undecodable,
    /// The server has no streaming lists: on with paged ones.
    NoStreamingList,
    /// The server knows no such kind: the watch ends.
    NotServed,
}

impl WatchRestart {
    pub(super) const ALL: [Self; 6] = [
        Self::Expired,
        Self::Forbidden,
        Self::Unavailable,
        Self::Undecodable,
        Self::NoStreamingList,
        Self::NotServed,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Forbidden => "forbidden",
            Self::Unavailable => "unavailable",
            Self::Undecodable => "undecodable",
            Self::NoStreamingList => "no_streaming_list",
            Self::NotServed => "not_served",
        }
    }

    /// For the reference.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Expired => "the server no longer has the version to go on from (410): listed again",
            Self::Forbidden => "the right to list or watch is missing",
            Self::Unavailable => "overload, server error, timeout, broken connection",
            Self::Undecodable => "an event could not be read: listed again",
            Self::NoStreamingList => "the server has no streaming lists: on with paged ones",
            Self::NotServed => "the kind is gone",
        }
    }
}

/// Where notifications go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// A receiver of CloudEvents.
    CloudEvents,
    /// An incoming webhook of Slack.
    Slack,
    /// A webhook of a Teams workflow.
    Teams,
}

impl Sink {
    pub(super) const ALL: [Self; 3] = [Self::CloudEvents, Self::Slack, Self::Teams];

    /// The word, for logs as well.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudEvents => "cloudevents",
            Self::Slack => "slack",
            Self::Teams => "teams",
        }
    }
}

/// What became of notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationResult {
    /// The receiver has them.
    Delivered,
    /// It does not want them, and would not later (3xx, most of 4xx).
    Refused,
    /// It did not take them in several tries.
    Failed,
    /// Earlier ones were still being sent.
    Dropped,
}

impl NotificationResult {
    pub(super) const ALL: [Self; 4] = [Self::Delivered, Self::Refused, Self::Failed, Self::Dropped];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }

    /// For the reference.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Delivered => "the receiver has it",
            Self::Refused => "the receiver does not want it; not tried again",
            Self::Failed => "the receiver did not take it in several tries",
            Self::Dropped => "earlier ones were still being sent",
        }
    }
}

/// Whose limit of Events was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventLimit {
    /// The workload's.
    Object,
    /// The namespace's.
    Namespace,
}

impl EventLimit {
    pub(super) const ALL: [Self; 2] = [Self::Object, Self::Namespace];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Namespace => "namespace",
        }
    }
}
