//! Policies: what they say, and which one holds for a workload.
//!
//! The one that a workload names, else one of its namespace whose selector matches, else one of the
//! cluster's, else what is built in. Of several at one level the highest priority, then the oldest,
//! then the first by name. What cluster policies say of freezes, suspension and budget holds besides,
//! whichever governs.

pub mod effective_policy;
mod fields;
pub mod in_place;
pub mod manual_override;
pub mod window;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use crate::types::labels::{Labels, Selector};
use crate::types::name::{Name, Namespace};
use crate::types::time::Second;
use crate::workload::kind::KindId;

pub use self::fields::PolicySettings;

#[cfg(test)]
mod tests;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRef {
    /// Of a `RolloutPolicy`; `None`: a `ClusterRolloutPolicy`.
    pub namespace: Option<Namespace>,
    pub name: Name,
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "RolloutPolicy {namespace}/{}", self.name),
            None => write!(f, "ClusterRolloutPolicy {}", self.name),
        }
    }
}

/// A policy as it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub reference: PolicyRef,
    /// The highest wins.
    pub priority: i32,
    /// Then the oldest.
    pub created: Second,
    /// What it selects; `None`: only what names it.
    pub selector: Option<WorkloadSelector>,
    /// Whether it says what changes do; one of the cluster that does not is a floor only: it limits
    /// what other policies and annotations ask for, and neither opts in nor governs.
    pub defines_strategy: bool,
    /// What it says, or what is wrong with it: then it holds what it governs.
    pub settings: Result<PolicySettings, Box<str>>,
}

/// Which workloads a policy selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadSelector {
    /// Of these kinds; empty: of all.
    pub kinds: Box<[Box<str>]>,
    pub labels: Selector,
    /// In namespaces with these labels; `None`: in all.
    pub namespaces: Option<Selector>,
}

impl Policy {
    /// Whether it limits others only, see `defines_strategy`.
    #[must_use]
    pub fn is_floor_only(&self) -> bool {
        self.reference.namespace.is_none() && !self.defines_strategy
    }

    fn selects(&self, subject: &PolicySubject<'_>) -> bool {
        let Some(WorkloadSelector {
            kinds,
            labels: selector,
            namespaces,
        }) = &self.selector
        else {
            return false;
        };
        (kinds.is_empty() || kinds.iter().any(|kind| **kind == *subject.kind.row().kind))
            && selector.selects(subject.labels)
            && namespaces.as_ref().is_none_or(|namespaces| {
                subject
                    .namespace_labels
                    .is_some_and(|labels| namespaces.selects(labels))
            })
    }
}

/// A workload, as policies see it.
#[derive(Clone, Copy, Debug)]
pub struct PolicySubject<'a> {
    pub namespace: &'a Namespace,
    pub kind: KindId,
    pub labels: &'a Labels,
    /// Those of its namespace; `None`: not known.
    pub namespace_labels: Option<&'a Labels>,
    /// The policy that it names.
    pub named: Option<&'a str>,
}

#[derive(Debug, Default)]
pub struct Policies(BTreeMap<PolicyRef, Arc<Policy>>);

/// Which policies hold for a workload, by name: what follows from the same ones is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PolicyMatch {
    pub governing: GoverningPolicy,
    /// Those of the cluster that select it, whichever governs.
    pub floors: Box<[PolicyRef]>,
    /// Those that would govern it were it not for this one.
    pub overruled: Box<[PolicyRef]>,
}

/// What governs a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum GoverningPolicy {
    /// No policy.
    #[default]
    None,
    Policy(PolicyRef),
    /// One that it names and that does not exist.
    Missing(PolicyRef),
}

impl Policies {
    /// Takes a policy as it is now. Gives whether that is news.
    pub fn set(&mut self, policy: Policy) -> bool {
        let known = self.0.get(&policy.reference);
        if known.is_some_and(|known| **known == policy) {
            return false;
        }
        self.0.insert(policy.reference.clone(), Arc::new(policy));
        true
    }

    /// One is gone. Gives whether it was known.
    pub fn remove(&mut self, reference: &PolicyRef) -> bool {
        self.0.remove(reference).is_some()
    }

    #[must_use]
    pub fn get(&self, reference: &PolicyRef) -> Option<&Arc<Policy>> {
        self.0.get(reference)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.0.values()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn in_namespace(&self, namespace: Option<&Namespace>) -> impl Iterator<Item = &Arc<Policy>> {
        let first = PolicyRef {
            namespace: namespace.cloned(),
            name: Name::from(""),
        };
        let namespace = namespace.cloned();
        self.0
            .range((Bound::Included(first), Bound::Unbounded))
            .take_while(move |(reference, _)| reference.namespace == namespace)
            .map(|(_, policy)| policy)
    }

    /// Which hold for a workload.
    #[must_use]
    pub fn match_workload(&self, subject: &PolicySubject<'_>) -> PolicyMatch {
        if self.0.is_empty() && subject.named.is_none() {
            return PolicyMatch::default();
        }
        let of_cluster: Vec<&Arc<Policy>> = self
            .in_namespace(None)
            .filter(|policy| policy.selects(subject))
            .collect();
        let floors = of_cluster.iter().map(|policy| policy.reference.clone()).collect();
        if let Some(name) = subject.named {
            let named = PolicyRef {
                namespace: Some(subject.namespace.clone()),
                name: Name::from(name),
            };
            let by = if self.0.contains_key(&named) {
                GoverningPolicy::Policy(named)
            } else {
                GoverningPolicy::Missing(named)
            };
            return PolicyMatch {
                governing: by,
                floors,
                overruled: Box::default(),
            };
        }
        let mut matching: Vec<&Arc<Policy>> = self
            .in_namespace(Some(subject.namespace))
            .filter(|policy| policy.selects(subject))
            .collect();
        if matching.is_empty() {
            matching = of_cluster
                .into_iter()
                .filter(|policy| !policy.is_floor_only())
                .collect();
        }
        matching.sort_by(|one, other| {
            let order = |policy: &Policy| (std::cmp::Reverse(policy.priority), policy.created);
            (order(one), &one.reference).cmp(&(order(other), &other.reference))
        });
        let mut matching = matching.into_iter().map(|policy| policy.reference.clone());
        PolicyMatch {
            governing: matching.next().map_or(GoverningPolicy::None, GoverningPolicy::Policy),
            floors,
            overruled: matching.collect(),
        }
    }
}
