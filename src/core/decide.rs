//! The decision: what to do about one workload, from nothing but what is given.
//!
//! State is compared with state. Whether an event was seen never matters for the outcome; what was
//! seen live only saves reading it from the cluster. Each check is small, stands in one ordered list,
//! and gives its reason.

use jiff::{SignedDuration, Timestamp};

use super::baseline::{Baseline, Difference, Present, Unsure};
use super::digest::{Digest, KeyRing, RingKey, WorkloadKey};
use super::kind::Progress;
use super::name::{Key, SourceRef, Version};
use super::optin::{OptIn, Strategy};
use super::proof::Proof;
use super::reason::{Reason, State};
use super::reference::{Consumed, Use};
use super::time::Second;
use super::workload::{Source, Workload};

mod describe;
#[cfg(test)]
mod tests;

use describe::Changed;

/// Keys of one source up to which each gets a hint in the baseline.
const HINTED_KEYS: usize = 24;

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
}

/// What holds for all workloads.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who we are, as baselines say it.
    pub installation: Box<str>,
    /// How long a change waits for others.
    pub settle: SignedDuration,
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
    /// Pods and revisions, if they were read.
    pub proof: Option<&'a Proof>,
    /// What holds for all.
    pub settings: &'a Settings,
    /// The keys.
    pub ring: &'a KeyRing,
    /// The time.
    pub now: Timestamp,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Write the baseline and restart nothing.
    Adopt(String),
    /// Restart, and write the baseline in the same patch.
    Restart(Restart),
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
}

impl Plan {
    fn new(action: Action, state: State, reason: Reason) -> Self {
        Self {
            action,
            state,
            reason,
            detail: String::new(),
            not_before: None,
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
    let known = known_baseline(input);
    if let Known::Others(installation) = &known {
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
        Known::Incomparable(why) => return incomparable(input, why),
        Known::First | Known::Others(_) => {
            let observed = fresh(input, None).print();
            return Plan::new(Action::Adopt(observed), State::Current, Reason::Adopted).about(list(input));
        }
    };
    let Some(key) = input.ring.get(&baseline.key) else {
        return incomparable(input, "the digest key that its baseline was made with is lost");
    };
    let key = key.for_workload(&input.workload.uid);
    let present = present(input, &key, HintDetail::All);
    let Some(difference) = baseline.compare(&key, &input.workload.reference.namespace, &present) else {
        return incomparable(
            input,
            "it uses other sources than before, too many to be recorded one by one",
        );
    };
    let case = Case {
        input,
        baseline: &baseline,
        key: &key,
        present: &present,
        difference: &difference,
        restore,
    };
    CHECKS
        .iter()
        .find_map(|check| check(&case))
        .unwrap_or_else(|| restart(&case))
}

/// One workload with a baseline that can be compared.
struct Case<'a> {
    input: &'a Input<'a>,
    baseline: &'a Baseline,
    key: &'a WorkloadKey,
    present: &'a [Present<'a>],
    difference: &'a Difference,
    restore: bool,
}

/// In this order; the first that has an answer gives it. None: restart.
const CHECKS: &[fn(&Case<'_>) -> Option<Plan>] = &[
    unsure,
    unchanged,
    nothing_runs,
    ignored,
    absorbed,
    reshaped_meanwhile,
    settling,
    started_meanwhile,
    undone,
    paused,
];

// ---- what is known ------------------------------------------------------------------------------

enum Known {
    /// On the workload.
    Here(Baseline),
    /// In memory or in a revision's copy: it was taken off the workload.
    Elsewhere(Baseline),
    /// Another installation's.
    Others(Box<str>),
    /// There was one, which says nothing any more.
    Incomparable(&'static str),
    /// Older revisions may have kept a copy.
    Search,
    /// There never was one.
    First,
}

fn known_baseline(input: &Input<'_>) -> Known {
    let workload = input.workload;
    let ours = |text: &str| {
        let baseline = Baseline::parse(text).ok()?;
        (baseline.uid == workload.uid && baseline.installation == input.settings.installation).then_some(baseline)
    };
    let damaged = match workload.observed.as_deref().map(Baseline::parse) {
        // Copied along with a manifest or a backup: it speaks of another workload.
        Some(Ok(baseline)) if baseline.uid != workload.uid => false,
        Some(Ok(baseline)) if baseline.installation != input.settings.installation => {
            return Known::Others(baseline.installation);
        }
        Some(Ok(baseline)) => return Known::Here(baseline),
        Some(Err(_)) => true,
        None => false,
    };
    if let Some(baseline) = input.remembered.and_then(ours) {
        return Known::Elsewhere(baseline);
    }
    if !input.searched && workload.evidence.revision.is_some() {
        return Known::Search;
    }
    if damaged {
        Known::Incomparable("its baseline is not readable")
    } else {
        Known::First
    }
}

/// A hold only if some pod may be older than what it should run.
fn incomparable(input: &Input<'_>, why: &'static str) -> Plan {
    let Some(proof) = input.proof else {
        return Plan::new(Action::Prove(Need::Pods), State::Held, Reason::Proving);
    };
    let all = 0..input.sources.len();
    if last_change(input, all, None).is_some_and(|change| proof.all_started_after(change)) {
        let observed = fresh(input, None).print();
        return Plan::new(Action::Adopt(observed), State::Current, Reason::Adopted).about(list(input));
    }
    let mut baseline = fresh(input, None);
    baseline.held = Some(Unsure::Unproven);
    baseline.stale = Some(stale_since(input));
    Plan::new(Action::Adopt(baseline.print()), State::Held, Reason::Unproven).about(unproven_advice(why))
}

fn unproven_advice(why: &str) -> String {
    format!("{why}, and some pods are older than the last change; run kubectl rollout restart to be sure")
}

/// What a required source or key that is not there is called.
fn source_missing(input: &Input<'_>) -> Option<Plan> {
    let mut missing = Vec::new();
    for view in input.sources {
        match view.source {
            None if view.used.required => missing.push(view.reference.to_string()),
            None => {}
            Some(source) => missing.extend(
                view.used
                    .required_keys
                    .iter()
                    .filter(|key| source.contents.get(key.as_str()).is_none())
                    .map(|key| format!("key {key} of {}", view.reference)),
            ),
        }
    }
    (!missing.is_empty()).then(|| Plan::hold(Reason::SourceMissing, describe::some_of(&missing)))
}

// ---- the checks ---------------------------------------------------------------------------------

/// Recorded as not vouching for the pods: only pods that are all younger, or new content, end that.
fn unsure(case: &Case<'_>) -> Option<Plan> {
    let held = case.baseline.held?;
    if !case.difference.changed.is_empty() {
        return None;
    }
    if case.input.workload.evidence.empty {
        return Some(adopt(case, Reason::NothingRuns));
    }
    let Some(proof) = case.input.proof else {
        return Some(Plan::new(Action::Prove(Need::Pods), State::Held, Reason::Proving));
    };
    let all = 0..case.input.sources.len();
    let recorded = Some(Second::from(case.baseline.at));
    if last_change(case.input, all, recorded).is_some_and(|change| proof.all_started_after(change)) {
        return Some(adopt(case, Reason::Proven));
    }
    let (reason, detail) = match held {
        Unsure::Undone => (Reason::Undone, undone_advice()),
        Unsure::Unproven => (Reason::Unproven, unproven_advice("nothing can be compared")),
    };
    Some(Plan::hold(reason, detail))
}

fn unchanged(case: &Case<'_>) -> Option<Plan> {
    if !case.difference.changed.is_empty() || suspect_since(case).is_some() {
        return None;
    }
    if case.restore {
        return Some(adopt(case, Reason::Restored));
    }
    if case.difference.reshaped {
        return Some(adopt(case, Reason::Reshaped));
    }
    let evidence = case.input.workload.evidence;
    // A rollout by somebody else is theirs to watch.
    let ours = !case.baseline.restarts.is_empty()
        && evidence.revision.unwrap_or(0) <= case.baseline.revision
        && case.input.workload.witness.as_deref() == Some(&*witness(case.baseline, case.key, case.present));
    let (state, reason) = match evidence.progress {
        Progress::Failed if ours => (State::Failed, Reason::RolloutFailed),
        Progress::Progressing if ours => (State::Rolling, Reason::Rolling),
        Progress::Failed | Progress::Progressing | Progress::Complete => (State::Current, Reason::Unchanged),
    };
    Some(Plan::new(Action::Nothing, state, reason))
}

/// Since when the content may have been something else in between, although it is as recorded now.
fn suspect_since(case: &Case<'_>) -> Option<Second> {
    if let Some(change) = case.input.change {
        return Some(change.since);
    }
    if let Some(stale) = case.baseline.stale {
        return Some(Second::from(stale));
    }
    let recorded = Second::from(case.baseline.at);
    case.input
        .sources
        .iter()
        .filter_map(|view| {
            let (source, unseen) = (view.source?, view.unseen_since?);
            let from = unseen.max(recorded);
            let written = source.version > case.baseline.horizon;
            let content = source.changed_at.is_none_or(|at| at >= from);
            (written && content).then_some(from)
        })
        .min()
}

/// Content is as recorded, but was not all the time: pods started in between run something else.
fn started_meanwhile(case: &Case<'_>) -> Option<Plan> {
    if !case.difference.changed.is_empty() {
        return None;
    }
    let from = suspect_since(case)?;
    let Some(proof) = case.input.proof else {
        return Some(Plan::new(Action::Prove(Need::Pods), State::Settling, Reason::Proving));
    };
    let now = Some(Second::from(case.input.now));
    let to = last_change(case.input, 0..case.input.sources.len(), now)?;
    if proof.any_started_between(from, to.max(from)) {
        return None;
    }
    if case.restore || case.difference.reshaped || case.baseline.stale.is_some() {
        return Some(adopt(
            case,
            if case.restore {
                Reason::Restored
            } else {
                Reason::Unaffected
            },
        ));
    }
    Some(Plan::new(Action::Nothing, State::Current, Reason::Unchanged))
}

fn nothing_runs(case: &Case<'_>) -> Option<Plan> {
    case.input
        .workload
        .evidence
        .empty
        .then(|| adopt(case, Reason::NothingRuns))
}

fn ignored(case: &Case<'_>) -> Option<Plan> {
    (case.input.opt_in.strategy == Strategy::Ignore).then(|| hold_stale(case, Reason::Ignored, changed(case)))
}

/// One upgrade, one rollout: a template change after the source's change brings the content along.
fn absorbed(case: &Case<'_>) -> Option<Plan> {
    let foreign = case.input.foreign?;
    let newest = case
        .difference
        .changed
        .iter()
        .filter_map(|&at| case.input.sources.get(at))
        .map(|view| view.content_version)
        .max()?;
    if foreign.version <= newest {
        return None;
    }
    let evidence = case.input.workload.evidence;
    let rolled = evidence.revision > foreign.revision;
    match evidence.progress {
        Progress::Complete if rolled => {
            let Some(proof) = case.input.proof else {
                return Some(Plan::new(Action::Prove(Need::Pods), State::Rolling, Reason::Proving));
            };
            let change = last_change(case.input, case.difference.changed.iter().copied(), None)?;
            // The versions say that the template came later; but going back to an old template wakes
            // an old ReplicaSet, and of its pods some may have been there all the time.
            let fresh = proof
                .present(evidence.revision)
                .is_some_and(|revision| revision.created >= change);
            (fresh || proof.all_started_after(change)).then(|| adopt(case, Reason::Absorbed))
        }
        // The template reads differently, yet no rollout came of it: a field that a new version of
        // Kubernetes fills in.
        Progress::Complete => None,
        progress => Some(absorbing(case, progress)),
    }
}

fn absorbing(case: &Case<'_>, progress: Progress) -> Plan {
    match progress {
        Progress::Failed => Plan::new(Action::Hold, State::Failed, Reason::RolloutFailed).about(changed(case)),
        Progress::Complete | Progress::Progressing => {
            Plan::new(Action::Hold, State::Rolling, Reason::Absorbing).about(changed(case))
        }
    }
}

/// What begins to count is recorded at once, or a change of it that comes while something else is
/// looked into would be taken for what it began with.
fn reshaped_meanwhile(case: &Case<'_>) -> Option<Plan> {
    if !case.difference.changed.is_empty() || !case.difference.reshaped {
        return None;
    }
    let since = suspect_since(case)?;
    let mut baseline = fresh(case.input, Some(case.baseline));
    // Still to be looked into.
    baseline.stale = Timestamp::from_second(since.unix()).ok();
    Some(Plan::new(Action::Adopt(baseline.print()), State::Settling, Reason::Reshaped).about(list(case.input)))
}

fn settling(case: &Case<'_>) -> Option<Plan> {
    let since = case.input.change?.first_seen;
    let until = since.checked_add(case.input.settings.settle).ok()?;
    (case.input.now < until).then(|| Plan {
        not_before: Some(until),
        ..Plan::new(Action::Hold, State::Settling, Reason::Settling).about(changed(case))
    })
}

/// Reads pods and revisions only when the workload was rolled since its baseline was set.
fn undone(case: &Case<'_>) -> Option<Plan> {
    if case.difference.changed.is_empty() {
        return None;
    }
    let evidence = case.input.workload.evidence;
    if evidence.revision.unwrap_or(0) <= case.baseline.revision || trusted(case) {
        return None;
    }
    let Some(proof) = case.input.proof else {
        return Some(Plan::new(Action::Prove(Need::Pods), State::Settling, Reason::Proving));
    };
    let change = last_change(case.input, case.difference.changed.iter().copied(), None)?;
    if proof.all_started_after(change) {
        return Some(adopt(case, Reason::Absorbed));
    }
    let rolled_and_left = proof.revisions.iter().any(|revision| {
        Some(revision.number) != evidence.revision
            && revision.created >= change
            && revision
                .witness
                .as_deref()
                .is_some_and(|witness| is_of_present(case, witness))
    });
    if rolled_and_left && evidence.progress == Progress::Progressing {
        // Going back may yet replace every pod.
        return Some(absorbing(case, evidence.progress));
    }
    if rolled_and_left {
        let mut baseline = fresh(case.input, Some(case.baseline));
        baseline.held = Some(Unsure::Undone);
        baseline.stale = Some(case.baseline.stale.unwrap_or_else(|| stale_since(case.input)));
        return Some(Plan::new(Action::Adopt(baseline.print()), State::Held, Reason::Undone).about(undone_advice()));
    }
    let since = proof
        .present(evidence.revision)
        .is_some_and(|revision| revision.created > change);
    since.then(|| absorbing(case, evidence.progress))
}

fn undone_advice() -> String {
    "pods that were never restarted still run the old content; kubectl rollout restart brings the present one".into()
}

/// Whether the workload was seen current at its present revision, before all that changed now.
fn trusted(case: &Case<'_>) -> bool {
    case.input.trusted.is_some_and(|trusted| {
        trusted.revision >= case.input.workload.evidence.revision
            && case
                .difference
                .changed
                .iter()
                .filter_map(|&at| case.input.sources.get(at))
                .all(|view| view.content_version > trusted.version)
    })
}

fn paused(case: &Case<'_>) -> Option<Plan> {
    case.input
        .workload
        .evidence
        .paused
        .then(|| hold_stale(case, Reason::Paused, changed(case)))
}

fn restart(case: &Case<'_>) -> Plan {
    let input = case.input;
    let mut baseline = fresh(input, Some(case.baseline));
    baseline.revision = input.workload.evidence.revision.unwrap_or(0).saturating_add(1);
    baseline.push_restart(input.now);
    let key = input.ring.newest().for_workload(&input.workload.uid);
    let present = present(input, &key, HintDetail::None);
    let reason = if case.difference.changed.is_empty() {
        Reason::StartedMeanwhile
    } else {
        Reason::Restarted
    };
    let changed = Changed::of(case);
    let action = Action::Restart(Restart {
        observed: baseline.print(),
        digest: witness(&baseline, &key, &present),
        cause: changed.cause(reason, input.now),
    });
    Plan::new(action, State::Rolling, reason).about(changed.to_string())
}

/// Since when the pods are behind, as far as is known.
fn stale_since(input: &Input<'_>) -> Timestamp {
    let written = input
        .change
        .and_then(|change| Timestamp::from_second(change.since.unix()).ok());
    written.map_or(input.now, |written| written.min(input.now))
}

// ---- making plans -------------------------------------------------------------------------------

/// The present content becomes the baseline; no pod is touched.
fn adopt(case: &Case<'_>, reason: Reason) -> Plan {
    let nothing_new = case.difference.changed.is_empty();
    let baseline = if reason == Reason::Restored && nothing_new && !case.difference.reshaped {
        case.baseline.clone()
    } else {
        fresh(case.input, Some(case.baseline))
    };
    let detail = if nothing_new { list(case.input) } else { changed(case) };
    Plan::new(Action::Adopt(baseline.print()), State::Current, reason).about(detail)
}

/// Holds, and puts on record since when the pods are not current.
fn hold_stale(case: &Case<'_>, reason: Reason, detail: String) -> Plan {
    let plan = Plan::hold(reason, detail);
    if case.baseline.stale.is_some() && !case.restore {
        return plan;
    }
    let mut baseline = case.baseline.clone();
    baseline.stale = Some(baseline.stale.unwrap_or_else(|| stale_since(case.input)));
    Plan {
        action: Action::Adopt(baseline.print()),
        ..plan
    }
}

/// A baseline of the present content, by the newest key.
fn fresh(input: &Input<'_>, before: Option<&Baseline>) -> Baseline {
    let newest: &RingKey = input.ring.newest();
    let key = newest.for_workload(&input.workload.uid);
    let mut baseline = Baseline {
        installation: input.settings.installation.clone(),
        key: newest.id().into(),
        uid: input.workload.uid.clone(),
        at: input.now,
        horizon: input
            .sources
            .iter()
            .filter_map(|view| Some(view.source?.version))
            .max()
            .unwrap_or_default(),
        revision: input.workload.evidence.revision.unwrap_or(0),
        shape: [0; 6],
        recorded: super::baseline::Recorded::Packed(Vec::new()),
        stale: None,
        held: None,
        restarts: before.map(|baseline| baseline.restarts.clone()).unwrap_or_default(),
    };
    let present = present(input, &key, HintDetail::All);
    baseline.record(&key, &input.workload.reference.namespace, &present);
    baseline
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HintDetail {
    All,
    None,
}

fn present<'a>(input: &Input<'a>, key: &WorkloadKey, hints: HintDetail) -> Vec<Present<'a>> {
    input
        .sources
        .iter()
        .map(|view| Present {
            source: view.reference,
            tag: key.shape(view.reference, view.used),
            digest: key.source(
                view.reference,
                &view.used.consumed,
                view.source.map(|source| &source.contents),
            ),
            hints: if hints == HintDetail::All {
                hints_of(view, key)
            } else {
                Vec::new()
            },
        })
        .collect()
}

fn hints_of(view: &View<'_>, key: &WorkloadKey) -> Vec<super::digest::Hint> {
    let Some(source) = view.source else { return Vec::new() };
    let counted = match &view.used.consumed {
        Consumed::Whole => source.contents.iter().len(),
        Consumed::Keys(keys) => keys.len(),
    };
    if counted > HINTED_KEYS {
        return Vec::new();
    }
    source
        .contents
        .iter()
        .filter(|(name, _)| view.used.consumed.contains(name))
        .map(|(name, value)| key.hint(view.reference, name, value))
        .collect()
}

/// What our restart leaves on the template: the key's id and one digest over everything.
fn witness(baseline: &Baseline, key: &WorkloadKey, present: &[Present<'_>]) -> String {
    use base64::Engine as _;
    let Digest(digest) = key.combined(present.iter().map(|p| (p.source, p.tag, p.digest)));
    format!(
        "{}.{}",
        baseline.key,
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
    )
}

fn is_of_present(case: &Case<'_>, text: &str) -> bool {
    let Some(ring_key) = text.split_once('.').and_then(|(id, _)| case.input.ring.get(id)) else {
        return false;
    };
    let key = ring_key.for_workload(&case.input.workload.uid);
    let present = present(case.input, &key, HintDetail::None);
    let of_that_key = Baseline {
        key: ring_key.id().into(),
        ..case.baseline.clone()
    };
    witness(&of_that_key, &key, &present) == text
}

/// When the last of these sources was written; `None` when that cannot be told of each.
///
/// A source that is gone left no trace of its going, and one may have no trace of its writing:
/// `otherwise` is a time by which that is known to have happened.
fn last_change(input: &Input<'_>, which: impl Iterator<Item = usize>, otherwise: Option<Second>) -> Option<Second> {
    let mut last = Second::new(0);
    for view in which.filter_map(|at| input.sources.get(at)) {
        last = last.max(view.source.and_then(|source| source.changed_at).or(otherwise)?);
    }
    Some(last)
}

/// The sources that count.
fn list(input: &Input<'_>) -> String {
    describe::some_of(
        &input
            .sources
            .iter()
            .map(|view| view.reference.to_string())
            .collect::<Vec<_>>(),
    )
}

fn changed(case: &Case<'_>) -> String {
    Changed::of(case).to_string()
}
