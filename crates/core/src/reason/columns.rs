//! What the columns of the table of reasons can say.

crate::words! {
    /// Who or what ends a hold.
    pub enum Resolution {
        /// Rollouts of other workloads end, and the workload's turn comes.
        Turn = "Turn" => "rollouts of other workloads; the workload goes by itself",
        /// A time comes.
        Time = "Time" => "time; the workload goes by itself",
        /// Windlass tries again rarely, and often in vain.
        Retry = "Retry" => "a rare retry; examine the workload",
        /// Its owner wants the hold.
        Owner = "Owner" => "the owner, who asked for it",
        /// A person has to correct something.
        Person = "Person" => "a person",
    }
}

/// What a held workload blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// The next wave waits for the workload. If it failed, others with the same change stay halted.
    Everything,
    /// The next wave goes: nothing rolls and nothing will, for a reason that a wave cannot wait for. A failure of the
    /// workload still halts others.
    Halts,
    /// The workload is not ours to roll.
    Nothing,
}

/// How far a workload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Current, and nothing is left to do.
    Done,
    /// Not current yet; nothing is in the way.
    InProgress,
    /// Not current; waits for somebody or something.
    Held(Resolution, Blocks),
    /// The last action did not work.
    Failed,
    /// Never a status: only the reason of an Event, or of a restart, whose status is `Restarted`.
    Remark,
}

/// The Kubernetes Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventClass {
    /// None: a step whose end has an Event. A rollout has Events of its own controller besides.
    Silent,
    /// For the record.
    Normal,
    /// A person waits for it: written soon, and dropped last.
    Urgent,
    /// A person should look: written soon, and dropped last.
    Warning,
}

crate::words! {
    /// What people are notified of, the most urgent first.
    pub enum NoticeKind {
        /// What was done did not work.
        Failed = "Failed",
        /// It waits, because another workload failed with the same change.
        Halted = "Halted",
        /// It is not current, and nothing will be done without somebody's help.
        Held = "Held",
        /// Trouble that was told is over.
        Recovered = "Recovered",
        /// It was restarted to run new content.
        Restarted = "Restarted",
    }
}

/// Whether people are notified of a workload that is held or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// No: nothing is wrong.
    Nobody,
    As(NoticeKind),
}
