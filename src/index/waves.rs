//! Order: the next wave of a policy goes when the one before is complete and healthy.

use windlass_core::policy::effective_policy::EffectivePolicy;
use windlass_core::reason::{Blocks, Reason, State};
use windlass_core::types::labels::Labels;
use windlass_core::types::name::WorkloadRef;

use super::{CountedSources, Index};
use crate::index::entry::WorkloadEntry;

impl Index {
    /// A workload of an earlier wave that uses one of the same sources and is not done, in words. `counted`:
    /// what counts for the one that asks.
    #[must_use]
    pub fn earlier_wave(&self, entry: &WorkloadEntry, counted: &CountedSources) -> Option<String> {
        let policy = entry.effective_policy()?;
        let own = wave(entry, policy)?;
        let namespace = &entry.workload().reference.namespace;
        counted.uses.iter().find_map(|(source, _)| {
            // As with failures: whoever names another namespace's source must not keep anybody there waiting.
            let concerns = |other: &&WorkloadRef| other.namespace == *namespace || other.namespace == source.namespace;
            self.users(source).filter(concerns).find_map(|other| {
                let known = self.workloads.get(other)?;
                let of = known.effective_policy().filter(|of| of.policy == policy.policy)?;
                let earlier = wave(known, of).filter(|wave| *wave < own)?;
                (!is_done(known)).then(|| {
                    let state = known.status().map_or("not decided yet", |(state, _)| state.as_str());
                    let kind = other.kind.row().kind;
                    format!("{kind} {} of wave {} is {state}", other.name, earlier + 1)
                })
            })
        })
    }

    /// Those that wait for earlier waves of the policy that this one is of.
    #[must_use]
    pub fn later_waves(&self, reference: &WorkloadRef) -> Vec<WorkloadRef> {
        let Some(policy) = self.workload(reference).and_then(WorkloadEntry::effective_policy) else {
            return Vec::new();
        };
        if policy.waves.is_empty() {
            return Vec::new();
        }
        let waits = |entry: &WorkloadEntry| {
            entry.status().is_some_and(|(_, reason)| reason == Reason::EarlierWave)
                && entry
                    .effective_policy()
                    .is_some_and(|effective_policy| effective_policy.policy == policy.policy)
        };
        let waiting = self.workloads.iter().filter(|(_, entry)| waits(entry));
        waiting.map(|(reference, _)| reference.clone()).collect()
    }
}

fn wave(entry: &WorkloadEntry, policy: &EffectivePolicy) -> Option<usize> {
    const NONE: &Labels = &Labels::none();
    policy.wave(entry.workload().labels().unwrap_or(NONE))
}

/// Whether it has dealt with all that was brought to it, so that the next wave may go.
#[must_use]
pub fn is_done(entry: &WorkloadEntry) -> bool {
    // Not by versions of sources: one may have changed in a key that it does not use, or be gone.
    if !entry.is_decided() {
        return false;
    }
    match entry.status() {
        Some((State::Current | State::Propagating | State::Observed, _)) => entry.pending_change().is_none(),
        Some((State::Held, reason)) => reason.blocks() != Blocks::Everything,
        Some((State::Settling | State::Pending | State::Rolling | State::Failed, _)) | None => false,
    }
}
