//! What a workload's own rollout status and baseline say of our last restart.

use jiff::{SignedDuration, Timestamp};
use windlass_core::content::baseline::{Baseline, Uncertainty};
use windlass_core::workload::kind::{RevisionSource, RolloutProgress};

use super::WorkloadEntry;

impl WorkloadEntry {
    /// Until when it occupies its place for a restart of ours that is under way, whatever it waits for
    /// besides.
    #[must_use]
    pub fn rolls_until(&self, deadline: SignedDuration, now: Timestamp) -> Option<Timestamp> {
        if self.workload.rollout_status.progress != RolloutProgress::Progressing {
            return None;
        }
        // Our clock may have been set back, and anybody may write there who may write to the workload.
        let last = Timestamp::from_second(self.restarted_at()?).ok()?.min(now);
        last.checked_add(deadline).ok().filter(|until| now < *until)
    }

    /// Whether somebody undid the rollout of our last restart.
    #[must_use]
    pub fn was_undone(&self) -> bool {
        // Asked of all at a start, and few have it: most need not be parsed for that.
        let observed = self.workload.observed.as_deref();
        let baseline = observed.filter(|text| text.contains("\"undone\"")).map(Baseline::parse);
        baseline.is_some_and(|it| it.is_ok_and(|it| it.held == Some(Uncertainty::Undone)))
    }

    /// Whether its own controller gave up a restart of ours.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.workload.rollout_status.progress == RolloutProgress::Failed && self.restarted_at().is_some()
    }

    /// When we restarted it, in seconds since 1970, if nobody else rolled it since.
    #[must_use]
    pub fn restarted_at(&self) -> Option<i64> {
        let baseline = Baseline::parse(self.workload.observed.as_deref()?).ok()?;
        let row = self.workload.reference.kind.row();
        let revision = self.workload.rollout_status.revision.unwrap_or(0);
        let by_others = row.revision != RevisionSource::Generation && revision > baseline.revision;
        baseline.restarts.last().copied().filter(|_| !by_others)
    }
}
