//! Workloads that failed after a restart or were taken back from it, for the sake of the others that wait for
//! the same change.
//!
//! While somebody watches, who failed is known until it recovers, whatever becomes of its template. After a
//! start it is read from the template's cause, and of a rollout that was undone from the baseline.

use super::Index;
use crate::controller::entry::WorkloadEntry;
use crate::core::baseline::{Baseline, Unsure};
use crate::core::decide::Failure;
use crate::core::name::{Namespace, WorkloadRef};
use crate::core::reason::{Reason, State};

impl Index {
    /// Takes note of whether a workload has failed. Gives those that may go on because it has not, or
    /// not any more.
    pub fn note_failure(&mut self, reference: &WorkloadRef) -> Vec<WorkloadRef> {
        let known = self.failures.iter().any(|failure| failure.workload == *reference);
        let failures = self.failures_of(reference);
        if !known && failures.is_empty() {
            return Vec::new();
        }
        let over: Vec<Failure> = self
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
            let status = self.workload(workload).and_then(|entry| entry.status);
            status.is_some_and(|(_, reason)| reason == Reason::Halted)
        };
        let waiting = over.iter().flat_map(|failure| self.users(&failure.source));
        waiting.filter(halted).cloned().collect()
    }

    fn failures_of(&self, reference: &WorkloadRef) -> Vec<Failure> {
        let Some(entry) = self.workload(reference).filter(|entry| !is_over(entry)) else {
            return Vec::new();
        };
        let known = || self.failures.iter().filter(|failure| failure.workload == *reference);
        let cause = entry.workload.cause();
        let baseline = entry.workload.observed.as_deref().map(Baseline::parse);
        let baseline = baseline.and_then(Result::ok);
        let undone = baseline.as_ref().filter(|it| it.held == Some(Unsure::Undone));
        if baseline.as_ref().is_some_and(|baseline| baseline.excused) {
            return Vec::new();
        }

        let mut failures: Vec<Failure> = Vec::new();
        if let Some(baseline) = undone {
            let from = baseline.undone_from(&reference.namespace);
            failures.extend(from.map(|caused| Failure {
                workload: reference.clone(),
                source: caused.source,
                key: baseline.key.clone(),
                digest: caused.digest,
                undone: true,
            }));
        }
        let mut add = |failure: Failure| {
            let same = |it: &Failure| it.source == failure.source && it.digest == failure.digest;
            if !failures.iter().any(same) {
                failures.push(failure);
            }
        };
        // One that waits for something else by now has failed all the same.
        let failed = entry.status == Some((State::Failed, Reason::RolloutFailed)) || entry.has_failed();
        for (cause, caused) in cause
            .iter()
            .flat_map(|cause| cause.sources.iter().map(move |it| (cause, it)))
        {
            let failure = Failure {
                workload: reference.clone(),
                source: caused.source.clone(),
                key: cause.key.clone(),
                digest: caused.digest,
                undone: false,
            };
            // Until its rollout is complete or another one, it goes on failing, whatever it waits for besides.
            if failed || known().any(|it| *it == failure) {
                add(failure);
            }
        }
        // Whoever puts another template in the failed one's place has not made it good.
        let replaced = |failure: &&Failure| {
            let mut sources = cause.iter().flat_map(|cause| cause.sources.iter());
            sources.any(|caused| caused.source == failure.source && caused.digest != failure.digest)
        };
        known().filter(|failure| !replaced(failure)).cloned().for_each(add);
        failures
    }

    /// The failures that a workload of that namespace is held for. Whoever may use another namespace's
    /// source can fail with it as often as they like, and must not hold anybody there by it.
    #[must_use]
    pub fn failures_for(&self, namespace: &Namespace) -> Vec<&Failure> {
        let concerns = |failure: &&Failure| {
            failure.workload.namespace == *namespace || failure.workload.namespace == failure.source.namespace
        };
        self.failures.iter().filter(concerns).collect()
    }
}

/// Whether it runs what it should, or is none of our business any more.
fn is_over(entry: &WorkloadEntry) -> bool {
    match entry.status {
        Some((State::Current | State::Propagating | State::Observed, _)) => true,
        Some((State::Held, reason)) => matches!(reason, Reason::Ignored | Reason::OtherInstallation),
        _ => false,
    }
}
