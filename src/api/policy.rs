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
use windlass_core::types::name;

use super::Duration;
use super::restart::Restart;
use super::schema::{KEY_PATTERN, NAME_PATTERN, PATH, SUBDOMAIN, between, rule, rules};
use super::selector::LabelSelector;
use super::status::PolicyStatus;

/// Which workloads, which of their sources, and what a change of those leads to.
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
    doc = "How workloads of this namespace are kept true to the ConfigMaps and Secrets that they use."
)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPolicySpec {
    /// Workloads of this namespace that the policy holds for, besides those that name it by the
    /// annotation windlass.dev/policy. Unset: only those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<Workloads>,
    /// All else.
    #[serde(flatten)]
    pub policy: PolicySpec,
}

/// Which workloads, which of their sources, and what a change of those leads to.
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
    doc = "How workloads of many namespaces are kept true to the ConfigMaps and Secrets that they use. \
           Its freezes, budget and suspend hold whatever a RolloutPolicy says."
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRolloutPolicySpec {
    /// Workloads that the policy holds for, where no RolloutPolicy does. Without strategy and rules it
    /// opts none in, and only limits what happens to those that are.
    pub workloads: ClusterWorkloads,
    /// All else.
    #[serde(flatten)]
    pub policy: PolicySpec,
}

/// Workloads of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workloads {
    /// Kinds of workloads, such as Deployment; at most 16. Empty: every kind that the controller works on.
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
    /// Which of a namespace's.
    #[serde(flatten)]
    pub workloads: Workloads,
    /// Labels of the namespaces; unset: all namespaces that the controller works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
}

/// What both kinds of policies say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicySpec {
    /// Which policy holds where several of a kind select a workload: the highest, then the oldest, then
    /// the first by name. From -1000 to 1000, default 0.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,
    /// Which ConfigMaps and Secrets count. Unset: those that the pod template refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Sources>,
    /// What a change leads to where no rule says otherwise: Restart rolls the workload out, InPlace
    /// brings the new files into the running pods, Auto does either as the pod can take it, Ignore does
    /// nothing. Unset: Restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// What a change of single keys leads to; the first rule that matches holds; at most 64. All names and
    /// keys together have at most 16 KiB, those with wildcards at most 4 KiB.
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
    /// How changes reach running pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<InPlace>,
    /// When and how fast workloads are restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// Enforce does what is decided; Observe decides and reports only. Unset: Enforce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether everything that this policy would begin waits, while what is rolling goes on; default false.
    #[serde(default)]
    pub suspend: bool,
}

/// Which sources count. All names with wildcards together have at most 4 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rule(
    &(["include", "exclude", "extra"]
        .map(|list| format!(
            "(has(self.{list}) ? self.{list}.filter(it, it.name.contains('*') || it.name.contains('?'))\
             .map(it, size(it.name)).sum() : 0)"
        ))
        .join(" + ")
        + " <= 4096"),
    "sources must have at most 4096 bytes of names with wildcards",
)))]
pub struct Sources {
    /// Of those that the pod template refers to, only these count; at most 64. Empty: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub include: Vec<SourcePattern>,
    /// These do not count, whatever else names them; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub exclude: Vec<SourcePattern>,
    /// These count as well, though the pod template does not refer to them; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub extra: Vec<SourcePattern>,
}

/// Sources of the workload's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourcePattern {
    /// ConfigMap or Secret.
    pub kind: SourceKind,
    /// Name of the object, where * stands for any text and ? for one character.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
}

/// What kind of object a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(description = "")]
pub enum SourceKind {
    /// `v1/ConfigMap`.
    ConfigMap,
    /// `v1/Secret`.
    Secret,
}

impl From<SourceKind> for name::SourceKind {
    fn from(kind: SourceKind) -> Self {
        match kind {
            SourceKind::ConfigMap => Self::ConfigMap,
            SourceKind::Secret => Self::Secret,
        }
    }
}

/// What a change leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(description = "")]
pub enum Strategy {
    /// In place where the pod can take it, otherwise a restart.
    Auto,
    /// A rollout.
    Restart,
    /// New files in the running pods.
    InPlace,
    /// Nothing.
    Ignore,
}

/// What a change of some keys leads to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// ConfigMap or Secret; unset: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SourceKind>,
    /// Name of the object, where * stands for any text and ? for one character; default *.
    #[serde(default = "every_name")]
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Keys of the object, where * stands for any text and ? for one character; from 1 to 64.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253), regex(pattern = KEY_PATTERN)))]
    pub keys: Vec<String>,
    /// What a change of these keys leads to: Auto, Restart, InPlace or Ignore.
    pub strategy: Strategy,
}

fn every_name() -> String {
    "*".to_owned()
}

/// How changes reach running pods.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rule(
    "!(has(self.agent) && has(self.notifyHttp))",
    "inPlace has either agent or notifyHttp: where there is an agent, it tells the application",
)))]
pub struct InPlace {
    /// Whether pods are touched, so that the kubelet writes their files at once and not within a minute
    /// or two; default true.
    #[serde(default = "yes")]
    pub nudge: bool,
    /// The agent in each pod that proves what the pod's files hold. Unset: nothing is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
    /// What to call in each pod some time after it was touched, where it has no agent. Nothing proves
    /// then that its files are there. Unset: nothing is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_http: Option<NotifyHttp>,
    /// How long the pods have to take a change. From 1s to 1h; unset: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("timeout", "1s", "1h")))]
    pub timeout: Option<Duration>,
    /// What happens when they have not taken it by then: Report says so, Restart rolls the workload out
    /// as well. Unset: Report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
}

fn yes() -> bool {
    true
}

impl Default for InPlace {
    fn default() -> Self {
        Self {
            nudge: yes(),
            agent: None,
            notify_http: None,
            timeout: None,
            on_timeout: None,
        }
    }
}

/// Where the agent of a pod answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Port of the pod that it listens on. From 1 to 65535.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Secret of the workload's namespace with the token that it asks for.
    pub token_secret_ref: SecretName,
}

/// A request that makes an application read its files again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotifyHttp {
    /// Port of the pod. From 1 to 65535. Pods on their node's network are not called.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Path, with a query if need be, such as /-/reload.
    #[schemars(length(min = 1, max = 256), regex(pattern = PATH))]
    pub path: String,
    /// How to call it: POST, PUT or GET; default POST.
    #[serde(default)]
    pub method: HttpMethod,
    /// How long after the pod was touched. From 0s to 10m; unset: 2s with nudge, and without, when the
    /// timeout is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("delay", "0s", "10m")))]
    pub delay: Option<Duration>,
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(description = "")]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `GET`.
    Get,
}

/// A Secret of the workload's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretName {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: String,
}

/// What follows when a change did not reach all pods in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(description = "")]
pub enum OnTimeout {
    /// It is said.
    Report,
    /// The workload is rolled out.
    Restart,
}

/// Whether what is decided is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(description = "")]
pub enum Mode {
    /// It is done.
    Enforce,
    /// It is reported only.
    Observe,
}
