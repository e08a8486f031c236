//! How many workloads roll at a time, and whose turn is next.
//!
//! Pure state and no clock: who rolls is told to it, and can be told anew after a crash. A slot is
//! taken before the write of a restart and given back when the rollout is complete, has failed, or
//! waits for somebody. What a workload has on record of itself anybody may write who may write to it, so
//! it makes nobody else wait: a place of the cluster is asked for, and how long it is taken is counted here.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use jiff::Timestamp;

use super::policy::PolicyRef;
use crate::policy::effective_policy::Budget;
use crate::types::name::{Namespace, WorkloadRef};

#[cfg(test)]
mod tests;

/// The budgets: one of the whole cluster, and those of policies.
#[derive(Debug, Default)]
pub struct RolloutSlots {
    /// Of the cluster; `None`: no limit.
    limit: Option<usize>,
    /// Who has a slot, and of which budgets. Whoever was called has one already.
    slots: HashMap<WorkloadRef, Slot>,
    /// Who of them has given back the cluster's.
    without_cluster_slot: HashSet<WorkloadRef>,
    taken: HashMap<PolicyRef, usize>,
    /// How many places of the cluster each namespace has.
    taken_in: HashMap<Namespace, usize>,
    /// Who waits, in order of coming: by namespace, and by what they wait for, since those who wait
    /// for the same can be called or not alike.
    waiting: BTreeMap<Group, VecDeque<Waiter>>,
    /// The same, to look one up: most decisions are of workloads that do not wait.
    waits: HashMap<WorkloadRef, Group>,
    /// When one of a namespace was called last, of those that were since anybody began to wait.
    served: HashMap<Namespace, u64>,
    /// Counts who comes and who is called.
    ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    workload: WorkloadRef,
    ticket: u64,
}

#[derive(Debug)]
struct Slot {
    budgets: Box<[Budget]>,
    /// Since when it has been seen to roll; `None`: it may, and has not begun yet.
    since: Option<Timestamp>,
    /// The same for its last restart: one may follow another while it rolls.
    last: Option<Timestamp>,
}

type Group = (Namespace, Box<[Budget]>);

/// Whether a restart may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcquireOutcome {
    /// Now: it has a slot.
    Granted,
    /// Later: it will be called.
    Queued {
        /// How many roll now.
        rolling: usize,
        /// How many wait, itself included.
        waiting: usize,
        /// The policy whose budget is used up; `None`: the cluster's is.
        full: Option<PolicyRef>,
    },
}

impl RolloutSlots {
    /// At most so many at a time; 0: no limit.
    #[must_use]
    pub fn new(max_parallel: usize) -> Self {
        Self {
            limit: (max_parallel > 0).then_some(max_parallel),
            ..Self::default()
        }
    }

    /// Asks for a slot of these budgets and of the cluster's. Whoever has one keeps it.
    pub fn acquire(&mut self, workload: &WorkloadRef, budgets: &[Budget]) -> AcquireOutcome {
        if let Some(slot) = self.slots.get_mut(workload) {
            slot.last = None;
            return AcquireOutcome::Granted;
        }
        if self.has_room(budgets) {
            // Whoever waits for no more than this was called when the room came about.
            self.leave_queue(workload);
            self.take(workload, budgets, None);
            return AcquireOutcome::Granted;
        }
        let group = (workload.namespace.clone(), budgets.into());
        if self.waits.get(workload) != Some(&group) {
            self.leave_queue(workload);
            self.waits.insert(workload.clone(), group.clone());
            let waiter = Waiter {
                workload: workload.clone(),
                ticket: self.ticket(),
            };
            self.waiting.entry(group).or_default().push_back(waiter);
        }
        AcquireOutcome::Queued {
            rolling: self.slots.len(),
            waiting: self.waits.len(),
            full: budgets
                .iter()
                .find(|budget| self.is_full(budget))
                .map(|budget| budget.policy.clone()),
        }
    }

    /// It has rolled since then, whoever let it: so it was found at a start.
    pub fn restore(&mut self, workload: &WorkloadRef, budgets: &[Budget], since: Timestamp) {
        self.take(workload, budgets, Some(since));
    }

    /// It is seen to roll. Without a slot it has one of the cluster's places only if there is one left.
    pub fn mark_rolling(&mut self, workload: &WorkloadRef, budgets: &[Budget], now: Timestamp) {
        let may = self.slots.contains_key(workload) || self.has_room(&[]);
        self.take(workload, budgets, Some(now));
        if !may {
            self.give_back_cluster_slot(workload);
        }
    }

    /// It is seen to roll, and other budgets may hold for it now, if it has a slot.
    pub fn update_budgets(&mut self, workload: &WorkloadRef, budgets: &[Budget], now: Timestamp) {
        if self.slots.contains_key(workload) {
            self.take(workload, budgets, Some(now));
        }
    }

    /// Since when it has been seen to roll, however often it was restarted meanwhile.
    #[must_use]
    pub fn rolling_since(&self, workload: &WorkloadRef) -> Option<Timestamp> {
        self.slots.get(workload)?.since
    }

    /// Since when it has been seen to roll for its last restart.
    #[must_use]
    pub fn last_rolling_since(&self, workload: &WorkloadRef) -> Option<Timestamp> {
        self.slots.get(workload)?.last
    }

    /// It does not roll, and wants to. The slot of a rollout that is over is not one for the next: since
    /// it was taken a limit may have been lowered. Gives those whose turn it is now.
    pub fn expire(&mut self, workload: &WorkloadRef) -> Vec<WorkloadRef> {
        let over = self.rolling_since(workload).is_some();
        if over { self.release(workload) } else { Vec::new() }
    }

    /// Gives the cluster's place back and keeps the others. Gives whether it had one.
    fn give_back_cluster_slot(&mut self, workload: &WorkloadRef) -> bool {
        let had = self.without_cluster_slot.insert(workload.clone());
        if had {
            count_down(&mut self.taken_in, &workload.namespace);
        }
        had
    }

    fn take(&mut self, workload: &WorkloadRef, budgets: &[Budget], since: Option<Timestamp>) {
        if let Some(slot) = self.slots.get_mut(workload).filter(|slot| *slot.budgets == *budgets) {
            slot.since = slot.since.or(since);
            slot.last = slot.last.or(since);
            return;
        }
        let before = self.slots.remove(workload);
        match &before {
            Some(slot) => {
                for budget in &slot.budgets {
                    count_down(&mut self.taken, &budget.policy);
                }
            }
            None => *self.taken_in.entry(workload.namespace.clone()).or_default() += 1,
        }
        for budget in budgets {
            *self.taken.entry(budget.policy.clone()).or_default() += 1;
        }
        let (first, last) = before.map_or((None, None), |slot| (slot.since, slot.last));
        let slot = Slot {
            budgets: budgets.into(),
            since: first.or(since),
            last: last.or(since),
        };
        self.slots.insert(workload.clone(), slot);
    }

    /// It rolls for longer than it may keep everybody waiting: the cluster's slot is given back, those of
    /// its policies are not. Gives those whose turn it is now.
    pub fn release_cluster_slot(&mut self, workload: &WorkloadRef) -> Vec<WorkloadRef> {
        let has_one = self.slots.contains_key(workload);
        if has_one && self.give_back_cluster_slot(workload) {
            self.call()
        } else {
            Vec::new()
        }
    }

    /// It does not roll any more, or will not, or is gone. Gives those whose turn it is now: they are
    /// to ask again.
    pub fn release(&mut self, workload: &WorkloadRef) -> Vec<WorkloadRef> {
        let waited = self.leave_queue(workload);
        // Most decisions are of workloads that neither roll nor wait.
        if self.vacate(workload) || waited {
            self.call()
        } else {
            Vec::new()
        }
    }

    /// Everybody whom nobody knows any more gives back what it has. Gives those whose turn it is now.
    pub fn retain(&mut self, mut known: impl FnMut(&WorkloadRef) -> bool) -> Vec<WorkloadRef> {
        let all: HashSet<&WorkloadRef> = self.slots.keys().chain(self.waits.keys()).collect();
        let gone: Vec<WorkloadRef> = all.into_iter().filter(|it| !known(it)).cloned().collect();
        gone.iter().flat_map(|workload| self.release(workload)).collect()
    }

    /// How many roll.
    #[must_use]
    pub fn rolling(&self) -> usize {
        self.slots.len()
    }

    fn is_full(&self, budget: &Budget) -> bool {
        self.taken.get(&budget.policy).copied().unwrap_or(0) >= budget.limit
    }

    fn has_room(&self, budgets: &[Budget]) -> bool {
        let rolling = self.slots.len() - self.without_cluster_slot.len();
        self.limit.is_none_or(|limit| rolling < limit) && !budgets.iter().any(|budget| self.is_full(budget))
    }

    /// Calls as many as there is room for. The namespace with the fewest places comes first, and of several
    /// the one that was not called for longest, so that one tenant's shared Secret does not keep the others
    /// waiting; within a namespace, whoever came first.
    fn call(&mut self) -> Vec<WorkloadRef> {
        let mut turns = Vec::new();
        loop {
            let order = |(group, queue): &(&Group, &VecDeque<Waiter>)| {
                let (namespace, _) = group;
                let load = self.taken_in.get(namespace).copied().unwrap_or(0);
                let served = self.served.get(namespace).copied();
                (load, served, queue.front().map(|first| first.ticket))
            };
            let ready = self.waiting.iter().filter(|((_, budgets), _)| self.has_room(budgets));
            let Some(group) = ready.min_by_key(order).map(|(group, _)| group.clone()) else {
                break;
            };
            let queue = self.waiting.get_mut(&group);
            let next = queue.and_then(VecDeque::pop_front);
            if self.waiting.get(&group).is_none_or(VecDeque::is_empty) {
                self.waiting.remove(&group);
            }
            if let Some(Waiter { workload, .. }) = next {
                self.waits.remove(&workload);
                self.take(&workload, &group.1, None);
                let ticket = self.ticket();
                self.served.insert(group.0, ticket);
                turns.push(workload);
            }
        }
        if self.waits.is_empty() {
            self.served.clear();
        }
        turns
    }

    fn ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    fn vacate(&mut self, workload: &WorkloadRef) -> bool {
        let Some(slot) = self.slots.remove(workload) else {
            return false;
        };
        if !self.without_cluster_slot.remove(workload) {
            count_down(&mut self.taken_in, &workload.namespace);
        }
        for budget in &slot.budgets {
            count_down(&mut self.taken, &budget.policy);
        }
        true
    }

    fn leave_queue(&mut self, workload: &WorkloadRef) -> bool {
        let Some(group) = self.waits.remove(workload) else {
            return false;
        };
        if let Some(queue) = self.waiting.get_mut(&group) {
            queue.retain(|waiter| waiter.workload != *workload);
            if queue.is_empty() {
                self.waiting.remove(&group);
            }
        }
        true
    }
}

fn count_down<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
