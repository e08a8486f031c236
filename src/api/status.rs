//! What the controller says about a policy.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Progress of the workloads of a policy. Only the controller writes it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Generation of the policy that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Number of workloads of the policy, by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<WorkloadCounts>,
    /// Whether the policy is in force and its workloads are current; one condition per type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// Number of workloads by state. The states add up to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = without_defaults)]
pub struct WorkloadCounts {
    /// Workloads that the policy applies to.
    #[schemars(range(min = 0))]
    pub total: i32,
    /// Workloads whose pods all run the present content.
    #[schemars(range(min = 0))]
    pub current: i32,
    /// Workloads that wait for the settle time, a window or a rollout slot.
    #[schemars(range(min = 0))]
    pub pending: i32,
    /// Workloads whose pods are being replaced or updated in place.
    #[schemars(range(min = 0))]
    pub rolling: i32,
    /// Workloads that are not current until somebody acts.
    #[schemars(range(min = 0))]
    pub held: i32,
    /// Workloads whose last rollout failed.
    #[schemars(range(min = 0))]
    pub failed: i32,
    /// Workloads that are not current and only reported.
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
