//! Restarts that were taken back: our digest is gone from the template although nothing else changed.
//!
//! `kubectl rollout undo` does that to a `StatefulSet` or a `DaemonSet`, whose own annotations it
//! leaves alone; so does whoever generates the whole object. Pods that had not been replaced by then
//! still run the old content, and only they can tell.

use super::holds::{covering_rollout, hold_rolled_back, hold_unsure};
use super::plans::{adopt, all_younger, changed, hold_stale, restart_again};
use super::{Action, Case, Plan, ReadScope, Reason, State};
use crate::content::baseline::Uncertainty;
use crate::content::digest::digest_prefix;
use crate::workload::kind::RolloutProgress;

/// How often an owner may take a restart back before it is believed to go on doing so.
const PATIENCE: u32 = 2;

/// For how long it is believed: owners are mended, too.
const REMEMBERED_SECONDS: i64 = 24 * 60 * 60;

pub(super) fn reverted(case: &Case<'_>) -> Option<Plan> {
    let workload = case.input.workload;
    let mark = case.baseline.template_digest?;
    let there = workload.template_digest.as_deref().and_then(digest_prefix) == Some(mark);
    let was_complete = case
        .input
        .last_current
        .is_some_and(|last_current| last_current.template_digest == Some(mark));
    if there || was_complete || !case.difference.changed.is_empty() {
        return None;
    }
    if workload.rollout_status.empty {
        return Some(adopt(case, Reason::NothingRuns));
    }
    if workload.rollout_status.progress == RolloutProgress::Progressing {
        // Going back may yet replace every pod.
        return Some(covering_rollout(case, RolloutProgress::Progressing));
    }
    let Some(rollout_history) = case.input.rollout_history else {
        return Some(Plan::new(
            Action::Read(ReadScope::Pods),
            State::Rolling,
            Reason::Proving,
        ));
    };
    if all_younger(case, rollout_history) {
        return Some(adopt(case, Reason::PodsUpToDate));
    }
    if workload.owner().is_none() {
        return Some(hold_rolled_back(case));
    }
    let reverts = recent_reverts(case).saturating_add(1);
    if reverts < PATIENCE {
        return Some(restart_again(case, reverts));
    }
    Some(hold_unsure(
        case,
        Uncertainty::Reverted,
        reverts,
        Reason::Reverted,
        advice(case),
    ))
}

/// An owner that took two restarts back will take the next one back as well.
pub(super) fn given_up(case: &Case<'_>) -> Option<Plan> {
    (recent_reverts(case) >= PATIENCE && case.manual_override.is_none())
        .then(|| hold_stale(case, Reason::Reverted, format!("{}; {}", changed(case), advice(case))))
}

fn recent_reverts(case: &Case<'_>) -> u32 {
    let last = case.baseline.restarts.last().copied().unwrap_or(0);
    let recent = case.input.now.as_second().saturating_sub(last) < REMEMBERED_SECONDS;
    if recent { case.baseline.reverts } else { 0 }
}

pub(super) fn advice(case: &Case<'_>) -> String {
    let owner = case.input.workload.owner().unwrap_or("the owner");
    format!("{owner} manages the workload and restores its own pod template; restart the workload through {owner}")
}
