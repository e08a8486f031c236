//! One word and one sentence for everything that can be said of a workload, and what each reason means.
//!
//! The same words are in logs, Events, conditions, metric labels and on the command line, so that
//! a person can search for the word everywhere. A new reason is one row of [`Reason`]'s table: the compiler asks for
//! each column, and no other code lists reasons by what they mean.

mod columns;
#[cfg(test)]
mod tests;

pub use self::columns::{Blocks, EventClass, NoticeKind, Notify, Phase, Resolution};

crate::words! {
    /// The state of a workload.
    pub enum State {
        /// Every pod runs the present content.
        Current = "Current",
        /// A change came a moment ago; more may follow.
        Settling = "Settling",
        /// A rollout is due and waits for its time.
        Pending = "Pending",
        /// Pods are being replaced.
        Rolling = "Rolling",
        /// The kubelet is writing files of running pods.
        Propagating = "Propagating",
        /// Not current, and nothing will be done without somebody's help.
        Held = "Held",
        /// What was done did not work.
        Failed = "Failed",
        /// Decided and reported, nothing written.
        Observed = "Observed",
    }
}

/// The meaning of a reason: its row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// How far a workload with this reason is; while it is held, who ends that and what it blocks.
    pub phase: Phase,
    /// How its Event is shown.
    pub event: EventClass,
    /// Whether people are notified while the workload is held or failed.
    pub notify: Notify,
    /// What logs, Events and notifications say: lower case, without a full stop, at most 25 words.
    pub sentence: &'static str,
}

macro_rules! reasons {
    (@phase Held($by:ident, $blocks:ident)) => { Phase::Held(Resolution::$by, Blocks::$blocks) };
    (@phase $phase:ident) => { Phase::$phase };
    (@notify As($kind:ident)) => { Notify::As(NoticeKind::$kind) };
    (@notify $notify:ident) => { Notify::$notify };
    ($(
        $(#[$doc:meta])*
        $name:ident: $phase:ident $(($by:ident, $blocks:ident))?, $event:ident, $notify:ident $(($kind:ident))?,
            $sentence:literal;
    )*) => {
        /// Why a workload is in its state.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// All reasons, for metrics that start at zero and for the reference.
            pub const ALL: [Self; [$($sentence),*].len()] = [$(Self::$name),*];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Its row.
            #[must_use]
            pub const fn meaning(self) -> Meaning {
                match self {
                    $(Self::$name => Meaning {
                        phase: reasons!(@phase $phase $(($by, $blocks))?),
                        event: EventClass::$event,
                        notify: reasons!(@notify $notify $(($kind))?),
                        sentence: $sentence,
                    },)*
                }
            }
        }
    };
}

// Reason: phase (held: who ends that, what it blocks), Event, notification, sentence.
reasons! {
    /// First sight.
    Adopted: Done, Normal, Nobody,
        "first seen; the sources in use are now the baseline, and nothing was restarted";
    /// Our annotation was gone.
    BaselineRestored: Done, Normal, Nobody,
        "the baseline was removed and has been restored";
    /// A source or key began or ceased to count.
    SourcesChanged: InProgress, Normal, Nobody,
        "the workload uses other sources or keys now; their content was recorded without a restart";
    /// Somebody else's rollout did our work.
    CoveredByRollout: Done, Normal, Nobody,
        "another rollout already brought the new content to every pod";
    /// No pod to restart.
    NothingRuns: Done, Normal, Nobody,
        "no pod runs; new pods start with the present content";
    /// Held before, proven now.
    PodsUpToDate: Done, Normal, Nobody,
        "every pod started after the last change";
    /// Content is as the baseline says.
    Unchanged: Done, Silent, Nobody,
        "every pod runs the present content";
    /// There and back, and nobody saw it.
    ChangeReverted: Done, Normal, Nobody,
        "the content changed and changed back; no pod started in between";
    /// The main case.
    Restarted: InProgress, Urgent, Nobody,
        "restarted to run new content";
    /// After the main case, until the last pod is replaced.
    Rolling: InProgress, Silent, Nobody,
        "pods are being replaced";
    /// Longer than anybody may keep others waiting.
    RollingLong: InProgress, Silent, Nobody,
        "the rollout takes so long that its slot was given to workloads of other policies";
    /// Content is as before, but a pod was started in between.
    StartedMeanwhile: Remark, Normal, Nobody,
        "the content changed and changed back, but a pod started in between";
    /// Waiting for more changes.
    Settling: InProgress, Silent, Nobody,
        "waiting for further changes before the restart";
    /// Waiting for somebody else's rollout.
    Absorbing: InProgress, Silent, Nobody,
        "another rollout, which began after the change, is in progress";
    /// Not in the way of anybody's decision, only not known yet.
    Proving: InProgress, Silent, Nobody,
        "reading pods and revisions to decide";
    /// A pod could not start.
    SourceMissing: Held(Person, Everything), Warning, As(Held),
        "a required source or key is missing, so restarted pods could not start";
    /// Somebody undid our rollout.
    RolledBack: Held(Person, Everything), Warning, As(Held),
        "the rollout of this content was undone before every pod had it";
    /// Nothing to compare with.
    Unproven: Held(Person, Everything), Warning, As(Held),
        "cannot prove that the pods run the present content";
    /// Pods of a `CronJob` come and go by themselves.
    DeferredToNextRun: Done, Normal, Nobody,
        "the next run uses the present content; no Job is started or stopped";
    /// As Reloader's pause-period asks.
    PausePeriod: Held(Time, Everything), Normal, Nobody,
        "paused for its pause-period, which collects further changes";
    /// The pause-period is over.
    Resumed: InProgress, Normal, Nobody,
        "the pause-period is over, and the workload was resumed";
    /// `updateStrategy: OnDelete`.
    OnDelete: Held(Owner, Halts), Normal, As(Held),
        "pods keep the old content until they are deleted (updateStrategy OnDelete)";
    Partitioned: Held(Owner, Halts), Normal, As(Held),
        "pods below the partition keep the old content until the partition is lowered";
    /// A canary that waits.
    AwaitsPromotion: Held(Owner, Everything), Normal, As(Held),
        "the rollout is paused at a step and waits for promotion";
    /// Its owner puts the template back.
    Reverted: Held(Retry, Everything), Warning, As(Held),
        "the owner of the workload reverted the restart twice; Windlass leaves the workload alone";
    /// Reloader or Wave still runs.
    OtherController: Held(Retry, Everything), Warning, As(Held),
        "another controller also restarts this workload";
    /// A Secret cannot be read.
    SourceUnreadable: Held(Person, Everything), Warning, As(Held),
        "a source of this workload cannot be read";
    /// A source of another namespace.
    NotShared: Remark, Warning, Nobody,
        "a source of another namespace is ignored: it does not exist or does not allow this namespace";
    /// No slot is free.
    Budget: Held(Turn, Everything), Normal, As(Held),
        "waiting for a rollout slot, because the parallelism limit is reached";
    /// The flap breaker.
    Flapping: Held(Time, Everything), Warning, As(Held),
        "restarted too often in a short time; the next restart is delayed";
    /// Only keys that are to be in place changed.
    Propagating: InProgress, Normal, Nobody,
        "the kubelet is updating files of the running pods";
    /// The agents say so.
    Verified: Done, Normal, Nobody,
        "every pod has the new files, and its application was notified";
    /// The agents do not say so in time.
    NotApplied: Failed, Warning, As(Failed),
        "pods did not apply the new content in place in time";
    /// `immutable: true`, deleted and created again.
    ImmutableReplaced: Held(Person, Everything), Warning, As(Held),
        "an immutable source was replaced; a kubelet may serve the old content, even to new pods";
    /// And the time for that is over.
    Propagated: Done, Silent, Nobody,
        "the kubelet had time to update the files; nothing verified them";
    /// A rule that cannot be followed.
    NotInPlace: Remark, Warning, Nobody,
        "keys with strategy InPlace are used in a way that never updates, so they restart";
    /// No such policy.
    PolicyMissing: Held(Person, Everything), Warning, As(Held),
        "the named policy does not exist, and no looser policy applies instead";
    /// A policy that makes no sense.
    PolicyInvalid: Held(Person, Everything), Warning, As(Held),
        "the policy is invalid, and no looser policy applies instead";
    /// `suspend: true`.
    Suspended: Held(Owner, Everything), Normal, As(Held),
        "the policy is suspended";
    /// A freeze.
    Frozen: Held(Time, Everything), Normal, As(Held),
        "rollouts are frozen";
    OutsideWindow: Held(Time, Everything), Normal, As(Held),
        "the policy allows no rollout outside its windows";
    /// `minInterval`.
    MinInterval: Held(Time, Everything), Normal, As(Held),
        "the last restart was too recent";
    /// `haltOnFailure`.
    Halted: Held(Person, Everything), Warning, As(Halted),
        "another workload failed with the same change";
    /// `waves`.
    EarlierWave: Held(Turn, Everything), Normal, As(Held),
        "waiting for workloads of an earlier wave";
    /// The dry run of others was refused.
    ChangeRefused: Held(Retry, Everything), Silent, As(Held),
        "the API server refused this change for other workloads that were tried first";
    /// A person said so.
    Skipped: Done, Normal, Nobody,
        "a person asked to skip this change; the present content is the new baseline";
    /// A manual override was pulled.
    OverrideHandled: Remark, Urgent, Nobody,
        "a person asked";
    /// The Deployment is paused.
    Paused: Held(Owner, Halts), Normal, As(Held),
        "paused, so a changed template would not roll";
    /// Its strategy says so.
    Ignored: Held(Owner, Nothing), Normal, Nobody,
        "the strategy is Ignore";
    /// An annotation cannot be used.
    InvalidAnnotation: Held(Person, Everything), Warning, As(Held),
        "an annotation has an invalid value";
    /// Somebody else's.
    OtherInstallation: Held(Person, Nothing), Warning, As(Held),
        "another Windlass installation manages this workload";
    /// RBAC.
    Forbidden: Failed, Warning, As(Failed),
        "the API server does not allow the write";
    /// Admission, validation, quota.
    Rejected: Failed, Warning, As(Failed),
        "the API server refused the write";
    /// The kind's controller gave up.
    RolloutFailed: Failed, Warning, As(Failed),
        "the rollout did not complete";
}

impl Reason {
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        self.meaning().sentence
    }

    /// Who or what ends the hold. `None`: no hold.
    #[must_use]
    pub const fn resolution(self) -> Option<Resolution> {
        match self.meaning().phase {
            Phase::Held(resolution, _) => Some(resolution),
            Phase::Done | Phase::InProgress | Phase::Failed | Phase::Remark => None,
        }
    }

    /// What a workload that is held for this reason blocks.
    #[must_use]
    pub const fn blocks(self) -> Blocks {
        match self.meaning().phase {
            Phase::Held(_, blocks) => blocks,
            Phase::Done | Phase::InProgress | Phase::Failed | Phase::Remark => Blocks::Everything,
        }
    }

    /// Whether a workload is not current and waits for somebody or something.
    #[must_use]
    pub const fn is_hold(self) -> bool {
        self.resolution().is_some()
    }

    /// Whether a workload is not current yet, and nothing is in the way.
    #[must_use]
    pub const fn is_in_progress(self) -> bool {
        matches!(self.meaning().phase, Phase::InProgress)
    }

    /// Whether a workload with this reason may not be current.
    #[must_use]
    pub const fn is_wait(self) -> bool {
        match self.meaning().phase {
            Phase::InProgress | Phase::Held(..) | Phase::Failed => true,
            Phase::Done | Phase::Remark => false,
        }
    }
}
