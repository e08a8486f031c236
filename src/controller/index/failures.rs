//! Workloads that failed after a restart, for the sake of the others that wait for the same change.

use super::Index;
use crate::core::baseline::Baseline;
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
        let Some(entry) = self.workload(reference) else {
            return Vec::new();
        };
        let workload = &entry.workload;
        let acknowledged = workload.observed.as_deref().is_some_and(is_acknowledged);
        let Some(cause) = workload.cause().filter(|_| !acknowledged) else {
            return Vec::new();
        };
        // One that waits for something else by now has failed all the same.
        let failed = entry.status == Some((State::Failed, Reason::RolloutFailed)) || entry.has_failed();
        let failure = |caused: &crate::core::cause::Caused| Failure {
            workload: reference.clone(),
            source: caused.source.clone(),
            key: cause.key.clone(),
            digest: caused.digest,
        };
        // Until its rollout is complete or another one, it goes on failing, whatever it waits for besides.
        let goes_on = |failure: &Failure| failed || self.failures.contains(failure);
        cause.sources.iter().map(failure).filter(goes_on).collect()
    }

    /// The failures that a workload of that namespace is held for. Whoever may use another namespace's
    /// source can fail with it as often as they like, and must not hold anybody there by it.
    #[must_use]
    pub fn failures_for(&self, namespace: &Namespace) -> Vec<Failure> {
        let concerns = |failure: &&Failure| {
            failure.workload.namespace == *namespace || failure.workload.namespace == failure.source.namespace
        };
        self.failures.iter().filter(concerns).cloned().collect()
    }
}

/// A person said since its last restart that the others may go on.
fn is_acknowledged(observed: &str) -> bool {
    Baseline::parse(observed).is_ok_and(|baseline| {
        let last = baseline.restarts.last().copied();
        baseline
            .answered
            .is_some_and(|answered| last.is_none_or(|last| answered.as_second() >= last))
    })
}
