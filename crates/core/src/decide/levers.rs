//! A person's levers: which one counts, and what is answered.

use jiff::Timestamp;

use super::make::{adopt, answering};
use super::{Action, Case, Plan, Reason, State};
use crate::policy::lever::{self, Lever};

/// Whether somebody wants something.
pub(super) enum Pulled {
    /// This.
    Yes((Lever, Timestamp)),
    /// Nothing that counts, and what is to be said of it.
    No(Option<String>),
    /// Revisions have to be read first.
    Unsure,
}

pub(super) fn pulled(case: &Case<'_>) -> Pulled {
    let Some((lever, at)) = case.input.workload.levers().and_then(|levers| levers.newest) else {
        return Pulled::No(None);
    };
    if case.baseline.answered.is_some_and(|answered| at <= answered) {
        return Pulled::No(None);
    }
    if let Err(why) = lever::counts(at, case.input.calendar, case.baseline.restarts.last().copied()) {
        return Pulled::No(Some(said(lever, at, &format!("not followed, {why}"))));
    }
    // An undo brings an older baseline back, and with it an older lever: then a revision is younger.
    if case.input.workload.evidence.revision.unwrap_or(0) > case.baseline.revision {
        let Some(proof) = case.input.proof else {
            return Pulled::Unsure;
        };
        let rolled_since = |created: crate::types::time::Second| created.unix() >= at.as_second();
        if proof.revisions.iter().any(|revision| rolled_since(revision.created)) {
            return Pulled::No(Some(said(lever, at, "not followed, it was rolled out since")));
        }
    }
    Pulled::Yes((lever, at))
}

/// The present content is what the pods run: a person says so.
pub(super) fn skipped(case: &Case<'_>) -> Option<Plan> {
    let waits = !case.difference.changed.is_empty() || case.baseline.held.is_some() || case.baseline.stale.is_some();
    (case.wants(Lever::Skip) && waits).then(|| adopt(case, Reason::Skipped))
}

/// Says what became of a lever, and records that it was answered where it is done.
pub(super) fn answered(case: &Case<'_>, plan: Plan) -> Plan {
    let Some((lever, at)) = case.lever else { return plan };
    let answer = |text: &str| Some(said(lever, at, text));
    let waits = matches!(plan.state, State::Held | State::Pending | State::Settling);
    match &plan.action {
        Action::Hold | Action::Adopt(_) if waits => {
            let still = format!("not yet: {}", plan.reason.sentence());
            Plan {
                answer: answer(&still),
                ..plan
            }
        }
        Action::Restart(_) => Plan {
            answer: answer("it is restarted now"),
            ..plan
        },
        Action::Adopt(_) if plan.reason == Reason::Skipped => Plan {
            answer: answer("done"),
            ..plan
        },
        Action::Nothing if !matches!(plan.state, State::Settling | State::Rolling) => {
            let mut baseline = answering(case, case.baseline.clone());
            // Who asks for anything else has not said that the others may go on.
            baseline.excused |= lever == Lever::Resume && plan.state == State::Failed;
            Plan {
                action: Action::Adopt(baseline.print()),
                answer: answer("done, nothing was waiting"),
                ..plan
            }
        }
        Action::Nothing | Action::Adopt(_) | Action::Resume | Action::Hold | Action::Prove(_) => plan,
    }
}

fn said(lever: Lever, at: Timestamp, what: &str) -> String {
    format!("asked by {}={at:.0}: {what}", lever.annotation())
}
