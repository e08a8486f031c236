//! The kinds of the Prometheus operator that the chart renders. Definitions of our own: the fields that the
//! chart uses have the names and types that the operator gives them, and a field that is not here is refused.

use serde_json::{Value, json};

/// The definitions.
pub fn definitions() -> Vec<Value> {
    let text = json!({"type": "string"});
    let texts = json!({"type": "array", "items": text});
    let duration = json!({"type": "string", "pattern": "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$"});
    let relabel = object(
        json!({
            "action": {"type": "string", "enum": ["replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep"]},
            "regex": text, "replacement": text, "separator": text, "sourceLabels": texts, "targetLabel": text,
        }),
        &[],
    );
    let relabels = json!({"type": "array", "items": relabel});
    let endpoint = object(
        json!({
            "port": text, "path": text, "interval": duration, "scrapeTimeout": duration,
            "relabelings": relabels, "metricRelabelings": relabels,
        }),
        &[],
    );
    let endpoints = json!({"type": "array", "items": endpoint});
    let strings = json!({"type": "object", "additionalProperties": text});
    let selector = object(json!({"matchLabels": strings}), &[]);
    let rule = object(
        json!({
            "alert": text, "record": text, "expr": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "for": duration, "keep_firing_for": duration, "labels": strings, "annotations": strings,
        }),
        &["expr"],
    );
    let group = object(
        json!({
            "name": {"type": "string", "minLength": 1}, "interval": duration, "rules": {"type": "array", "items": rule},
        }),
        &["name"],
    );
    let groups = json!({"type": "array", "items": group});
    vec![
        definition(
            "ServiceMonitor",
            "servicemonitors",
            object(
                json!({"selector": selector, "endpoints": endpoints}),
                &["selector", "endpoints"],
            ),
        ),
        definition(
            "PodMonitor",
            "podmonitors",
            object(
                json!({"selector": selector, "podMetricsEndpoints": endpoints}),
                &["selector"],
            ),
        ),
        definition(
            "PrometheusRule",
            "prometheusrules",
            object(json!({"groups": groups}), &[]),
        ),
    ]
}

fn object(properties: Value, required: &[&str]) -> Value {
    let mut object = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn definition(kind: &str, plural: &str, spec: Value) -> Value {
    let group = "monitoring.coreos.com";
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": object(json!({"spec": spec}), &["spec"])},
            }],
        },
    })
}
