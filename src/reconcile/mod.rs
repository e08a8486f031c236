//! The way of one change: gather, decide, write, observe.
//!
//! A worker takes one workload at a time from the queue and brings it as far as it can be brought
//! now. What it cannot finish comes back: with an event, at a time, or after a backoff.

pub mod dry_run;
pub mod gather;
pub mod observe;
pub mod outcome;
mod slots;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::warn;
use windlass_core::content::baseline::Baseline;
use windlass_core::decide::{Action, Plan};
use windlass_core::reason::{Reason, State};
use windlass_core::rollout_slots::AcquireOutcome;
use windlass_core::types::name::{SourceRef, WorkloadRef};

use super::index::entry::WorkloadEntry;
use super::index::{FetchRequest, is_done};
use super::queue::Queue;
use crate::backoff::{backoff, jittered};
use crate::context::Context;
use crate::in_place::Propagator;
use crate::k8s::error::ApiError;
use crate::k8s::patch::{WorkloadPatch, Write};
use crate::reader::Reader;
use crate::reconcile::dry_run::{ChangeKey, ChangeVersion, DryRuns, Verdict};
use crate::reconcile::gather::{Decision, NotReady, decide_now, read_history};
use crate::reconcile::observe::Observer;
use crate::reconcile::outcome::Outcome;
use crate::report::gauges::kind_label;

#[cfg(test)]
mod tests;

/// Pods of one workload are not read more often than this, however many events it has.
const PROOF_INTERVAL: Duration = Duration::from_secs(5);

/// The first wait after a failed request, and the longest.
const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// How long a refused write is left alone while nothing changes; doubles up to the resync.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);

/// How long to wait for the event of our own write before the index is taken for true again.
const OWN_EVENT: Duration = Duration::from_secs(30);

/// How often one decision may ask for more: once for older baselines, once for pods, and the decision itself.
const ROUNDS: usize = 3;

/// So many slices of comparing patterns are done one after the other: a few for honest lists.
const SLICES_AT_ONCE: u32 = 16;

/// A workload whose requests fail this often in a row is worth a line of the log, and again each time that
/// the number has doubled.
const FAILURES_LOGGED: u32 = 4;

/// What a worker needs.
pub struct Reconciler {
    /// What decisions are made on.
    pub context: Arc<Context>,
    /// What has to be decided.
    pub queue: Arc<Queue<WorkloadRef>>,
    /// What has to be read before.
    pub fetch_queue: Arc<Queue<FetchRequest>>,
    /// What came of dry runs.
    pub dry_runs: DryRuns,
    /// Who brings files of running pods up to date.
    pub propagator: Option<Arc<Propagator>>,
    /// Where outcomes are reported.
    pub observer: Arc<Observer>,
    /// Decide and report, write nothing.
    pub observe_only: bool,
    /// The longest pause of anything.
    pub resync: Duration,
}

impl Reconciler {
    /// Brings one workload as far as it can be brought now.
    pub async fn reconcile(&self, workload: &WorkloadRef) {
        let began = self.context.clock.now();
        let Some(decided) = self.gather_and_decide(workload).await else {
            return;
        };
        if matches!(decided.plan.action, Action::Restart(_) | Action::Adopt(_)) {
            self.observer.decision_started(workload, began);
        }
        let outcome = self.write(workload, &decided).await;
        self.give_back(workload, &decided, &outcome);
        let urgent = !matches!(decided.plan.action, Action::Adopt(_));
        self.observe(workload, decided, outcome);
        if !urgent {
            self.observer.wait_for_capacity().await;
        }
    }

    /// Decides; where the decision asks for more, reads that and decides again.
    async fn gather_and_decide(&self, workload: &WorkloadRef) -> Option<Decision> {
        let mut rollout_history = None;
        let mut unfinished = None;
        for _ in 0..ROUNDS {
            let started = std::time::Instant::now();
            let decided = match decide_now(&self.context, workload, rollout_history.as_ref()) {
                Ok(decided) => decided,
                Err(NotReady::Gone) => {
                    self.release_unless_rolling(workload);
                    return None;
                }
                Err(NotReady::OutOfDate) => {
                    self.return_without_event(workload);
                    return None;
                }
                Err(NotReady::Unmatched { slices }) => {
                    self.continue_matching(workload, slices);
                    tokio::task::yield_now().await;
                    return None;
                }
                Err(NotReady::Unread(sources)) => {
                    self.release_unless_rolling(workload);
                    for source in sources {
                        self.fetch_queue.push(FetchRequest::Source(source));
                    }
                    return None;
                }
            };
            self.observer.decided(started.elapsed());
            let Action::Read(need) = decided.plan.action else {
                return Some(decided);
            };
            if let Some(wait) = self.too_soon(workload) {
                self.queue.push_after(workload.clone(), wait);
                return None;
            }
            match read_history(&self.context, workload, &decided.uid, need).await {
                Ok(read) => rollout_history = read.or(rollout_history),
                Err(ApiError::NotFound | ApiError::Replaced) => {
                    // Mostly its own event is on the way.
                    self.return_after_failure(workload);
                    return None;
                }
                Err(error) => {
                    self.observe(workload, decided, Outcome::Failed(error));
                    self.release_unless_rolling(workload);
                    return None;
                }
            }
            unfinished = Some(decided);
        }
        if let Some(decided) = unfinished {
            self.give_up(workload, decided);
        }
        None
    }

    /// What the decision asks for changes as fast as it is read. It is made again later: dropped, the change
    /// would be lost with it.
    fn give_up(&self, workload: &WorkloadRef, decided: Decision) {
        warn!(kind = kind_label(workload.kind), namespace = %workload.namespace, name = %workload.name, rounds = ROUNDS, "decision did not converge; retrying with backoff");
        let error = ApiError::Unexpected("decision did not converge");
        self.observe(workload, decided, Outcome::Failed(error));
        self.release_unless_rolling(workload);
    }

    /// Comes back should the event of our own write never come.
    fn return_without_event(&self, workload: &WorkloadRef) {
        let until = {
            let index = self.context.index();
            index.workload(workload).and_then(WorkloadEntry::own_event_until)
        };
        if let Some(until) = until {
            let wait = until.duration_since(self.context.clock.now()).max(SignedDuration::ZERO);
            self.queue.push_after(workload.clone(), wait.unsigned_abs());
        }
    }

    /// Its patterns are compared a slice at a time. Where that takes very many, others go first, and its slot is
    /// theirs.
    fn continue_matching(&self, workload: &WorkloadRef, slices: u32) {
        match slices.checked_sub(SLICES_AT_ONCE) {
            None => self.queue.push(workload.clone()),
            Some(more) => {
                self.queue
                    .push_after(workload.clone(), backoff(more, MIN_BACKOFF, MAX_BACKOFF));
                self.release_unless_rolling(workload);
            }
        }
    }

    /// Comes back after a pause that grows with each failure.
    fn return_after_failure(&self, workload: &WorkloadRef) {
        let failures = {
            let mut index = self.context.index();
            let Some(entry) = index.workload_mut(workload) else {
                return;
            };
            entry.note_failed_request()
        };
        let pause = jittered(backoff(failures, MIN_BACKOFF, MAX_BACKOFF), workload, failures);
        self.queue.push_after(workload.clone(), pause);
        self.release_unless_rolling(workload);
    }

    fn too_soon(&self, workload: &WorkloadRef) -> Option<Duration> {
        let proved = self.context.index().workload(workload)?.pods_read_at()?;
        let since = self.context.clock.now().duration_since(proved).unsigned_abs();
        PROOF_INTERVAL.checked_sub(since).filter(|wait| !wait.is_zero())
    }

    /// Carries the plan out.
    async fn write(&self, workload: &WorkloadRef, decided: &Decision) -> Outcome {
        let write = match &decided.plan.action {
            Action::Nothing | Action::Hold | Action::Read(_) => return Outcome::Nothing,
            Action::Adopt(observed) => Write::Baseline(observed.clone()),
            Action::Restart(restart) => Write::Restart(restart.clone()),
            Action::Resume => Write::Resume,
        };
        if self.observe_only || decided.observed {
            return Outcome::Observed(match write {
                Write::Baseline(observed) => observed,
                Write::Restart(restart) => unmarked(restart.observed),
                Write::Resume => return Outcome::Refused,
            });
        }
        if self.was_refused(workload, &decided.plan) {
            return Outcome::Refused;
        }
        let patch = WorkloadPatch {
            workload: workload.clone(),
            uid: decided.uid.clone(),
            version: decided.version,
            write,
        };
        if let Write::Restart(restart) = &patch.write
            && let Some(outcome) = self.dry_run(&patch, &restart.sources).await
        {
            return outcome;
        }
        // A dry run takes a while. What came meanwhile belongs to this restart, or speaks against it.
        if self.is_outdated(workload, decided) {
            self.queue.push(workload.clone());
            return Outcome::Postponed;
        }
        if matches!(patch.write, Write::Restart(_))
            && let AcquireOutcome::Queued { rolling, waiting, full } = self.acquire_slot(workload, decided)
        {
            return Outcome::Waiting { rolling, waiting, full };
        }
        // Taken out while it is dealt with, so that one that comes meanwhile stands by itself.
        let change = self
            .context
            .index()
            .workload_mut(workload)
            .and_then(WorkloadEntry::take_change);
        let waits = matches!(decided.plan.state, State::Held | State::Pending | State::Settling);
        let Context { reader, write_gate, .. } = &*self.context;
        let Reader { client, timeout, .. } = &**reader;
        self.observer.write_started(workload, self.context.clock.now());
        match write_gate.write(*timeout, |timeout| patch.send(client, timeout)).await {
            Ok(version) if waits => {
                // That it waits is on record. What it waits with is known here alone: which sources, since
                // when each was something else.
                if let Some(entry) = self.context.index().workload_mut(workload) {
                    entry.put_back(change);
                }
                Outcome::Written { version, change: None }
            }
            Ok(version) => Outcome::Written { version, change },
            Err(error) => {
                if let Some(entry) = self.context.index().workload_mut(workload) {
                    entry.put_back(change);
                }
                Outcome::Failed(error)
            }
        }
    }

    /// A dry run, where others wait for the same change. Gives what became of the patch if it is not to
    /// be sent.
    async fn dry_run(&self, patch: &WorkloadPatch, sources: &[SourceRef]) -> Option<Outcome> {
        let workload = &patch.workload;
        let (source, version) = self.context.index().shared(workload, sources)?;
        let of = ChangeKey {
            namespace: workload.namespace.clone(),
            kind: workload.kind,
            source,
        };
        let change = ChangeVersion { key: of, version };
        match self.dry_runs.verdict(&change, workload, self.context.clock.now()) {
            Verdict::Proceed => None,
            Verdict::Wait => Some(Outcome::Postponed),
            Verdict::Rejected { why, until } => Some(Outcome::NotTried { why, until }),
            Verdict::DryRun => {
                let Context { reader, write_gate, .. } = &*self.context;
                let Reader { client, timeout, .. } = &**reader;
                let result = write_gate
                    .write(*timeout, |timeout| patch.rehearse(client, timeout))
                    .await;
                let now = self.context.clock.now();
                for waited in self.dry_runs.finish(&change, result.as_ref().copied(), now) {
                    self.queue.push(waited);
                }
                result.err().map(Outcome::Failed)
            }
        }
    }

    /// Whether what it was decided on has changed since.
    fn is_outdated(&self, workload: &WorkloadRef, decided: &Decision) -> bool {
        let index = self.context.index();
        let entry = index.workload(workload);
        !entry.is_some_and(|entry| entry.is_unchanged(&decided.uid, decided.version, decided.generation))
    }

    /// Whether this very write was refused a moment ago, by a right or a rule.
    fn was_refused(&self, workload: &WorkloadRef, plan: &Plan) -> bool {
        let now = self.context.clock.now();
        let index = self.context.index();
        let entry = index.workload(workload);
        entry.is_some_and(|entry| entry.is_rejected(&identity(plan), now))
    }

    /// Notes the outcome, says it, and arranges for what comes next.
    fn observe(&self, workload: &WorkloadRef, decided: Decision, outcome: Outcome) {
        let now = self.context.clock.now();
        let before = self.status(workload);
        self.note(workload, &decided, &outcome, now);
        self.requeue(workload, &decided, &outcome, now);
        self.propagate(workload, &decided, &outcome);
        self.observer.report(&self.context, workload, decided, &outcome, now);
        let after = self.status(workload);
        self.enqueue_waiters(workload, after.1 && after != before);
    }

    /// Sees to the files of running pods. What has to be on record first is, by now.
    fn propagate(&self, workload: &WorkloadRef, decided: &Decision, outcome: &Outcome) {
        let Some(propagator) = &self.propagator else { return };
        let stays = match outcome {
            Outcome::Written { .. } => !matches!(decided.plan.action, Action::Restart(_)),
            Outcome::Observed(_) => false,
            // It comes back, with the same files.
            Outcome::Failed(_) => return,
            Outcome::Nothing
            | Outcome::Refused
            | Outcome::Waiting { .. }
            | Outcome::Postponed
            | Outcome::NotTried { .. } => !(self.observe_only || decided.observed),
        };
        match &decided.plan.files {
            Some(files) if stays => propagator.ensure(workload, files, decided.horizon),
            Some(_) | None => {
                if let Some(entry) = self.context.index().workload_mut(workload) {
                    entry.end_propagation();
                }
            }
        }
    }

    /// Where it stands, and whether the next wave may go.
    fn status(&self, workload: &WorkloadRef) -> (Option<(State, Reason)>, bool) {
        let index = self.context.index();
        let entry = index.workload(workload);
        (entry.and_then(WorkloadEntry::status), entry.is_some_and(is_done))
    }

    /// Those that waited for this one, be it for its recovery or for its wave.
    fn enqueue_waiters(&self, workload: &WorkloadRef, done: bool) {
        let called = {
            let mut index = self.context.index();
            let mut called = index.note_failure(workload);
            if done {
                called.extend(index.later_waves(workload));
            }
            called
        };
        for other in called {
            if other != *workload {
                self.queue.push(other);
            }
        }
    }

    /// What the index must know of it.
    fn note(&self, workload: &WorkloadRef, decided: &Decision, outcome: &Outcome, now: Timestamp) {
        let mut index = self.context.index();
        let Some(entry) = index.workload_mut(workload) else {
            return;
        };
        if entry.workload().uid != decided.uid {
            return;
        }
        if !matches!(outcome, Outcome::Failed(_)) {
            entry.note_decided(decided.generation);
        }
        if matches!(
            outcome,
            Outcome::Nothing | Outcome::Waiting { .. } | Outcome::Observed(_)
        ) {
            entry.note_success();
        }
        match outcome {
            Outcome::Nothing if decided.plan.state == State::Current => {
                entry.mark_current(decided.horizon);
            }
            Outcome::Written { version, .. } => {
                let baseline = match &decided.plan.action {
                    Action::Adopt(observed) => Some(observed.as_str().into()),
                    Action::Restart(restart) => Some(restart.observed.as_str().into()),
                    Action::Nothing | Action::Hold | Action::Read(_) | Action::Resume => None,
                };
                entry.record_write(*version, now + OWN_EVENT, baseline, decided.horizon);
            }
            Outcome::Observed(baseline) => {
                let restart = matches!(decided.plan.action, Action::Restart(_));
                entry.record_report(baseline, decided.horizon, restart);
            }
            Outcome::Failed(ApiError::Rejected(_) | ApiError::Forbidden(_)) => {
                let pause = backoff(entry.failures(), REFUSED_PAUSE, self.resync);
                entry.note_rejection(identity(&decided.plan), now + pause);
            }
            Outcome::Failed(error) => {
                let failures = entry.note_failed_request();
                if failures >= FAILURES_LOGGED && failures.is_power_of_two() {
                    warn!(kind = kind_label(workload.kind), namespace = %workload.namespace, name = %workload.name, failures, %error, "requests keep failing");
                }
            }
            Outcome::Nothing
            | Outcome::Refused
            | Outcome::Waiting { .. }
            | Outcome::Postponed
            | Outcome::NotTried { .. } => {}
        }
    }

    /// When to decide again without any event.
    fn requeue(&self, workload: &WorkloadRef, decided: &Decision, outcome: &Outcome, now: Timestamp) {
        let after = match outcome {
            Outcome::NotTried { until, .. } => until.duration_since(now).unsigned_abs(),
            Outcome::Nothing => {
                let slot_times = self.releases_cluster_slot_at(workload, now);
                let Some(at) = decided.plan.not_before.into_iter().chain(slot_times).min() else {
                    return;
                };
                at.duration_since(now).unsigned_abs()
            }
            Outcome::Failed(ApiError::NotFound | ApiError::Replaced) => {
                // Its event is on the way, or already here.
                self.context.index().forget_exactly(workload, &decided.uid);
                return;
            }
            Outcome::Failed(error) => {
                let index = self.context.index();
                let Some(entry) = index.workload(workload) else { return };
                match (error, entry.rejected_until()) {
                    (ApiError::Rejected(_) | ApiError::Forbidden(_), Some(until)) => {
                        until.duration_since(now).unsigned_abs()
                    }
                    // The newer version may be in the index by now.
                    (ApiError::Conflict, _) if entry.workload().version > decided.version => Duration::ZERO,
                    _ => jittered(
                        backoff(entry.failures(), MIN_BACKOFF, MAX_BACKOFF),
                        workload,
                        entry.failures(),
                    ),
                }
            }
            Outcome::Refused => {
                let index = self.context.index();
                let Some(until) = index.workload(workload).and_then(WorkloadEntry::rejected_until) else {
                    return;
                };
                until.duration_since(now).unsigned_abs()
            }
            // Whoever waits is called.
            Outcome::Written { .. } | Outcome::Observed(_) | Outcome::Postponed | Outcome::Waiting { .. } => return,
        };
        self.queue.push_after(workload.clone(), after);
    }
}

/// A baseline of a restart that did not happen: no digest is to be looked for on the template.
fn unmarked(observed: String) -> String {
    match Baseline::parse(&observed) {
        Ok(baseline) => Baseline {
            template_digest: None,
            ..baseline
        }
        .print(),
        Err(_) => observed,
    }
}

/// Tells a write from another one for the same workload; the time in it does not count.
fn identity(plan: &Plan) -> String {
    match &plan.action {
        Action::Restart(restart) => restart.digest.clone(),
        Action::Adopt(_) => plan.reason.as_str().to_owned(),
        Action::Nothing | Action::Hold | Action::Read(_) | Action::Resume => String::new(),
    }
}
