//! One workload with all that is remembered of it from one decision to the next.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::index::{How, Rules};
use crate::core::baseline::Baseline;
use crate::core::decide::{Change, Foreign, Trusted};
use crate::core::name::{Key, Namespace, SourceKind, SourceRef, Version};
use crate::core::optin::{Meant, OptIn, Origin, Referenced};
use crate::core::reason::{Reason, State};
use crate::core::reference::{Use, Uses};
use crate::core::time::Second;
use crate::core::workload::Workload;

/// Names of changed keys that are kept for one workload until it is decided.
const KEYS_KEPT: usize = 64;

/// For how long another controller that was seen to restart a workload is taken to go on: it does so
/// only when something changes, and an operator who ended it should not have to wait for a day.
const RIVAL_REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

/// A workload with all that is remembered of it.
pub struct WorkloadEntry {
    /// As the cluster shows it.
    pub workload: Workload,
    /// What it asks for; its last good word if the present one cannot be used.
    pub opt_in: Option<Arc<OptIn>>,
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
    /// What was last said of its annotations besides.
    pub complained: u64,
    /// Who else was seen to restart it, and when.
    pub rival: Option<Box<(Origin, Timestamp)>>,
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
    patterns: bool,
    pub(super) generation: u32,
}

impl WorkloadEntry {
    pub(super) fn new(workload: Workload, generation: u32, rules: Rules) -> Self {
        let opt_in = workload.opt_in.as_ref().ok().cloned().flatten();
        let mut entry = Self {
            uses: Arc::default(),
            patterns: false,
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
            complained: 0,
            rival: None,
            stale_since: None,
            failures: 0,
            refused: None,
            would_restart: None,
            proved_at: None,
            generation,
        };
        entry.refresh(rules);
        entry
    }

    /// The same workload at a later version. Gives whether that is of any consequence.
    pub(super) fn update(&mut self, workload: Workload, how: How, rules: Rules, now: Timestamp) -> bool {
        let old = &self.workload;
        let consequence = old.opt_in != workload.opt_in
            || old.observed != workload.observed
            || old.witness != workload.witness
            || old.uses != workload.uses
            || old.fingerprint != workload.fingerprint
            || old.evidence != workload.evidence
            || old.rare != workload.rare
            || self.expected.is_some();
        let rival = workload
            .marks()
            .filter(|marks| marks.moved_since(old.marks()))
            .map(|marks| marks.origin);
        if let Some(rival) = rival {
            self.rival = Some(Box::new((rival, now)));
        }
        if old.fingerprint != workload.fingerprint || rival.is_some() {
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
        self.refresh(rules);
        consequence
    }

    /// What follows from the workload itself.
    fn refresh(&mut self, rules: Rules) {
        let own = &self.workload.reference.namespace;
        let mut uses = Uses::default();
        if let Some(opt_in) = &self.opt_in {
            for used in &*self.workload.uses {
                let selection = opt_in.selection(used.kind);
                let may_count = rules.counts(used.kind)
                    && selection.referenced != Referenced::None
                    && !selection.excludes(own, &used.source(own));
                if may_count {
                    uses.add(used);
                }
            }
            for kind in [SourceKind::ConfigMap, SourceKind::Secret] {
                let selection = opt_in.selection(kind);
                for (pattern, name) in selection.named.iter().filter_map(|it| Some((it, it.name()?))) {
                    let source = SourceRef {
                        namespace: pattern.namespace.as_ref().unwrap_or(own).clone(),
                        kind,
                        name,
                    };
                    if rules.counts(kind) && !selection.excludes(own, &source) {
                        uses.name_whole(pattern.namespace.clone(), kind, source.name);
                    }
                }
            }
        }
        let uses: Arc<[Use]> = uses.finish().into();
        // Stored once where it is the same, which it nearly always is.
        self.uses = if uses == self.workload.uses {
            self.workload.uses.clone()
        } else {
            uses
        };
        self.patterns = self.opt_in.as_ref().is_some_and(|opt_in| {
            let named = |kind| rules.counts(kind) && opt_in.selection(kind).named.iter().any(|it| it.name().is_none());
            named(SourceKind::ConfigMap) || named(SourceKind::Secret)
        });
        let ours = self
            .workload
            .observed
            .as_deref()
            .and_then(|text| Baseline::parse(text).ok());
        if ours.is_some_and(|baseline| baseline.uid == self.workload.uid) {
            self.remembered.clone_from(&self.workload.observed);
        }
    }

    pub(super) fn has_patterns(&self) -> bool {
        self.patterns
    }

    /// Where its patterns look for sources.
    pub(super) fn pattern_places(&self) -> Vec<(SourceKind, Namespace)> {
        let Some(opt_in) = self.opt_in.as_ref().filter(|_| self.patterns) else {
            return Vec::new();
        };
        let own = &self.workload.reference.namespace;
        let mut places = Vec::new();
        for kind in [SourceKind::ConfigMap, SourceKind::Secret] {
            for pattern in opt_in.selection(kind).named.iter().filter(|it| it.name().is_none()) {
                let place = (kind, pattern.namespace.as_ref().unwrap_or(own).clone());
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        places
    }

    /// Whether one of its patterns names the source and nothing excludes it.
    pub(super) fn matches_pattern(&self, source: &SourceRef) -> bool {
        self.patterns && self.meant(source, false, false) == Some(Meant::Whole)
    }

    /// Whether the source counts for it.
    pub(super) fn means(&self, source: &SourceRef, referenced: bool, marked: bool) -> bool {
        self.meant(source, referenced, marked).is_some()
    }

    fn meant(&self, source: &SourceRef, referenced: bool, marked: bool) -> Option<Meant> {
        let own = &self.workload.reference.namespace;
        let selection = self.opt_in.as_ref()?.selection(source.kind);
        selection.meant(own, source, referenced, marked)
    }

    /// Who else restarts it, if that was seen a short while ago.
    #[must_use]
    pub fn rival(&self, now: Timestamp) -> Option<Origin> {
        let (who, at) = *self.rival.clone()?;
        (now.duration_since(at) < RIVAL_REMEMBERED).then_some(who)
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
