//! How many workloads roll at a time, and whose turn is next.
//!
//! Pure state and no clock: who rolls is told to it, and can be told anew after a crash. A slot is
//! taken before the write of a restart and given back when the rollout is complete, has failed, or
//! waits for somebody.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use super::name::{Namespace, WorkloadRef};

#[cfg(test)]
mod tests;

/// The budget of the whole cluster.
#[derive(Debug, Default)]
pub struct Governor {
    /// `None`: no limit.
    limit: Option<usize>,
    rolling: HashSet<WorkloadRef>,
    rolling_in: BTreeMap<Namespace, usize>,
    /// Who waits, by namespace, in order of coming.
    waiting: BTreeMap<Namespace, VecDeque<WorkloadRef>>,
    /// The same, to look one up: most decisions are of workloads that do not wait.
    waits: HashSet<WorkloadRef>,
    /// Who was called and has not come yet: their slots are spoken for.
    called: BTreeSet<WorkloadRef>,
}

/// Whether a restart may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now: it has a slot.
    Now,
    /// Later: it will be called.
    Later {
        /// How many roll now.
        rolling: usize,
        /// How many wait, itself included.
        waiting: usize,
    },
}

impl Governor {
    /// At most so many at a time; 0: no limit.
    #[must_use]
    pub fn new(max_parallel: usize) -> Self {
        Self {
            limit: (max_parallel > 0).then_some(max_parallel),
            ..Self::default()
        }
    }

    /// Asks for a slot. Whoever has one keeps it.
    pub fn ask(&mut self, workload: &WorkloadRef) -> Turn {
        let Some(limit) = self.limit else { return Turn::Now };
        if self.rolling.contains(workload) {
            return Turn::Now;
        }
        let was_called = self.called.remove(workload);
        // A slot that is spoken for is nobody else's.
        let taken = self.rolling.len() + self.called.len();
        if was_called || (taken < limit && self.waiting.is_empty()) {
            self.leave_queue(workload);
            self.occupy(workload);
            return Turn::Now;
        }
        if self.waits.insert(workload.clone()) {
            let queue = self.waiting.entry(workload.namespace.clone()).or_default();
            queue.push_back(workload.clone());
        }
        Turn::Later {
            rolling: self.rolling.len(),
            waiting: self.waits.len(),
        }
    }

    /// It rolls, whoever let it: so it was found after a start.
    pub fn occupy(&mut self, workload: &WorkloadRef) {
        if self.limit.is_some() && self.rolling.insert(workload.clone()) {
            *self.rolling_in.entry(workload.namespace.clone()).or_default() += 1;
        }
    }

    /// It does not roll any more, or will not, or is gone. Gives those whose turn it is now: they are
    /// to ask again.
    pub fn release(&mut self, workload: &WorkloadRef) -> Vec<WorkloadRef> {
        if self.rolling.remove(workload)
            && let Some(count) = self.rolling_in.get_mut(&workload.namespace)
        {
            *count -= 1;
            if *count == 0 {
                self.rolling_in.remove(&workload.namespace);
            }
        }
        self.called.remove(workload);
        self.leave_queue(workload);
        self.call()
    }

    /// Everybody whom nobody knows any more gives back what it has.
    pub fn retain(&mut self, mut known: impl FnMut(&WorkloadRef) -> bool) -> Vec<WorkloadRef> {
        let gone: Vec<WorkloadRef> = self
            .rolling
            .iter()
            .chain(&self.called)
            .chain(&self.waits)
            .filter(|workload| !known(workload))
            .cloned()
            .collect();
        gone.iter().flat_map(|workload| self.release(workload)).collect()
    }

    /// How many roll.
    #[must_use]
    pub fn rolling(&self) -> usize {
        self.rolling.len()
    }

    /// Calls as many as there is room for. The namespace with the fewest rolling comes first, so that
    /// one tenant's shared Secret does not keep the others waiting.
    fn call(&mut self) -> Vec<WorkloadRef> {
        let mut turns = Vec::new();
        let Some(limit) = self.limit else { return turns };
        while self.rolling.len() + self.called.len() < limit {
            let load = |namespace: &Namespace| {
                let called = self.called.iter().filter(|it| it.namespace == *namespace).count();
                self.rolling_in.get(namespace).copied().unwrap_or(0) + called
            };
            let Some(next) = self.waiting.keys().min_by_key(|namespace| load(namespace)).cloned() else {
                break;
            };
            let Some(queue) = self.waiting.get_mut(&next) else {
                break;
            };
            if let Some(workload) = queue.pop_front() {
                self.waits.remove(&workload);
                self.called.insert(workload.clone());
                turns.push(workload);
            }
            if queue.is_empty() {
                self.waiting.remove(&next);
            }
        }
        turns
    }

    fn leave_queue(&mut self, workload: &WorkloadRef) {
        if !self.waits.remove(workload) {
            return;
        }
        if let Some(queue) = self.waiting.get_mut(&workload.namespace) {
            queue.retain(|waiting| waiting != workload);
            if queue.is_empty() {
                self.waiting.remove(&workload.namespace);
            }
        }
    }
}
