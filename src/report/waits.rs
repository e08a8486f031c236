//! Which reasons mean that a workload is not current, and who ends that.

use windlass_core::reason::Reason;

/// Who or what ends a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It goes by itself.
    Time,
    /// It is tried again rarely.
    Trials,
    /// Whoever wanted it so.
    Wanted,
    /// Somebody has to do something.
    Person,
}

impl Resolution {
    /// All of them, for the reference.
    pub const ALL: [Self; 4] = [Self::Time, Self::Trials, Self::Wanted, Self::Person];

    /// For the reference.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Time => "time; the workload goes by itself",
            Self::Trials => "tried again rarely; somebody should look",
            Self::Wanted => "somebody who has said so",
            Self::Person => "a person",
        }
    }
}

/// Who ends it, of reasons for which a workload is not current and waits.
#[must_use]
pub fn resolution(reason: Reason) -> Option<Resolution> {
    Some(match reason {
        Reason::Budget
        | Reason::OutsideWindow
        | Reason::Frozen
        | Reason::MinInterval
        | Reason::EarlierWave
        | Reason::Flapping => Resolution::Time,
        Reason::ChangeRefused | Reason::OtherController | Reason::Reverted => Resolution::Trials,
        Reason::Suspended
        | Reason::Ignored
        | Reason::OnDelete
        | Reason::Partitioned
        | Reason::AwaitsPromotion
        | Reason::Paused => Resolution::Wanted,
        Reason::SourceMissing
        | Reason::SourceUnreadable
        | Reason::RolledBack
        | Reason::Unproven
        | Reason::Halted
        | Reason::PolicyMissing
        | Reason::PolicyInvalid
        | Reason::InvalidAnnotation
        | Reason::OtherInstallation
        | Reason::ImmutableReplaced => Resolution::Person,
        _ => return None,
    })
}

/// Reasons for which a workload is not current and waits for somebody or something.
#[must_use]
pub fn is_hold(reason: Reason) -> bool {
    resolution(reason).is_some()
}

/// Reasons for which a workload is not current yet, and nothing is said against it.
#[must_use]
pub fn is_in_progress(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Settling
            | Reason::SourcesChanged
            | Reason::Proving
            | Reason::Restarted
            | Reason::Resumed
            | Reason::Rolling
            | Reason::RollingLong
            | Reason::Absorbing
            | Reason::Propagating
    )
}

/// All reasons for which a workload can be not current.
#[must_use]
pub fn is_wait(reason: Reason) -> bool {
    let failed = matches!(
        reason,
        Reason::RolloutFailed | Reason::NotApplied | Reason::Forbidden | Reason::Rejected
    );
    is_hold(reason) || is_in_progress(reason) || failed || reason == Reason::PausePeriod
}
