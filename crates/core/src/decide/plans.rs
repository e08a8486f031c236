//! Making plans: what is written, and the words for it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::breaker::flaps_after;
use super::describe::ChangedSources;
use super::immutable::replaced;
use super::last_change::last_change;
use super::suspect::suspect_since;
use super::{Action, Case, Input, Pause, Plan, Reason, Restart, RestartMethod, SourceView, State};
use crate::compat::marks::ControllerMarks;
use crate::content::baseline::{Baseline, PresentSource, RecordedDigests, Uncertainty};
use crate::content::digest::{Digest, RingKey, WorkloadKey, digest_prefix};
use crate::types::text::some_of;
use crate::types::time::Second;
use crate::workload::key_strategy::KeyStrategy;
use crate::workload::opt_in::Origin;
use crate::workload::reference::ConsumedKeys;
use crate::workload::rollout_history::RolloutHistory;

/// Keys of one source up to which each gets a hint in the baseline.
const HINTED_KEYS: usize = 24;

pub(super) fn restart(case: &Case<'_>) -> Plan {
    restart_again(case, case.baseline.reverts)
}

/// A restart after so many were taken back.
pub(super) fn restart_again(case: &Case<'_>, reverts: u32) -> Plan {
    let input = case.input;
    let mut baseline = recording_override(case, fresh(input, Some(case.baseline)));
    baseline.reverts = reverts;
    baseline.in_place = None;
    baseline.excused = false;
    baseline.flaps = flaps_after(case.baseline, input.now, input.policy.flap_limit);
    baseline.revision = input.workload.rollout_status.revision.unwrap_or(0).saturating_add(1);
    baseline.push_restart(input.now);
    let key = input.ring.newest().for_workload(&input.workload.uid);
    let present = present(input, &key, HintDetail::None);
    for &at in case.difference.changed.iter().filter(|at| replaced(case, **at)) {
        baseline.held = Some(Uncertainty::Replaced);
        if let Some(present) = present.get(at) {
            // Whatever it is now, what a kubelet has of it is not.
            baseline.note_immutable(key.label(present.source, present.tag));
        }
    }
    let waits_for_us = input.workload.marks().is_some_and(|marks| marks.scheduler.is_some());
    let reason = if case.difference.changed.is_empty() && reverts == case.baseline.reverts && !waits_for_us {
        Reason::StartedMeanwhile
    } else {
        Reason::Restarted
    };
    let changed = ChangedSources::of(case);
    let digest = template_digest(&baseline, &key, &present);
    let by = if input.restarts_at() {
        RestartMethod::RestartAt(input.now)
    } else {
        RestartMethod::Template
    };
    baseline.template_digest = (by == RestartMethod::Template)
        .then(|| digest_prefix(&digest))
        .flatten();
    let pause = match (input.workload.paused_at(), input.opt_in.pause) {
        (Some(_), _) if input.workload.rollout_status.paused => Some(Pause::End),
        (_, Some(_)) => Some(Pause::Begin(input.now)),
        (_, None) => None,
    };
    let action = Action::Restart(Box::new(Restart {
        observed: baseline.print(),
        reloaded_from: (input.opt_in.origin == Origin::Reloader)
            .then(|| changed.reloaded_from(input, &digest))
            .flatten(),
        digest,
        cause: changed.cause(input, reason),
        method: by,
        marks: input.workload.marks().map(|marks| {
            let sources = input.sources.iter().map(|view| view.reference);
            Box::new(marks.of_sources(sources, &input.workload.uses))
        }),
        pause,
        sources: changed.sources().cloned().collect(),
    }));
    Plan::new(action, State::Rolling, reason).about(changed.to_string())
}

/// Since when the pods are behind, as far as is known.
pub(super) fn stale_since(input: &Input<'_>) -> Timestamp {
    let written = input
        .change
        .and_then(|change| Timestamp::from_second(change.since.unix()).ok());
    written.map_or(input.now, |written| written.min(input.now))
}

/// The present content becomes the baseline; no pod is touched.
pub(super) fn adopt(case: &Case<'_>, reason: Reason) -> Plan {
    let nothing_new = case.difference.changed.is_empty();
    let mut baseline = if reason == Reason::BaselineRestored && nothing_new && !case.difference.shape_changed {
        case.baseline.clone()
    } else {
        recording_override(case, fresh(case.input, Some(case.baseline)))
    };
    if matches!(
        reason,
        Reason::CoveredByRollout | Reason::PodsUpToDate | Reason::NothingRuns | Reason::Skipped
    ) {
        // No pod is left that is older than the change.
        baseline.template_digest = None;
    }
    let detail = if nothing_new { list(case.input) } else { changed(case) };
    Plan::new(Action::Adopt(baseline.print()), State::Current, reason).about(detail)
}

/// The manual override that counts is dealt with by what is written now.
pub(super) fn recording_override(case: &Case<'_>, baseline: Baseline) -> Baseline {
    Baseline {
        last_override: case.manual_override.map(|(_, at)| at).or(baseline.last_override),
        ..baseline
    }
}

/// Holds, and puts on record since when the pods are not current.
pub(super) fn hold_stale(case: &Case<'_>, reason: Reason, detail: String) -> Plan {
    let plan = Plan::hold(reason, detail);
    // What is only to follow a change in place is on record as such.
    let nothing_stale = case.difference.changed.is_empty() && suspect_since(case).is_none();
    if (case.baseline.stale.is_some() || nothing_stale) && !case.restore {
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
pub(super) fn fresh(input: &Input<'_>, before: Option<&Baseline>) -> Baseline {
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
        written: input
            .sources
            .iter()
            .filter_map(|view| view.source?.written.recorded_at())
            .max(),
        revision: input.workload.rollout_status.revision.unwrap_or(0),
        shape: [0; 6],
        recorded: RecordedDigests::Packed(Vec::new()),
        stale: None,
        held: None,
        restarts: before.map(|baseline| baseline.restarts.clone()).unwrap_or_default(),
        template_digest: before.and_then(|baseline| baseline.template_digest),
        reverts: before.map_or(0, |baseline| baseline.reverts),
        in_place: before.and_then(|baseline| baseline.in_place),
        last_override: before.and_then(|baseline| baseline.last_override),
        flaps: before.map_or(0, |baseline| baseline.flaps),
        excused: before.is_some_and(|baseline| baseline.excused),
        undone: BTreeMap::new(),
        marks: before
            .filter(|before| *before.key == *newest.id())
            .map(|before| before.marks.clone())
            .unwrap_or_default(),
        immutable: Vec::new(),
    };
    // Those of somebody who may be at work are not put on record before that is forgotten.
    let marks = input.workload.marks().into_iter().flat_map(ControllerMarks::prints);
    let known = marks.filter(|print| {
        input
            .competing_controller
            .is_none_or(|competing_controller| !competing_controller.marks.contains(print))
    });
    baseline.note_marks(known.map(|print| key.mark(print)));
    let present = present(input, &key, HintDetail::All);
    for (view, present) in input.sources.iter().zip(&present) {
        let label = || key.label(present.source, present.tag);
        let immutable = match view.source {
            Some(source) => source.immutable_since().is_some(),
            // It may come back as another one.
            None => before
                .filter(|before| before.key == baseline.key && !before.immutable.is_empty())
                .is_some_and(|before| before.immutable.contains(&label())),
        };
        if immutable {
            baseline.note_immutable(label());
        }
    }
    baseline.record(&key, &input.workload.reference.namespace, &present);
    baseline
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HintDetail {
    All,
    None,
}

pub(super) fn present<'a>(input: &Input<'a>, key: &WorkloadKey, hints: HintDetail) -> Vec<PresentSource<'a>> {
    input
        .sources
        .iter()
        .map(|view| PresentSource {
            source: view.reference,
            key_strategy: view.used.key_strategy,
            tag: key.shape(view.reference, view.used),
            digest: key.source(view.reference, view.used, view.source.map(|source| &source.contents)),
            hints: if hints == HintDetail::All {
                hints_of(view, key)
            } else {
                Vec::new()
            },
        })
        .collect()
}

pub(super) fn hints_of(view: &SourceView<'_>, key: &WorkloadKey) -> Vec<crate::content::digest::Hint> {
    let Some(source) = view.source else { return Vec::new() };
    let counted = match &view.used.consumed {
        ConsumedKeys::Whole => source.contents.iter().filter(|(key, _)| view.used.counts(key)).count(),
        ConsumedKeys::Keys(keys) => keys.len(),
    };
    if counted > HINTED_KEYS {
        return Vec::new();
    }
    source
        .contents
        .iter()
        .filter(|(name, _)| view.used.counts(name))
        .map(|(name, value)| key.hint(view.reference, name, &value))
        .collect()
}

/// What our restart leaves on the template: the key's id and one digest over everything.
pub(super) fn template_digest(baseline: &Baseline, key: &WorkloadKey, present: &[PresentSource<'_>]) -> String {
    use base64::Engine as _;
    // What changes in place is not what a template was rolled out for.
    let restarting = present.iter().filter(|p| p.key_strategy == KeyStrategy::Restart);
    let Digest(digest) = key.combined(restarting.map(|p| (p.source, p.tag, p.digest)));
    format!(
        "{}.{}",
        baseline.key,
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
    )
}

pub(super) fn is_of_present(case: &Case<'_>, text: &str) -> bool {
    let Some(ring_key) = text.split_once('.').and_then(|(id, _)| case.input.ring.get(id)) else {
        return false;
    };
    let key = ring_key.for_workload(&case.input.workload.uid);
    let present = present(case.input, &key, HintDetail::None);
    let of_that_key = Baseline {
        key: ring_key.id().into(),
        ..case.baseline.clone()
    };
    template_digest(&of_that_key, &key, &present) == text
}

/// Whether every pod was started after all that counts became what it is recorded as.
pub(super) fn all_younger(case: &Case<'_>, rollout_history: &RolloutHistory) -> bool {
    let recorded = Some(Second::from(case.baseline.at));
    last_change(case, 0..case.input.sources.len(), recorded)
        .is_some_and(|change| rollout_history.all_started_after(change))
}

/// The sources that count.
pub(super) fn list(input: &Input<'_>) -> String {
    some_of(
        &input
            .sources
            .iter()
            .map(|view| view.reference.to_string())
            .collect::<Vec<_>>(),
    )
}

pub(super) fn changed(case: &Case<'_>) -> String {
    ChangedSources::of(case).to_string()
}
