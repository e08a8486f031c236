//! `RolloutPolicy` and `ClusterRolloutPolicy`: which workloads, which of their sources, and what to
//! do when those change.
//!
//! Both kinds say the same but for the choice of workloads. Fields that have a default in the schema
//! have it here too: a test or a file is read without the API server's help.

#![expect(
    clippy::doc_markdown,
    reason = "the comments are the descriptions that kubectl explain shows, where backticks are noise"
)]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_core::policy::{PolicySettings, WorkloadSelector};

use super::in_place::InPlace;
use super::restart::Restart;
use super::schema::rules;
use super::selector::LabelSelector;
use super::sources::{Rule, Sources, Strategy, compile_rules};
use super::status::PolicyStatus;
use super::validate::Invalid;

/// Selects workloads and their sources, and says how a change of these sources is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, CustomResource, JsonSchema)]
#[kube(
    group = "windlass.dev",
    version = "v1alpha1",
    kind = "RolloutPolicy",
    plural = "rolloutpolicies",
    shortname = "rop",
    category = "windlass",
    namespaced,
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "How workloads of this namespace apply changes of their ConfigMaps and Secrets."
)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPolicySpec {
    /// Workloads of this namespace that the policy applies to, in addition to those that name the
    /// policy in the annotation windlass.dev/policy. Unset: only those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<Workloads>,
    /// Settings of the policy.
    #[serde(flatten)]
    pub policy: PolicySpec,
}

/// Selects workloads and their sources, and says how a change of these sources is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, CustomResource, JsonSchema)]
#[kube(
    group = "windlass.dev",
    version = "v1alpha1",
    kind = "ClusterRolloutPolicy",
    plural = "clusterrolloutpolicies",
    shortname = "crop",
    category = "windlass",
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "How workloads of many namespaces apply changes of their ConfigMaps and Secrets. Its freezes, \
           budget and suspend also limit workloads that have a RolloutPolicy."
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRolloutPolicySpec {
    /// Workloads that the policy applies to, unless a RolloutPolicy does. Without strategy and rules,
    /// the policy opts no workload in and only limits opted-in workloads.
    pub workloads: ClusterWorkloads,
    /// Settings of the policy.
    #[serde(flatten)]
    pub policy: PolicySpec,
}

/// Workloads of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workloads {
    /// Kinds of workloads, such as Deployment; at most 16. Empty: every kind that the controller
    /// watches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 63), regex(pattern = "^[A-Z][A-Za-z0-9]{0,62}$"))
    )]
    pub kinds: Vec<String>,
    /// Labels of the workloads; {} selects all.
    pub selector: LabelSelector,
}

/// Workloads of many namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterWorkloads {
    /// Workloads within a namespace.
    #[serde(flatten)]
    pub workloads: Workloads,
    /// Labels of the namespaces; unset: all namespaces that the controller watches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
}

/// Settings of both kinds of policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicySpec {
    /// Decides between policies of one kind that select the same workload: the highest priority
    /// applies, then the oldest policy, then the first by name. From -1000 to 1000, default 0.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,
    /// Which ConfigMaps and Secrets to watch. Unset: those that the pod template refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Sources>,
    /// How a change is applied if no rule matches: Restart rolls the workload out, InPlace updates
    /// the files of running pods, Auto updates in place where the pod supports it and restarts
    /// otherwise, Ignore does nothing. Unset: Restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// How a change of single keys is applied; the first matching rule applies; at most 64. Names and
    /// keys have at most 16 KiB in total, those with wildcards at most 4 KiB.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-validations" = rules([
        (
            "self.map(rule, size(rule.name) + rule.keys.map(key, size(key)).sum()).sum() <= 16384",
            "rules must have at most 16384 bytes of names and keys",
        ),
        (
            "self.map(rule, (rule.name.contains('*') || rule.name.contains('?') ? size(rule.name) : 0) \
             + rule.keys.filter(key, key.contains('*') || key.contains('?')).map(key, size(key)).sum()).sum() <= 4096",
            "rules must have at most 4096 bytes of names and keys with wildcards",
        ),
    ])))]
    pub rules: Vec<Rule>,
    /// How changes are applied to running pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<InPlace>,
    /// When and how fast workloads are restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// Enforce applies changes; Observe only reports them. Unset: Enforce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether new rollouts and updates in place wait; those in progress continue. Default false.
    #[serde(default)]
    pub suspend: bool,
}

/// Whether changes are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(description = "")]
pub enum Mode {
    /// It is done.
    Enforce,
    /// It is reported only.
    Observe,
}

impl RolloutPolicySpec {
    /// Which workloads it selects. `None`: only those that name it.
    #[must_use]
    pub fn selector(&self) -> Option<WorkloadSelector> {
        self.workloads.as_ref().map(Workloads::selects)
    }
}

impl ClusterRolloutPolicySpec {
    /// Which workloads it selects.
    #[must_use]
    pub fn selects(&self) -> WorkloadSelector {
        let ClusterWorkloads {
            workloads,
            namespace_selector,
        } = &self.workloads;
        WorkloadSelector {
            namespaces: namespace_selector.as_ref().map(LabelSelector::compile),
            ..workloads.selects()
        }
    }
}

impl Workloads {
    fn selects(&self) -> WorkloadSelector {
        let Self { kinds, selector } = self;
        WorkloadSelector {
            kinds: kinds.iter().map(|kind| kind.as_str().into()).collect(),
            labels: selector.compile(),
            namespaces: None,
        }
    }
}

impl PolicySpec {
    /// What it says, checked. What the schema cannot see is found here too: an impossible date, a zone that
    /// does not exist.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn settings(&self) -> Result<PolicySettings, Invalid> {
        let Self {
            priority: _,
            sources,
            strategy,
            rules,
            in_place,
            restart,
            mode,
            suspend,
        } = self;
        let mut settings = restart.as_ref().map(Restart::compile).transpose()?.unwrap_or_default();
        settings.sources = sources.as_ref().map(Sources::compile).transpose()?;
        settings.strategy = strategy.map(Into::into);
        settings.rules = Some(compile_rules(rules)?);
        settings.in_place = in_place.as_ref().map(InPlace::compile).transpose()?.map(Into::into);
        settings.observe = mode.map(|mode| mode == Mode::Observe);
        settings.suspend = *suspend;
        Ok(settings)
    }
}
