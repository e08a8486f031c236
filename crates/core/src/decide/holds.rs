//! Holds that several checks end in.

use super::describe::changed_positions;
use super::plans::{changed, fresh, hold_stale, stale_since};
use super::{Action, Case, Plan, Reason, RolloutFailure, SourceView, State};
use crate::compat::marks::MarkPrint;
use crate::content::baseline::{Baseline, Uncertainty};
use crate::content::digest::KeyRing;
use crate::workload::kind::{RolloutProgress, RolloutWait};

/// Whoever else restarts it on changes is not fought.
pub(super) fn competing_controller(case: &Case<'_>) -> Option<Plan> {
    let competing_controller = case.input.competing_controller?;
    let on_record = |mark: &MarkPrint| case.baseline.marks.contains(&case.key.mark(mark));
    if competing_controller.marks.iter().all(on_record) {
        // An undo or an old manifest brought them back.
        return None;
    }
    let who = format!(
        "{:?}; stop that controller, or remove its annotations from this workload",
        competing_controller.origin
    );
    (!case.difference.changed.is_empty()).then(|| hold_stale(case, Reason::OtherController, who))
}

/// What a rollout that waits for somebody is called.
pub(super) fn waiting(waiting: RolloutWait) -> Reason {
    match waiting {
        RolloutWait::Delete => Reason::OnDelete,
        RolloutWait::Partition => Reason::Partitioned,
        RolloutWait::Promotion => Reason::AwaitsPromotion,
    }
}

pub(super) fn covering_rollout(case: &Case<'_>, progress: RolloutProgress) -> Plan {
    match progress {
        RolloutProgress::Failed => Plan::new(Action::Hold, State::Failed, Reason::RolloutFailed).about(changed(case)),
        RolloutProgress::Complete | RolloutProgress::Progressing => {
            Plan::new(Action::Hold, State::Rolling, Reason::Absorbing).about(changed(case))
        }
        RolloutProgress::Waiting(for_what) => hold_stale(case, waiting(for_what), changed(case)),
    }
}

/// As [`hold_unsure`], with what it was taken back from on record: others that wait for the same are told of it.
pub(super) fn hold_rolled_back(case: &Case<'_>) -> Plan {
    let input = case.input;
    let reference = &input.workload.reference;
    let key = input.ring.newest();
    let changed = changed_positions(case);
    let changed = changed.into_iter().filter_map(|at| input.sources.get(at));
    // Where all is as recorded, it is what it was seen to fail with.
    let failed = |view: &&SourceView<'_>| {
        let mut own = input.failures.iter().filter(|failure| failure.workload == *reference);
        own.any(|failure| is_with(failure, view, input.ring))
    };
    let failed = input.sources.iter().filter(failed);
    let from = changed.chain(failed).filter_map(|view| {
        let contents = &view.source?.contents;
        Some((view.reference, key.whole(view.reference, contents)))
    });
    let mut baseline = unsure_of(case, Uncertainty::Undone, 0);
    baseline.undo(&reference.namespace, from);
    Plan::new(Action::Adopt(baseline.print()), State::Held, Reason::RolledBack).about(rolled_back_advice())
}

/// Whether it is the present content of that source which somebody failed with.
pub(super) fn is_with(failure: &RolloutFailure, view: &SourceView<'_>, ring: &KeyRing) -> bool {
    *view.reference == failure.source
        && view.source.is_some_and(|source| {
            let key = ring.get(&failure.key);
            key.is_some_and(|key| key.whole(view.reference, &source.contents) == failure.digest)
        })
}

/// Records the present content as what is wanted, and that pods are not known to run it.
pub(super) fn hold_unsure(case: &Case<'_>, why: Uncertainty, reverts: u32, reason: Reason, detail: String) -> Plan {
    let baseline = unsure_of(case, why, reverts);
    Plan::new(Action::Adopt(baseline.print()), State::Held, reason).about(detail)
}

fn unsure_of(case: &Case<'_>, why: Uncertainty, reverts: u32) -> Baseline {
    let mut baseline = fresh(case.input, Some(case.baseline));
    baseline.held = Some(why);
    baseline.template_digest = None;
    baseline.reverts = reverts;
    baseline.stale = Some(case.baseline.stale.unwrap_or_else(|| stale_since(case.input)));
    baseline
}

pub(super) fn rolled_back_advice() -> String {
    "pods that were never restarted still run the old content; run kubectl rollout restart to apply the present content"
        .into()
}

pub(super) fn paused(case: &Case<'_>) -> Option<Plan> {
    case.input
        .workload
        .rollout_status
        .paused
        .then(|| hold_stale(case, Reason::Paused, changed(case)))
}
