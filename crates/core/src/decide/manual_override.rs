//! A person's manual overrides: which one counts, and what is answered.

use jiff::Timestamp;

use super::plans::{adopt, recording_override};
use super::{Action, Case, Plan, Reason, State};
use crate::policy::manual_override::{self, ManualOverride};

/// Whether somebody wants something.
pub(super) enum OverrideStatus {
    Active((ManualOverride, Timestamp)),
    /// Nothing that counts, and what is to be said of it.
    Inactive(Option<String>),
    /// Revisions have to be read first.
    Unknown,
}

pub(super) fn override_status(case: &Case<'_>) -> OverrideStatus {
    let Some((manual_override, at)) = case
        .input
        .workload
        .manual_overrides()
        .and_then(|manual_overrides| manual_overrides.newest)
    else {
        return OverrideStatus::Inactive(None);
    };
    if case.baseline.last_override.is_some_and(|answered| at <= answered) {
        return OverrideStatus::Inactive(None);
    }
    if let Err(why) = manual_override::check_in_effect(at, case.input.calendar, case.baseline.restarts.last().copied())
    {
        return OverrideStatus::Inactive(Some(said(manual_override, at, &format!("ignored, {why}"))));
    }
    // An undo brings an older baseline back, and with it an older manual override: then a revision is younger.
    if case.input.workload.rollout_status.revision.unwrap_or(0) > case.baseline.revision {
        let Some(rollout_history) = case.input.rollout_history else {
            return OverrideStatus::Unknown;
        };
        let rolled_since = |created: crate::types::time::Second| created.unix() >= at.as_second();
        if rollout_history
            .revisions
            .iter()
            .any(|revision| rolled_since(revision.created))
        {
            return OverrideStatus::Inactive(Some(said(
                manual_override,
                at,
                "ignored, the workload was rolled out since",
            )));
        }
    }
    OverrideStatus::Active((manual_override, at))
}

/// The present content is what the pods run: a person says so.
pub(super) fn skipped(case: &Case<'_>) -> Option<Plan> {
    let waits = !case.difference.changed.is_empty() || case.baseline.held.is_some() || case.baseline.stale.is_some();
    (case.has_override(ManualOverride::Skip) && waits).then(|| adopt(case, Reason::Skipped))
}

/// Says what became of a manual override, and records that it was answered where it is done.
pub(super) fn record_override(case: &Case<'_>, plan: Plan) -> Plan {
    let Some((manual_override, at)) = case.manual_override else {
        return plan;
    };
    let answer = |text: &str| Some(said(manual_override, at, text));
    let waits = matches!(plan.state, State::Held | State::Pending | State::Settling);
    match &plan.action {
        Action::Hold | Action::Adopt(_) if waits => {
            let still = format!("not yet: {}", plan.reason.sentence());
            Plan {
                override_note: answer(&still),
                ..plan
            }
        }
        Action::Restart(_) => Plan {
            override_note: answer("restarting now"),
            ..plan
        },
        Action::Adopt(_) if plan.reason == Reason::Skipped => Plan {
            override_note: answer("done"),
            ..plan
        },
        Action::Nothing if !matches!(plan.state, State::Settling | State::Rolling) => {
            let mut baseline = recording_override(case, case.baseline.clone());
            // Who asks for anything else has not said that the others may go on.
            baseline.excused |= manual_override == ManualOverride::Resume && plan.state == State::Failed;
            Plan {
                action: Action::Adopt(baseline.print()),
                override_note: answer("done, no change was waiting"),
                ..plan
            }
        }
        Action::Nothing | Action::Adopt(_) | Action::Resume | Action::Hold | Action::Read(_) => plan,
    }
}

fn said(manual_override: ManualOverride, at: Timestamp, what: &str) -> String {
    format!("requested by {}={at:.0}: {what}", manual_override.annotation())
}
