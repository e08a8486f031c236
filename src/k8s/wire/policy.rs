//! Policies: read one by one, so that one that cannot be read hides no other.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::ObjectMeta;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use windlass_core::policy::{Policy, PolicyRef, WorkloadSelector};
use windlass_core::types::name::Uid;
use windlass_core::types::time::Second;

use super::WireMeta;
use crate::api::{ClusterRolloutPolicySpec, PolicySpec, PolicyStatus, RolloutPolicySpec};

#[derive(Clone, Debug)]
pub struct WatchedPolicy {
    pub(super) meta: ObjectMeta,
    wire: WireMeta,
    spec: Value,
    status: Value,
}

impl<'de> Deserialize<'de> for WatchedPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            metadata: WireMeta,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        let Wire { metadata, spec, status } = Wire::deserialize(deserializer)?;
        Ok(Self {
            meta: metadata.object_meta(),
            wire: metadata,
            spec,
            status,
        })
    }
}

/// What of a policy is known besides what the rules need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyMetadata {
    pub uid: Option<Uid>,
    pub generation: i64,
    /// The status that stands there.
    pub status: PolicyStatus,
    /// Whether it can be told whom it selects; else it opts nobody in.
    pub selection_known: bool,
}

impl WatchedPolicy {
    #[must_use]
    pub fn reference(&self) -> PolicyRef {
        PolicyRef {
            namespace: self.wire.namespace.is_some().then(|| self.wire.namespace()),
            name: self.wire.name(),
        }
    }

    /// What is known of it besides.
    #[must_use]
    pub fn metadata(&self) -> PolicyMetadata {
        PolicyMetadata {
            uid: self.wire.uid.is_some().then(|| self.wire.uid()),
            generation: self.wire.generation.unwrap_or(0),
            status: PolicyStatus::deserialize(&self.status).unwrap_or_default(),
            selection_known: self.selects().is_ok(),
        }
    }

    /// What the rules need of it.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let reference = self.reference();
        let spec = if reference.namespace.is_some() {
            RolloutPolicySpec::deserialize(&self.spec).map(|spec| spec.policy)
        } else {
            ClusterRolloutPolicySpec::deserialize(&self.spec).map(|spec| spec.policy)
        };
        let spec = spec.map_err(|why| format!("spec: {why}").chars().take(256).collect::<String>().into());
        let created = self.wire.creation_timestamp.as_deref().and_then(Second::parse);
        Policy {
            reference,
            priority: spec.as_ref().map_or(0, |spec| spec.priority),
            created: created.unwrap_or(Second::new(0)),
            // It might select anything of its scope, so it holds all of that.
            selector: self.selects().unwrap_or_else(|_| Some(WorkloadSelector::default())),
            // One that cannot be read must not opt in a whole cluster.
            defines_strategy: spec
                .as_ref()
                .is_ok_and(|spec| spec.strategy.is_some() || !spec.rules.is_empty()),
            settings: spec.and_then(|spec: PolicySpec| spec.settings().map_err(|why| why.to_string().into())),
        }
    }

    /// Whom it selects: read by itself, for that may be clear where something else is not.
    fn selects(&self) -> Result<Option<WorkloadSelector>, serde_json::Error> {
        #[derive(Deserialize, Serialize)]
        struct Alone {
            #[serde(default, skip_serializing_if = "Value::is_null")]
            workloads: Value,
        }
        let alone = serde_json::to_value(Alone::deserialize(&self.spec)?)?;
        if self.wire.namespace.is_some() {
            RolloutPolicySpec::deserialize(alone).map(|spec| spec.selector())
        } else {
            ClusterRolloutPolicySpec::deserialize(alone).map(|spec| Some(spec.selects()))
        }
    }
}

/// Keeps a condition's time unless it says something else than before.
#[must_use]
pub fn since(condition: Condition, before: &[Condition]) -> Condition {
    let known = before.iter().find(|known| known.type_ == condition.type_);
    match known.filter(|known| known.status == condition.status) {
        Some(known) => Condition {
            last_transition_time: known.last_transition_time.clone(),
            ..condition
        },
        None => condition,
    }
}
