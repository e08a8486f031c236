//! One workload with all that is remembered of it from one decision to the next.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use windlass_core::agent_protocol::propagation::PropagationProgress;
use windlass_core::compat::marks::{CompetingController, ControllerMarks};
use windlass_core::content::baseline::Baseline;
use windlass_core::decide::{ForeignChange, LastCurrent, PendingChange, PodFiles};
use windlass_core::types::name::Version;
use windlass_core::types::time::Moment;
use windlass_core::workload::kind::RolloutStatus;
use windlass_core::workload::opt_in::OptIn;
use windlass_core::workload::reference::Use;
use windlass_core::workload::{Delegate, Workload};

pub(crate) use self::policy::{PolicyBinding, ResolvedPolicy};
use self::report::LastReport;
use self::writes::Writes;
use crate::index::{IndexSettings, Observation, PatternCache, PropagationState};

mod change;
mod policy;
mod report;
mod rollout;
#[cfg(test)]
mod tests;
mod uses;
mod writes;

/// For how long another controller that was seen to restart a workload is taken to go on: it does so
/// only when something changes, and an operator who ended it should not have to wait for a day.
const RIVAL_REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

/// A workload with all that is remembered of it. There are thousands: what few have is boxed.
pub struct WorkloadEntry {
    /// As the cluster shows it.
    workload: Workload,
    opt_in: Option<Arc<OptIn>>,
    /// What its policies make of it; `None`: no policy is about it.
    policy_binding: Option<Box<PolicyBinding>>,
    uses: Arc<[Use]>,
    pattern_cache: Option<Box<PatternCache>>,
    /// The last baseline of ours that was seen or written.
    last_baseline: Option<Arc<str>>,
    change: Option<Box<PendingChange>>,
    foreign_change: Option<Box<ForeignChange>>,
    last_current: Option<LastCurrent>,
    verified: Version,
    writes: Writes,
    reported: LastReport,
    /// Who else was seen to restart it, and when.
    competing_controller: Option<Box<(CompetingController, Timestamp)>>,
    /// Files of its running pods that are being brought up to date.
    propagation: Option<Box<PropagationState>>,
    pods_read_at: Option<Moment>,
    /// How often something came that it has to be decided for,
    generation: u32,
    /// and how often it had come when it was decided last.
    observed_generation: u32,
    /// The list that it was seen in last.
    list_generation: u32,
    /// Whether older revisions were searched for a baseline.
    revisions_searched: bool,
    patterns: bool,
    /// Its exclusions cost too much to be compared with all that its pod template refers to.
    excess: bool,
}

impl WorkloadEntry {
    pub(crate) fn new(workload: Workload, governing: ResolvedPolicy, generation: u32, rules: IndexSettings) -> Self {
        let ResolvedPolicy { opt_in, binding } = governing;
        let mut entry = Self {
            workload,
            opt_in,
            policy_binding: binding,
            uses: Arc::default(),
            pattern_cache: None,
            last_baseline: None,
            change: None,
            foreign_change: None,
            last_current: None,
            verified: Version::default(),
            writes: Writes::default(),
            reported: LastReport::default(),
            competing_controller: None,
            propagation: None,
            pods_read_at: None,
            generation: 0,
            observed_generation: 0,
            list_generation: generation,
            revisions_searched: false,
            patterns: false,
            excess: false,
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
            || self.writes.has_unseen();
        let moved = workload.marks().filter(|marks| marks.moved_since(old.marks()));
        let news = moved.and_then(|marks| new_competitor(marks, old, &workload, how));
        if let Some(mut competing_controller) = news {
            if let Some(before) = self.competing_controller(now) {
                let latest = std::mem::replace(&mut competing_controller, before.clone());
                competing_controller.add(latest);
            }
            self.competing_controller = Some(Box::new((competing_controller, now)));
        }
        if self.workload.extras != workload.extras {
            // Its labels may put it into another wave.
            self.request_decision();
        }
        let old = &self.workload;
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
        self.writes.note_version(workload.version);
        // Most events are of its status, and leave everything that it uses as it is.
        let same_uses = Arc::ptr_eq(&self.workload.uses, &workload.uses);
        self.workload = workload;
        self.take(governing, rules, same_uses);
        consequence
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

    /// Who else restarts it, if that was seen a short while ago.
    #[must_use]
    pub fn competing_controller(&self, now: Timestamp) -> Option<&CompetingController> {
        let (who, at) = &**self.competing_controller.as_ref()?;
        (now.duration_since(*at) < RIVAL_REMEMBERED).then_some(who)
    }

    /// As the cluster shows it.
    #[must_use]
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// The list that it was seen in last.
    pub(crate) fn list_generation(&self) -> u32 {
        self.list_generation
    }

    /// A list or an event showed it.
    pub(crate) fn note_listed(&mut self, list_generation: u32) {
        self.list_generation = list_generation;
    }

    /// Another object runs its pods. Gives whether that is of any consequence.
    pub(crate) fn note_delegate(&mut self, by: Delegate, rollout_status: RolloutStatus) -> bool {
        let consequence = self.workload.rollout_status != rollout_status || self.writes.has_unseen();
        self.workload.rollout_status = rollout_status;
        self.workload.extras.get_or_insert_default().delegate = Some(by);
        consequence
    }

    /// The last baseline of ours that was seen or written.
    #[must_use]
    pub fn last_baseline(&self) -> Option<&Arc<str>> {
        self.last_baseline.as_ref()
    }

    /// The baseline that our last write left, or else the one that is there.
    #[must_use]
    pub fn recorded_baseline(&self) -> Option<&str> {
        self.last_baseline.as_deref().or(self.workload.observed.as_deref())
    }

    /// Whether its older revisions may have kept a baseline that it lost.
    #[must_use]
    pub fn may_have_lost_baseline(&self) -> bool {
        self.last_baseline.is_none() && self.workload.rollout_status.revision.is_some()
    }

    /// Whether older revisions were searched for a baseline.
    #[must_use]
    pub fn revisions_searched(&self) -> bool {
        self.revisions_searched
    }

    /// Older revisions were searched; this is the last baseline that they have kept.
    pub fn record_revisions(&mut self, kept: Option<Arc<str>>) {
        self.revisions_searched = true;
        if self.last_baseline.is_none() {
            self.last_baseline = kept;
        }
    }

    /// When its pods were read last.
    #[must_use]
    pub fn pods_read_at(&self) -> Option<Timestamp> {
        self.pods_read_at.map(Moment::timestamp)
    }

    /// Its pods were read.
    pub fn note_pods_read(&mut self, now: Timestamp) {
        self.pods_read_at = Some(now.into());
    }

    /// Files of its running pods that are being brought up to date.
    #[must_use]
    pub fn propagation(&self) -> Option<&PropagationState> {
        self.propagation.as_deref()
    }

    /// The same, to note what came of a round.
    pub fn propagation_mut(&mut self) -> Option<&mut PropagationState> {
        self.propagation.as_deref_mut()
    }

    /// What its pods have made of the files so far.
    #[must_use]
    pub fn propagation_progress(&self) -> Option<&PropagationProgress> {
        self.propagation.as_ref()?.progress()
    }

    /// These files are to be brought up to date. Gives whether that is not under way yet.
    pub fn begin_propagation(&mut self, files: &PodFiles, version: Version, now: Timestamp) -> bool {
        let before = self.propagation.as_deref();
        if before.is_some_and(|before| before.is_for(files, version)) {
            return false;
        }
        self.propagation = Some(Box::new(PropagationState::begin(files, version, now, before)));
        true
    }

    /// No files are to be brought up to date.
    pub fn end_propagation(&mut self) {
        self.propagation = None;
    }

    /// As if it had been rolled out to this revision.
    #[cfg(test)]
    pub(crate) fn set_revision(&mut self, revision: u64) {
        self.workload.rollout_status.revision = Some(revision);
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
