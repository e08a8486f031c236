//! What the controller says about a policy.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far the workloads of a policy are. Written by the controller alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Generation of the policy that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many workloads the policy holds for, and how far they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<WorkloadCounts>,
    /// Whether the policy is in force and its workloads are current, one entry for each type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// How many workloads are in which state. All but the total add up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = without_defaults)]
pub struct WorkloadCounts {
    /// Workloads that the policy holds for.
    #[schemars(range(min = 0))]
    pub total: i32,
    /// Workloads of which every pod runs the present content.
    #[schemars(range(min = 0))]
    pub current: i32,
    /// Workloads that are not current and wait for their time, a window or a free place.
    #[schemars(range(min = 0))]
    pub pending: i32,
    /// Workloads whose pods are being replaced or brought up to date.
    #[schemars(range(min = 0))]
    pub rolling: i32,
    /// Workloads that are not current and stay so until somebody acts.
    #[schemars(range(min = 0))]
    pub held: i32,
    /// Workloads whose last rollout failed.
    #[schemars(range(min = 0))]
    pub failed: i32,
    /// Workloads that are not current and are reported only.
    #[schemars(range(min = 0))]
    pub observed: i32,
}

/// Reading is lenient, but the API server must not make up counts that nobody has taken.
fn without_defaults(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(|it| it.values_mut()) {
        if let Some(property) = property.as_object_mut() {
            property.remove("default");
        }
    }
}
