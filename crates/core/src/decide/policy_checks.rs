//! What the policies have to say to a restart that is due: the last word before it is made.

use jiff::{SignedDuration, Timestamp};

use super::describe::changed_positions;
use super::flapping::flapping;
use super::holds::is_with;
use super::plans::{changed, hold_stale};
use super::{Action, Case, Plan, Reason, RolloutFailure, State};
use crate::policy::effective_policy::{Layered, PolicyProblem};
use crate::policy::manual_override::ManualOverride;
use crate::policy::window::{Permit, RolloutTimes};

/// In this order; the first that objects gives the reason.
const CHECKS: &[fn(&Case<'_>) -> Option<Plan>] = &[no_policy, suspended, frozen, min_interval, flapping, halted, ahead];

/// Follows the policies with whatever was planned.
pub(super) fn follow(case: &Case<'_>, plan: Plan) -> Plan {
    match plan.action {
        Action::Restart(_) => CHECKS.iter().find_map(|check| check(case)).unwrap_or(plan),
        Action::Nothing if plan.state == State::Current => match trouble(case) {
            Some((reason, why)) => Plan::hold(reason, why),
            None => plan,
        },
        // What a policy added and does not name at present is not given up: a change of it may be due.
        Action::Adopt(_)
            if case.difference.removed && matches!(plan.reason, Reason::SourcesChanged | Reason::ChangeReverted) =>
        {
            trouble(case).map_or(plan, |(reason, why)| Plan::hold(reason, why))
        }
        Action::Nothing | Action::Adopt(_) | Action::Resume | Action::Hold | Action::Read(_) => plan,
    }
}

fn trouble(case: &Case<'_>) -> Option<(Reason, String)> {
    Some(match case.input.policy.problem.as_ref()? {
        PolicyProblem::Missing(policy) => (Reason::PolicyMissing, policy.to_string()),
        PolicyProblem::Invalid(policy, why) => (Reason::PolicyInvalid, format!("{policy}: {why}")),
    })
}

/// Never a fall-back to something looser.
fn no_policy(case: &Case<'_>) -> Option<Plan> {
    let (reason, why) = trouble(case)?;
    Some(hold_stale(case, reason, format!("{why}; waiting: {}", changed(case))))
}

fn suspended(case: &Case<'_>) -> Option<Plan> {
    let Layered { own, floor } = &case.input.policy.suspended;
    let by = floor.as_ref().or(own.as_ref())?;
    Some(hold_stale(
        case,
        Reason::Suspended,
        format!("{by}; waiting: {}", changed(case)),
    ))
}

fn frozen(case: &Case<'_>) -> Option<Plan> {
    let Layered { own, floor } = &case.input.policy.times;
    let closed = |times: &RolloutTimes| match times.permits(case.input.calendar) {
        Permit::Open => None,
        Permit::Frozen { until } => Some((Reason::Frozen, until)),
        Permit::OutsideWindow { until } => Some((Reason::OutsideWindow, until)),
    };
    // No manual override of a namespace lifts what the cluster says.
    let own = || closed(own).filter(|_| !case.has_override(ManualOverride::RestartNow));
    let (reason, until) = closed(floor).or_else(own)?;
    let due = until.and_then(|until| {
        case.input
            .now
            .checked_add(until.duration_since(case.input.calendar))
            .ok()
    });
    Some(Plan {
        not_before: due,
        ..later(case, reason, until)
    })
}

fn min_interval(case: &Case<'_>) -> Option<Plan> {
    let interval = case.input.policy.min_interval;
    let last = Timestamp::from_second(*case.baseline.restarts.last()?).ok()?;
    let until = last.checked_add(interval).ok()?;
    let waits =
        interval > SignedDuration::ZERO && case.input.now < until && !case.has_override(ManualOverride::RestartNow);
    waits.then(|| later(case, Reason::MinInterval, Some(until)))
}

/// Waits for a time that is told, and puts on record since when.
fn later(case: &Case<'_>, reason: Reason, until: Option<Timestamp>) -> Plan {
    let when = until.map_or_else(
        || "until further notice".to_owned(),
        |until| format!("not before {until:.0}"),
    );
    Plan {
        state: State::Pending,
        not_before: until,
        ..hold_stale(case, reason, format!("{when}; waiting: {}", changed(case)))
    }
}

/// Somebody else failed with the very content that this one waits for.
fn halted(case: &Case<'_>) -> Option<Plan> {
    let input = case.input;
    if !input.policy.halt_on_failure || case.manual_override.is_some() {
        return None;
    }
    let changed = changed_positions(case);
    let waits_for = |failure: &&RolloutFailure| {
        let mut views = changed.iter().filter_map(|&at| input.sources.get(at));
        failure.workload != input.workload.reference && views.any(|view| is_with(failure, view, input.ring))
    };
    let failure = input.failures.iter().copied().find(waits_for)?;
    let who = format!("{} {}", failure.workload.kind.row().kind, failure.workload.name);
    let detail = if failure.undone {
        format!("{who} was rolled back from {}", failure.source)
    } else {
        format!("{who} failed with {}", failure.source)
    };
    Some(hold_stale(case, Reason::Halted, detail))
}

fn ahead(case: &Case<'_>) -> Option<Plan> {
    let ahead = case.input.earlier_wave.as_ref()?;
    if case.has_override(ManualOverride::RestartNow) {
        return None;
    }
    Some(Plan {
        detail: format!("{ahead}; waiting: {}", changed(case)),
        ..Plan::new(Action::Hold, State::Pending, Reason::EarlierWave)
    })
}
