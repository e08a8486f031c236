//! Workloads that failed after a restart or were taken back from it, for the sake of the others that wait for
//! the same change.
//!
//! While somebody watches, who failed is known until it recovers, whatever becomes of its template. After a
//! start it is read from the template's cause, and of a rollout that was undone from the baseline.

use windlass_core::content::baseline::{Baseline, Uncertainty};
use windlass_core::content::cause::ChangedSource;
use windlass_core::decide::RolloutFailure;
use windlass_core::reason::{Blocks, Reason, State};
use windlass_core::types::name::{Namespace, WorkloadRef};

use super::Index;
use crate::index::entry::WorkloadEntry;

impl Index {
    /// Takes note of whether a workload has failed. Gives those that may go on because it has not, or
    /// not any more.
    pub fn note_failure(&mut self, reference: &WorkloadRef) -> Vec<WorkloadRef> {
        let known = self.failures.iter().any(|failure| failure.workload == *reference);
        let failures = self.failures_of(reference);
        if !known && failures.is_empty() {
            return Vec::new();
        }
        let over: Vec<RolloutFailure> = self
            .failures
            .extract_if(.., |failure| {
                failure.workload == *reference && !failures.contains(failure)
            })
            .collect();
        for failure in failures {
            if !self.failures.contains(&failure) {
                self.failures.push(failure);
            }
        }
        let halted = |workload: &&WorkloadRef| {
            let status = self.workload(workload).and_then(WorkloadEntry::status);
            status.is_some_and(|(_, reason)| reason == Reason::Halted)
        };
        let waiting = over.iter().flat_map(|failure| self.users(&failure.source));
        waiting.filter(halted).cloned().collect()
    }

    fn failures_of(&self, reference: &WorkloadRef) -> Vec<RolloutFailure> {
        let Some(entry) = self.workload(reference).filter(|entry| !is_over(entry)) else {
            return Vec::new();
        };
        let baseline = entry.workload().observed.as_deref().map(Baseline::parse);
        let baseline = baseline.and_then(Result::ok);
        if baseline.as_ref().is_some_and(|baseline| baseline.excused) {
            return Vec::new();
        }
        let failure = |caused: ChangedSource, key: &str, undone| RolloutFailure {
            workload: reference.clone(),
            source: caused.source,
            key: key.into(),
            digest: caused.digest,
            undone,
        };
        let undone = baseline.iter().filter(|it| it.held == Some(Uncertainty::Undone));
        let undone = undone.flat_map(|baseline| {
            let from = baseline.undone_from(&reference.namespace);
            from.map(|caused| failure(caused, &baseline.key, true))
        });
        // One that waits for something else by now has failed all the same.
        let failed = entry.status() == Some((State::Failed, Reason::RolloutFailed)) || entry.has_failed();
        let cause = entry.workload().cause();
        let named = cause.filter(|_| failed).into_iter().flat_map(|cause| {
            let sources = cause.sources.iter().cloned();
            sources.map(|caused| failure(caused, &cause.key, false))
        });
        // Until its rollout is complete or one for another content, it goes on failing, whatever it waits for
        // besides: whoever puts another template in the failed one's place has not made it good.
        let replaced = |known: &&RolloutFailure| {
            let mut sources = cause.iter().flat_map(|cause| cause.sources.iter());
            sources.any(|caused| caused.source == known.source && caused.digest != known.digest)
        };
        let known = self.failures.iter().filter(|known| known.workload == *reference);
        let known = known.filter(|known| !replaced(known)).cloned();

        let mut failures: Vec<RolloutFailure> = Vec::new();
        for failure in undone.chain(named).chain(known) {
            let same = |it: &RolloutFailure| it.source == failure.source && it.digest == failure.digest;
            if !failures.iter().any(same) {
                failures.push(failure);
            }
        }
        failures
    }

    /// The failures that a workload of that namespace is held for. Whoever may use another namespace's
    /// source can fail with it as often as they like, and must not hold anybody there by it.
    #[must_use]
    pub fn failures_for(&self, namespace: &Namespace) -> Vec<&RolloutFailure> {
        let concerns = |failure: &&RolloutFailure| {
            failure.workload.namespace == *namespace || failure.workload.namespace == failure.source.namespace
        };
        self.failures.iter().filter(concerns).collect()
    }
}

/// Whether it runs what it should, or is none of our business any more.
fn is_over(entry: &WorkloadEntry) -> bool {
    match entry.status() {
        Some((State::Current | State::Propagating | State::Observed, _)) => true,
        Some((State::Held, reason)) => reason.blocks() == Blocks::Nothing,
        Some((State::Settling | State::Pending | State::Rolling | State::Failed, _)) | None => false,
    }
}
