//! Changes that need no restart: the kubelet writes the files of running pods.

use super::checks::suspect_since;
use super::make::{changed, fresh};
use super::{Action, Case, Change, Plan, Reason, State};
use crate::core::class::Class;

/// Nothing but keys that are to be in place changed: that is put on record, and left to the kubelet.
/// Neither windows nor freezes hold it back, since nothing could.
pub(super) fn left_to_the_kubelet(case: &Case<'_>) -> Option<Plan> {
    let all_changed = &case.difference.changed;
    if all_changed.is_empty() || all_changed.iter().any(|&at| case.class(at) != Class::InPlace) {
        return None;
    }
    let mut baseline = fresh(case.input, Some(case.baseline));
    baseline.in_place = Some(case.input.now);
    // Whatever else is under way or has to be looked into still is.
    baseline.revision = case.baseline.revision;
    baseline.mark = case.baseline.mark;
    baseline.held = case.baseline.held;
    let suspect = suspect_since(case).and_then(|since| jiff::Timestamp::from_second(since.unix()).ok());
    baseline.stale = case.baseline.stale.or(suspect);
    let plan = Plan::new(Action::Adopt(baseline.print()), State::Propagating, Reason::Propagating);
    Some(plan.about(changed(case)))
}

/// What is said of a workload that is current apart from files that the kubelet was left to write.
pub(super) fn propagation(case: &Case<'_>, plan: Plan) -> Plan {
    let Some(since) = case.baseline.in_place else {
        return plan;
    };
    let Ok(until) = since.checked_add(case.input.terms.in_place_timeout) else {
        return plan;
    };
    if case.input.now < until {
        return Plan {
            not_before: Some(until),
            ..Plan::new(Action::Nothing, State::Propagating, Reason::Propagating)
        };
    }
    Plan::new(Action::Nothing, State::Current, Reason::Propagated)
}

/// Whether some key that was seen to change is of these sources, or none is known.
pub(super) fn concerns(case: &Case<'_>, change: &Change, which: &dyn Fn(usize) -> bool) -> bool {
    let counts = |(source, key): &(crate::core::name::SourceRef, crate::core::name::Key)| {
        let mut views = case.input.sources.iter().enumerate();
        views.any(|(at, view)| view.reference == source && which(at) && view.used.counts(key))
    };
    change.keys.is_empty() || change.keys.iter().any(counts)
}
