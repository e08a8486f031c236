//! One Event on a workload: what was done and why, for `kubectl describe`.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use jiff::Timestamp;

use crate::reason::{EventClass, Reason};
use crate::types::name::{Uid, WorkloadRef};

/// The API server refuses longer notes.
pub const NOTE_BYTES: usize = 1024;

/// How the Event is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// For the record.
    Normal,
    /// Somebody should look.
    Warning,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadEvent {
    pub workload: WorkloadRef,
    pub uid: Uid,
    /// For the record or for somebody to look.
    pub severity: Severity,
    /// The word.
    pub reason: Reason,
    /// The sentence. Names only, never content.
    pub note: String,
    /// When it happened.
    pub at: Timestamp,
}

impl WorkloadEvent {
    /// Whether somebody waits for it: a Warning, a restart, the answer to a person.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.severity == Severity::Warning || self.reason.meaning().event == EventClass::Urgent
    }

    /// The same for Events that say the same of the same object.
    #[must_use]
    pub fn series(&self) -> SeriesKey {
        SeriesKey(hash((&self.uid, self.reason.as_str(), &self.note)))
    }

    /// The same for Events of the same object.
    #[must_use]
    pub fn object(&self) -> ObjectKey {
        ObjectKey(hash(&self.uid))
    }
}

/// What the Events of one series have in common.
///
/// A hash, because thousands are remembered: two series that have the same would be counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey(u64);

/// What the Events of one object have in common: a hash too. Two objects that have the same would share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(u64);

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
