//! Policies, and which of them hold for which workload.
//!
//! Labels are kept of workloads only where policies are served: without them nobody asks.

use std::collections::HashMap;
use std::sync::Arc;

use windlass_core::policy::effective_policy::EffectivePolicy;
use windlass_core::policy::{
    GoverningPolicy, Policies, Policy, PolicyMatch, PolicyRef, PolicySubject, WorkloadSelector,
};
use windlass_core::types::labels::Labels;
use windlass_core::types::name::{Namespace, WorkloadRef};
use windlass_core::workload::key_strategy::RuleMemo;
use windlass_core::workload::opt_in::OptIn;
use windlass_core::workload::{Workload, WorkloadExtras};

use super::Index;
use crate::index::entry::{PolicyBinding, ResolvedPolicy};
use crate::k8s::wire::PolicyMetadata;

/// Policies and what is derived from them.
#[derive(Default)]
pub(crate) struct PolicyIndex {
    /// Whether any kind of policy is served.
    served: bool,
    /// Something was noted that a status may be about.
    pub(crate) news: bool,
    all: Policies,
    /// Those of them that may opt in whom they select.
    opting_in: Policies,
    pub(crate) metadata: HashMap<PolicyRef, PolicyMetadata>,
    /// The same policies make the same terms.
    effective: HashMap<PolicyMatch, Arc<EffectivePolicy>>,
    namespaces: HashMap<Namespace, Labels>,
    /// Which of their rules are about which keys.
    pub(crate) rule_memo: Arc<RuleMemo>,
}

/// What follows from a change of a policy.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PolicyEffect {
    /// To be decided again.
    pub workloads: Vec<WorkloadRef>,
    /// Workloads may be selected that are not known, because they ask for nothing themselves.
    pub relist: bool,
}

impl Index {
    /// From now on labels are kept. Gives whether that is news, and everything has to be listed anew.
    pub fn serve_policies(&mut self) -> bool {
        !std::mem::replace(&mut self.policies.served, true)
    }

    pub fn apply_policy(&mut self, policy: Policy, about: PolicyMetadata) -> PolicyEffect {
        let reference = policy.reference.clone();
        let rules = policy
            .settings
            .as_ref()
            .ok()
            .and_then(|settings| settings.rules.as_ref());
        if let Some(rules) = rules {
            rules.remember_in(&self.policies.rule_memo);
        }
        let before = self.selected_by(&reference);
        let opts_in = about.selection_known && !policy.is_floor_only();
        self.policies.metadata.insert(reference.clone(), about);
        self.policies.news = true;
        let opts_in_anew = if opts_in {
            self.policies.opting_in.set(policy.clone())
        } else {
            self.policies.opting_in.remove(&reference)
        };
        if !self.policies.all.set(policy) && !opts_in_anew {
            return PolicyEffect::default();
        }
        let after = self.selected_by(&reference);
        PolicyEffect {
            relist: after.is_some() && after != before,
            workloads: self.resolve_selected(&reference),
        }
    }

    fn selected_by(&self, policy: &PolicyRef) -> Option<WorkloadSelector> {
        self.policies.opting_in.get(policy)?.selector.clone()
    }

    /// Statuses have to be looked at again.
    pub fn note_news(&mut self) {
        self.policies.news = true;
    }

    /// A policy is gone.
    pub fn remove_policy(&mut self, reference: &PolicyRef) -> PolicyEffect {
        self.policies.metadata.remove(reference);
        self.policies.opting_in.remove(reference);
        if !self.policies.all.remove(reference) {
            return PolicyEffect::default();
        }
        PolicyEffect {
            relist: false,
            workloads: self.resolve_selected(reference),
        }
    }

    /// The labels of a namespace; `None`: it is gone.
    pub fn set_namespace_labels(&mut self, namespace: &Namespace, labels: Option<Labels>) -> PolicyEffect {
        let before = match labels.clone() {
            Some(labels) => self.policies.namespaces.insert(namespace.clone(), labels),
            None => self.policies.namespaces.remove(namespace),
        };
        let selecting = self.policies.all.iter().any(|policy| {
            let selects = policy.selector.as_ref();
            selects.is_some_and(|selects| selects.namespaces.is_some())
        });
        if before == labels || !selecting {
            return PolicyEffect::default();
        }
        PolicyEffect {
            relist: true,
            workloads: self.resolve_namespaces(|it| it == namespace),
        }
    }

    /// The policies, and what is known of them besides.
    pub fn policies(&self) -> impl Iterator<Item = (&Arc<Policy>, &PolicyMetadata)> {
        let policies = self.policies.all.iter();
        policies.filter_map(|policy| Some((policy, self.policies.metadata.get(&policy.reference)?)))
    }

    /// What the one that changed has a say in.
    fn resolve_selected(&mut self, changed: &PolicyRef) -> Vec<WorkloadRef> {
        self.policies.effective.clear();
        self.policies.news = true;
        match changed.namespace.clone() {
            Some(namespace) => self.resolve_namespaces(|it| *it == namespace),
            None => self.resolve_namespaces(|_| true),
        }
    }

    /// Asks anew which policies hold. Gives those for which something else holds now.
    fn resolve_namespaces(&mut self, which: impl Fn(&Namespace) -> bool) -> Vec<WorkloadRef> {
        let all: Vec<WorkloadRef> = self
            .workloads
            .keys()
            .filter(|it| which(&it.namespace))
            .cloned()
            .collect();
        let mut effect = Vec::new();
        for reference in all {
            let Some(mut entry) = self.workloads.remove(&reference) else {
                continue;
            };
            let selected = entry.is_selected();
            if selected && !self.is_selected(entry.workload()) {
                self.workloads.insert(reference.clone(), entry);
                self.forget(&reference);
                continue;
            }
            let governing = self.resolve_policy(entry.workload(), entry.own_opt_in().cloned(), selected);
            let mut unlinked = Vec::new();
            if !entry.has_policy(&governing) {
                unlinked = self.unlink(&entry);
                entry.set_policy(governing, self.settings);
                self.link(&reference, &entry);
                effect.push(reference.clone());
            }
            self.workloads.insert(reference, entry);
            self.drop_unused(&unlinked);
        }
        effect
    }

    fn subject<'a>(&'a self, workload: &'a Workload, asked: Option<&'a OptIn>) -> PolicySubject<'a> {
        const NONE: &Labels = &Labels::none();
        PolicySubject {
            namespace: &workload.reference.namespace,
            kind: workload.reference.kind,
            labels: workload.labels().unwrap_or(NONE),
            namespace_labels: self.policies.namespaces.get(&workload.reference.namespace),
            named: asked.and_then(|asked| asked.policy.as_deref()),
        }
    }

    /// Whether a policy opts it in although it asks for nothing.
    fn is_selected(&self, workload: &Workload) -> bool {
        let hands_off = workload.extras.as_ref().is_some_and(|rare| rare.hands_off);
        let governed = || self.policies.opting_in.match_workload(&self.subject(workload, None));
        !hands_off && matches!(governed().governing, GoverningPolicy::Policy(_))
    }

    /// Has a policy's selector opt a workload in that asks for nothing. Gives whether it does.
    pub(crate) fn select(&self, workload: &mut Workload) -> bool {
        if !self.policies.served {
            if let Some(rare) = &mut workload.extras {
                rare.labels = None;
                rare.opt_in_if_selected = None;
                rare.hands_off = false;
                if **rare == WorkloadExtras::default() {
                    workload.extras = None;
                }
            }
            return false;
        }
        let selected = matches!(workload.opt_in, Ok(None)) && self.is_selected(workload);
        if selected {
            let settings = workload
                .extras
                .as_ref()
                .and_then(|rare| rare.opt_in_if_selected.as_deref());
            workload.opt_in = match settings {
                Some(Ok(opt_in)) => Ok(Some(opt_in.clone())),
                Some(Err(invalid)) => Err(invalid.clone()),
                None => Ok(Some(Arc::default())),
            };
        }
        selected
    }

    /// Which policies hold for a workload that asks for this, and what follows.
    pub(crate) fn resolve_policy(
        &mut self,
        workload: &Workload,
        asked: Option<Arc<OptIn>>,
        selected: bool,
    ) -> ResolvedPolicy {
        let governed = self
            .policies
            .all
            .match_workload(&self.subject(workload, asked.as_deref()));
        if governed == PolicyMatch::default() {
            return ResolvedPolicy {
                opt_in: asked,
                binding: None,
            };
        }
        let known = self.policies.effective.get(&governed).cloned();
        let is_governed = matches!(governed.governing, GoverningPolicy::Policy(_));
        let effective_policy = known.unwrap_or_else(|| {
            let effective_policy = Arc::new(
                self.policies
                    .all
                    .effective_policy(&governed, &self.settings.policy_defaults),
            );
            self.policies.effective.insert(governed, effective_policy.clone());
            effective_policy
        });
        let mut opt_in = asked.clone();
        if let Some(opt_in) = opt_in.as_mut().filter(|_| is_governed) {
            *opt_in = Arc::new(effective_policy.opt_in(opt_in));
            self.intern_opt_in(opt_in);
        }
        let binding = PolicyBinding::new(asked, effective_policy, selected);
        ResolvedPolicy {
            opt_in,
            binding: Some(Box::new(binding)),
        }
    }

    /// Whether a workload's labels are still to come: then its policies are not known.
    #[must_use]
    pub fn awaits_labels(&self, workload: &Workload) -> bool {
        self.policies.served && workload.labels().is_none()
    }
}
