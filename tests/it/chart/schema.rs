//! Values that cannot be: refused, by name.

use std::fs;

use serde_json::{Map, Value, json};

use super::helm::{chart, template};

/// The names that a value is known by in a complaint, and a value that cannot be.
fn wrong() -> Vec<(&'static [&'static str], Value)> {
    vec![
        // Misspelt.
        (&["replica"], json!({"replica": 1})),
        (&["image", "registry"], json!({"image": {"registry": "a"}})),
        (&["reloader", "autoReload"], json!({"reloader": {"autoReload": true}})),
        (
            &["leaderElection", "enable"],
            json!({"leaderElection": {"enable": true}}),
        ),
        (
            &["notifications", "slack", "urls"],
            json!({"notifications": {"slack": {"urls": []}}}),
        ),
        (&["livenessProbe", "period"], json!({"livenessProbe": {"period": 1}})),
        (&["networkPolicy", "enable"], json!({"networkPolicy": {"enable": true}})),
        (
            &["customKinds", "plural"],
            json!({"customKinds": [{"group": "a.b", "version": "v1", "kind": "A", "resource": "as", "path": ".a", "plural": "as"}]}),
        ),
        // Not one of those that there are.
        (&["sources", "configmaps"], json!({"sources": ["configmap"]})),
        (&["workloadKinds", "Deployment"], json!({"workloadKinds": ["Job"]})),
        (
            &["compat", "controllers", "reloader"],
            json!({"compat": {"controllers": ["stakater"]}}),
        ),
        (
            &["image", "pullPolicy", "IfNotPresent"],
            json!({"image": {"pullPolicy": "Sometimes"}}),
        ),
        (&["log", "format", "json"], json!({"log": {"format": "xml"}})),
        (&["podAntiAffinity", "preferred"], json!({"podAntiAffinity": "soft"})),
        (
            &["notifications", "events", "Restarted"],
            json!({"notifications": {"events": ["Nothing"]}}),
        ),
        (
            &["reloader", "reloadStrategy"],
            json!({"reloader": {"reloadStrategy": "both"}}),
        ),
        // Of another type.
        (&["replicas"], json!({"replicas": "2"})),
        (&["observeOnly"], json!({"observeOnly": "yes"})),
        (&["namespaces"], json!({"namespaces": "a,b"})),
        (&["commonLabels"], json!({"commonLabels": {"a": 1}})),
        (&["extraEnv"], json!({"extraEnv": {"A": "b"}})),
        (&["crds", "install"], json!({"crds": {"install": "true"}})),
        // Out of range, or of another form.
        (&["replicas"], json!({"replicas": -1})),
        (&["flapLimit"], json!({"flapLimit": 11})),
        (&["writeConcurrency"], json!({"writeConcurrency": 0})),
        (&["agentConcurrency"], json!({"agentConcurrency": 1025})),
        (&["metrics", "port"], json!({"metrics": {"port": 80}})),
        (&["settle"], json!({"settle": "2"})),
        (&["resync"], json!({"resync": "often"})),
        (
            &["leaderElection", "leaseDuration"],
            json!({"leaderElection": {"leaseDuration": "1500ms"}}),
        ),
        (
            &["leaderElection", "leaseName"],
            json!({"leaderElection": {"leaseName": "Windlass"}}),
        ),
        (&["namespaces"], json!({"namespaces": ["Shop"]})),
        (&["image", "digest"], json!({"image": {"digest": "sha256:abc"}})),
        (&["image", "tag"], json!({"image": {"tag": "a b"}})),
        (&["sources"], json!({"sources": []})),
        (
            &["terminationGracePeriodSeconds"],
            json!({"terminationGracePeriodSeconds": 5}),
        ),
        (
            &["notifications", "teams", "url"],
            json!({"notifications": {"teams": {"url": "example.org"}}}),
        ),
        (
            &["notifications", "teams", "secret"],
            json!({"notifications": {"teams": {"secret": {"name": "a"}}}}),
        ),
        (
            &["customKinds", "path"],
            json!({"customKinds": [{"group": "a.b", "version": "v1", "kind": "A", "resource": "as", "path": "spec.template"}]}),
        ),
        (
            &["networkPolicy", "apiServerCidrs"],
            json!({"networkPolicy": {"apiServerCidrs": ["kubernetes"]}}),
        ),
        (&["fullnameOverride"], json!({"fullnameOverride": "A_b"})),
    ]
}

#[test]
fn a_wrong_value_is_refused_by_its_name() {
    for (names, values) in wrong() {
        let complaint = template("windlass", "windlass-system", &values).expect_err(&format!("{values} is taken"));
        assert!(complaint.contains("schema"), "{values}: {complaint}");
        for name in names {
            assert!(
                complaint.contains(name),
                "{values} is refused without {name}: {complaint}"
            );
        }
    }
}

/// Groups of values of which a part may be left out: values of another chart, and the pod's `resources`, where
/// that takes away what the chart has set.
const WITH_PARTS: &[&str] = &["reloader", "resources"];

/// The chart's own values with everything in one group left blank, for each group, and the names in it.
fn blanks(own: &Map<String, Value>, schema: &Value) -> Vec<(Vec<String>, Value)> {
    let names: Vec<String> = own.keys().cloned().collect();
    let blank = names.iter().map(|name| (name.clone(), Value::Null)).collect();
    let mut all = vec![(names, Value::Object(blank))];
    for (name, value) in own {
        let schema = &schema["properties"][name];
        let Some(inner) = value.as_object().filter(|_| schema["properties"].is_object()) else {
            continue;
        };
        if !WITH_PARTS.contains(&name.as_str()) {
            let inner = blanks(inner, schema).into_iter();
            all.extend(inner.map(|(names, values)| (names, json!({name: values}))));
        }
    }
    all
}

/// Helm takes a blank value for one that is to be taken away, and a template would take it for 0 or false.
#[test]
fn a_value_that_is_left_blank_is_refused_by_its_name() {
    let read = |name: &str| fs::read_to_string(chart().join(name)).expect("a file of the chart");
    let own: Map<String, Value> = serde_saphyr::from_str(&read("values.yaml")).expect("the chart's own values");
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("its schema");
    let blanks = blanks(&own, &schema);
    assert!(blanks.len() > 15, "only {} groups of values", blanks.len());
    for (names, values) in blanks {
        let complaint = template("windlass", "windlass-system", &values).expect_err(&format!("{values} is taken"));
        for name in names {
            assert!(
                complaint.contains(&format!("'{name}'")),
                "{values} is refused without {name}: {complaint}"
            );
        }
    }
}

#[test]
fn the_values_of_the_chart_itself_are_taken() {
    template("windlass", "windlass-system", &json!({})).expect("its own values");
}
