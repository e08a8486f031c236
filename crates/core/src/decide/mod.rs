//! The decision: what to do about one workload, from nothing but what is given.
//!
//! State is compared with state. Whether an event was seen never matters for the outcome; what was
//! seen live only saves reading it from the cluster. Each check is small, stands in one ordered list,
//! and gives its reason.

use jiff::Timestamp;

use super::reason::{Reason, State};
use super::workload::{Source, Workload};
use crate::agent_protocol::propagation::PropagationProgress;
use crate::compat::marks::{CompetingController, ControllerMarks};
use crate::content::baseline::{Baseline, Difference, PresentSource};
use crate::content::cause::WholeDigest;
use crate::content::digest::{KeyRing, WorkloadKey};
use crate::policy::effective_policy::EffectivePolicy;
use crate::policy::manual_override::ManualOverride;
use crate::types::name::{Key, SourceRef, Version, WorkloadRef};
use crate::types::time::Second;
use crate::workload::key_strategy::KeyStrategy;
use crate::workload::kind::PodReplacement;
use crate::workload::opt_in::OptIn;
use crate::workload::reference::Use;
use crate::workload::rollout_history::RolloutHistory;

mod breaker;
mod checks;
mod describe;
mod flapping;
mod holds;
mod immutable;
mod in_place;
mod known;
mod last_change;
mod manual_override;
mod plans;
mod policy_checks;
mod reverts;
mod suspect;
#[cfg(test)]
mod tests;

use checks::{
    covered_by_rollout, ignored, nothing_runs, pausing, rolled_back, settling, sources_changed_meanwhile,
    started_meanwhile, unchanged, unscheduled, unsure,
};
use holds::{competing_controller, paused};
use known::{KnownBaseline, incomparable, known_baseline, source_missing};
use plans::{HintDetail, adopt, fresh, list, present, restart};
use reverts::{given_up, reverted};

/// `NAMESPACE/LEASE-NAME` is never longer.
const MAX_INSTALLATION: usize = 63 + 1 + 253;

/// A source that counts for a workload, as it is now.
#[derive(Clone, Debug)]
pub struct SourceView<'a> {
    pub reference: &'a SourceRef,
    /// What of it counts.
    pub used: &'a Use,
    /// It; `None` when it does not exist.
    pub source: Option<&'a Source>,
    /// The version at which its content came to be what it is, or a later one when that was not seen.
    pub content_version: Version,
    /// Its present version came in a list: what it held since then was not seen.
    pub unseen_since: Option<Second>,
}

/// A change that was seen live and is not dealt with yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingChange {
    /// When we saw it, by our clock: settling counts from here.
    pub first_seen: Timestamp,
    /// When it was written, by the API server's clock.
    pub since: Second,
    /// The keys that moved, as far as they are kept.
    pub keys: Vec<(SourceRef, Key)>,
}

/// A change of the pod template by somebody else that was seen live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignChange {
    /// The version at which the template changed.
    pub version: Version,
    /// The revision of the workload before it.
    pub revision: Option<u64>,
}

/// A moment at which a workload was seen to be current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastCurrent {
    /// The version of the workload then.
    pub version: Version,
    /// Its revision then: no rollout up to it can be due to a later change.
    pub revision: Option<u64>,
    /// The mark of our restart that was complete then.
    pub template_digest: Option<[u8; 6]>,
}

/// What holds for all workloads.
#[derive(Clone, Debug)]
pub struct DecisionSettings {
    /// Who we are, as baselines say it.
    pub installation: Box<str>,
    /// Whether coming and going of sources counts.
    pub presence: PresencePolicy,
}

/// Whether sources that come or go have changed for those who can do without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresencePolicy {
    /// Those that come have.
    pub on_create: bool,
    /// Those that go have.
    pub on_delete: bool,
}

impl Default for PresencePolicy {
    /// A file that comes or goes is content, too.
    fn default() -> Self {
        Self {
            on_create: true,
            on_delete: true,
        }
    }
}

/// A workload that failed after it was restarted for some content of a source, or was taken back from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutFailure {
    pub workload: WorkloadRef,
    pub source: SourceRef,
    /// The key that the digest is made with.
    pub key: Box<str>,
    /// Which content.
    pub digest: WholeDigest,
    /// Its rollout was undone.
    pub undone: bool,
}

/// Everything that a decision depends on.
pub struct Input<'a> {
    pub workload: &'a Workload,
    /// What it asks for: its last good word if the present one cannot be used.
    pub opt_in: &'a OptIn,
    /// The sources that count, sorted, each once.
    pub sources: &'a [SourceView<'a>],
    /// The baseline that we know of for this very workload, be it gone from the workload itself.
    pub remembered: Option<&'a str>,
    /// Whether the cluster was searched for a baseline, should there be none.
    pub searched: bool,
    /// A change seen live.
    pub change: Option<&'a PendingChange>,
    /// A foreign template change seen live.
    pub foreign_change: Option<ForeignChange>,
    /// When it was last seen to be current.
    pub last_current: Option<LastCurrent>,
    /// Whose marks moved a short while ago without our doing.
    pub competing_controller: Option<&'a CompetingController>,
    /// Pods and revisions, if they were read.
    pub rollout_history: Option<&'a RolloutHistory>,
    /// How far a change in place has come, if pods were asked.
    pub propagation: Option<&'a PropagationProgress>,
    /// What its policies make of it.
    pub policy: &'a EffectivePolicy,
    /// Workloads that failed after a restart, with what they were restarted for.
    pub failures: &'a [&'a RolloutFailure],
    /// Workloads of an earlier wave that are not done, in words; `None`: there are none.
    pub earlier_wave: Option<String>,
    /// What holds for all.
    pub settings: &'a DecisionSettings,
    pub ring: &'a KeyRing,
    /// The time, which no step of a clock hurries or delays.
    pub now: Timestamp,
    /// The time of day, for what begins and ends by the calendar.
    pub calendar: Timestamp,
}

impl Input<'_> {
    /// Whether a restart sets `spec.restartAt` instead of changing the template.
    fn restarts_at(&self) -> bool {
        // With a workloadRef the opt-in is a Rollout's and the template a Deployment's.
        self.opt_in.restart_at && self.workload.reference.kind.row().delegate.is_some()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Nothing,
    /// Write the baseline and restart nothing.
    Adopt(String),
    /// Restart, and write the baseline in the same patch.
    Restart(Box<Restart>),
    /// End a pause in which a restart was gathered.
    Resume,
    /// Wait: for time, for the workload's own controller, or for a person.
    Hold,
    /// Read from the cluster what the decision needs, and decide again.
    Read(ReadScope),
}

/// What a restart writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The baseline.
    pub observed: String,
    /// The digest on the template.
    pub digest: String,
    /// The cause on the template.
    pub cause: String,
    /// What makes the pods be replaced.
    pub method: RestartMethod,
    /// Reloader's mark, for those who look for it.
    pub reloaded_from: Option<String>,
    /// Marks of other controllers that go with it.
    pub marks: Option<Box<ControllerMarks>>,
    /// Whether it begins or ends a pause.
    pub pause: Option<Pause>,
    pub sources: Vec<SourceRef>,
}

/// What makes the pods be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartMethod {
    /// The template's change.
    Template,
    /// An Argo Rollout's `spec.restartAt`.
    RestartAt(Timestamp),
}

/// A pause around a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// From now on.
    Begin(Timestamp),
    /// It ends with this restart.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadScope {
    /// The baselines that older revisions kept.
    History,
    /// Pods and revisions.
    Pods,
}

/// The outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub action: Action,
    /// Where the workload stands.
    pub state: State,
    pub reason: Reason,
    /// What the reason is about: sources, keys, names. Never content.
    pub detail: String,
    /// When to decide again without an event.
    pub not_before: Option<Timestamp>,
    /// What is answered to a person who pulled a manual override.
    pub override_note: Option<String>,
    /// Files of running pods that are to be brought up to date, unless the plan replaces the pods.
    pub files: Option<PodFiles>,
}

/// Files of running pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFiles {
    /// Which change, by the time at which it was put on record; `None`: the pods are to be restarted for
    /// it later on, and nobody asks what they made of it.
    pub since: Option<Timestamp>,
    /// The sources of the files.
    pub sources: Vec<SourceRef>,
}

impl Plan {
    fn new(action: Action, state: State, reason: Reason) -> Self {
        Self {
            action,
            state,
            reason,
            detail: String::new(),
            not_before: None,
            override_note: None,
            files: None,
        }
    }

    fn hold(reason: Reason, detail: String) -> Self {
        Self {
            detail,
            ..Self::new(Action::Hold, State::Held, reason)
        }
    }

    fn about(self, detail: String) -> Self {
        Self { detail, ..self }
    }
}

/// Decides.
#[must_use]
pub fn decide(input: &Input<'_>) -> Plan {
    if let Some(plan) = checks::left_paused(input) {
        return plan;
    }
    if input.workload.reference.kind.row().pods == PodReplacement::NextRun {
        return source_missing(input).unwrap_or_else(|| checks::deferred_to_next_run(input));
    }
    let known = known_baseline(input);
    if let KnownBaseline::Others(installation) = &known {
        // Whoever may annotate a workload may have written anything there.
        let installation: String = installation.chars().take(MAX_INSTALLATION).collect();
        return Plan::hold(
            Reason::OtherInstallation,
            format!("{installation}; to hand the workload over, remove the annotation windlass.dev/observed"),
        );
    }
    // Before anything is recorded: what a workload without its sources will start with is not known.
    if let Some(plan) = source_missing(input) {
        return plan;
    }
    let (baseline, restore) = match known {
        KnownBaseline::Here(baseline) => (baseline, false),
        KnownBaseline::Elsewhere(baseline) => (baseline, true),
        KnownBaseline::Search => return Plan::new(Action::Read(ReadScope::History), State::Held, Reason::Proving),
        KnownBaseline::Incomparable(why) => return incomparable(input, None, why),
        KnownBaseline::First | KnownBaseline::Others(_) => {
            if let Some(plan) = known::maybe_stripped(input) {
                return plan;
            }
            let observed = fresh(input, None).print();
            return Plan::new(Action::Adopt(observed), State::Current, Reason::Adopted).about(list(input));
        }
    };
    let Some(key) = input.ring.get(&baseline.key) else {
        return incomparable(input, Some(&baseline), "the digest key of the baseline is lost");
    };
    let key = key.for_workload(&input.workload.uid);
    let present = present(input, &key, HintDetail::All);
    let Some(mut difference) = baseline.compare(&key, &input.workload.reference.namespace, &present) else {
        return incomparable(
            input,
            Some(&baseline),
            "the workload uses other sources than before, too many to record one by one",
        );
    };
    known::keep_pending(input, &baseline, &mut difference);
    let taken_as_they_are = known::take_as_they_are(input, &baseline, &key, &mut difference);
    let case = Case {
        input,
        baseline: &baseline,
        key: &key,
        present: &present,
        difference: &difference,
        restore,
        manual_override: None,
    };
    let (manual_override, answer) = match manual_override::override_status(&case) {
        manual_override::OverrideStatus::Unknown => {
            return Plan::new(Action::Read(ReadScope::Pods), State::Settling, Reason::Proving);
        }
        manual_override::OverrideStatus::Inactive(answer) => (None, answer),
        manual_override::OverrideStatus::Active(manual_override) => (Some(manual_override), None),
    };
    let case = Case {
        manual_override,
        ..case
    };
    if taken_as_they_are && difference.changed.is_empty() {
        return policy_checks::follow(&case, adopt(&case, Reason::SourcesChanged));
    }
    let plan = CHECKS
        .iter()
        .find_map(|check| check(&case))
        .unwrap_or_else(|| restart(&case));
    let plan = manual_override::record_override(&case, policy_checks::follow(&case, plan));
    Plan {
        files: in_place::files(&case, &plan),
        override_note: plan.override_note.or(answer),
        ..plan
    }
}

/// One workload with a baseline that can be compared.
struct Case<'a> {
    input: &'a Input<'a>,
    baseline: &'a Baseline,
    key: &'a WorkloadKey,
    present: &'a [PresentSource<'a>],
    difference: &'a Difference,
    restore: bool,
    /// What a person wants that counts.
    manual_override: Option<(ManualOverride, Timestamp)>,
}

impl Case<'_> {
    fn key_strategy(&self, at: usize) -> KeyStrategy {
        self.present
            .get(at)
            .map_or(KeyStrategy::Restart, |present| present.key_strategy)
    }

    fn has_override(&self, manual_override: ManualOverride) -> bool {
        self.manual_override
            .is_some_and(|(pulled, _)| pulled == manual_override)
    }
}

/// In this order; the first that has an answer gives it. None: restart.
const CHECKS: &[fn(&Case<'_>) -> Option<Plan>] = &[
    manual_override::skipped,
    pausing,
    unscheduled,
    unsure,
    reverted,
    unchanged,
    nothing_runs,
    in_place::left_to_the_kubelet,
    ignored,
    covered_by_rollout,
    competing_controller,
    sources_changed_meanwhile,
    settling,
    started_meanwhile,
    rolled_back,
    given_up,
    paused,
];
