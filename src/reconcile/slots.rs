//! Slots for rollouts: who asks for one, keeps it, gives it back, and who is called then.

use jiff::{SignedDuration, Timestamp};
use windlass_core::decide::Action;
use windlass_core::governor::Turn;
use windlass_core::reason::Reason;
use windlass_core::types::name::WorkloadRef;

use super::Reconciler;
use super::gather::Decided;
use super::outcome::Outcome;
use crate::k8s::error::ApiError;

/// What a workload's place depends on.
#[derive(Default)]
struct Place {
    /// Until when it occupies one for a restart that is under way.
    until: Option<Timestamp>,
    /// How long that may take,
    deadline: SignedDuration,
    /// and how long it may keep everybody waiting.
    of_cluster: SignedDuration,
}

impl Reconciler {
    /// It was called for its turn, perhaps, and cannot take it now: others may. What rolls keeps its slot.
    pub(super) fn release_unless_rolling(&self, workload: &WorkloadRef) {
        let now = self.context.clock.now();
        let rolls = {
            let index = self.context.index();
            index.workload(workload).is_some_and(|entry| {
                entry.expected.is_some() || entry.rolls_until(index.terms(entry).deadline, now).is_some()
            })
        };
        if rolls {
            return;
        }
        let turns = self.context.governor().release(workload);
        self.call(turns);
    }

    /// Those whose turn it is decide again.
    fn call(&self, turns: Vec<WorkloadRef>) {
        for turn in turns {
            self.queue.push(turn);
        }
    }

    /// Asks whether it may roll now.
    pub(super) fn ask(&self, workload: &WorkloadRef, decided: &Decided) -> Turn {
        let place = self.place(workload, self.context.clock.now());
        let rolls = place.is_some_and(|place| place.until.is_some());
        let (turns, turn) = {
            let mut governor = self.context.governor();
            let turns = if rolls { Vec::new() } else { governor.end(workload) };
            (turns, governor.ask(workload, &decided.budgets))
        };
        self.call(turns);
        turn
    }

    /// Gives its slot back when it does not roll, and calls whose turn it is then.
    pub(super) fn give_back(&self, workload: &WorkloadRef, decided: &Decided, outcome: &Outcome) {
        let now = self.context.clock.now();
        let place = self.place(workload, now).unwrap_or_default();
        let turns = {
            let mut governor = self.context.governor();
            let is_over = |since: Option<Timestamp>, limit: SignedDuration| {
                let until = since.and_then(|since| since.checked_add(limit).ok());
                until.is_some_and(|until| now >= until)
            };
            match (outcome, &decided.plan.action) {
                // One that failed may have been carried out all the same; the next decision will know.
                (Outcome::Waiting { .. }, _)
                | (
                    Outcome::Written { .. }
                    | Outcome::Failed(ApiError::Conflict | ApiError::Unavailable(_) | ApiError::Unexpected(_)),
                    Action::Restart(_),
                ) => return,
                (Outcome::Nothing, _) if decided.plan.reason == Reason::Rolling => {
                    governor.confirm(workload, &decided.budgets, now);
                    if is_over(governor.last_since(workload), place.deadline) {
                        governor.release(workload)
                    } else if is_over(governor.rolls_since(workload), place.of_cluster) {
                        governor.linger(workload)
                    } else {
                        return;
                    }
                }
                (Outcome::Nothing, _) if decided.plan.reason == Reason::RollingLong => governor.linger(workload),
                // Something else came while it rolls, and has to wait.
                _ if place.until.is_some() => {
                    governor.move_to(workload, &decided.budgets, now);
                    if !is_over(governor.rolls_since(workload), place.of_cluster) {
                        return;
                    }
                    governor.linger(workload)
                }
                _ => governor.release(workload),
            }
        };
        self.call(turns);
    }

    /// What its place depends on.
    fn place(&self, workload: &WorkloadRef, now: Timestamp) -> Option<Place> {
        let index = self.context.index();
        let entry = index.workload(workload)?;
        let terms = index.terms(entry);
        Some(Place {
            until: entry.rolls_until(terms.deadline, now),
            deadline: terms.deadline,
            of_cluster: terms.cluster_deadline,
        })
    }

    /// When it gives back a place that it has because it rolls: its own, or that of the cluster before.
    pub(super) fn gives_back_at(&self, workload: &WorkloadRef, now: Timestamp) -> Option<Timestamp> {
        let place = self.place(workload, now)?;
        let since = self.context.governor().rolls_since(workload);
        let lingers = since.and_then(|since| since.checked_add(place.of_cluster).ok());
        place.until.into_iter().chain(lingers.filter(|at| now < *at)).min()
    }
}
