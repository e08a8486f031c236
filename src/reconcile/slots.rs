//! Slots for rollouts: who asks for one, keeps it, gives it back, and who is called then.

use jiff::{SignedDuration, Timestamp};
use windlass_core::decide::Action;
use windlass_core::reason::Reason;
use windlass_core::rollout_slots::AcquireOutcome;
use windlass_core::types::name::WorkloadRef;

use super::Reconciler;
use super::gather::Decision;
use super::outcome::Outcome;
use crate::k8s::error::ApiError;

/// What a workload's place depends on.
#[derive(Default)]
struct SlotTimes {
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
                entry.own_event_until().is_some()
                    || entry.rolls_until(index.effective_policy(entry).deadline, now).is_some()
            })
        };
        if rolls {
            return;
        }
        let turns = self.context.rollout_slots().release(workload);
        self.enqueue_all(turns);
    }

    /// Those whose turn it is decide again.
    fn enqueue_all(&self, turns: Vec<WorkloadRef>) {
        for turn in turns {
            self.queue.push(turn);
        }
    }

    /// Asks whether it may roll now.
    pub(super) fn acquire_slot(&self, workload: &WorkloadRef, decided: &Decision) -> AcquireOutcome {
        let slot_times = self.slot_times(workload, self.context.clock.now());
        let rolls = slot_times.is_some_and(|slot_times| slot_times.until.is_some());
        let (turns, turn) = {
            let mut rollout_slots = self.context.rollout_slots();
            let turns = if rolls {
                Vec::new()
            } else {
                rollout_slots.expire(workload)
            };
            (turns, rollout_slots.acquire(workload, &decided.budgets))
        };
        self.enqueue_all(turns);
        turn
    }

    /// Gives its slot back when it does not roll, and calls whose turn it is then.
    pub(super) fn give_back(&self, workload: &WorkloadRef, decided: &Decision, outcome: &Outcome) {
        let now = self.context.clock.now();
        let slot_times = self.slot_times(workload, now).unwrap_or_default();
        let turns = {
            let mut rollout_slots = self.context.rollout_slots();
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
                    rollout_slots.mark_rolling(workload, &decided.budgets, now);
                    if is_over(rollout_slots.last_rolling_since(workload), slot_times.deadline) {
                        rollout_slots.release(workload)
                    } else if is_over(rollout_slots.rolling_since(workload), slot_times.of_cluster) {
                        rollout_slots.release_cluster_slot(workload)
                    } else {
                        return;
                    }
                }
                (Outcome::Nothing, _) if decided.plan.reason == Reason::RollingLong => {
                    rollout_slots.release_cluster_slot(workload)
                }
                // Something else came while it rolls, and has to wait.
                _ if slot_times.until.is_some() => {
                    rollout_slots.update_budgets(workload, &decided.budgets, now);
                    if !is_over(rollout_slots.rolling_since(workload), slot_times.of_cluster) {
                        return;
                    }
                    rollout_slots.release_cluster_slot(workload)
                }
                _ => rollout_slots.release(workload),
            }
        };
        self.enqueue_all(turns);
    }

    /// What its place depends on.
    fn slot_times(&self, workload: &WorkloadRef, now: Timestamp) -> Option<SlotTimes> {
        let index = self.context.index();
        let entry = index.workload(workload)?;
        let effective_policy = index.effective_policy(entry);
        Some(SlotTimes {
            until: entry.rolls_until(effective_policy.deadline, now),
            deadline: effective_policy.deadline,
            of_cluster: effective_policy.cluster_deadline,
        })
    }

    /// When it gives back a place that it has because it rolls: its own, or that of the cluster before.
    pub(super) fn releases_cluster_slot_at(&self, workload: &WorkloadRef, now: Timestamp) -> Option<Timestamp> {
        let slot_times = self.slot_times(workload, now)?;
        let since = self.context.rollout_slots().rolling_since(workload);
        let lingers = since.and_then(|since| since.checked_add(slot_times.of_cluster).ok());
        slot_times.until.into_iter().chain(lingers.filter(|at| now < *at)).min()
    }
}
