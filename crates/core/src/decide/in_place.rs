//! Changes that need no restart: the files of running pods are brought up to date.

use jiff::Timestamp;

use super::holds::{competing_controller, paused};
use super::immutable::replaced;
use super::plans::{changed, fresh, restart};
use super::reverts::given_up;
use super::suspect::suspect_since;
use super::{Action, Case, Plan, PodFiles, Reason, State};
use crate::agent_protocol::propagation::PropagationProgress;
use crate::content::baseline::{Baseline, Difference, Uncertainty};
use crate::policy::in_place::OnTimeout;
use crate::workload::key_strategy::KeyStrategy;

/// What can keep a restart that follows because pods did not take a change in place.
const INSTEAD: &[fn(&Case<'_>) -> Option<Plan>] = &[competing_controller, given_up, paused];

/// Nothing but keys that are to be in place changed: that is put on record, and the files are brought up
/// to date. Neither windows nor freezes hold it back, since nothing could.
pub(super) fn left_to_the_kubelet(case: &Case<'_>) -> Option<Plan> {
    let all_changed = &case.difference.changed;
    if all_changed.is_empty() || all_changed.iter().any(|&at| !takes(case, at)) {
        return None;
    }
    let mut baseline = fresh(case.input, Some(case.baseline));
    baseline.in_place = Some(whole_millis(case.input.now));
    // Whatever else is under way or has to be looked into still is.
    baseline.revision = case.baseline.revision;
    baseline.template_digest = case.baseline.template_digest;
    baseline.held = case.baseline.held;
    if baseline.held == Some(Uncertainty::Replaced) && baseline.key == case.baseline.key {
        baseline.immutable.clone_from(&case.baseline.immutable);
    }
    baseline.undone.clone_from(&case.baseline.undone);
    let suspect = suspect_since(case).and_then(|since| Timestamp::from_second(since.unix()).ok());
    baseline.stale = case.baseline.stale.or(suspect);
    let plan = Plan::new(Action::Adopt(baseline.print()), State::Propagating, Reason::Propagating);
    Some(plan.about(changed(case)))
}

/// Whether the change of that source goes into files of running pods.
fn takes(case: &Case<'_>, at: usize) -> bool {
    case.key_strategy(at) == KeyStrategy::InPlace && !replaced(case, at)
}

/// What is said of a workload that is current apart from files of running pods.
pub(super) fn propagation(case: &Case<'_>, plan: Plan) -> Plan {
    let all = positions(case);
    let Some(since) = case.baseline.in_place.filter(|_| !all.is_empty()) else {
        return plan;
    };
    let effective_policy = &case.input.policy.in_place;
    let progress = case.input.propagation.filter(|progress| progress.since == since);
    let so_far = progress.map(PropagationProgress::describe).unwrap_or_default();
    if progress.is_some_and(|progress| progress.complete) {
        return if effective_policy.agent.is_some() {
            let baseline = Baseline {
                in_place: None,
                ..case.baseline.clone()
            };
            Plan::new(Action::Adopt(baseline.print()), State::Current, Reason::Verified).about(so_far)
        } else {
            Plan::new(Action::Nothing, State::Current, Reason::Propagated)
        };
    }
    let until = since.checked_add(effective_policy.timeout).unwrap_or(Timestamp::MAX);
    // Somebody who can answer is asked first, however late it is.
    let unasked = effective_policy.notifies_app() && progress.is_none();
    if case.input.now < until || unasked {
        return Plan {
            not_before: Some(until).filter(|until| case.input.now < *until),
            ..Plan::new(Action::Nothing, State::Propagating, Reason::Propagating).about(so_far)
        };
    }
    if !effective_policy.notifies_app() {
        return Plan::new(Action::Nothing, State::Current, Reason::Propagated);
    }
    match effective_policy.on_timeout {
        OnTimeout::Report => Plan::new(Action::Nothing, State::Failed, Reason::NotApplied).about(so_far),
        OnTimeout::Restart => restart_instead(case, all, &so_far),
    }
}

fn restart_instead(case: &Case<'_>, changed: Vec<usize>, so_far: &str) -> Plan {
    let difference = Difference {
        changed,
        ..Difference::default()
    };
    let case = Case {
        difference: &difference,
        ..*case
    };
    let plan = INSTEAD
        .iter()
        .find_map(|check| check(&case))
        .unwrap_or_else(|| restart(&case));
    let detail = format!("{}; not applied in place in time: {so_far}", plan.detail);
    plan.about(detail)
}

/// The sources that are in place.
fn positions(case: &Case<'_>) -> Vec<usize> {
    let all = 0..case.present.len();
    all.filter(|&at| case.key_strategy(at) == KeyStrategy::InPlace)
        .collect()
}

/// The files of running pods that go with a plan: those that are being brought up to date, and those of
/// a restart that has to wait, which nothing can hold back and nothing should.
pub(super) fn files(case: &Case<'_>, plan: &Plan) -> Option<PodFiles> {
    let sources = |positions: Vec<usize>| {
        let views = positions.into_iter().filter_map(|at| case.input.sources.get(at));
        views.map(|view| view.reference.clone()).collect()
    };
    let changed: Vec<usize> = case
        .difference
        .changed
        .iter()
        .copied()
        .filter(|&at| takes(case, at))
        .collect();
    let waits = matches!(plan.action, Action::Restart(_)) || matches!(plan.state, State::Pending | State::Held);
    let proven = case.baseline.in_place.filter(|_| changed.is_empty());
    match (plan.state, proven) {
        (State::Propagating, Some(since)) => Some(PodFiles {
            since: Some(since),
            sources: sources(positions(case)),
        }),
        (State::Propagating, None) => Some(PodFiles {
            since: Some(whole_millis(case.input.now)),
            sources: sources(changed),
        }),
        // It may still take it, late as it is.
        (State::Failed, Some(since)) if plan.reason == Reason::NotApplied => Some(PodFiles {
            since: Some(since),
            sources: sources(positions(case)),
        }),
        (_, Some(since)) if waits && case.input.policy.in_place.notifies_app() => Some(PodFiles {
            since: Some(since),
            sources: sources(positions(case)),
        }),
        (_, _) if waits && !changed.is_empty() => Some(PodFiles {
            since: None,
            sources: sources(changed),
        }),
        (_, _) => None,
    }
}

/// As a baseline keeps it.
fn whole_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
