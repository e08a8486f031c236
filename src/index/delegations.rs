//! Argo Rollouts with a `workloadRef`: the template is another object's, and so is everything that
//! is written; how far the pods have come only the Rollout says.

use windlass_core::types::name::{Uid, WorkloadRef};
use windlass_core::workload::Workload;

use super::{DelegationEntry, FetchRequest, Index, WatchId};
use crate::k8s::wire::Delegation;

impl Index {
    /// A Rollout that runs another object's template. Gives the workload to be decided again.
    pub fn apply_delegation(&mut self, watch: WatchId, delegation: Delegation) -> Option<WorkloadRef> {
        if !self.has_workloads_of(&delegation.by.reference.namespace) {
            return None;
        }
        let generation = self.watch(watch).map_or(0, |watch| watch.generation);
        let target = delegation.target.clone();
        // It may have named another one before, or had a template of its own.
        let elsewhere = self
            .delegations
            .iter()
            .any(|(known, it)| *known != target && it.delegation.by.reference == delegation.by.reference);
        if elsewhere || self.workloads.contains_key(&delegation.by.reference) {
            self.forget(&delegation.by.reference);
        }
        let asks = !matches!(delegation.opt_in, Ok(None));
        let asked_before = self
            .delegations
            .get(&target)
            .is_some_and(|known| known.delegation.opt_in == delegation.opt_in);
        let (by, rollout_status) = (delegation.by.clone(), delegation.rollout_status);
        self.delegations
            .insert(target.clone(), Box::new(DelegationEntry { delegation, generation }));
        match self.workloads.get_mut(&target) {
            Some(entry) if asked_before || !asks => {
                let consequence = entry.note_delegate(by, rollout_status);
                consequence.then_some(target)
            }
            Some(_) | None => {
                if asks {
                    self.wanted.push(FetchRequest::Workload(target));
                }
                None
            }
        }
    }

    /// Puts a delegation's word in the place of the workload's own where it has none, and its
    /// evidence always.
    pub(crate) fn delegate(&self, workload: &mut Workload) {
        let Some(known) = self.delegations.get(&workload.reference) else {
            return;
        };
        let Delegation {
            by,
            version: _,
            target: _,
            opt_in,
            rollout_status,
        } = &known.delegation;
        if matches!(workload.opt_in, Ok(None)) {
            workload.opt_in.clone_from(opt_in);
        }
        workload.rollout_status = *rollout_status;
        workload.extras.get_or_insert_default().delegate = Some(by.clone());
    }

    /// Who runs a workload's pods: a Rollout in its stead, or itself.
    #[must_use]
    pub fn runs_pods_of(&self, workload: &WorkloadRef, uid: &Uid) -> (WorkloadRef, Uid) {
        let entry = self.workload(workload);
        match entry.and_then(|entry| entry.workload().delegate()) {
            Some(by) => (by.reference.clone(), by.uid.clone()),
            None => (workload.clone(), uid.clone()),
        }
    }

    /// A Rollout is gone; whose template it ran is again what it says itself, which has to be read.
    pub fn end_delegation(&mut self, by: &WorkloadRef) {
        let found = self
            .delegations
            .iter()
            .find(|(_, known)| known.delegation.by.reference == *by)
            .map(|(target, _)| target.clone());
        let Some(target) = found else { return };
        self.delegations.remove(&target);
        if self.workloads.contains_key(&target) {
            self.forget(&target);
            self.wanted.push(FetchRequest::Workload(target));
        }
    }
}
