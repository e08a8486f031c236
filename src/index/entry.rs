//! One workload with all that is remembered of it from one decision to the next.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use windlass_core::annotation;
use windlass_core::compat::marks::{CompetingController, ControllerMarks};
use windlass_core::content::baseline::{Baseline, Uncertainty};
use windlass_core::decide::{ForeignChange, LastCurrent, PendingChange};
use windlass_core::policy::effective_policy::EffectivePolicy;
use windlass_core::reason::{Reason, State};
use windlass_core::types::name::{Key, Namespace, SourceKind, SourceRef, Version};
use windlass_core::types::time::Second;
use windlass_core::workload::Workload;
use windlass_core::workload::kind::{RevisionSource, RolloutProgress};
use windlass_core::workload::opt_in::{OptIn, ReferenceFilter};
use windlass_core::workload::pattern::Pattern;
use windlass_core::workload::reference::{Use, Uses};

use crate::index::{IndexSettings, Observation, PatternCache, PropagationState};

/// Names of changed keys that are kept for one workload until it is decided.
const KEYS_KEPT: usize = 64;

/// For how long another controller that was seen to restart a workload is taken to go on: it does so
/// only when something changes, and an operator who ended it should not have to wait for a day.
const RIVAL_REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

/// A workload with all that is remembered of it.
pub struct WorkloadEntry {
    /// As the cluster shows it.
    pub workload: Workload,
    /// What it asks for, with what its policy adds; its last good word if the present one cannot be
    /// used.
    pub opt_in: Option<Arc<OptIn>>,
    /// What its policies make of it; `None`: no policy holds for it.
    pub policy_binding: Option<Box<PolicyBinding>>,
    /// The last baseline of ours that was seen or written.
    pub last_baseline: Option<Arc<str>>,
    /// Whether older revisions were searched for a baseline.
    pub revisions_searched: bool,
    /// A change not dealt with yet.
    pub change: Option<Box<PendingChange>>,
    /// A foreign template change.
    pub foreign_change: Option<Box<ForeignChange>>,
    /// When it was last seen to be current.
    pub last_current: Option<LastCurrent>,
    /// Up to which version of sources an unseen while was looked into.
    pub verified: Version,
    /// The version that our last write led to: until it is seen, the entry is out of date.
    pub expected: Option<Box<(Version, Timestamp)>>,
    /// Where it stands.
    pub status: Option<(State, Reason)>,
    /// What was last said about it.
    pub last_event: Option<(Reason, u64)>,
    /// What was last said of its annotations besides.
    pub last_warning_hash: u64,
    /// Who else was seen to restart it, and when.
    pub competing_controller: Option<Box<(CompetingController, Timestamp)>>,
    /// Since when it is not current.
    pub stale_since: Option<Timestamp>,
    /// Failed writes in a row.
    pub failures: u32,
    /// A write that was refused, and until when it is not tried again.
    pub refused: Option<Box<(String, Timestamp)>>,
    /// The revision at which a restart of it was only reported.
    #[allow(clippy::option_option)] // Not reported, or reported at a revision that may not be known.
    pub would_restart: Option<Option<u64>>,
    /// When pods were last read for it.
    pub history_read_at: Option<Timestamp>,
    /// Files of its running pods that are being brought up to date.
    pub propagation: Option<Box<PropagationState>>,
    /// How often something came that it has to be decided for,
    pub generation: u32,
    /// and how often it had come when it was decided last.
    pub observed_generation: u32,
    /// What counts besides patterns: the template's uses without the excluded, plus what is named.
    pub(crate) uses: Arc<[Use]>,
    patterns: bool,
    /// Its exclusions cost too much to be compared with all that its pod template refers to.
    excess: bool,
    /// What its patterns say of sources, where finding out costs more than looking it up.
    pub(crate) pattern_cache: Option<Box<PatternCache>>,
    pub(crate) list_generation: u32,
}

/// Steps that one decision may take to compare patterns with names: some tens of milliseconds, in which
/// nothing else is decided.
const MOST_STEPS: usize = 1 << 24;

/// What holds for a workload that some policy is about.
pub struct PolicyBinding {
    /// What it asks for by itself; its last good word.
    pub own_opt_in: Option<Arc<OptIn>>,
    /// What follows from its policies.
    pub policy: Arc<EffectivePolicy>,
    /// It asks for nothing itself: a policy's selector opted it in.
    pub selected: bool,
    /// The baseline before the first restart that was only reported: what its pods run should they
    /// have to be restarted after all.
    #[allow(clippy::option_option)] // Nothing reported, or reported when there may have been no baseline.
    pub baseline_before: Option<Option<Arc<str>>>,
}

/// What holds for a workload from now on.
pub(crate) struct ResolvedPolicy {
    pub(crate) opt_in: Option<Arc<OptIn>>,
    pub(crate) binding: Option<Box<PolicyBinding>>,
}

impl WorkloadEntry {
    pub(crate) fn new(workload: Workload, governing: ResolvedPolicy, generation: u32, rules: IndexSettings) -> Self {
        let ResolvedPolicy { opt_in, binding } = governing;
        let mut entry = Self {
            uses: Arc::default(),
            patterns: false,
            excess: false,
            pattern_cache: None,
            last_baseline: None,
            opt_in,
            policy_binding: binding,
            workload,
            revisions_searched: false,
            change: None,
            foreign_change: None,
            last_current: None,
            verified: Version::default(),
            expected: None,
            status: None,
            last_event: None,
            last_warning_hash: 0,
            competing_controller: None,
            stale_since: None,
            failures: 0,
            refused: None,
            would_restart: None,
            history_read_at: None,
            propagation: None,
            generation: 0,
            observed_generation: 0,
            list_generation: generation,
        };
        entry.refresh_uses(rules);
        entry.refresh_remembered();
        entry
    }

    /// The same workload at a later version. Gives whether that is of any consequence.
    pub(crate) fn update(
        &mut self,
        workload: Workload,
        governing: ResolvedPolicy,
        how: Observation,
        rules: IndexSettings,
        now: Timestamp,
    ) -> bool {
        let old = &self.workload;
        let consequence = old.opt_in != workload.opt_in
            || old.observed != workload.observed
            || old.template_digest != workload.template_digest
            || old.uses != workload.uses
            || old.fingerprint != workload.fingerprint
            || old.rollout_status != workload.rollout_status
            || old.extras != workload.extras
            || !self.has_policy(&governing)
            || self.expected.is_some();
        let moved = workload.marks().filter(|marks| marks.moved_since(old.marks()));
        let news = moved.and_then(|marks| new_competitor(marks, old, &workload, how));
        if let Some(mut competing_controller) = news {
            if let Some(before) = self.competing_controller(now) {
                let latest = std::mem::replace(&mut competing_controller, before.clone());
                competing_controller.add(latest);
            }
            self.competing_controller = Some(Box::new((competing_controller, now)));
        }
        let old = &self.workload;
        if old.extras != workload.extras {
            // Its labels may put it into another wave.
            self.generation = self.generation.wrapping_add(1);
        }
        if old.fingerprint != workload.fingerprint || moved.is_some() {
            // In a list the change may be older than the version that shows it: then it proves nothing.
            let foreign_change = || {
                Box::new(ForeignChange {
                    version: workload.version,
                    revision: old.rollout_status.revision,
                })
            };
            self.foreign_change = (how == Observation::Watched).then(foreign_change);
        }
        self.expected = self.expected.take().filter(|expected| workload.version < expected.0);
        // Most events are of its status, and leave everything that it uses as it is.
        let same_uses = Arc::ptr_eq(&self.workload.uses, &workload.uses);
        self.workload = workload;
        self.take(governing, rules, same_uses);
        consequence
    }

    /// What it asks for by itself; its last good word.
    pub(crate) fn own_opt_in(&self) -> Option<&Arc<OptIn>> {
        match &self.policy_binding {
            Some(binding) => binding.own_opt_in.as_ref(),
            None => self.opt_in.as_ref(),
        }
    }

    /// What its policies make of it; `None`: no policy is about it.
    #[must_use]
    pub fn effective_policy(&self) -> Option<&EffectivePolicy> {
        Some(&self.policy_binding.as_ref()?.policy)
    }

    /// Whether that is what holds already.
    pub(crate) fn has_policy(&self, governing: &ResolvedPolicy) -> bool {
        let same = |one: &PolicyBinding, other: &PolicyBinding| {
            Arc::ptr_eq(&one.policy, &other.policy) && one.selected == other.selected
        };
        self.opt_in == governing.opt_in
            && match (&self.policy_binding, &governing.binding) {
                (None, None) => true,
                (Some(one), Some(other)) => same(one, other),
                (None, Some(_)) | (Some(_), None) => false,
            }
    }

    /// From now on this holds.
    pub(crate) fn set_policy(&mut self, governing: ResolvedPolicy, rules: IndexSettings) {
        self.take(governing, rules, true);
    }

    fn take(&mut self, governing: ResolvedPolicy, rules: IndexSettings, same_uses: bool) {
        let ResolvedPolicy { opt_in, binding } = governing;
        let same_uses = same_uses && self.opt_in == opt_in;
        self.opt_in = opt_in;
        let was = std::mem::replace(&mut self.policy_binding, binding);
        let observed =
            |binding: &Option<Box<PolicyBinding>>| binding.as_ref().is_some_and(|binding| binding.policy.observe);
        if observed(&was) && !observed(&self.policy_binding) {
            // What was reported is due now.
            self.workload.observed = None;
            if let Some(before) = was.as_ref().and_then(|was| was.baseline_before.clone()) {
                self.last_baseline = before;
            }
            self.would_restart = None;
        }
        if let (Some(binding), Some(was)) = (&mut self.policy_binding, was) {
            binding.baseline_before = was.baseline_before.filter(|_| binding.policy.observe);
        }
        if !same_uses {
            self.refresh_uses(rules);
        }
        self.refresh_remembered();
    }

    /// What follows from its pod template and what it asks for.
    fn refresh_uses(&mut self, rules: IndexSettings) {
        self.excess = self.steps_to_exclude() > MOST_STEPS;
        let own = &self.workload.reference.namespace;
        let mut uses = Uses::default();
        if let Some(opt_in) = self.opt_in.as_ref().filter(|_| !self.excess) {
            for used in &*self.workload.uses {
                let selection = opt_in.selection(used.kind);
                let may_count = rules.counts(used.kind)
                    && selection.referenced != ReferenceFilter::None
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
        }) && !self.excess;
        self.pattern_cache = self.opt_in.as_deref().and_then(PatternCache::of).map(Box::new);
    }

    /// Why it is not found out which of its sources count, in words.
    #[must_use]
    pub fn excess(&self) -> Option<String> {
        self.excess.then(|| {
            format!(
                "{}, {} or sources.exclude of its policy: comparing each with each source that it refers to takes {} \
                 steps; accepted: at most {MOST_STEPS}. Fewer names with wildcards take fewer steps",
                annotation::EXCLUDE_CONFIGMAPS,
                annotation::EXCLUDE_SECRETS,
                self.steps_to_exclude(),
            )
        })
    }

    /// What it takes to find out which of its sources are excluded.
    fn steps_to_exclude(&self) -> usize {
        let Some(opt_in) = &self.opt_in else { return 0 };
        let steps = [SourceKind::ConfigMap, SourceKind::Secret].map(|kind| {
            let selection = opt_in.selection(kind);
            let used = self.workload.uses.iter().filter(|used| used.kind == kind).count();
            (used + selection.named.len()).saturating_mul(selection.excluded.iter().map(Pattern::cost).sum())
        });
        steps.iter().sum()
    }

    fn refresh_remembered(&mut self) {
        let ours = self
            .workload
            .observed
            .as_deref()
            .and_then(|text| Baseline::parse(text).ok());
        if ours.is_some_and(|baseline| baseline.uid == self.workload.uid) {
            self.last_baseline.clone_from(&self.workload.observed);
        }
    }

    pub(crate) fn has_patterns(&self) -> bool {
        self.patterns
    }

    /// Where its patterns look for sources.
    pub(crate) fn pattern_places(&self) -> Vec<(SourceKind, Namespace)> {
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

    /// Who else restarts it, if that was seen a short while ago.
    #[must_use]
    pub fn competing_controller(&self, now: Timestamp) -> Option<&CompetingController> {
        let (who, at) = &**self.competing_controller.as_ref()?;
        (now.duration_since(*at) < RIVAL_REMEMBERED).then_some(who)
    }

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

/// The other controller that may be at work, by marks that are new on a workload. Those that its baseline
/// has on record are not, which the decision looks at.
fn new_competitor(
    marks: &ControllerMarks,
    before: &Workload,
    now: &Workload,
    how: Observation,
) -> Option<CompetingController> {
    // Nobody but us and whoever puts a whole template back writes our digest or takes it off; a list may have
    // passed over a write of ours.
    let put_back =
        before.template_digest != now.template_digest && (how == Observation::Watched || now.template_digest.is_none());
    if put_back {
        return None;
    }
    let observed = [&before.observed, &now.observed].into_iter().flatten();
    let ours = observed.filter_map(|text| Baseline::parse(text).ok().filter(|it| it.uid == now.uid));
    marks.news(before.marks(), ours.map(|baseline| baseline.at).max())
}

/// What was said, small enough to be kept of thousands: only whether it is the same again matters.
#[must_use]
pub fn text_hash(detail: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    detail.hash(&mut hasher);
    hasher.finish()
}
