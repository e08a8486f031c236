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
use windlass_core::content::digest::mark_of;
use windlass_core::decide::{Action, Plan, Trusted};
use windlass_core::governor::Turn;
use windlass_core::reason::{Reason, State};
use windlass_core::types::name::{SourceRef, WorkloadRef};
use windlass_core::workload::kind::Progress;

use super::index::{Wanted, is_done};
use super::queue::Queue;
use crate::backoff::{backoff, jittered};
use crate::context::Context;
use crate::in_place::Propagator;
use crate::k8s::error::ApiError;
use crate::k8s::patch::{WorkloadPatch, Write};
use crate::reader::Reader;
use crate::reconcile::dry_run::{Change, Of, Part, Rehearsals};
use crate::reconcile::gather::{Decided, Undecided, decide_now, prove};
use crate::reconcile::observe::{Named, Observer};
use crate::reconcile::outcome::Outcome;

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
    pub reading: Arc<Queue<Wanted>>,
    /// What came of dry runs.
    pub rehearsals: Rehearsals,
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
            self.observer.decides(workload, began);
        }
        let outcome = self.write(workload, &decided).await;
        self.give_back(workload, &decided, &outcome);
        let urgent = !matches!(decided.plan.action, Action::Adopt(_));
        self.observe(workload, decided, outcome);
        if !urgent {
            self.observer.room().await;
        }
    }

    /// Decides; where the decision asks for more, reads that and decides again.
    async fn gather_and_decide(&self, workload: &WorkloadRef) -> Option<Decided> {
        let mut proof = None;
        let mut unfinished = None;
        for _ in 0..ROUNDS {
            let started = std::time::Instant::now();
            let decided = match decide_now(&self.context, workload, proof.as_ref()) {
                Ok(decided) => decided,
                Err(Undecided::Gone) => {
                    self.release_unless_rolling(workload);
                    return None;
                }
                Err(Undecided::OutOfDate) => {
                    self.return_without_event(workload);
                    return None;
                }
                Err(Undecided::Unmatched { slices }) => {
                    self.go_on_matching(workload, slices);
                    tokio::task::yield_now().await;
                    return None;
                }
                Err(Undecided::Unread(sources)) => {
                    self.release_unless_rolling(workload);
                    for source in sources {
                        self.reading.push(Wanted::Source(source));
                    }
                    return None;
                }
            };
            self.observer.decided(started.elapsed());
            let Action::Prove(need) = decided.plan.action else {
                return Some(decided);
            };
            if let Some(wait) = self.too_soon(workload) {
                self.queue.push_after(workload.clone(), wait);
                return None;
            }
            match prove(&self.context, workload, &decided.uid, need).await {
                Ok(read) => proof = read.or(proof),
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
    fn give_up(&self, workload: &WorkloadRef, decided: Decided) {
        warn!(workload = %Named(workload), rounds = ROUNDS, "decision did not finish; retrying with backoff");
        let error = ApiError::Unexpected("what was read does not decide it");
        self.observe(workload, decided, Outcome::Failed(error));
        self.release_unless_rolling(workload);
    }

    /// Comes back should the event of our own write never come.
    fn return_without_event(&self, workload: &WorkloadRef) {
        let until = {
            let index = self.context.index();
            index
                .workload(workload)
                .and_then(|entry| entry.expected.as_deref().copied())
        };
        if let Some((_, until)) = until {
            let wait = until.duration_since(self.context.clock.now()).max(SignedDuration::ZERO);
            self.queue.push_after(workload.clone(), wait.unsigned_abs());
        }
    }

    /// Its patterns are compared a slice at a time. Where that takes very many, others go first, and its slot is
    /// theirs.
    fn go_on_matching(&self, workload: &WorkloadRef, slices: u32) {
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
            entry.failures = entry.failures.saturating_add(1);
            entry.failures
        };
        let pause = jittered(backoff(failures, MIN_BACKOFF, MAX_BACKOFF), workload, failures);
        self.queue.push_after(workload.clone(), pause);
        self.release_unless_rolling(workload);
    }

    fn too_soon(&self, workload: &WorkloadRef) -> Option<Duration> {
        let proved = self.context.index().workload(workload)?.proved_at?;
        let since = self.context.clock.now().duration_since(proved).unsigned_abs();
        PROOF_INTERVAL.checked_sub(since).filter(|wait| !wait.is_zero())
    }

    /// Carries the plan out.
    async fn write(&self, workload: &WorkloadRef, decided: &Decided) -> Outcome {
        let write = match &decided.plan.action {
            Action::Nothing | Action::Hold | Action::Prove(_) => return Outcome::Nothing,
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
            && let Some(outcome) = self.rehearse(&patch, &restart.sources).await
        {
            return outcome;
        }
        // A dry run takes a while. What came meanwhile belongs to this restart, or speaks against it.
        if self.is_outdated(workload, decided) {
            self.queue.push(workload.clone());
            return Outcome::Postponed;
        }
        if matches!(patch.write, Write::Restart(_))
            && let Turn::Later { rolling, waiting, full } = self.ask(workload, decided)
        {
            return Outcome::Waiting { rolling, waiting, full };
        }
        // Taken out while it is dealt with, so that one that comes meanwhile stands by itself.
        let change = self
            .context
            .index()
            .workload_mut(workload)
            .and_then(|entry| entry.change.take());
        let waits = matches!(decided.plan.state, State::Held | State::Pending | State::Settling);
        let Context { reader, leading, .. } = &*self.context;
        let Reader { client, timeout, .. } = &**reader;
        self.observer.sends(workload, self.context.clock.now());
        match leading.write(*timeout, |timeout| patch.send(client, timeout)).await {
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
    async fn rehearse(&self, patch: &WorkloadPatch, sources: &[SourceRef]) -> Option<Outcome> {
        let workload = &patch.workload;
        let (source, version) = self.context.index().shared(workload, sources)?;
        let of = Of {
            namespace: workload.namespace.clone(),
            kind: workload.kind,
            source,
        };
        let change = Change { of, version };
        match self.rehearsals.part(&change, workload, self.context.clock.now()) {
            Part::Go => None,
            Part::Wait => Some(Outcome::Postponed),
            Part::Refused { why, until } => Some(Outcome::NotTried { why, until }),
            Part::Rehearse => {
                let Context { reader, leading, .. } = &*self.context;
                let Reader { client, timeout, .. } = &**reader;
                let result = leading.write(*timeout, |timeout| patch.rehearse(client, timeout)).await;
                let now = self.context.clock.now();
                for waited in self.rehearsals.done(&change, result.as_ref().copied(), now) {
                    self.queue.push(waited);
                }
                result.err().map(Outcome::Failed)
            }
        }
    }

    /// Whether what it was decided on has changed since.
    fn is_outdated(&self, workload: &WorkloadRef, decided: &Decided) -> bool {
        let index = self.context.index();
        index.workload(workload).is_none_or(|entry| {
            entry.workload.uid != decided.uid
                || entry.workload.version != decided.version
                || entry.touches != decided.touches
        })
    }

    /// Whether this very write was refused a moment ago, by a right or a rule.
    fn was_refused(&self, workload: &WorkloadRef, plan: &Plan) -> bool {
        let now = self.context.clock.now();
        let index = self.context.index();
        let refused = index.workload(workload).and_then(|entry| entry.refused.as_deref());
        refused.is_some_and(|(what, until)| *what == identity(plan) && now < *until)
    }

    /// Notes the outcome, says it, and arranges for what comes next.
    fn observe(&self, workload: &WorkloadRef, decided: Decided, outcome: Outcome) {
        let now = self.context.clock.now();
        let before = self.standing(workload);
        self.note(workload, &decided, &outcome, now);
        self.come_back(workload, &decided, &outcome, now);
        self.propagate(workload, &decided, &outcome);
        self.observer.report(&self.context, workload, decided, &outcome, now);
        let after = self.standing(workload);
        self.call_others(workload, after.1 && after != before);
    }

    /// Sees to the files of running pods. What has to be on record first is, by now.
    fn propagate(&self, workload: &WorkloadRef, decided: &Decided, outcome: &Outcome) {
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
                    entry.propagation = None;
                }
            }
        }
    }

    /// Where it stands, and whether the next wave may go.
    fn standing(&self, workload: &WorkloadRef) -> (Option<(State, Reason)>, bool) {
        let index = self.context.index();
        let entry = index.workload(workload);
        (entry.and_then(|entry| entry.status), entry.is_some_and(is_done))
    }

    /// Those that waited for this one, be it for its recovery or for its wave.
    fn call_others(&self, workload: &WorkloadRef, done: bool) {
        let called = {
            let mut index = self.context.index();
            let mut called = index.note_failure(workload);
            if done {
                called.extend(index.behind(workload));
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
    fn note(&self, workload: &WorkloadRef, decided: &Decided, outcome: &Outcome, now: Timestamp) {
        let mut index = self.context.index();
        let Some(entry) = index.workload_mut(workload) else {
            return;
        };
        if entry.workload.uid != decided.uid {
            return;
        }
        if !matches!(outcome, Outcome::Failed(_)) {
            entry.looked_at = decided.touches;
        }
        if matches!(
            outcome,
            Outcome::Nothing | Outcome::Waiting { .. } | Outcome::Observed(_)
        ) {
            entry.failures = 0;
        }
        match outcome {
            Outcome::Nothing if decided.plan.state == State::Current => {
                entry.change = None;
                entry.verified = entry.verified.max(decided.horizon);
                let (evidence, witness) = (entry.workload.evidence, entry.workload.witness.as_deref());
                // What was complete once stays so while it is scaled.
                let was = entry.trusted.and_then(|trusted| trusted.mark);
                let complete = |mark: &[u8; 6]| evidence.progress == Progress::Complete || was == Some(*mark);
                entry.trusted = Some(Trusted {
                    version: entry.workload.version,
                    revision: evidence.revision,
                    // Nor does it matter who takes our digest off the template afterwards.
                    mark: witness
                        .and_then(mark_of)
                        .map_or(was, |mark| Some(mark).filter(complete)),
                });
            }
            Outcome::Written { version, .. } => {
                entry.failures = 0;
                entry.refused = None;
                entry.verified = entry.verified.max(decided.horizon);
                if entry.workload.version < *version {
                    entry.expected = Some(Box::new((*version, now + OWN_EVENT)));
                }
                entry.remembered = match &decided.plan.action {
                    Action::Adopt(observed) => Some(observed.as_str().into()),
                    Action::Restart(restart) => Some(restart.observed.as_str().into()),
                    Action::Nothing | Action::Hold | Action::Prove(_) | Action::Resume => entry.remembered.take(),
                };
            }
            Outcome::Observed(observed) => {
                if let (Action::Restart(_), Some(under)) = (&decided.plan.action, &mut entry.under) {
                    under.before.get_or_insert_with(|| entry.workload.observed.clone());
                }
                entry.change = None;
                entry.verified = entry.verified.max(decided.horizon);
                entry.workload.observed = Some(observed.as_str().into());
                entry.remembered.clone_from(&entry.workload.observed);
            }
            Outcome::Failed(ApiError::Rejected(_) | ApiError::Forbidden(_)) => {
                let pause = backoff(entry.failures, REFUSED_PAUSE, self.resync);
                entry.failures = entry.failures.saturating_add(1);
                entry.refused = Some(Box::new((identity(&decided.plan), now + pause)));
            }
            Outcome::Failed(error) => {
                entry.failures = entry.failures.saturating_add(1);
                if entry.failures >= FAILURES_LOGGED && entry.failures.is_power_of_two() {
                    warn!(workload = %Named(workload), failures = entry.failures, %error, "requests keep failing");
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
    fn come_back(&self, workload: &WorkloadRef, decided: &Decided, outcome: &Outcome, now: Timestamp) {
        let after = match outcome {
            Outcome::NotTried { until, .. } => until.duration_since(now).unsigned_abs(),
            Outcome::Nothing => {
                let place = self.gives_back_at(workload, now);
                let Some(at) = decided.plan.not_before.into_iter().chain(place).min() else {
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
                match (error, entry.refused.as_deref()) {
                    (ApiError::Rejected(_) | ApiError::Forbidden(_), Some((_, until))) => {
                        until.duration_since(now).unsigned_abs()
                    }
                    // The newer version may be in the index by now.
                    (ApiError::Conflict, _) if entry.workload.version > decided.version => Duration::ZERO,
                    _ => jittered(
                        backoff(entry.failures, MIN_BACKOFF, MAX_BACKOFF),
                        workload,
                        entry.failures,
                    ),
                }
            }
            Outcome::Refused => {
                let index = self.context.index();
                let Some((_, until)) = index.workload(workload).and_then(|entry| entry.refused.as_deref()) else {
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
        Ok(baseline) => Baseline { mark: None, ..baseline }.print(),
        Err(_) => observed,
    }
}

/// Tells a write from another one for the same workload; the time in it does not count.
fn identity(plan: &Plan) -> String {
    match &plan.action {
        Action::Restart(restart) => restart.digest.clone(),
        Action::Adopt(_) => plan.reason.word().to_owned(),
        Action::Nothing | Action::Hold | Action::Prove(_) | Action::Resume => String::new(),
    }
}
