//! What was last said of a workload: an Event is emitted only for news.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use windlass_core::reason::{Reason, State};
use windlass_core::types::time::Moment;

use super::WorkloadEntry;

/// What was last said of a workload.
#[derive(Default)]
pub(super) struct LastReport {
    status: Option<(State, Reason)>,
    /// The reason and the text of the last Event.
    event: Option<Reason>,
    event_text: u64,
    /// What was last said of its annotations besides.
    warnings: u64,
    /// Since when it is not current.
    stale_since: Option<Moment>,
    /// Few have it: a restart that was only reported.
    restart: Option<Box<ReportedRestart>>,
}

struct ReportedRestart {
    /// The workload's revision then, if it has one.
    revision: Option<u64>,
}

impl LastReport {
    /// What was only reported is due now.
    pub(super) fn forget_restart(&mut self) {
        self.restart = None;
    }
}

impl WorkloadEntry {
    /// State and reason of the last decision.
    #[must_use]
    pub fn status(&self) -> Option<(State, Reason)> {
        self.reported.status
    }

    /// Gives the status before.
    pub(crate) fn set_status(&mut self, status: (State, Reason)) -> Option<(State, Reason)> {
        self.reported.status.replace(status)
    }

    pub fn note_reported_restart(&mut self) {
        let revision = self.workload.rollout_status.revision;
        self.reported.restart = Some(Box::new(ReportedRestart { revision }));
    }

    /// Whether a restart of it was only reported, and nobody rolled it since.
    #[must_use]
    pub fn has_reported_restart(&self) -> bool {
        let restart = self.reported.restart.as_ref();
        restart.is_some_and(|restart| restart.revision == self.workload.rollout_status.revision)
    }

    /// It is not current, from then on if it was until now.
    pub fn note_stale(&mut self, from: Timestamp) {
        self.reported.stale_since.get_or_insert(from.into());
    }

    /// It is current. Gives since when it was not.
    pub fn end_stale(&mut self) -> Option<Timestamp> {
        self.reported.stale_since.take().map(Moment::timestamp)
    }

    /// Since when it is not current.
    #[must_use]
    pub fn stale_since(&self) -> Option<Timestamp> {
        self.reported.stale_since.map(Moment::timestamp)
    }

    /// These warnings hold. Gives whether they are others than before.
    pub fn note_warnings<'a>(&mut self, texts: impl Iterator<Item = &'a str>) -> bool {
        let hash = texts.map(text_hash).fold(0, |all, one| all ^ one.rotate_left(1));
        std::mem::replace(&mut self.reported.warnings, hash) != hash
    }

    /// This is what there is to say. Gives whether it is something else than the last time.
    pub fn note_event(&mut self, reason: Reason, text: &str) -> bool {
        let hash = text_hash(text);
        let news = self.reported.event != Some(reason) || self.reported.event_text != hash;
        self.reported.event = Some(reason);
        self.reported.event_text = hash;
        news
    }
}

/// A text, small enough to be kept of thousands: only whether it is the same again matters.
fn text_hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
