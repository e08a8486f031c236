//! What is known of a workload's past, and what follows when that is not enough to compare.

use super::last_change::last_change_of_all;
use super::plans::{fresh, list, stale_since};
use super::{Action, Input, Plan, PresencePolicy, ReadScope, Reason, State};
use crate::content::baseline::{Baseline, Difference, PresentSource, Uncertainty};
use crate::content::digest::WorkloadKey;
use crate::types::name::SourceRef;
use crate::types::text::some_of;
use crate::types::time::Second;
use crate::workload::kind::RevisionHistory;

/// What begins to count is taken as it is; but where a change of the same source was waiting already,
/// other keys of it beginning or ceasing to count must not make that be forgotten.
pub(super) fn keep_pending(input: &Input<'_>, baseline: &Baseline, difference: &mut Difference) {
    let seen = |source: &SourceRef| {
        let change = input.change.into_iter().flat_map(|change| &change.keys);
        change.into_iter().any(|(of, _)| of == source)
    };
    let waits = |at: &usize| {
        let view = input.sources.get(*at);
        baseline.stale.is_some() || view.is_some_and(|view| seen(view.reference))
    };
    difference
        .changed
        .extend(difference.reclassified.extract_if(.., |at| waits(at)));
    difference.changed.sort_unstable();
}

/// Sources that came or went where that is no change: they are taken as they are. Gives whether
/// there are any.
pub(super) fn take_as_they_are(
    input: &Input<'_>,
    baseline: &Baseline,
    key: &WorkloadKey,
    difference: &mut Difference,
) -> bool {
    let PresencePolicy { on_create, on_delete } = input.settings.presence;
    if on_create && on_delete {
        return false;
    }
    let absent: Vec<PresentSource<'_>> = input
        .sources
        .iter()
        .map(|view| PresentSource {
            source: view.reference,
            key_strategy: view.used.key_strategy,
            tag: key.shape(view.reference, view.used),
            digest: key.source(view.reference, view.used, None),
            hints: Vec::new(),
        })
        .collect();
    let was_there = baseline
        .compare(key, &input.workload.reference.namespace, &absent)
        .map(|difference| difference.changed)
        .unwrap_or_default();
    let before = difference.changed.len();
    difference.changed.retain(|at| {
        let there = input.sources.get(*at).is_some_and(|view| view.source.is_some());
        let came = there && !was_there.contains(at);
        !((came && !on_create) || (!there && !on_delete))
    });
    difference.changed.len() < before
}

pub(super) enum KnownBaseline {
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

pub(super) fn known_baseline(input: &Input<'_>) -> KnownBaseline {
    let workload = input.workload;
    let ours = |text: &str| {
        let baseline = Baseline::parse(text).ok()?;
        (baseline.uid == workload.uid && baseline.installation == input.settings.installation).then_some(baseline)
    };
    let damaged = match workload.observed.as_deref().map(Baseline::parse) {
        // Copied along with a manifest or a backup: it speaks of another workload.
        Some(Ok(baseline)) if baseline.uid != workload.uid => false,
        Some(Ok(baseline)) if baseline.installation != input.settings.installation => {
            return KnownBaseline::Others(baseline.installation);
        }
        Some(Ok(baseline)) => return KnownBaseline::Here(baseline),
        Some(Err(_)) => true,
        None => false,
    };
    if let Some(baseline) = input.remembered.and_then(ours) {
        return KnownBaseline::Elsewhere(baseline);
    }
    if !input.searched && workload.rollout_status.revision.is_some() {
        return KnownBaseline::Search;
    }
    if damaged {
        KnownBaseline::Incomparable("the baseline is not readable")
    } else {
        KnownBaseline::First
    }
}

/// Where no revision keeps a copy of the first baseline, one that was taken off while nobody watched
/// looks like none. What changed in that time must not be taken for what its pods run.
pub(super) fn maybe_stripped(input: &Input<'_>) -> Option<Plan> {
    if matches!(
        input.workload.reference.kind.row().history,
        RevisionHistory::ReplicaSets(_)
    ) {
        return None;
    }
    let watched_until = input
        .sources
        .iter()
        .filter_map(|view| {
            let (changed, until) = (view.source?.written.at()?, view.unseen_since?);
            // From the beginning of time on: nobody ever watched before.
            (until > Second::new(0) && changed >= until).then_some(until)
        })
        .min()?;
    let known_then = |created: Second| created < watched_until;
    if input
        .rollout_history
        .is_some_and(|rollout_history| !rollout_history.created.is_some_and(known_then))
    {
        return None;
    }
    Some(incomparable(
        input,
        None,
        "the baseline may have been removed while Windlass was not running",
    ))
}

/// A hold only if some pod may be older than what it should run.
pub(super) fn incomparable(input: &Input<'_>, baseline: Option<&Baseline>, why: &'static str) -> Plan {
    let Some(rollout_history) = input.rollout_history else {
        return Plan::new(Action::Read(ReadScope::Pods), State::Held, Reason::Proving);
    };
    let change = last_change_of_all(input.sources, baseline);
    if change.is_some_and(|change| rollout_history.all_started_after(change)) {
        let observed = fresh(input, None).print();
        return Plan::new(Action::Adopt(observed), State::Current, Reason::Adopted).about(list(input));
    }
    let mut baseline = fresh(input, None);
    baseline.held = Some(Uncertainty::Unproven);
    baseline.stale = Some(stale_since(input));
    Plan::new(Action::Adopt(baseline.print()), State::Held, Reason::Unproven).about(unproven_advice(why))
}

pub(super) fn unproven_advice(why: &str) -> String {
    format!("{why}, and some pods are older than the last change; run kubectl rollout restart to be sure")
}

/// What a required source or key that is not there is called.
pub(super) fn source_missing(input: &Input<'_>) -> Option<Plan> {
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
    (!missing.is_empty()).then(|| Plan::hold(Reason::SourceMissing, some_of(&missing)))
}
