//! Policies, and which of them hold for which workload.
//!
//! Labels are kept of workloads only where policies are served: without them nobody asks.

use std::collections::HashMap;
use std::sync::Arc;

use windlass_core::policy::terms::Terms;
use windlass_core::policy::{By, Governed, Policies, Policy, PolicyRef, Selects, Subject};
use windlass_core::types::labels::Labels;
use windlass_core::types::name::{Namespace, WorkloadRef};
use windlass_core::workload::class::RuleMemo;
use windlass_core::workload::optin::OptIn;
use windlass_core::workload::{Rare, Workload};

use super::Index;
use crate::index::entry::{Governing, Under};
use crate::k8s::lean::About;

/// Policies and what is derived from them.
#[derive(Default)]
pub(crate) struct PolicyBook {
    /// Whether any kind of policy is served.
    served: bool,
    /// Something was noted that a status may be about.
    pub(crate) news: bool,
    policies: Policies,
    /// Those of them that may opt in whom they select.
    opting_in: Policies,
    pub(crate) about: HashMap<PolicyRef, About>,
    /// The same policies make the same terms.
    terms: HashMap<Governed, Arc<Terms>>,
    namespaces: HashMap<Namespace, Labels>,
    /// Which of their rules are about which keys.
    pub(crate) rule_memo: Arc<RuleMemo>,
}

/// What follows from a change of a policy.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// To be decided again.
    pub workloads: Vec<WorkloadRef>,
    /// Workloads may be selected that are not known, because they ask for nothing themselves.
    pub relist: bool,
}

impl Index {
    /// From now on labels are kept. Gives whether that is news, and everything has to be listed anew.
    pub fn serve_policies(&mut self) -> bool {
        !std::mem::replace(&mut self.book.served, true)
    }

    /// A policy as it is now.
    pub fn apply_policy(&mut self, policy: Policy, about: About) -> Touched {
        let reference = policy.reference.clone();
        if let Ok(says) = &policy.says {
            says.rules.remember_in(&self.book.rule_memo);
        }
        let before = self.selected_by(&reference);
        let opts_in = about.selection_known && !policy.is_floor_only();
        self.book.about.insert(reference.clone(), about);
        self.book.news = true;
        let opts_in_anew = if opts_in {
            self.book.opting_in.set(policy.clone())
        } else {
            self.book.opting_in.remove(&reference)
        };
        if !self.book.policies.set(policy) && !opts_in_anew {
            return Touched::default();
        }
        let after = self.selected_by(&reference);
        Touched {
            relist: after.is_some() && after != before,
            workloads: self.govern_anew(&reference),
        }
    }

    fn selected_by(&self, policy: &PolicyRef) -> Option<Selects> {
        self.book.opting_in.get(policy)?.selects.clone()
    }

    /// Statuses have to be looked at again.
    pub fn note_news(&mut self) {
        self.book.news = true;
    }

    /// A policy is gone.
    pub fn remove_policy(&mut self, reference: &PolicyRef) -> Touched {
        self.book.about.remove(reference);
        self.book.opting_in.remove(reference);
        if !self.book.policies.remove(reference) {
            return Touched::default();
        }
        Touched {
            relist: false,
            workloads: self.govern_anew(reference),
        }
    }

    /// The labels of a namespace; `None`: it is gone.
    pub fn set_namespace_labels(&mut self, namespace: &Namespace, labels: Option<Labels>) -> Touched {
        let before = match labels.clone() {
            Some(labels) => self.book.namespaces.insert(namespace.clone(), labels),
            None => self.book.namespaces.remove(namespace),
        };
        let selecting = self.book.policies.iter().any(|policy| {
            let selects = policy.selects.as_ref();
            selects.is_some_and(|selects| selects.namespaces.is_some())
        });
        if before == labels || !selecting {
            return Touched::default();
        }
        Touched {
            relist: true,
            workloads: self.regovern(|it| it == namespace),
        }
    }

    /// The policies, and what is known of them besides.
    pub fn policies(&self) -> impl Iterator<Item = (&Arc<Policy>, &About)> {
        let policies = self.book.policies.iter();
        policies.filter_map(|policy| Some((policy, self.book.about.get(&policy.reference)?)))
    }

    /// What the one that changed has a say in.
    fn govern_anew(&mut self, changed: &PolicyRef) -> Vec<WorkloadRef> {
        self.book.terms.clear();
        self.book.news = true;
        match changed.namespace.clone() {
            Some(namespace) => self.regovern(|it| *it == namespace),
            None => self.regovern(|_| true),
        }
    }

    /// Asks anew which policies hold. Gives those for which something else holds now.
    fn regovern(&mut self, which: impl Fn(&Namespace) -> bool) -> Vec<WorkloadRef> {
        let all: Vec<WorkloadRef> = self
            .workloads
            .keys()
            .filter(|it| which(&it.namespace))
            .cloned()
            .collect();
        let mut touched = Vec::new();
        for reference in all {
            let Some(mut entry) = self.workloads.remove(&reference) else {
                continue;
            };
            let selected = entry.under.as_ref().is_some_and(|under| under.selected);
            if selected && !self.is_selected(&entry.workload) {
                self.workloads.insert(reference.clone(), entry);
                self.forget(&reference);
                continue;
            }
            let governing = self.govern(&entry.workload, entry.asked().cloned(), selected);
            let mut unlinked = Vec::new();
            if !entry.is_governed_by(&governing) {
                unlinked = self.unlink(&entry);
                entry.govern(governing, self.rules);
                entry.touches = entry.touches.wrapping_add(1);
                self.link(&reference, &entry);
                touched.push(reference.clone());
            }
            self.workloads.insert(reference, entry);
            self.drop_unused(&unlinked);
        }
        touched
    }

    fn subject<'a>(&'a self, workload: &'a Workload, asked: Option<&'a OptIn>) -> Subject<'a> {
        const NONE: &Labels = &Labels::none();
        Subject {
            namespace: &workload.reference.namespace,
            kind: workload.reference.kind,
            labels: workload.labels().unwrap_or(NONE),
            namespace_labels: self.book.namespaces.get(&workload.reference.namespace),
            named: asked.and_then(|asked| asked.policy.as_deref()),
        }
    }

    /// Whether a policy opts it in although it asks for nothing.
    fn is_selected(&self, workload: &Workload) -> bool {
        let hands_off = workload.rare.as_ref().is_some_and(|rare| rare.hands_off);
        let governed = || self.book.opting_in.govern(&self.subject(workload, None));
        !hands_off && matches!(governed().by, By::Policy(_))
    }

    /// Has a policy's selector opt a workload in that asks for nothing. Gives whether it does.
    pub(crate) fn select(&self, workload: &mut Workload) -> bool {
        if !self.book.served {
            if let Some(rare) = &mut workload.rare {
                rare.labels = None;
                rare.if_selected = None;
                rare.hands_off = false;
                if **rare == Rare::default() {
                    workload.rare = None;
                }
            }
            return false;
        }
        let selected = matches!(workload.opt_in, Ok(None)) && self.is_selected(workload);
        if selected {
            let says = workload.rare.as_ref().and_then(|rare| rare.if_selected.as_deref());
            workload.opt_in = match says {
                Some(Ok(opt_in)) => Ok(Some(opt_in.clone())),
                Some(Err(invalid)) => Err(invalid.clone()),
                None => Ok(Some(Arc::default())),
            };
        }
        selected
    }

    /// Which policies hold for a workload that asks for this, and what follows.
    pub(crate) fn govern(&mut self, workload: &Workload, asked: Option<Arc<OptIn>>, selected: bool) -> Governing {
        let governed = self.book.policies.govern(&self.subject(workload, asked.as_deref()));
        if governed == Governed::default() {
            return Governing {
                opt_in: asked,
                under: None,
            };
        }
        let policy = match &governed.by {
            By::Policy(policy) => self.book.policies.get(policy).cloned(),
            By::Nobody | By::Missing(_) => None,
        };
        let mut opt_in = asked.clone();
        if let (Some(opt_in), Some(policy)) = (&mut opt_in, policy) {
            *opt_in = Arc::new(policy.opt_in(opt_in));
            self.intern_opt_in(opt_in);
        }
        let known = self.book.terms.get(&governed).cloned();
        let terms = known.unwrap_or_else(|| {
            let terms = Arc::new(self.book.policies.terms(&governed, &self.rules.built_in));
            self.book.terms.insert(governed, terms.clone());
            terms
        });
        let under = Under {
            asked,
            terms,
            selected,
            before: None,
        };
        Governing {
            opt_in,
            under: Some(Box::new(under)),
        }
    }

    /// Whether a workload's labels are still to come: then its policies are not known.
    #[must_use]
    pub fn awaits_labels(&self, workload: &Workload) -> bool {
        self.book.served && workload.labels().is_none()
    }
}
