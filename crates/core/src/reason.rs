//! One word and one sentence for everything that can be said of a workload.
//!
//! The same words stand in logs, Events, conditions, metric labels and on the command line, so that
//! a person can carry what one of them says to any other.

/// Where a workload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Every pod runs the present content.
    Current,
    /// A change came a moment ago; more may follow.
    Settling,
    /// A rollout is due and waits for its time.
    Pending,
    /// Pods are being replaced.
    Rolling,
    /// The kubelet is writing files of running pods.
    Propagating,
    /// Not current, and nothing will be done without somebody's help.
    Held,
    /// What was done did not work.
    Failed,
    /// Decided and reported, nothing written.
    Observed,
}

/// All states, for metrics that start at zero.
pub const STATES: &[State] = &[
    State::Current,
    State::Settling,
    State::Pending,
    State::Rolling,
    State::Propagating,
    State::Held,
    State::Failed,
    State::Observed,
];

impl State {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "Current",
            Self::Settling => "Settling",
            Self::Pending => "Pending",
            Self::Rolling => "Rolling",
            Self::Propagating => "Propagating",
            Self::Held => "Held",
            Self::Failed => "Failed",
            Self::Observed => "Observed",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $sentence:literal,)*) => {
        /// Why a workload stands where it stands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        /// All reasons, for metrics that start at zero and for the reference.
        pub const REASONS: &[Reason] = &[$(Reason::$name),*];

        impl Reason {
            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The sentence.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

reasons! {
    /// First sight.
    Adopted: "first seen; what it uses now is its baseline and nothing was restarted",
    /// Our annotation was gone.
    BaselineRestored: "its baseline had been removed and was put back",
    /// A source or key began or ceased to count.
    SourcesChanged: "it uses other sources or keys than before; they are taken as they are",
    /// Somebody else's rollout did our work.
    CoveredByRollout: "a rollout by somebody else brought the new content to every pod",
    /// No pod to restart.
    NothingRuns: "no pod runs; the next ones start with the present content",
    /// Held before, proven now.
    PodsUpToDate: "every pod was started after the last change",
    /// Content is as the baseline says.
    Unchanged: "every pod runs the present content",
    /// There and back, and nobody saw it.
    ChangeReverted: "its content changed and changed back, and no pod was started in between",
    /// The main case.
    Restarted: "restarted to run new content",
    /// After the main case, until the last pod is replaced.
    Rolling: "its pods are being replaced",
    /// Longer than anybody may keep others waiting.
    RollingLong: "its pods are being replaced for longer than it may keep other policies' workloads waiting",
    /// Content is as before, but a pod was started in between.
    StartedMeanwhile: "content changed and changed back, and a pod was started in between",
    /// Waiting for more changes.
    Settling: "waiting for further changes before the restart",
    /// Waiting for somebody else's rollout.
    Absorbing: "a rollout that began after the change is under way",
    /// Not in the way of anybody's decision, only not known yet.
    Proving: "reading pods and revisions to decide",
    /// A pod could not start.
    SourceMissing: "a required source or key is missing, so restarted pods could not start",
    /// Somebody undid our rollout.
    RolledBack: "the rollout for this content was undone while pods were still waiting for it",
    /// Nothing to compare with.
    Unproven: "nothing tells whether its pods run the present content",
    /// Pods of a `CronJob` come and go by themselves.
    DeferredToNextRun: "its next run reads the present content; no Job is started or stopped",
    /// As Reloader's pause-period asks.
    PausePeriod: "it stays paused for its pause-period, in which further changes are gathered",
    /// The pause-period is over.
    Resumed: "its pause-period is over and it was resumed",
    /// `updateStrategy: OnDelete`.
    OnDelete: "its pods keep the old content until they are deleted (updateStrategy OnDelete)",
    /// A partition.
    Partitioned: "pods below its partition keep the old content until the partition is lowered",
    /// A canary that waits.
    AwaitsPromotion: "its rollout is paused at a step and waits to be promoted",
    /// Its owner puts the template back.
    Reverted: "its owner took the restart back twice, so it is left alone",
    /// Reloader or Wave still runs.
    OtherController: "another controller that restarts workloads is at work on it",
    /// A Secret cannot be read.
    SourceUnreadable: "a source that it uses cannot be read",
    /// A source of another namespace.
    NotShared: "a source of another namespace does not exist or does not allow this namespace, and does not count",
    /// No slot is free.
    Budget: "as many workloads roll at a time as may; it waits for its turn",
    /// The flap breaker.
    Flapping: "it was restarted too often in a short while; the next restart is put off",
    /// Only keys that are to be in place changed.
    Propagating: "the kubelet writes the new content into the files of its running pods",
    /// The agents say so.
    Verified: "every pod has the new files, and its application was told",
    /// The agents do not say so in time.
    NotApplied: "pods did not take the new content in place in time",
    /// `immutable: true`, deleted and created again.
    ImmutableReplaced: "an immutable source was replaced by one of its name, and a kubelet may go on serving the old one even to new pods",
    /// And the time for that is over.
    Propagated: "the files were left to the kubelet, and nobody verified them",
    /// A rule that cannot be followed.
    NotInPlace: "keys that are to be in place are read through a channel that never updates, and restart",
    /// No such policy.
    PolicyMissing: "the policy that it names does not exist, and nothing looser takes its place",
    /// A policy that makes no sense.
    PolicyInvalid: "its policy cannot be followed, and nothing looser takes its place",
    /// `suspend: true`.
    Suspended: "its policy is suspended",
    /// A freeze.
    Frozen: "rollouts are frozen",
    /// No window.
    OutsideWindow: "no rollout may begin outside the windows of its policy",
    /// `minInterval`.
    MinInterval: "its last restart was a short while ago",
    /// `haltOnFailure`.
    Halted: "another workload failed with the same change",
    /// `waves`.
    EarlierWave: "workloads of an earlier wave are not done",
    /// The dry run of others was refused.
    ChangeRefused: "the API server refused this change for others that were tried first",
    /// A person said so.
    Skipped: "the present content is taken for what its pods run, as a person asked",
    /// A manual override was pulled.
    OverrideHandled: "a person asked",
    /// The Deployment is paused.
    Paused: "it is paused, so a changed template would not roll",
    /// Its strategy says so.
    Ignored: "its strategy is Ignore",
    /// An annotation cannot be used.
    InvalidAnnotation: "an annotation has a value that cannot be used",
    /// Somebody else's.
    OtherInstallation: "another Windlass installation manages it",
    /// RBAC.
    Forbidden: "the API server does not allow the write",
    /// Admission, validation, quota.
    Rejected: "the API server refused the write",
    /// The kind's controller gave up.
    RolloutFailed: "the rollout did not complete",
}
