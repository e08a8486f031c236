//! One workload with all that is remembered of it from one decision to the next.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use jiff::Timestamp;

use super::index::How;
use crate::core::baseline::Baseline;
use crate::core::decide::{Change, Foreign, Trusted};
use crate::core::glob;
use crate::core::name::{Key, Name, SourceKind, SourceRef, Version};
use crate::core::optin::OptIn;
use crate::core::reason::{Reason, State};
use crate::core::reference::{Use, Uses};
use crate::core::time::Second;
use crate::core::workload::Workload;

/// Names of changed keys that are kept for one workload until it is decided.
const KEYS_KEPT: usize = 64;

/// A workload with all that is remembered of it.
pub struct WorkloadEntry {
    /// As the cluster shows it.
    pub workload: Workload,
    /// What it asks for; its last good word if the present one cannot be used.
    pub opt_in: Option<OptIn>,
    /// The last baseline of ours that was seen or written.
    pub remembered: Option<Arc<str>>,
    /// Whether older revisions were searched for a baseline.
    pub searched: bool,
    /// A change not dealt with yet.
    pub change: Option<Change>,
    /// A foreign template change.
    pub foreign: Option<Foreign>,
    /// When it was last seen to be current.
    pub trusted: Option<Trusted>,
    /// Up to which version of sources an unseen while was looked into.
    pub verified: Version,
    /// The version that our last write led to: until it is seen, the entry is out of date.
    pub expected: Option<(Version, Timestamp)>,
    /// Where it stands.
    pub status: Option<(State, Reason)>,
    /// What was last said about it.
    pub said: Option<(Reason, u64)>,
    /// What was last said about an annotation of it that cannot be used.
    pub said_invalid: Option<Box<str>>,
    /// Since when it is not current.
    pub stale_since: Option<Timestamp>,
    /// Failed writes in a row.
    pub failures: u32,
    /// A write that was refused, and until when it is not tried again.
    pub refused: Option<(String, Timestamp)>,
    /// The revision at which a restart of it was only reported.
    pub would_restart: Option<Option<u64>>,
    /// When pods were last read for it.
    pub proved_at: Option<Timestamp>,
    /// What counts besides patterns: the template's uses without the excluded, plus what is named.
    pub(super) uses: Arc<[Use]>,
    pub(super) generation: u32,
}

impl WorkloadEntry {
    pub(super) fn new(workload: Workload, generation: u32) -> Self {
        let opt_in = workload.opt_in.as_ref().ok().cloned().flatten();
        let mut entry = Self {
            uses: Arc::default(),
            remembered: None,
            opt_in,
            workload,
            searched: false,
            change: None,
            foreign: None,
            trusted: None,
            verified: Version::default(),
            expected: None,
            status: None,
            said: None,
            said_invalid: None,
            stale_since: None,
            failures: 0,
            refused: None,
            would_restart: None,
            proved_at: None,
            generation,
        };
        entry.refresh();
        entry
    }

    /// The same workload at a later version. Gives whether that is of any consequence.
    pub(super) fn update(&mut self, workload: Workload, how: How) -> bool {
        let old = &self.workload;
        let consequence = old.opt_in != workload.opt_in
            || old.observed != workload.observed
            || old.witness != workload.witness
            || old.uses != workload.uses
            || old.fingerprint != workload.fingerprint
            || old.evidence != workload.evidence
            || self.expected.is_some();
        if old.fingerprint != workload.fingerprint {
            // In a list the change may be older than the version that shows it: then it proves nothing.
            self.foreign = (how == How::Watched).then_some(Foreign {
                version: workload.version,
                revision: old.evidence.revision,
            });
        }
        if let Ok(Some(opt_in)) = &workload.opt_in {
            self.opt_in = Some(opt_in.clone());
        }
        self.expected = self.expected.filter(|(version, _)| workload.version < *version);
        self.workload = workload;
        self.refresh();
        consequence
    }

    /// What follows from the workload itself.
    fn refresh(&mut self) {
        let opt_in = self.opt_in.clone().unwrap_or_default();
        let mut uses = Uses::default();
        for used in &*self.workload.uses {
            // Secrets are not watched by this version.
            if used.kind == SourceKind::ConfigMap && !opt_in.excludes_configmap(used.name.as_str()) {
                uses.add(used);
            }
        }
        for name in opt_in.configmaps.iter().filter(|name| !glob::is_pattern(name)) {
            if !opt_in.excludes_configmap(name) {
                uses.name_whole(SourceKind::ConfigMap, Name::from(&**name));
            }
        }
        let uses: Arc<[Use]> = uses.finish().into();
        // Stored once where it is the same, which it nearly always is.
        self.uses = if uses == self.workload.uses {
            self.workload.uses.clone()
        } else {
            uses
        };
        let ours = self
            .workload
            .observed
            .as_deref()
            .and_then(|text| Baseline::parse(text).ok());
        if ours.is_some_and(|baseline| baseline.uid == self.workload.uid) {
            self.remembered.clone_from(&self.workload.observed);
        }
    }

    pub(super) fn source(&self, used: &Use) -> SourceRef {
        SourceRef {
            namespace: self.workload.reference.namespace.clone(),
            kind: used.kind,
            name: used.name.clone(),
        }
    }

    pub(super) fn has_patterns(&self) -> bool {
        self.opt_in
            .as_ref()
            .is_some_and(|opt_in| opt_in.configmaps.iter().any(|name| glob::is_pattern(name)))
    }

    pub(super) fn matches_pattern(&self, source: &SourceRef) -> bool {
        self.opt_in.as_ref().is_some_and(|opt_in| {
            source.kind == SourceKind::ConfigMap
                && source.namespace == self.workload.reference.namespace
                && !opt_in.excludes_configmap(source.name.as_str())
                && opt_in
                    .configmaps
                    .iter()
                    .any(|pattern| glob::is_pattern(pattern) && glob::matches(pattern, source.name.as_str()))
        })
    }

    pub(super) fn note_change<'a>(
        &mut self,
        source: &SourceRef,
        keys: impl Iterator<Item = &'a Key>,
        since: Second,
        now: Timestamp,
    ) {
        let change = self.change.get_or_insert_with(|| Change {
            first_seen: now,
            since,
            keys: Vec::new(),
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
    pub fn put_back(&mut self, taken: Option<Change>) {
        let Some(taken) = taken else { return };
        self.change = Some(match self.change.take() {
            None => taken,
            Some(later) => {
                let mut keys = taken.keys;
                let fresh: Vec<_> = later.keys.into_iter().filter(|key| !keys.contains(key)).collect();
                keys.extend(fresh);
                keys.truncate(KEYS_KEPT);
                Change {
                    first_seen: taken.first_seen.min(later.first_seen),
                    since: taken.since.min(later.since),
                    keys,
                }
            }
        });
    }
}

/// What was said, small enough to be kept of thousands: only whether it is the same again matters.
#[must_use]
pub fn same_words(detail: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    detail.hash(&mut hasher);
    hasher.finish()
}
