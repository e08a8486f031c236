//! The `CustomResourceDefinition`s, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};

use super::{ClusterRolloutPolicy, RolloutPolicy};

/// One column of `kubectl get`, in its order: name, type, whether only with `-o wide`, where from,
/// description. Together they answer whether everything is current, and if not, what about the rest.
const COLUMNS: &[(&str, &str, Width, &str, &str)] = &[
    (
        "Workloads",
        "integer",
        Width::Normal,
        ".status.workloads.total",
        "Workloads that the policy applies to",
    ),
    (
        "Current",
        "integer",
        Width::Normal,
        ".status.workloads.current",
        "Workloads whose pods all run the present content",
    ),
    (
        "Pending",
        "integer",
        Width::Normal,
        ".status.workloads.pending",
        "Workloads that wait for the settle time, a window or a rollout slot",
    ),
    (
        "Rolling",
        "integer",
        Width::Normal,
        ".status.workloads.rolling",
        "Workloads whose pods are being replaced or updated in place",
    ),
    (
        "Held",
        "integer",
        Width::Normal,
        ".status.workloads.held",
        "Workloads held until somebody acts",
    ),
    (
        "Failed",
        "integer",
        Width::Normal,
        ".status.workloads.failed",
        "Workloads whose last rollout failed",
    ),
    (
        "Ready",
        "string",
        Width::Normal,
        r#".status.conditions[?(@.type=="Ready")].status"#,
        "Whether the policy is in force",
    ),
    (
        "Suspended",
        "boolean",
        Width::Normal,
        ".spec.suspend",
        "Whether all workloads wait",
    ),
    (
        "Reason",
        "string",
        Width::Wide,
        r#".status.conditions[?(@.type=="Ready")].reason"#,
        "Why the policy is ready or not",
    ),
    (
        "Strategy",
        "string",
        Width::Wide,
        ".spec.strategy",
        "How a change is applied",
    ),
    (
        "Mode",
        "string",
        Width::Wide,
        ".spec.mode",
        "Whether changes are applied",
    ),
    (
        "Age",
        "date",
        Width::Normal,
        ".metadata.creationTimestamp",
        "When the policy was created",
    ),
];

/// When a column is shown.
#[derive(Clone, Copy)]
enum Width {
    Normal,
    Wide,
}

/// Both definitions as one stream of YAML documents.
#[must_use]
pub fn definitions() -> String {
    let mut stream = String::new();
    for definition in [RolloutPolicy::crd(), ClusterRolloutPolicy::crd()] {
        let document = serde_saphyr::to_string(&finished(&definition)).expect("text and numbers are YAML");
        stream.extend(["---\n", document.trim_end(), "\n"]);
    }
    stream
}

/// What the derived definition lacks.
fn finished(definition: &CustomResourceDefinition) -> Value {
    let mut definition = serde_json::to_value(definition).expect("a definition is JSON");
    if let Some(versions) = definition.pointer_mut("/spec/versions").and_then(Value::as_array_mut) {
        for version in versions {
            version["additionalPrinterColumns"] = columns();
            tidy(&mut version["schema"]);
        }
    }
    definition
}

fn columns() -> Value {
    COLUMNS
        .iter()
        .map(|(name, kind, width, path, description)| {
            let mut column = json!({"name": name, "type": kind, "jsonPath": path, "description": description});
            if matches!(width, Width::Wide) {
                column["priority"] = 1.into();
            }
            column
        })
        .collect()
}

/// Says in Kubernetes' words what was said in Rust's.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            tidy_fields(fields);
            fields.values_mut().for_each(tidy);
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// A property may have the name of any of these words: then it is an object and left alone.
fn tidy_fields(fields: &mut Map<String, Value>) {
    // A field without a value is absent, and null is no value of its own.
    if fields.get("nullable").is_some_and(Value::is_boolean) {
        fields.remove("nullable");
    }
    // The API server knows the signed ones only, and warns about others.
    if let Some(Value::String(format)) = fields.get_mut("format")
        && format.starts_with("uint")
    {
        "int32".clone_into(format);
    }
    // Bounds are floating-point numbers there, and those of integers look odd.
    for bound in ["minimum", "maximum"] {
        if let Some(value) = fields.get(bound).and_then(Value::as_f64).and_then(whole) {
            fields.insert(bound.to_owned(), value.into());
        }
    }
    // Lines end where the source's do.
    if let Some(Value::String(description)) = fields.get_mut("description") {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
}

fn whole(number: f64) -> Option<i64> {
    format!("{number:.0}").parse().ok().filter(|_| number.fract() == 0.0)
}
