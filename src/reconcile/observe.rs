//! Observe: the one place where an outcome becomes a log line, an Event and a metric.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use windlass_core::content::baseline::Baseline;
use windlass_core::decide::{Action, Plan};
use windlass_core::notice::WorkloadCondition;
use windlass_core::notice::event::{Severity, WorkloadEvent};
use windlass_core::reason::{EventClass, Reason, Resolution, State};
use windlass_core::types::name::{Uid, WorkloadRef};
use windlass_core::types::text::{NAMED, one_line};
use windlass_core::workload::kind::KindId;

use super::gather::Decision;
use super::outcome::Outcome;
use crate::context::Context;
use crate::index::entry::WorkloadEntry;
use crate::k8s::error::ApiError;
use crate::ops::{InPlaceResult, Metrics, Notifier, RestartResult};
use crate::report::events::EventBacklog;
use crate::report::gauges::{kind_label, since};
use crate::report::traces::ChangeTraces;

#[cfg(test)]
mod tests;

/// Reports outcomes.
pub struct Observer {
    metrics: Metrics,
    events: mpsc::Sender<WorkloadEvent>,
    notifier: Option<Arc<Notifier>>,
    traces: ChangeTraces,
    backlog: Option<EventBacklog>,
}

impl Observer {
    /// Counts in `metrics` and hands Events to `events`.
    #[must_use]
    pub fn new(metrics: Metrics, events: mpsc::Sender<WorkloadEvent>) -> Self {
        Self {
            metrics,
            events,
            notifier: None,
            traces: ChangeTraces::disabled(),
            backlog: None,
        }
    }

    /// Counts in `backlog` the Events that nobody has written yet.
    #[must_use]
    pub fn with_backlog(self, backlog: EventBacklog) -> Self {
        let backlog = Some(backlog);
        Self { backlog, ..self }
    }

    /// Tells `notifier` as well.
    #[must_use]
    pub fn with_notifier(self, notifier: Option<Arc<Notifier>>) -> Self {
        Self { notifier, ..self }
    }

    /// Notes the ways of changes as well.
    #[must_use]
    pub fn with_traces(self, traces: ChangeTraces) -> Self {
        Self { traces, ..self }
    }

    /// What is to be done with the workload begins to be decided.
    pub fn decision_started(&self, workload: &WorkloadRef, now: Timestamp) {
        self.traces.decision_started(workload, now);
    }

    /// Its patch is sent.
    pub fn write_started(&self, workload: &WorkloadRef, now: Timestamp) {
        self.traces.write_started(workload, now);
    }

    /// Waits until few Events are queued. Whoever does what is not urgent does this before the next:
    /// adopting a cluster's workloads must not cost the Event of a restart.
    pub async fn wait_for_capacity(&self) {
        while self.waiting_events() > self.events.max_capacity() / 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn waiting_events(&self) -> usize {
        let handed_over = self.events.max_capacity() - self.events.capacity();
        self.backlog.as_ref().map_or(handed_over, EventBacklog::len)
    }

    /// One decision took this long.
    pub fn decided(&self, took: Duration) {
        self.metrics.decision(took);
    }

    /// Says what became of a plan, once, and counts it.
    pub fn report(
        &self,
        context: &Context,
        workload: &WorkloadRef,
        decided: Decision,
        outcome: &Outcome,
        now: Timestamp,
    ) {
        let Decision {
            plan,
            uid,
            version: _,
            horizon: _,
            generation: _,
            warnings,
            budgets: _,
            observed: _,
        } = decided;
        let restart = matches!(plan.action, Action::Restart(_));
        // What is answered to a person is true only once it is done.
        let done = !restart || matches!(outcome, Outcome::Written { .. });
        let mut warnings = warnings;
        warnings.retain(|(reason, _)| done || *reason != Reason::OverrideHandled);
        self.count(workload.kind, &plan, outcome);
        let Some((state, reason, detail)) = status_of(workload, &plan, outcome) else {
            return;
        };
        let mut index = context.index();
        let Some(entry) = index.workload_mut(workload) else {
            return;
        };
        let before = entry.status();
        if restart && matches!(outcome, Outcome::Observed(_)) {
            entry.note_reported_restart();
        }
        // What would have been restarted stays in sight until somebody rolls it.
        let still = entry.has_reported_restart();
        let (state, reason) = match state {
            State::Current if still => (State::Observed, Reason::Restarted),
            _ => (state, reason),
        };
        if let Outcome::Written {
            change: Some(change), ..
        } = outcome
            && restart
            && !was_put_off(before)
        {
            self.metrics.change_to_patch(since(change.first_seen, now));
        }
        if state == State::Current {
            if let Some(stale) = entry.end_stale()
                && (matches!(before, Some((State::Rolling, _))) || reason == Reason::Verified)
            {
                self.metrics.change_to_current(since(stale, now));
            }
        } else {
            let from = began(entry, outcome).unwrap_or(now);
            // Held for its policy alone it may well be current.
            let idle = plan.action == Action::Hold && matches!(reason, Reason::PolicyMissing | Reason::PolicyInvalid);
            if !idle {
                entry.note_stale(from);
            }
        }
        let new_complaints = entry.note_warnings(warnings.iter().map(|(_, text)| &**text));
        let is_other = entry.note_event(reason, &detail);
        // A write is always said; a state once, until it is another one.
        let news =
            // Nothing marks that a CronJob's change was dealt with but that it is said, each time.
            matches!(outcome, Outcome::Written { .. } | Outcome::Observed(_))
                || reason == Reason::DeferredToNextRun
                || is_other;
        // It reads the baseline: not with each event of a workload that is as it was.
        let mark = (news && self.notifier.is_some()).then(|| mark(entry, restart, outcome, now));
        self.traces.status_changed(workload, outcome, state, reason, now);
        index.set_status(workload, (state, reason));
        if before != Some((state, reason)) {
            self.count_in_place(reason);
        }
        drop(index);

        // Somebody who only observes wants to know of restarts; that nothing is recorded is the point.
        let unwritten = !restart && (matches!(outcome, Outcome::Observed(_)) || state == State::Observed);
        // Said with its keys when it began.
        let going_on = reason == Reason::Propagating && matches!(outcome, Outcome::Nothing);
        let silent = unwritten || going_on;
        if news && going_on && !detail.is_empty() {
            info!(kind = kind_label(workload.kind), namespace = %workload.namespace, name = %workload.name, detail = &*one_line(&detail), "in-place update progress");
        }
        let note = || sentence(&plan, restart, state, reason, &detail);
        if news && !silent {
            log_status(workload, state, reason, &note(), before);
            self.emit_event(workload, &uid, reason, &note(), now);
        }
        if let Some(mark) = mark {
            let standing = WorkloadCondition {
                workload,
                uid: &uid,
                state,
                reason,
                note: &note(),
                at: now,
            };
            self.notify(&standing, restart, outcome, &mark);
        }
        if new_complaints {
            // They are not where the workload stands, which goes on with whatever can be used.
            for (reason, text) in cap_warnings(warnings) {
                log_warning(workload, reason, &text);
                self.emit_event(workload, &uid, reason, &text, now);
            }
        }
    }

    fn notify(&self, standing: &WorkloadCondition<'_>, restart: bool, outcome: &Outcome, mark: &str) {
        let restarted = restart && matches!(outcome, Outcome::Written { .. });
        match &self.notifier {
            Some(notifier) if restarted => notifier.restarted(standing, mark),
            Some(notifier) => notifier.status_changed(standing, mark),
            None => {}
        }
    }

    fn count_in_place(&self, reason: Reason) {
        let result = InPlaceResult::ALL.into_iter().find(|it| in_place_reason(*it) == reason);
        if let Some(result) = result {
            self.metrics.in_place_change(result);
        }
    }

    fn count(&self, kind: KindId, plan: &Plan, outcome: &Outcome) {
        if let Outcome::Failed(error) = outcome {
            self.metrics.error(error.as_str());
        }
        let result = match outcome {
            Outcome::Refused | Outcome::Waiting { .. } | Outcome::Postponed | Outcome::NotTried { .. } => return,
            Outcome::Failed(error) => result_of(error),
            Outcome::Observed(_) => RestartResult::Observed,
            Outcome::Nothing | Outcome::Written { .. } if plan.reason == Reason::CoveredByRollout => {
                RestartResult::Absorbed
            }
            Outcome::Nothing | Outcome::Written { .. } => RestartResult::Patched,
        };
        if matches!(plan.action, Action::Restart(_)) || result == RestartResult::Absorbed {
            self.metrics.restart(kind_label(kind), result);
        }
    }

    /// Hands over an Event, for a reason that has one.
    fn emit_event(&self, workload: &WorkloadRef, uid: &Uid, reason: Reason, note: &str, now: Timestamp) {
        let Some(severity) = severity(reason) else { return };
        let event = WorkloadEvent {
            workload: workload.clone(),
            uid: uid.clone(),
            severity,
            reason,
            note: capitalised(&one_line(note)),
            at: now,
        };
        if self.events.try_send(event).is_err() {
            self.metrics.event_dropped();
        } else if let Some(backlog) = &self.backlog {
            backlog.add(1);
        }
    }
}

/// Logs the status that a workload reached. The message never varies; `note` has the names.
fn log_status(workload: &WorkloadRef, state: State, reason: Reason, note: &str, before: Option<(State, Reason)>) {
    // Annotations and names that others wrote are in the note, and could add a line of their own.
    let note = &*one_line(note);
    let (kind, namespace, name) = (kind_label(workload.kind), &workload.namespace, &workload.name);
    let (state_word, reason_word) = (state.as_str(), reason.as_str());
    // The way back from trouble is worth a line; the steps in between are not.
    let recovered = state == State::Current && before.is_some_and(|(before, _)| before != State::Current);
    match severity(reason) {
        Some(Severity::Warning) => {
            warn!(kind, %namespace, %name, state = state_word, reason = reason_word, note, "workload status changed");
        }
        None if !recovered => {
            debug!(kind, %namespace, %name, state = state_word, reason = reason_word, note, "workload status changed");
        }
        Some(Severity::Normal) | None => {
            info!(kind, %namespace, %name, state = state_word, reason = reason_word, note, "workload status changed");
        }
    }
}

/// Logs what is wrong with a workload's annotations or sources, or how a manual override was handled.
fn log_warning(workload: &WorkloadRef, reason: Reason, note: &str) {
    let note = &*one_line(note);
    let (kind, namespace, name) = (kind_label(workload.kind), &workload.namespace, &workload.name);
    let reason_word = reason.as_str();
    match severity(reason) {
        Some(Severity::Warning) => {
            warn!(kind, %namespace, %name, reason = reason_word, note, "workload warning");
        }
        Some(Severity::Normal) | None => {
            info!(kind, %namespace, %name, reason = reason_word, note, "workload notice");
        }
    }
}

/// The first few complaints, and how many more there are: each is an Event and a line of the log, and one list of
/// names may give rise to hundreds. What is answered to a person is always said.
fn cap_warnings(warnings: Vec<(Reason, String)>) -> Vec<(Reason, String)> {
    let (mut said, mut warnings): (Vec<_>, Vec<_>) = warnings
        .into_iter()
        .partition(|(reason, _)| *reason == Reason::OverrideHandled);
    let more = warnings.len().saturating_sub(NAMED);
    warnings.truncate(NAMED);
    said.append(&mut warnings);
    if let Some((reason, _)) = said.last().filter(|_| more > 0) {
        said.push((*reason, format!("{more} more warnings of this kind")));
    }
    said
}

/// What is said of it.
fn sentence(plan: &Plan, restart: bool, state: State, reason: Reason, detail: &str) -> String {
    // Whatever led to a restart is called one, and explained as what it is.
    let why = if restart && reason == Reason::Restarted {
        plan.reason
    } else {
        reason
    };
    let mut note = why.sentence().to_owned();
    if matches!(state, State::Observed) {
        note = format!("would be {note} (observe-only)");
    }
    if !detail.is_empty() {
        note = format!("{note}: {detail}");
    }
    note
}

/// Whether it waited for something that is not ours to hurry.
fn was_put_off(before: Option<(State, Reason)>) -> bool {
    match before {
        Some((State::Held, _)) => true,
        Some((State::Pending, reason)) => reason.resolution() != Some(Resolution::Turn),
        Some((
            State::Current | State::Settling | State::Rolling | State::Propagating | State::Failed | State::Observed,
            _,
        ))
        | None => false,
    }
}

/// What tells an occasion from a later one like it, and is the same to whoever finds it: the version that a
/// restart was written with, else the time on record since which it is not current. What is on no record
/// has the time at which we found it.
fn mark(entry: &WorkloadEntry, restart: bool, outcome: &Outcome, now: Timestamp) -> String {
    if let Outcome::Written { version, .. } = outcome
        && restart
    {
        return version.to_string();
    }
    let recorded = entry.recorded_baseline();
    let baseline = recorded.and_then(|text| Baseline::parse(text).ok());
    let since = baseline.and_then(|baseline| baseline.stale);
    since.unwrap_or(now).to_string()
}

/// When the change was seen that it is not current for.
fn began(entry: &WorkloadEntry, outcome: &Outcome) -> Option<Timestamp> {
    match outcome {
        Outcome::Written {
            change: Some(change), ..
        } => Some(change.first_seen),
        _ => entry.pending_change().map(|change| change.first_seen),
    }
}

/// Where a workload stands by what became of a plan, why, and what the reason is about. `None`: nothing
/// is to be said, it is tried again.
fn status_of(workload: &WorkloadRef, plan: &Plan, outcome: &Outcome) -> Option<(State, Reason, String)> {
    let restart = matches!(plan.action, Action::Restart(_));
    Some(match outcome {
        Outcome::Failed(ApiError::Forbidden(message)) => (State::Failed, Reason::Forbidden, message.clone()),
        Outcome::Failed(ApiError::Rejected(message)) => (State::Failed, Reason::Rejected, message.clone()),
        Outcome::Failed(error) => {
            debug!(kind = kind_label(workload.kind), namespace = %workload.namespace, name = %workload.name, %error, "request failed; retrying");
            return None;
        }
        Outcome::Refused | Outcome::Postponed => return None,
        Outcome::NotTried { why, .. } => (State::Held, Reason::ChangeRefused, why.clone()),
        Outcome::Waiting { rolling, waiting, full } => {
            debug!(kind = kind_label(workload.kind), namespace = %workload.namespace, name = %workload.name, rolling, waiting, "waiting for a rollout slot");
            let whose = full
                .as_ref()
                .map_or_else(|| "--max-parallel".to_owned(), ToString::to_string);
            let detail = format!("{whose}; waiting: {}", plan.detail);
            (State::Pending, Reason::Budget, detail)
        }
        Outcome::Observed(_) if restart => (State::Observed, Reason::Restarted, plan.detail.clone()),
        // Whatever led to a restart, people look for one word.
        _ if restart => (plan.state, Reason::Restarted, plan.detail.clone()),
        Outcome::Nothing | Outcome::Written { .. } | Outcome::Observed(_) => {
            (plan.state, plan.reason, plan.detail.clone())
        }
    })
}

/// How an Event for it is shown; `None`: no Event.
fn severity(reason: Reason) -> Option<Severity> {
    match reason.meaning().event {
        EventClass::Silent => None,
        EventClass::Normal | EventClass::Urgent => Some(Severity::Normal),
        EventClass::Warning => Some(Severity::Warning),
    }
}

/// The reason that a change in place ends with.
fn in_place_reason(result: InPlaceResult) -> Reason {
    match result {
        InPlaceResult::Verified => Reason::Verified,
        InPlaceResult::Propagated => Reason::Propagated,
        InPlaceResult::NotApplied => Reason::NotApplied,
    }
}

fn result_of(error: &ApiError) -> RestartResult {
    match error {
        ApiError::Conflict => RestartResult::Conflict,
        ApiError::NotFound | ApiError::Replaced => RestartResult::Gone,
        ApiError::Forbidden(_) => RestartResult::Forbidden,
        ApiError::Rejected(_) => RestartResult::Rejected,
        ApiError::Unavailable(_) | ApiError::Unexpected(_) => RestartResult::Unavailable,
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
