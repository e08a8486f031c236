//! The decision: what to do about one workload, from nothing but what is given.
//!
//! State is compared with state. Whether an event was seen never matters for the outcome; what was
//! seen live only saves reading it from the cluster. Each check is small, stands in one ordered list,
//! and gives its reason.

use jiff::Timestamp;

use super::reason::{Reason, State};
use super::workload::{Source, Workload};
use crate::agent_protocol::propagation::Progress;
use crate::compat::marks::{Marks, Rival};
use crate::content::baseline::{Baseline, Difference, Present};
use crate::content::cause::WholeDigest;
use crate::content::digest::{KeyRing, WorkloadKey};
use crate::policy::lever::Lever;
use crate::policy::terms::Terms;
use crate::types::name::{Key, SourceRef, Version, WorkloadRef};
use crate::types::time::Second;
use crate::workload::class::Class;
use crate::workload::kind::Pods;
use crate::workload::optin::OptIn;
use crate::workload::proof::Proof;
use crate::workload::reference::Use;

mod breaker;
mod checks;
mod describe;
mod flapping;
mod governed;
mod holds;
mod immutable;
mod in_place;
mod known;
mod last_change;
mod levers;
mod make;
mod reverts;
mod suspect;
#[cfg(test)]
mod tests;

use checks::{
    absorbed, ignored, nothing_runs, pausing, reshaped_meanwhile, settling, started_meanwhile, unchanged, undone,
    unscheduled, unsure,
};
use holds::{paused, rival};
use known::{Known, incomparable, known_baseline, source_missing};
use make::{HintDetail, adopt, fresh, list, present, restart};
use reverts::{given_up, reverted};

/// `NAMESPACE/LEASE-NAME` is never longer.
const MAX_INSTALLATION: usize = 63 + 1 + 253;

/// A source that counts for a workload, as it is now.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Which one.
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
pub struct Change {
    /// When we saw it, by our clock: settling counts from here.
    pub first_seen: Timestamp,
    /// When it was written, by the API server's clock.
    pub since: Second,
    /// The keys that moved, as far as they are kept.
    pub keys: Vec<(SourceRef, Key)>,
}

/// A change of the pod template by somebody else that was seen live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The version at which the template changed.
    pub version: Version,
    /// The revision of the workload before it.
    pub revision: Option<u64>,
}

/// A moment at which a workload was seen to be current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The version of the workload then.
    pub version: Version,
    /// Its revision then: no rollout up to it can be due to a later change.
    pub revision: Option<u64>,
    /// The mark of our restart that was complete then.
    pub mark: Option<[u8; 6]>,
}

/// What holds for all workloads.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who we are, as baselines say it.
    pub installation: Box<str>,
    /// Whether coming and going of sources counts.
    pub presence: Presence,
}

/// Whether sources that come or go have changed for those who can do without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Those that come have.
    pub on_create: bool,
    /// Those that go have.
    pub on_delete: bool,
}

impl Default for Presence {
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
pub struct Failure {
    /// Which workload.
    pub workload: WorkloadRef,
    /// Which source.
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
    /// The workload.
    pub workload: &'a Workload,
    /// What it asks for: its last good word if the present one cannot be used.
    pub opt_in: &'a OptIn,
    /// The sources that count, sorted, each once.
    pub sources: &'a [View<'a>],
    /// The baseline that we know of for this very workload, be it gone from the workload itself.
    pub remembered: Option<&'a str>,
    /// Whether the cluster was searched for a baseline, should there be none.
    pub searched: bool,
    /// A change seen live.
    pub change: Option<&'a Change>,
    /// A foreign template change seen live.
    pub foreign: Option<Foreign>,
    /// When it was last seen to be current.
    pub trusted: Option<Trusted>,
    /// Whose marks moved a short while ago without our doing.
    pub rival: Option<&'a Rival>,
    /// Pods and revisions, if they were read.
    pub proof: Option<&'a Proof>,
    /// How far a change in place has come, if pods were asked.
    pub propagation: Option<&'a Progress>,
    /// What its policies make of it.
    pub terms: &'a Terms,
    /// Workloads that failed after a restart, with what they were restarted for.
    pub failures: &'a [&'a Failure],
    /// Workloads of an earlier wave that are not done, in words; `None`: there are none.
    pub ahead: Option<String>,
    /// What holds for all.
    pub settings: &'a Settings,
    /// The keys.
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

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
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
    Prove(Need),
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
    pub by: By,
    /// Reloader's mark, for those who look for it.
    pub reloaded_from: Option<String>,
    /// Marks of other controllers that go with it.
    pub marks: Option<Box<Marks>>,
    /// Whether it begins or ends a pause.
    pub pause: Option<Pause>,
    /// The sources that it is for.
    pub sources: Vec<SourceRef>,
}

/// What makes the pods be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
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

/// What has to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The baselines that older revisions kept.
    History,
    /// Pods and revisions.
    Pods,
}

/// The outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to do.
    pub action: Action,
    /// Where the workload stands.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// What the reason is about: sources, keys, names. Never content.
    pub detail: String,
    /// When to decide again without an event.
    pub not_before: Option<Timestamp>,
    /// What is answered to a person who pulled a lever.
    pub answer: Option<String>,
    /// Files of running pods that are to be brought up to date, unless the plan replaces the pods.
    pub files: Option<Files>,
}

/// Files of running pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
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
            answer: None,
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
    if input.workload.reference.kind.row().pods == Pods::NextRun {
        return source_missing(input).unwrap_or_else(|| checks::next_run(input));
    }
    let known = known_baseline(input);
    if let Known::Others(installation) = &known {
        // Whoever may annotate a workload may have written anything there.
        let installation: String = installation.chars().take(MAX_INSTALLATION).collect();
        return Plan::hold(
            Reason::OtherInstallation,
            format!("{installation}; to hand it over, remove the annotation windlass.dev/observed"),
        );
    }
    // Before anything is recorded: what a workload without its sources will start with is not known.
    if let Some(plan) = source_missing(input) {
        return plan;
    }
    let (baseline, restore) = match known {
        Known::Here(baseline) => (baseline, false),
        Known::Elsewhere(baseline) => (baseline, true),
        Known::Search => return Plan::new(Action::Prove(Need::History), State::Held, Reason::Proving),
        Known::Incomparable(why) => return incomparable(input, None, why),
        Known::First | Known::Others(_) => {
            if let Some(plan) = known::maybe_stripped(input) {
                return plan;
            }
            let observed = fresh(input, None).print();
            return Plan::new(Action::Adopt(observed), State::Current, Reason::Adopted).about(list(input));
        }
    };
    let Some(key) = input.ring.get(&baseline.key) else {
        return incomparable(
            input,
            Some(&baseline),
            "the digest key that its baseline was made with is lost",
        );
    };
    let key = key.for_workload(&input.workload.uid);
    let present = present(input, &key, HintDetail::All);
    let Some(mut difference) = baseline.compare(&key, &input.workload.reference.namespace, &present) else {
        return incomparable(
            input,
            Some(&baseline),
            "it uses other sources than before, too many to be recorded one by one",
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
        lever: None,
    };
    let (lever, answer) = match levers::pulled(&case) {
        levers::Pulled::Unsure => return Plan::new(Action::Prove(Need::Pods), State::Settling, Reason::Proving),
        levers::Pulled::No(answer) => (None, answer),
        levers::Pulled::Yes(lever) => (Some(lever), None),
    };
    let case = Case { lever, ..case };
    if taken_as_they_are && difference.changed.is_empty() {
        return governed::follow(&case, adopt(&case, Reason::Reshaped));
    }
    let plan = CHECKS
        .iter()
        .find_map(|check| check(&case))
        .unwrap_or_else(|| restart(&case));
    let plan = levers::answered(&case, governed::follow(&case, plan));
    Plan {
        files: in_place::files(&case, &plan),
        answer: plan.answer.or(answer),
        ..plan
    }
}

/// One workload with a baseline that can be compared.
struct Case<'a> {
    input: &'a Input<'a>,
    baseline: &'a Baseline,
    key: &'a WorkloadKey,
    present: &'a [Present<'a>],
    difference: &'a Difference,
    restore: bool,
    /// What a person wants that counts.
    lever: Option<(Lever, Timestamp)>,
}

impl Case<'_> {
    fn class(&self, at: usize) -> Class {
        self.present.get(at).map_or(Class::Restart, |present| present.class)
    }

    fn wants(&self, lever: Lever) -> bool {
        self.lever.is_some_and(|(pulled, _)| pulled == lever)
    }
}

/// In this order; the first that has an answer gives it. None: restart.
const CHECKS: &[fn(&Case<'_>) -> Option<Plan>] = &[
    levers::skipped,
    pausing,
    unscheduled,
    unsure,
    reverted,
    unchanged,
    nothing_runs,
    in_place::left_to_the_kubelet,
    ignored,
    absorbed,
    rival,
    reshaped_meanwhile,
    settling,
    started_meanwhile,
    undone,
    given_up,
    paused,
];
