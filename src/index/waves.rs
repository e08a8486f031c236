//! Order: the next wave of a policy goes when the one before is complete and healthy.

use windlass_core::reason::{Reason, State};
use windlass_core::types::labels::Labels;
use windlass_core::types::name::WorkloadRef;

use super::{Counted, Index};
use crate::index::entry::{Under, WorkloadEntry};

impl Index {
    /// A workload of an earlier wave that uses one of the same sources and is not done, in words. `counted`:
    /// what counts for the one that asks.
    #[must_use]
    pub fn ahead(&self, entry: &WorkloadEntry, counted: &Counted) -> Option<String> {
        let under = entry.under.as_ref()?;
        let own = wave(entry, under)?;
        let namespace = &entry.workload.reference.namespace;
        counted.uses.iter().find_map(|(source, _)| {
            // As with failures: whoever names another namespace's source must not keep anybody there waiting.
            let concerns = |other: &&WorkloadRef| other.namespace == *namespace || other.namespace == source.namespace;
            self.users(source).filter(concerns).find_map(|other| {
                let known = self.workloads.get(other)?;
                let of = known
                    .under
                    .as_ref()
                    .filter(|of| of.terms.policy == under.terms.policy)?;
                let earlier = wave(known, of).filter(|wave| *wave < own)?;
                (!is_done(known)).then(|| {
                    let state = known.status.map_or("not looked at yet", |(state, _)| state.word());
                    let kind = other.kind.row().kind;
                    format!("{kind} {} of wave {} is {state}", other.name, earlier + 1)
                })
            })
        })
    }

    /// Those that wait for earlier waves of the policy that this one is of.
    #[must_use]
    pub fn behind(&self, reference: &WorkloadRef) -> Vec<WorkloadRef> {
        let Some(under) = self.workload(reference).and_then(|entry| entry.under.as_ref()) else {
            return Vec::new();
        };
        if under.terms.waves.is_empty() {
            return Vec::new();
        }
        let waits = |entry: &WorkloadEntry| {
            entry.status.is_some_and(|(_, reason)| reason == Reason::EarlierWave)
                && entry.terms().is_some_and(|terms| terms.policy == under.terms.policy)
        };
        let waiting = self.workloads.iter().filter(|(_, entry)| waits(entry));
        waiting.map(|(reference, _)| reference.clone()).collect()
    }
}

fn wave(entry: &WorkloadEntry, under: &Under) -> Option<usize> {
    const NONE: &Labels = &Labels::none();
    under.terms.wave(entry.workload.labels().unwrap_or(NONE))
}

/// Whether it has dealt with all that was brought to it, so that the next wave may go.
#[must_use]
pub fn is_done(entry: &WorkloadEntry) -> bool {
    // Not by versions of sources: one may have changed in a key that it does not use, or be gone.
    if entry.touches != entry.looked_at {
        return false;
    }
    match entry.status {
        Some((State::Current | State::Propagating | State::Observed, _)) => entry.change.is_none(),
        // Nothing rolls, and nothing will, for reasons that the next wave cannot wait for.
        Some((State::Held, reason)) => matches!(
            reason,
            Reason::Paused | Reason::OnDelete | Reason::Partitioned | Reason::Ignored | Reason::OtherInstallation
        ),
        _ => false,
    }
}
