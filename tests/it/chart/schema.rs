//! Values that cannot be: refused, by name.

use serde_json::{Value, json};

use super::helm::template;

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
        (&["compat", "reloader"], json!({"compat": ["stakater"]})),
        (
            &["image", "pullPolicy", "IfNotPresent"],
            json!({"image": {"pullPolicy": "Sometimes"}}),
        ),
        (&["log", "format", "json"], json!({"log": {"format": "xml"}})),
        (&["podAntiAffinity", "preferred"], json!({"podAntiAffinity": "soft"})),
        (
            &["notifications", "about", "Restarted"],
            json!({"notifications": {"about": ["Nothing"]}}),
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
        (&["admin", "port"], json!({"admin": {"port": 80}})),
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

#[test]
fn the_values_of_the_chart_itself_are_taken() {
    template("windlass", "windlass-system", &json!({})).expect("its own values");
}
