//! What holds for one workload: what its policy says, with the limits of the cluster's.

use std::sync::Arc;

use jiff::SignedDuration;

use super::in_place::InPlace;
use super::window::RolloutTimes;
use crate::policy::{GoverningPolicy, Policies, Policy, PolicyMatch, PolicyRef, PolicySettings};
use crate::types::labels::{Labels, Selector};
use crate::workload::key_strategy::{KeyRules, RuleSet};
use crate::workload::opt_in::{OptIn, Strategy};

impl Policies {
    /// What follows.
    #[must_use]
    pub fn effective_policy(&self, policy_match: &PolicyMatch, defaults: &PolicyDefaults) -> EffectivePolicy {
        let mut effective_policy = EffectivePolicy::from_defaults(defaults);
        let floors: Vec<&Policy> = policy_match
            .floors
            .iter()
            .filter_map(|it| self.get(it))
            .map(|it| &**it)
            .collect();
        let mut budgets: Vec<Budget> = Vec::new();
        let mut budget = |policy: &PolicyRef, settings: &PolicySettings| {
            let of = policy.clone();
            if let Some(limit) = settings
                .max_parallel
                .filter(|_| !budgets.iter().any(|known| known.policy == of))
            {
                budgets.push(Budget { policy: of, limit });
            }
        };
        match &policy_match.governing {
            GoverningPolicy::None => {}
            GoverningPolicy::Missing(policy) => {
                effective_policy.problem = Some(PolicyProblem::Missing(policy.clone()));
            }
            GoverningPolicy::Policy(policy) => {
                effective_policy.policy = Some(policy.clone());
                match self.get(policy).map(|policy| &policy.settings) {
                    Some(Ok(settings)) => {
                        effective_policy.apply(settings);
                        budget(policy, settings);
                    }
                    Some(Err(why)) => {
                        effective_policy.problem = Some(PolicyProblem::Invalid(policy.clone(), why.clone()));
                    }
                    None => effective_policy.problem = Some(PolicyProblem::Missing(policy.clone())),
                }
            }
        }
        let mut freezes = Vec::new();
        for floor in floors {
            match &floor.settings {
                Ok(settings) => {
                    freezes.extend(settings.freezes.iter().cloned());
                    budget(&floor.reference, settings);
                    if settings.suspend {
                        effective_policy.floor_suspended = Some(floor.reference.clone());
                    }
                }
                Err(why) => {
                    let problem = PolicyProblem::Invalid(floor.reference.clone(), why.clone());
                    effective_policy.problem.get_or_insert(problem);
                }
            }
        }
        effective_policy.floor = RolloutTimes::new(Vec::new(), freezes);
        effective_policy.budgets = budgets.into();
        effective_policy.overruled.clone_from(&policy_match.overruled);
        effective_policy
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

/// What holds for one workload.
#[allow(clippy::struct_excessive_bools)] // Its policy's switches.
#[derive(Clone, Debug)]
pub struct EffectivePolicy {
    /// Which policy governs it.
    pub policy: Option<PolicyRef>,
    /// Why nothing may be done.
    pub problem: Option<PolicyProblem>,
    /// What a change does, unless its annotation says otherwise; `None`: not said.
    pub strategy: Option<Strategy>,
    /// What a change of some keys does.
    pub rules: Arc<RuleSet>,
    /// How changes reach running pods.
    pub in_place: Arc<InPlace>,
    /// How long changes are gathered.
    pub settle: SignedDuration,
    /// The least time between two restarts.
    pub min_interval: SignedDuration,
    /// When a rollout that is not complete has failed.
    pub deadline: SignedDuration,
    /// After which a rollout gives the place back that it takes in the cluster's budget.
    pub cluster_deadline: SignedDuration,
    /// How many restarts within ten minutes are too many; `None`: no number is.
    pub flap_limit: Option<usize>,
    /// When rollouts may begin, as its own policy says.
    pub times: RolloutTimes,
    /// And as cluster policies say, whichever governs.
    pub floor: RolloutTimes,
    /// Its own policy is suspended.
    pub suspended: bool,
    /// A cluster policy that is suspended.
    pub floor_suspended: Option<PolicyRef>,
    /// How many may roll at a time, with whom.
    pub budgets: Box<[Budget]>,
    /// Whether the failure of another one holds it.
    pub halt_on_failure: bool,
    /// In which order.
    pub waves: Box<[Selector]>,
    /// Decide and report only.
    pub observe: bool,
    /// The policies that would govern it besides.
    pub overruled: Box<[PolicyRef]>,
}

/// A limit that several workloads share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Budget {
    /// The policy that sets it.
    pub policy: PolicyRef,
    /// How many of its workloads roll at a time.
    pub limit: usize,
}

/// Why a policy cannot be followed. Nothing looser ever takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyProblem {
    /// It does not exist.
    Missing(PolicyRef),
    /// It says what makes no sense.
    Invalid(PolicyRef, Box<str>),
}

impl Default for EffectivePolicy {
    fn default() -> Self {
        Self::from_defaults(&PolicyDefaults::default())
    }
}

impl EffectivePolicy {
    /// Those without any policy.
    #[must_use]
    pub fn from_defaults(defaults: &PolicyDefaults) -> Self {
        let PolicyDefaults {
            settle,
            deadline,
            flap_limit,
        } = *defaults;
        let default = PolicySettings::default();
        Self {
            policy: None,
            problem: None,
            strategy: None,
            rules: Arc::default(),
            in_place: default.in_place,
            settle,
            min_interval: default.min_interval,
            deadline,
            cluster_deadline: deadline,
            flap_limit,
            times: RolloutTimes::default(),
            floor: RolloutTimes::default(),
            suspended: false,
            floor_suspended: None,
            budgets: Box::default(),
            halt_on_failure: false,
            waves: Box::default(),
            observe: false,
            overruled: Box::default(),
        }
    }

    fn apply(&mut self, settings: &PolicySettings) {
        let PolicySettings {
            sources: _,
            strategy,
            rules,
            in_place,
            settle,
            min_interval,
            max_parallel: _,
            windows,
            freezes,
            halt_on_failure,
            deadline,
            waves,
            observe,
            suspend,
        } = settings;
        self.strategy = *strategy;
        self.rules.clone_from(rules);
        self.in_place = in_place.clone();
        self.settle = settle.unwrap_or(self.settle);
        self.min_interval = *min_interval;
        self.times = RolloutTimes::new(windows.clone(), freezes.clone());
        self.halt_on_failure = *halt_on_failure;
        self.deadline = deadline.unwrap_or(self.deadline);
        self.waves.clone_from(waves);
        self.observe = *observe;
        self.suspended = *suspend;
    }

    /// What a change does to a workload with this opt-in, where no rule is about the key.
    #[must_use]
    pub fn strategy(&self, opt_in: &OptIn) -> Strategy {
        opt_in.strategy.or(self.strategy).unwrap_or_default()
    }

    /// How keys are sorted for a workload with this opt-in.
    #[must_use]
    pub fn key_rules(&self, opt_in: &OptIn) -> KeyRules<'_> {
        KeyRules {
            rules: &self.rules,
            default: self.strategy(opt_in),
            notifies_app: self.in_place.notifies_app(),
        }
    }

    /// In which wave a workload with these labels goes; `None`: there are no waves.
    #[must_use]
    pub fn wave(&self, labels: &Labels) -> Option<usize> {
        let first = self.waves.iter().position(|wave| wave.selects(labels));
        (!self.waves.is_empty()).then(|| first.unwrap_or(self.waves.len()))
    }
}
