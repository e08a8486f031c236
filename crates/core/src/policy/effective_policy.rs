//! What holds for one workload: what its policy says, with the limits of the cluster's and what its own
//! annotations say.

use super::fields::Layer;
use super::{GoverningPolicy, Policies, Policy, PolicyMatch};
use crate::types::labels::Labels;
use crate::types::name::SourceKind;
use crate::workload::key_strategy::KeyRules;
use crate::workload::opt_in::{OptIn, Selection, Strategy};
use crate::workload::pattern::Pattern;

pub use super::fields::{Budget, EffectivePolicy, Layered, PolicyDefaults, PolicyProblem, SourceFilter};

impl Policies {
    /// What follows from the policies that hold for a workload.
    #[must_use]
    pub fn effective_policy(&self, policy_match: &PolicyMatch, defaults: &PolicyDefaults) -> EffectivePolicy {
        let mut effective_policy = EffectivePolicy::from_defaults(defaults);
        match &policy_match.governing {
            GoverningPolicy::None => {}
            GoverningPolicy::Missing(policy) => {
                effective_policy.problem = Some(PolicyProblem::Missing(policy.clone()));
            }
            GoverningPolicy::Policy(policy) => {
                effective_policy.policy = Some(policy.clone());
                match self.get(policy) {
                    Some(known) => effective_policy.follow(Layer::Own(policy), known),
                    None => effective_policy.problem = Some(PolicyProblem::Missing(policy.clone())),
                }
            }
        }
        for floor in policy_match.floors.iter().filter_map(|floor| self.get(floor)) {
            effective_policy.follow(Layer::Floor(&floor.reference), floor);
        }
        effective_policy.overruled.clone_from(&policy_match.overruled);
        effective_policy
    }
}

impl EffectivePolicy {
    /// Merges one policy, or notes why that is not possible: the first problem is the one that counts.
    fn follow(&mut self, layer: Layer<'_>, policy: &Policy) {
        match &policy.settings {
            Ok(settings) => self.merge(layer, settings),
            Err(why) => {
                let problem = PolicyProblem::Invalid(policy.reference.clone(), why.clone());
                self.problem.get_or_insert(problem);
            }
        }
    }

    /// What a workload under this policy asks for, with what its annotations ask for.
    #[must_use]
    pub fn opt_in(&self, asked: &OptIn) -> OptIn {
        let mut opt_in = asked.clone();
        let SourceFilter {
            include,
            exclude,
            extra,
        } = &self.sources;
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
        let token = self.in_place.agent.as_ref();
        if let Some(token) = token.and_then(|agent| Pattern::glob(None, agent.token_secret.as_str())) {
            opt_in.secrets.excluded = [opt_in.secrets.excluded.to_vec(), vec![token]].concat().into();
        }
        opt_in
    }

    /// What a change does to a workload with this opt-in, where no rule is about the key.
    #[must_use]
    pub fn strategy(&self, opt_in: &OptIn) -> Strategy {
        opt_in.strategy.unwrap_or(self.strategy)
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
