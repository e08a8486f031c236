//! What changed under a workload since it was last known to be current.

use std::sync::Arc;

use jiff::Timestamp;
use windlass_core::content::digest::digest_prefix;
use windlass_core::decide::{ForeignChange, LastCurrent, PendingChange};
use windlass_core::types::name::{Key, SourceRef, Uid, Version};
use windlass_core::types::time::Second;
use windlass_core::workload::kind::RolloutProgress;

use super::WorkloadEntry;

/// Names of changed keys that are kept for one workload until it is decided.
const KEYS_KEPT: usize = 64;

impl WorkloadEntry {
    /// A change not dealt with yet.
    #[must_use]
    pub fn pending_change(&self) -> Option<&PendingChange> {
        self.change.as_deref()
    }

    /// Somebody else's change of its pod template, if the version is known that it came with.
    #[must_use]
    pub fn foreign_change(&self) -> Option<ForeignChange> {
        self.foreign_change.as_deref().copied()
    }

    /// When it was last seen to be current.
    #[must_use]
    pub fn last_current(&self) -> Option<LastCurrent> {
        self.last_current
    }

    /// Up to which version of its sources it was found out what they held while nobody watched.
    #[must_use]
    pub fn verified_version(&self) -> Version {
        self.verified
    }

    /// Something came that it has to be decided for.
    pub(crate) fn request_decision(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// How often something came that it has to be decided for.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// It was decided when that much had come.
    pub fn note_decided(&mut self, generation: u32) {
        self.observed_generation = generation;
    }

    /// Whether it was decided for all that came.
    pub(crate) fn is_decided(&self) -> bool {
        self.generation == self.observed_generation
    }

    /// Whether it is as it was when it had this uid and version and that much had come.
    #[must_use]
    pub fn is_unchanged(&self, uid: &Uid, version: Version, generation: u32) -> bool {
        self.workload.uid == *uid && self.workload.version == version && self.generation == generation
    }

    /// It runs what it should. `horizon`: the newest version among its sources.
    pub fn mark_current(&mut self, horizon: Version) {
        self.settle_change();
        self.mark_verified(horizon);
        let (rollout_status, template_digest) =
            (self.workload.rollout_status, self.workload.template_digest.as_deref());
        // What was complete once stays so while it is scaled.
        let was = self.last_current.and_then(|last_current| last_current.template_digest);
        let complete = |mark: &[u8; 6]| rollout_status.progress == RolloutProgress::Complete || was == Some(*mark);
        self.last_current = Some(LastCurrent {
            version: self.workload.version,
            revision: rollout_status.revision,
            // Nor does it matter who takes our digest off the template afterwards.
            template_digest: template_digest
                .and_then(digest_prefix)
                .map_or(was, |mark| Some(mark).filter(complete)),
        });
    }

    /// A plan was only reported: it counts as carried out, with this baseline.
    pub fn record_report(&mut self, baseline: &str, horizon: Version, restart: bool) {
        if restart {
            self.remember_baseline_before_report();
        }
        self.settle_change();
        self.mark_verified(horizon);
        let baseline: Arc<str> = baseline.into();
        self.workload.observed = Some(baseline.clone());
        self.last_baseline = Some(baseline);
    }

    /// The change is dealt with.
    pub(crate) fn settle_change(&mut self) {
        self.change = None;
    }

    pub(super) fn mark_verified(&mut self, horizon: Version) {
        self.verified = self.verified.max(horizon);
    }

    /// Takes the change out while it is dealt with: one that comes meanwhile stands by itself.
    pub fn take_change(&mut self) -> Option<Box<PendingChange>> {
        self.change.take()
    }

    pub(crate) fn note_change<'a>(
        &mut self,
        source: &SourceRef,
        keys: impl Iterator<Item = &'a Key>,
        since: Second,
        now: Timestamp,
    ) {
        let change = self.change.get_or_insert_with(|| {
            Box::new(PendingChange {
                first_seen: now,
                since,
                keys: Vec::new(),
            })
        });
        change.since = change.since.min(since);
        for key in keys {
            let known = change.keys.iter().any(|(of, known)| of == source && known == key);
            if !known && change.keys.len() < KEYS_KEPT {
                change.keys.push((source.clone(), key.clone()));
            }
        }
    }

    /// Puts a change back that could not be dealt with, as if it had never been taken.
    pub fn put_back(&mut self, taken: Option<Box<PendingChange>>) {
        let Some(taken) = taken else { return };
        self.change = Some(match self.change.take() {
            None => taken,
            Some(later) => {
                let mut keys = taken.keys;
                let fresh: Vec<_> = later.keys.into_iter().filter(|key| !keys.contains(key)).collect();
                keys.extend(fresh);
                keys.truncate(KEYS_KEPT);
                Box::new(PendingChange {
                    first_seen: taken.first_seen.min(later.first_seen),
                    since: taken.since.min(later.since),
                    keys,
                })
            }
        });
    }
}
