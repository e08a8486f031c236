//! Policies: what they say, and which one holds for a workload.
//!
//! The one that a workload names, else one of its namespace whose selector matches, else one of the
//! cluster's, else what is built in. Of several at one level the highest priority, then the oldest,
//! then the first by name. What cluster policies say of freezes, suspension and budget holds besides,
//! whichever governs.

pub mod in_place;
pub mod lever;
pub mod terms;
pub mod window;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::policy::in_place::InPlace;
use crate::policy::window::Schedule;
use crate::types::labels::{Labels, Selector};
use crate::types::name::{Name, Namespace, SourceKind};
use crate::types::time::Second;
use crate::workload::class::RuleSet;
use crate::workload::kind::KindId;
use crate::workload::optin::{OptIn, Selection, Strategy};
use crate::workload::pattern::Pattern;

#[cfg(test)]
mod tests;

/// Which policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRef {
    /// Of a `RolloutPolicy`; `None`: a `ClusterRolloutPolicy`.
    pub namespace: Option<Namespace>,
    /// Its name.
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
    /// Which one.
    pub reference: PolicyRef,
    /// The highest wins.
    pub priority: i32,
    /// Then the oldest.
    pub created: Second,
    /// What it selects; `None`: only what names it.
    pub selects: Option<Selects>,
    /// Whether it says what changes do; one of the cluster that does not is a floor only: it limits
    /// what other policies and annotations ask for, and neither opts in nor governs.
    pub says_what: bool,
    /// What it says, or what is wrong with it: then it holds what it governs.
    pub says: Result<Says, Box<str>>,
}

/// Which workloads a policy selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selects {
    /// Of these kinds; empty: of all.
    pub kinds: Box<[Box<str>]>,
    /// With these labels.
    pub selector: Selector,
    /// In namespaces with these labels; `None`: in all.
    pub namespaces: Option<Selector>,
}

/// What a policy says.
#[allow(clippy::struct_excessive_bools)] // Its author's switches.
#[derive(Clone, Debug, PartialEq)]
pub struct Says {
    /// Which sources count.
    pub sources: Sources,
    /// What a change does; `None`: not said.
    pub strategy: Option<Strategy>,
    /// What a change of some keys does instead.
    pub rules: Arc<RuleSet>,
    /// How changes reach running pods.
    pub in_place: Arc<InPlace>,
    /// How long changes are gathered; `None`: as built in.
    pub settle: Option<SignedDuration>,
    /// The least time between two restarts of one workload.
    pub min_interval: SignedDuration,
    /// How many of its workloads roll at a time; `None`: as many as may in the cluster.
    pub max_parallel: Option<usize>,
    /// When rollouts may begin; none: always.
    pub windows: Vec<Schedule>,
    /// When none may.
    pub freezes: Vec<Schedule>,
    /// Whether a failure holds the others that wait for the same change.
    pub halt_on_failure: bool,
    /// When a rollout that is not complete has failed; `None`: as built in.
    pub deadline: Option<SignedDuration>,
    /// In which order.
    pub waves: Box<[Selector]>,
    /// Decide and report, and write nothing.
    pub observe: bool,
    /// Restart nothing.
    pub suspend: bool,
}

impl Default for Says {
    fn default() -> Self {
        Self {
            sources: Sources::default(),
            strategy: None,
            rules: Arc::default(),
            in_place: Arc::default(),
            settle: None,
            min_interval: SignedDuration::ZERO,
            max_parallel: None,
            windows: Vec::new(),
            freezes: Vec::new(),
            halt_on_failure: false,
            deadline: None,
            waves: Box::default(),
            observe: false,
            suspend: false,
        }
    }
}

/// Which sources count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Of those referred to only these; empty: all.
    pub include: Box<[(SourceKind, Pattern)]>,
    /// Never these.
    pub exclude: Box<[(SourceKind, Pattern)]>,
    /// These besides, whether referred to or not.
    pub extra: Box<[(SourceKind, Pattern)]>,
}

impl Policy {
    /// Whether it limits others only, see `says_what`.
    #[must_use]
    pub fn is_floor_only(&self) -> bool {
        self.reference.namespace.is_none() && !self.says_what
    }

    fn is_for(&self, subject: &Subject<'_>) -> bool {
        let Some(Selects {
            kinds,
            selector,
            namespaces,
        }) = &self.selects
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

    /// What a workload under this policy asks for, with what its annotations ask for.
    #[must_use]
    pub fn opt_in(&self, asked: &OptIn) -> OptIn {
        let mut opt_in = asked.clone();
        let Ok(says) = &self.says else { return opt_in };
        let Sources {
            include,
            exclude,
            extra,
        } = &says.sources;
        for kind in [SourceKind::ConfigMap, SourceKind::Secret] {
            let of_kind = |patterns: &[(SourceKind, Pattern)]| -> Vec<Pattern> {
                let of_it = patterns.iter().filter(|(of, _)| *of == kind);
                of_it.map(|(_, pattern)| pattern.clone()).collect()
            };
            let selection: &mut Selection = match kind {
                SourceKind::ConfigMap => &mut opt_in.configmaps,
                SourceKind::Secret => &mut opt_in.secrets,
            };
            if !include.is_empty() {
                selection.included = Some(of_kind(include).into());
            }
            selection.named = [selection.named.to_vec(), of_kind(extra)].concat().into();
            selection.excluded = [selection.excluded.to_vec(), of_kind(exclude)].concat().into();
        }
        // What its agents share with us is no configuration of anybody's: they read it at each question.
        let token = says.in_place.agent.as_ref();
        if let Some(token) = token.and_then(|agent| Pattern::glob(None, agent.token_secret.as_str())) {
            opt_in.secrets.excluded = [opt_in.secrets.excluded.to_vec(), vec![token]].concat().into();
        }
        opt_in
    }
}

/// A workload, as policies see it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Where it is.
    pub namespace: &'a Namespace,
    /// Its kind.
    pub kind: KindId,
    /// Its labels.
    pub labels: &'a Labels,
    /// Those of its namespace; `None`: not known.
    pub namespace_labels: Option<&'a Labels>,
    /// The policy that it names.
    pub named: Option<&'a str>,
}

/// All policies.
#[derive(Debug, Default)]
pub struct Policies(BTreeMap<PolicyRef, Arc<Policy>>);

/// Which policies hold for a workload, by name: what follows from the same ones is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Governed {
    /// The one that governs.
    pub by: By,
    /// Those of the cluster that select it, whichever governs.
    pub floors: Box<[PolicyRef]>,
    /// Those that would govern it were it not for this one.
    pub overruled: Box<[PolicyRef]>,
}

/// What governs a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum By {
    /// No policy.
    #[default]
    Nobody,
    /// This one.
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

    /// One of them.
    #[must_use]
    pub fn get(&self, reference: &PolicyRef) -> Option<&Arc<Policy>> {
        self.0.get(reference)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.0.values()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, namespace: Option<&Namespace>) -> impl Iterator<Item = &Arc<Policy>> {
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
    pub fn govern(&self, subject: &Subject<'_>) -> Governed {
        if self.0.is_empty() && subject.named.is_none() {
            return Governed::default();
        }
        let of_cluster: Vec<&Arc<Policy>> = self.of(None).filter(|policy| policy.is_for(subject)).collect();
        let floors = of_cluster.iter().map(|policy| policy.reference.clone()).collect();
        if let Some(name) = subject.named {
            let named = PolicyRef {
                namespace: Some(subject.namespace.clone()),
                name: Name::from(name),
            };
            let by = if self.0.contains_key(&named) {
                By::Policy(named)
            } else {
                By::Missing(named)
            };
            return Governed {
                by,
                floors,
                overruled: Box::default(),
            };
        }
        let mut matching: Vec<&Arc<Policy>> = self
            .of(Some(subject.namespace))
            .filter(|policy| policy.is_for(subject))
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
        Governed {
            by: matching.next().map_or(By::Nobody, By::Policy),
            floors,
            overruled: matching.collect(),
        }
    }
}
