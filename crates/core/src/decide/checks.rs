//! The checks: each looks at one thing and says what follows from it, or nothing.

use jiff::Timestamp;

use super::holds::{covering_rollout, hold_rolled_back, rolled_back_advice, waiting};
use super::immutable::was_immutable;
use super::known::unproven_advice;
use super::last_change::{last_change, latest};
use super::plans::{adopt, all_younger, changed, fresh, hold_stale, is_of_present, list, restart, template_digest};
use super::suspect::{suspect_of, suspect_since};
use super::{Action, Case, Input, Plan, ReadScope, Reason, State};
use crate::content::baseline::Uncertainty;
use crate::decide::describe;
use crate::decide::in_place;
use crate::decide::reverts;
use crate::policy::manual_override::ManualOverride;
use crate::types::text::some_of;
use crate::types::time::Second;
use crate::workload::Source;
use crate::workload::key_strategy::KeyStrategy;
use crate::workload::kind::{RevisionSource, RolloutProgress};
use crate::workload::opt_in::Strategy;
use crate::workload::rollout_history::RolloutHistory;

/// Paused in Reloader's way although nobody asks for it any more: never left behind.
pub(super) fn left_paused(input: &Input<'_>) -> Option<Plan> {
    let asks_nothing = input.opt_in.configmaps.is_nothing() && input.opt_in.secrets.is_nothing();
    let paused = input.workload.paused_at().is_some() && input.workload.rollout_status.paused;
    (asks_nothing && paused).then(|| Plan::new(Action::Resume, State::Rolling, Reason::Resumed))
}

/// Nothing is to be done: it is only said.
pub(super) fn deferred_to_next_run(input: &Input<'_>) -> Plan {
    match input.change {
        Some(change) => {
            let seen = describe::seen(change);
            Plan::new(Action::Nothing, State::Current, Reason::DeferredToNextRun).about(seen)
        }
        None => Plan::new(Action::Nothing, State::Current, Reason::Unchanged),
    }
}

/// In a pause-period changes are gathered; at its end they roll, all in one.
pub(super) fn pausing(case: &Case<'_>) -> Option<Plan> {
    let workload = case.input.workload;
    let at = workload.paused_at().filter(|_| workload.rollout_status.paused)?;
    let since = Timestamp::from_second(at.unix()).ok()?;
    let until = case
        .input
        .opt_in
        .pause
        .and_then(|period| since.checked_add(period).ok());
    if let Some(until) = until.filter(|until| case.input.now < *until) {
        return Some(Plan {
            not_before: Some(until),
            ..Plan::new(Action::Hold, State::Pending, Reason::PausePeriod).about(changed(case))
        });
    }
    if case.difference.changed.is_empty() {
        return Some(Plan::new(Action::Resume, State::Rolling, Reason::Resumed));
    }
    Some(restart(case))
}

/// Wave keeps pods from being scheduled until their sources are there, and is not there any more to
/// let them go.
pub(super) fn unscheduled(case: &Case<'_>) -> Option<Plan> {
    let marks = case.input.workload.marks()?;
    marks.scheduler.as_ref()?;
    Some(restart(case))
}

/// Recorded as not vouching for the pods: only pods that are all younger, or new content, end that.
pub(super) fn unsure(case: &Case<'_>) -> Option<Plan> {
    let held = case.baseline.held?;
    if !case.difference.changed.is_empty() {
        return None;
    }
    if case.has_override(ManualOverride::Resume) || case.has_override(ManualOverride::RestartNow) {
        return Some(restart(case));
    }
    if held == Uncertainty::Replaced {
        let plan = as_it_rolls(case);
        // No age of a pod proves anything: its kubelet may have had the old content at hand.
        let current = plan.state == State::Current;
        return Some(if current {
            Plan::hold(Reason::ImmutableReplaced, replaced_advice(case))
        } else {
            plan
        });
    }
    if case.input.workload.rollout_status.empty {
        return Some(adopt(case, Reason::NothingRuns));
    }
    let Some(rollout_history) = case.input.rollout_history else {
        return Some(Plan::new(Action::Read(ReadScope::Pods), State::Held, Reason::Proving));
    };
    if all_younger(case, rollout_history) {
        return Some(adopt(case, Reason::PodsUpToDate));
    }
    let (reason, detail) = match held {
        Uncertainty::Undone => (Reason::RolledBack, rolled_back_advice()),
        Uncertainty::Unproven => (Reason::Unproven, unproven_advice("there is no content to compare with")),
        Uncertainty::Reverted => (Reason::Reverted, reverts::advice(case)),
        Uncertainty::Replaced => (Reason::ImmutableReplaced, replaced_advice(case)),
    };
    Some(Plan::hold(reason, detail))
}

pub(super) fn unchanged(case: &Case<'_>) -> Option<Plan> {
    if !case.difference.changed.is_empty() || suspect_since(case).is_some() {
        return None;
    }
    if case.restore {
        return Some(adopt(case, Reason::BaselineRestored));
    }
    if case.difference.shape_changed {
        return Some(adopt(case, Reason::SourcesChanged));
    }
    Some(as_it_rolls(case))
}

/// Where it stands by its own controller, with nothing to be done about it.
fn as_it_rolls(case: &Case<'_>) -> Plan {
    let rollout_status = case.input.workload.rollout_status;
    // A rollout by somebody else is theirs to watch. A generation moves with a scale-up as well.
    let counts_templates = case.input.workload.reference.kind.row().revision != RevisionSource::Generation;
    let ours = !case.baseline.restarts.is_empty()
        && !was_complete(case)
        && (!counts_templates || rollout_status.revision.unwrap_or(0) <= case.baseline.revision)
        && (case.input.restarts_at()
            || case.input.workload.template_digest.as_deref()
                == Some(&*template_digest(case.baseline, case.key, case.present)));
    // An Argo Rollout with a workloadRef goes on saying how far it came with the template before.
    let unseen = counts_templates
        && case.baseline.template_digest.is_some()
        && rollout_status.revision.unwrap_or(0) < case.baseline.revision;
    let nothing = |state, reason| Plan::new(Action::Nothing, state, reason);
    match rollout_status.progress {
        RolloutProgress::Waiting(for_what) if ours && !unseen => nothing(State::Held, waiting(for_what)),
        RolloutProgress::Failed if ours && !unseen => nothing(State::Failed, Reason::RolloutFailed),
        RolloutProgress::Progressing if ours => rolling(case),
        _ if ours && unseen => rolling(case),
        RolloutProgress::Failed
        | RolloutProgress::Progressing
        | RolloutProgress::Complete
        | RolloutProgress::Waiting(_) => in_place::propagation(case, nothing(State::Current, Reason::Unchanged)),
    }
}

/// Whether the rollout of our last restart was seen to be complete: what moves since is a scale-up, or a
/// pod that is replaced.
fn was_complete(case: &Case<'_>) -> bool {
    // What runs another one's template says for a moment that it is complete before it has seen it.
    let says_so_itself = case.input.workload.delegate().is_none();
    says_so_itself
        && case.input.last_current.is_some_and(|last_current| {
            last_current.template_digest.is_some()
                && last_current.template_digest == case.baseline.template_digest
                && last_current.revision >= Some(case.baseline.revision)
        })
}

/// Not every kind says itself that a rollout gets nowhere, and none may occupy its place for ever: that
/// of the cluster not even if its own policy gives it more time.
fn rolling(case: &Case<'_>) -> Plan {
    let effective_policy = case.input.policy;
    // A later one is of a clock that was set back since, or by somebody else.
    let last = case.baseline.restarts.last().copied().unwrap_or(0);
    let last = last.min(case.input.now.as_second());
    let after = |deadline| Timestamp::from_second(last).ok()?.checked_add(deadline).ok();
    let is_over = |until: Option<Timestamp>| until.is_some_and(|until| case.input.now >= until);
    let (until, of_cluster) = (
        after(effective_policy.deadline),
        after(effective_policy.cluster_deadline),
    );
    if is_over(until) {
        let detail = format!("incomplete {:#} after the restart", effective_policy.deadline);
        return Plan::new(Action::Nothing, State::Failed, Reason::RolloutFailed).about(detail);
    }
    let reason = if is_over(of_cluster) {
        Reason::RollingLong
    } else {
        Reason::Rolling
    };
    Plan {
        not_before: if is_over(of_cluster) {
            until
        } else {
            until.min(of_cluster)
        },
        ..Plan::new(Action::Nothing, State::Rolling, reason)
    }
}

/// Content is as recorded, but was not all the time: pods started in between run something else.
pub(super) fn started_meanwhile(case: &Case<'_>) -> Option<Plan> {
    if !case.difference.changed.is_empty() {
        return None;
    }
    let from = suspect_since(case)?;
    let Some(rollout_history) = case.input.rollout_history else {
        return Some(Plan::new(
            Action::Read(ReadScope::Pods),
            State::Settling,
            Reason::Proving,
        ));
    };
    if started_between(case, rollout_history, from, 0..case.input.sources.len()) {
        // Those may be on their way out already; if not, that shows when the rollout has ended.
        let plan = as_it_rolls(case);
        let leaves = matches!(plan.state, State::Rolling | State::Failed) && case.manual_override.is_none();
        return leaves.then_some(plan);
    }
    // Unaffected, and perhaps still on its way for another change.
    let plan = as_it_rolls(case);
    if case.restore || case.difference.shape_changed || case.baseline.stale.is_some() {
        let reason = if case.restore {
            Reason::BaselineRestored
        } else {
            Reason::ChangeReverted
        };
        return Some(Plan {
            state: plan.state,
            ..adopt(case, reason)
        });
    }
    Some(plan)
}

/// Whether a pod may have been started since then with what is not there any more.
fn started_between(
    case: &Case<'_>,
    rollout_history: &RolloutHistory,
    from: Second,
    which: impl Iterator<Item = usize>,
) -> bool {
    let now = Some(Second::from(case.input.now));
    let to = last_change(case, which, now);
    to.is_none_or(|to| rollout_history.any_started_between(from, to.max(from)))
}

/// Whether a pod may have been started with something else of another source: one that reads as
/// recorded, and did not all the time.
fn any_meanwhile(case: &Case<'_>, rollout_history: &RolloutHistory) -> bool {
    let other = |at: usize| !case.difference.changed.contains(&at);
    let others = || (0..case.input.sources.len()).filter(|at| other(*at));
    if suspect_of(case, &other).is_some_and(|from| started_between(case, rollout_history, from, others())) {
        return true;
    }
    // A baseline says since when something waits and not what: all that was written since may have.
    case.baseline.stale.map(Second::from).is_some_and(|from| {
        let since = |at: &usize| {
            let source = case.input.sources.get(*at).and_then(|view| view.source);
            let counts = case.key_strategy(*at) == KeyStrategy::Restart && !case.difference.added.contains(at);
            let written = |source: &Source| source.version > case.baseline.horizon && latest(case, *at) >= Some(from);
            counts && source.is_some_and(written)
        };
        let written: Vec<usize> = others().filter(since).collect();
        !written.is_empty() && started_between(case, rollout_history, from, written.into_iter())
    })
}

pub(super) fn nothing_runs(case: &Case<'_>) -> Option<Plan> {
    case.input
        .workload
        .rollout_status
        .empty
        .then(|| adopt(case, Reason::NothingRuns))
}

pub(super) fn ignored(case: &Case<'_>) -> Option<Plan> {
    let (effective_policy, opt_in) = (case.input.policy, case.input.opt_in);
    // With rules it is a word on the keys that none of them is about, and those do not count at all.
    let all = effective_policy.rules.is_empty() && effective_policy.strategy(opt_in) == Strategy::Ignore;
    all.then(|| hold_stale(case, Reason::Ignored, changed(case)))
}

/// One upgrade, one rollout: a template change after the source's change brings the content along.
pub(super) fn covered_by_rollout(case: &Case<'_>) -> Option<Plan> {
    let foreign = case.input.foreign_change?;
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
    let rollout_status = case.input.workload.rollout_status;
    let rolled = rollout_status.revision > foreign.revision;
    match rollout_status.progress {
        RolloutProgress::Complete if rolled => {
            let Some(rollout_history) = case.input.rollout_history else {
                return Some(Plan::new(
                    Action::Read(ReadScope::Pods),
                    State::Rolling,
                    Reason::Proving,
                ));
            };
            let change = last_change(case, case.difference.changed.iter().copied(), None)?;
            // The versions say that the template came later; but going back to an old template wakes
            // an old ReplicaSet, and of its pods some may have been there all the time.
            let fresh = rollout_history
                .present(rollout_status.revision)
                .is_some_and(|revision| revision.created >= change);
            let brought = fresh || rollout_history.all_started_after(change);
            (brought && !any_meanwhile(case, rollout_history)).then(|| adopt(case, Reason::CoveredByRollout))
        }
        // The template reads differently, yet no rollout came of it: a field that a new version of
        // Kubernetes fills in.
        RolloutProgress::Complete => None,
        progress => Some(covering_rollout(case, progress)),
    }
}

/// What begins to count is recorded at once, or a change of it that comes while something else is
/// looked into would be taken for what it began with.
pub(super) fn sources_changed_meanwhile(case: &Case<'_>) -> Option<Plan> {
    if !case.difference.changed.is_empty() || !case.difference.shape_changed {
        return None;
    }
    let since = suspect_since(case)?;
    let mut baseline = fresh(case.input, Some(case.baseline));
    // Still to be looked into.
    baseline.stale = Timestamp::from_second(since.unix()).ok();
    Some(Plan::new(Action::Adopt(baseline.print()), State::Settling, Reason::SourcesChanged).about(list(case.input)))
}

pub(super) fn settling(case: &Case<'_>) -> Option<Plan> {
    let since = case.input.change?.first_seen;
    let until = since.checked_add(case.input.policy.settle).ok()?;
    (case.input.now < until && !case.has_override(ManualOverride::RestartNow)).then(|| Plan {
        not_before: Some(until),
        ..Plan::new(Action::Hold, State::Settling, Reason::Settling).about(changed(case))
    })
}

/// Reads pods and revisions only when the workload was rolled since its baseline was set.
pub(super) fn rolled_back(case: &Case<'_>) -> Option<Plan> {
    let rollout_status = case.input.workload.rollout_status;
    if rollout_status.revision.unwrap_or(0) <= case.baseline.revision || was_current(case) {
        return None;
    }
    let Some(rollout_history) = case.input.rollout_history else {
        return Some(Plan::new(
            Action::Read(ReadScope::Pods),
            State::Settling,
            Reason::Proving,
        ));
    };
    // Where all of it is as recorded, it was restarted for what was there in between.
    let concerned: Vec<usize> = match &*case.difference.changed {
        [] => (0..case.input.sources.len()).collect(),
        changed => changed.to_vec(),
    };
    let change = last_change(case, concerned.into_iter(), None)?;
    if rollout_history.all_started_after(change) && !any_meanwhile(case, rollout_history) {
        return Some(adopt(case, Reason::CoveredByRollout));
    }
    // Its own controller may not have noticed yet that the template went back.
    let template = case.input.workload.template_digest.as_deref();
    let left = !template.is_some_and(|template_digest| is_of_present(case, template_digest));
    let rolled_and_left = rollout_history.revisions.iter().any(|revision| {
        (left || !revision.is_present(rollout_status.revision))
            && revision.created >= change
            && revision
                .template_digest
                .as_deref()
                .is_some_and(|template_digest| is_of_present(case, template_digest))
    });
    if rolled_and_left && rollout_status.progress == RolloutProgress::Progressing {
        // Going back may yet replace every pod.
        return Some(covering_rollout(case, rollout_status.progress));
    }
    if rolled_and_left {
        return Some(hold_rolled_back(case));
    }
    let since = rollout_history
        .present(rollout_status.revision)
        .is_some_and(|revision| revision.created > change);
    (since && !any_meanwhile(case, rollout_history)).then(|| covering_rollout(case, rollout_status.progress))
}

fn replaced_advice(case: &Case<'_>) -> String {
    let sources = case.input.sources.iter().enumerate();
    let immutable: Vec<String> = sources
        .filter(|(at, view)| {
            let source = view.source;
            source.is_some_and(|source| source.immutable_since().is_some()) || was_immutable(case, *at)
        })
        .map(|(_, view)| view.reference.to_string())
        .collect();
    format!(
        "{}; use a new name for each version; set windlass.dev/skip to confirm that the pods run the present content",
        some_of(&immutable)
    )
}

/// Whether the workload was seen current at its present revision, before all that changed now.
pub(super) fn was_current(case: &Case<'_>) -> bool {
    case.input.last_current.is_some_and(|last_current| {
        last_current.revision >= case.input.workload.rollout_status.revision
            && case
                .difference
                .changed
                .iter()
                .filter_map(|&at| case.input.sources.get(at))
                .all(|view| view.content_version > last_current.version)
    })
}
