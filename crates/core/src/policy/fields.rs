//! The fields of a policy: one row each, with what holds where no policy sets it and how policies merge.
//!
//! From the table come [`PolicySettings`], which is what one policy says, [`EffectivePolicy`], which is
//! what holds for a workload, and the merge of the one into the other. Annotations of a workload come
//! last, in [`effective_policy`](super::effective_policy).

use std::sync::Arc;

use jiff::SignedDuration;

use super::PolicyRef;
use super::in_place::InPlace;
use super::window::RolloutTimes;
use crate::types::labels::Selector;
use crate::types::name::SourceKind;
use crate::workload::key_strategy::RuleSet;
use crate::workload::opt_in::Strategy;
use crate::workload::pattern::Pattern;

macro_rules! policy_fields {
    (
        defaults: $defaults:ident;
        own { $( $(#[$own_doc:meta])* $own:ident: $own_type:ty = $default:expr; )* }
        limits { $( $(#[$limit_doc:meta])* $said:ident: $said_type:ty => $limit:ident: $limit_type:ty; )* }
    ) => {
        /// What one policy says.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct PolicySettings {
            $( $(#[$own_doc])* pub $own: Option<$own_type>, )*
            $( $(#[$limit_doc])* pub $said: $said_type, )*
        }

        /// What holds for one workload.
        #[derive(Clone, Debug)]
        pub struct EffectivePolicy {
            /// Which policy governs it.
            pub policy: Option<PolicyRef>,
            /// Why nothing may be done.
            pub problem: Option<PolicyProblem>,
            /// The policies that would govern it besides.
            pub overruled: Box<[PolicyRef]>,
            /// After which a rollout gives the slot back that it takes in the cluster's budget.
            pub cluster_deadline: SignedDuration,
            /// How many restarts within ten minutes are too many; `None`: no number is.
            pub flap_limit: Option<usize>,
            $( $(#[$own_doc])* pub $own: $own_type, )*
            $( $(#[$limit_doc])* pub $limit: $limit_type, )*
        }

        impl EffectivePolicy {
            /// What holds without any policy.
            #[must_use]
            pub fn from_defaults($defaults: &PolicyDefaults) -> Self {
                Self {
                    policy: None,
                    problem: None,
                    overruled: Box::default(),
                    cluster_deadline: $defaults.deadline,
                    flap_limit: $defaults.flap_limit,
                    $( $own: $default, )*
                    $( $limit: Default::default(), )*
                }
            }

            /// Adds what one policy says.
            pub(super) fn merge(&mut self, layer: Layer<'_>, settings: &PolicySettings) {
                let PolicySettings { $($own,)* $($said,)* } = settings;
                if let Layer::Own(_) = layer {
                    $( if let Some(value) = $own { self.$own.clone_from(value); } )*
                }
                $( Limit::add(&mut self.$limit, layer, $said); )*
            }
        }
    };
}

policy_fields! {
    defaults: defaults;
    // The governing policy's value replaces the default. A floor's value has no effect.
    own {
        /// Which sources count.
        sources: SourceFilter = SourceFilter::default();
        /// What a change does, unless the workload's annotation says otherwise.
        strategy: Strategy = Strategy::default();
        /// What a change of some keys does instead.
        rules: Arc<RuleSet> = Arc::default();
        /// How changes reach running pods.
        in_place: Arc<InPlace> = Arc::default();
        /// How long changes are gathered.
        settle: SignedDuration = defaults.settle;
        /// The least time between two restarts of one workload.
        min_interval: SignedDuration = SignedDuration::ZERO;
        /// Whether a failure holds the others that wait for the same change.
        halt_on_failure: bool = false;
        /// When a rollout that is not complete has failed.
        deadline: SignedDuration = defaults.deadline;
        /// In which order; empty: in none.
        waves: Box<[Selector]> = Box::default();
        /// Decide and report, and write nothing.
        observe: bool = false;
    }
    // The governing policy's value and that of each floor hold together: the stricter wins.
    limits {
        /// How many workloads of a policy roll at a time.
        max_parallel: Option<usize> => budgets: Vec<Budget>;
        /// When rollouts may begin. Of a floor only the freezes count.
        times: RolloutTimes => times: Layered<RolloutTimes>;
        /// Restart nothing.
        suspend: bool => suspended: Layered<Option<PolicyRef>>;
    }
}

/// Whose settings are merged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer<'a> {
    /// Those of the policy that governs the workload.
    Own(&'a PolicyRef),
    /// Those of a `ClusterRolloutPolicy` that selects the workload, whichever governs.
    Floor(&'a PolicyRef),
}

/// A limit that no policy can loosen for another.
trait Limit<Said> {
    fn add(&mut self, layer: Layer<'_>, said: &Said);
}

/// A limit of which a manual override can lift the part of a namespace, and never that of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layered<T> {
    /// As the policy says that governs.
    pub own: T,
    /// As cluster policies say, whichever governs.
    pub floor: T,
}

/// A number of rollouts that several workloads share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Budget {
    /// The policy that sets it.
    pub policy: PolicyRef,
    /// How many of its workloads roll at a time.
    pub limit: usize,
}

impl Limit<Option<usize>> for Vec<Budget> {
    fn add(&mut self, layer: Layer<'_>, said: &Option<usize>) {
        let (Layer::Own(policy) | Layer::Floor(policy)) = layer;
        // A cluster policy that governs is a floor as well.
        let Some(limit) = said.filter(|_| !self.iter().any(|known| known.policy == *policy)) else {
            return;
        };
        self.push(Budget {
            policy: policy.clone(),
            limit,
        });
    }
}

impl Limit<RolloutTimes> for Layered<RolloutTimes> {
    fn add(&mut self, layer: Layer<'_>, said: &RolloutTimes) {
        match layer {
            Layer::Own(_) => self.own = said.clone(),
            Layer::Floor(_) => self.floor.add_freezes(said),
        }
    }
}

impl Limit<bool> for Layered<Option<PolicyRef>> {
    fn add(&mut self, layer: Layer<'_>, said: &bool) {
        let (by, policy) = match layer {
            Layer::Own(policy) => (&mut self.own, policy),
            Layer::Floor(policy) => (&mut self.floor, policy),
        };
        if *said {
            *by = Some(policy.clone());
        }
    }
}

/// What holds where no policy says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyDefaults {
    /// How long changes are gathered.
    pub settle: SignedDuration,
    /// When a rollout that is not complete has failed.
    pub deadline: SignedDuration,
    /// How many restarts of one workload within ten minutes are too many; `None`: no number is.
    pub flap_limit: Option<usize>,
}

impl Default for PolicyDefaults {
    /// As the flags have it.
    fn default() -> Self {
        Self {
            settle: SignedDuration::from_secs(2),
            deadline: SignedDuration::from_mins(10),
            flap_limit: Some(5),
        }
    }
}

impl Default for EffectivePolicy {
    fn default() -> Self {
        Self::from_defaults(&PolicyDefaults::default())
    }
}

/// Why a policy cannot be followed. Nothing looser ever takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyProblem {
    /// It does not exist.
    Missing(PolicyRef),
    /// It says what makes no sense.
    Invalid(PolicyRef, Box<str>),
}

/// Which sources count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFilter {
    /// Of those referred to only these; empty: all.
    pub include: Box<[(SourceKind, Pattern)]>,
    /// Never these.
    pub exclude: Box<[(SourceKind, Pattern)]>,
    /// These besides, whether referred to or not.
    pub extra: Box<[(SourceKind, Pattern)]>,
}
