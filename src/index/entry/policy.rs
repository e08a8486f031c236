//! What a workload asks for, and what policies make of it.

use std::sync::Arc;

use windlass_core::policy::effective_policy::EffectivePolicy;
use windlass_core::workload::opt_in::OptIn;

use super::WorkloadEntry;
use crate::index::IndexSettings;

/// What holds for a workload that some policy is about.
pub(crate) struct PolicyBinding {
    /// What it asks for by itself; its last good word.
    own_opt_in: Option<Arc<OptIn>>,
    /// What follows from its policies.
    policy: Arc<EffectivePolicy>,
    /// It asks for nothing itself: a policy's selector opted it in.
    selected: bool,
    /// The baseline before the first restart that was only reported: what its pods run should they
    /// have to be restarted after all.
    #[allow(clippy::option_option)] // Nothing reported, or reported when there may have been no baseline.
    baseline_before: Option<Option<Arc<str>>>,
}

/// What holds for a workload from now on.
pub(crate) struct ResolvedPolicy {
    pub(crate) opt_in: Option<Arc<OptIn>>,
    pub(crate) binding: Option<Box<PolicyBinding>>,
}

impl PolicyBinding {
    pub(crate) fn new(own_opt_in: Option<Arc<OptIn>>, policy: Arc<EffectivePolicy>, selected: bool) -> Self {
        Self {
            own_opt_in,
            policy,
            selected,
            baseline_before: None,
        }
    }
}

impl ResolvedPolicy {
    /// Whether restarts are reported only.
    pub(crate) fn observes(&self) -> bool {
        self.binding.as_ref().is_some_and(|binding| binding.policy.observe)
    }
}

impl WorkloadEntry {
    /// What it asks for, with what its policy adds; its last good word if the present one cannot be used.
    #[must_use]
    pub fn opt_in(&self) -> Option<&Arc<OptIn>> {
        self.opt_in.as_ref()
    }

    /// What it asks for by itself; its last good word.
    pub(crate) fn own_opt_in(&self) -> Option<&Arc<OptIn>> {
        match &self.policy_binding {
            Some(binding) => binding.own_opt_in.as_ref(),
            None => self.opt_in.as_ref(),
        }
    }

    /// What its policies make of it; `None`: no policy is about it.
    #[must_use]
    pub fn effective_policy(&self) -> Option<&EffectivePolicy> {
        Some(&self.policy_binding.as_ref()?.policy)
    }

    /// Whether some policy is about it.
    pub(crate) fn is_governed(&self) -> bool {
        self.policy_binding.is_some()
    }

    /// Whether it asks for nothing itself, and a policy's selector opted it in.
    pub(crate) fn is_selected(&self) -> bool {
        self.policy_binding.as_ref().is_some_and(|binding| binding.selected)
    }

    /// Whether that is what holds already.
    pub(crate) fn has_policy(&self, governing: &ResolvedPolicy) -> bool {
        let same = |one: &PolicyBinding, other: &PolicyBinding| {
            Arc::ptr_eq(&one.policy, &other.policy) && one.selected == other.selected
        };
        self.opt_in == governing.opt_in
            && match (&self.policy_binding, &governing.binding) {
                (None, None) => true,
                (Some(one), Some(other)) => same(one, other),
                (None, Some(_)) | (Some(_), None) => false,
            }
    }

    /// Something else holds from now on: it has to be decided again.
    pub(crate) fn set_policy(&mut self, governing: ResolvedPolicy, rules: IndexSettings) {
        self.take(governing, rules, true);
        self.request_decision();
    }

    pub(super) fn take(&mut self, governing: ResolvedPolicy, rules: IndexSettings, same_uses: bool) {
        let ResolvedPolicy { opt_in, binding } = governing;
        let same_uses = same_uses && self.opt_in == opt_in;
        self.opt_in = opt_in;
        let was = std::mem::replace(&mut self.policy_binding, binding);
        let observed =
            |binding: &Option<Box<PolicyBinding>>| binding.as_ref().is_some_and(|binding| binding.policy.observe);
        if observed(&was) && !observed(&self.policy_binding) {
            // What was reported is due now.
            self.workload.observed = None;
            if let Some(before) = was.as_ref().and_then(|was| was.baseline_before.clone()) {
                self.last_baseline = before;
            }
            self.reported.forget_restart();
        }
        if let (Some(binding), Some(was)) = (&mut self.policy_binding, was) {
            binding.baseline_before = was.baseline_before.filter(|_| binding.policy.observe);
        }
        if !same_uses {
            self.refresh_uses(rules);
        }
        self.refresh_remembered();
    }

    /// Its policy wants restarts reported only, and this is the first: what its pods run is the baseline that
    /// it has now.
    pub(super) fn remember_baseline_before_report(&mut self) {
        if let Some(binding) = &mut self.policy_binding {
            binding
                .baseline_before
                .get_or_insert_with(|| self.workload.observed.clone());
        }
    }
}
