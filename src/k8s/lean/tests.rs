use serde_json::json;

use super::*;
use crate::core::kind::DEPLOYMENT;
use crate::core::kind::Progress;

fn source(value: &Value) -> Source {
    serde_json::from_str::<WatchedSource>(&value.to_string())
        .expect("it decodes")
        .source
}

fn meta() -> Value {
    json!({ "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7" })
}

#[test]
fn a_config_map_becomes_digests() {
    let decoded = source(&json!({ "metadata": meta(), "data": { "b": "2", "a": "1" }, "immutable": true }));
    assert_eq!(decoded.reference.to_string(), "ConfigMap web");
    assert_eq!(decoded.version, Version::new(7));
    assert_eq!(
        decoded.contents.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[test]
fn data_and_binary_data_are_one_key_space() {
    let text = source(&json!({ "metadata": meta(), "data": { "k": "hello" } }));
    let binary = source(&json!({ "metadata": meta(), "binaryData": { "k": "aGVsbG8=" } }));
    assert_eq!(text.contents, binary.contents);
    let other = source(&json!({ "metadata": meta(), "data": { "k": "aGVsbG8=" } }));
    assert_ne!(text.contents, other.contents);
}

#[test]
fn what_is_odd_is_decoded_all_the_same() {
    for odd in [
        json!({ "metadata": {} }),
        json!({ "metadata": meta(), "data": null, "binaryData": null }),
        json!({ "metadata": meta(), "data": { "a": null }, "binaryData": { "b": "not base64!" } }),
        json!({ "metadata": { "name": "web", "annotations": null, "managedFields": null }, "data": { "a": "\u{1F600}\n" } }),
        json!({ "metadata": { "managedFields": [{ "time": "yesterday", "fieldsV1": { "f:data": {} } }, {}] } }),
    ] {
        source(&odd);
    }
}

#[test]
fn the_last_write_of_content_is_the_latest_of_those_who_own_some() {
    let decoded = source(&json!({ "metadata": { "name": "web", "managedFields": [
        { "manager": "a", "time": "2026-11-21T10:00:00Z", "fieldsV1": { "f:data": { "f:k": {} } } },
        { "manager": "b", "time": "2026-11-21T10:00:05Z", "fieldsV1": { "f:binaryData": {} } },
        { "manager": "c", "time": "2026-11-21T11:00:00Z", "fieldsV1": { "f:metadata": { "f:data": {} } } },
    ] } }));
    assert_eq!(decoded.changed_at, Second::parse("2026-11-21T10:00:05Z"));
}

#[test]
fn only_the_exact_word_makes_a_source_ignored() {
    for (value, ignored) in [("true", true), ("True", false), ("yes", false), ("", false)] {
        let mut meta = meta();
        meta["annotations"] = json!({ "windlass.dev/ignore": value });
        assert_eq!(source(&json!({ "metadata": meta })).ignored, ignored, "{value}");
    }
}

fn deployment(template_annotations: &Value, status: &Value) -> Workload {
    let object = json!({
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "9", "generation": 3,
            "annotations": {
                "windlass.dev/enabled": "true",
                "deployment.kubernetes.io/revision": "4",
                "big": "x".repeat(100_000),
            },
        },
        "spec": {
            "replicas": 2,
            "template": {
                "metadata": { "annotations": template_annotations, "labels": { "app": "web" } },
                "spec": { "containers": [{ "envFrom": [{ "configMapRef": { "name": "web" } }] }] },
            },
        },
        "status": status,
    });
    serde_json::from_str::<WatchedWorkload>(&object.to_string())
        .expect("it decodes")
        .workload(DEPLOYMENT)
}

#[test]
fn a_deployment_becomes_what_the_rules_need() {
    let complete = json!({ "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 });
    let decoded = deployment(&json!({ "windlass.dev/config-digest": "k.d" }), &complete);
    assert_eq!(decoded.evidence.revision, Some(4));
    assert_eq!(decoded.evidence.progress, Progress::Complete);
    assert_eq!(decoded.witness.as_deref(), Some("k.d"));
    assert_eq!(decoded.uses.len(), 1);
    assert!(matches!(decoded.opt_in, Ok(Some(_))));
}

#[test]
fn our_own_marks_do_not_change_the_fingerprint_and_others_do() {
    let none = deployment(&Value::Null, &Value::Null).fingerprint;
    assert_eq!(deployment(&json!({}), &Value::Null).fingerprint, none);
    assert_eq!(
        deployment(&json!({ "windlass.dev/cause": "x" }), &Value::Null).fingerprint,
        none
    );
    assert_ne!(
        deployment(&json!({ "kubectl.kubernetes.io/restartedAt": "x" }), &Value::Null).fingerprint,
        none
    );
}

#[test]
fn the_progress_of_a_deployment_is_read_as_kubectl_reads_it() {
    let condition = |reason: &str| json!([{ "type": "Progressing", "reason": reason }]);
    let table = [
        (
            "not seen yet",
            json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 }),
            Progress::Progressing,
        ),
        (
            "an old pod is left",
            json!({ "observedGeneration": 3, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3 }),
            Progress::Progressing,
        ),
        (
            "a new pod is missing",
            json!({ "observedGeneration": 3, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2 }),
            Progress::Progressing,
        ),
        (
            "a new pod is not ready",
            json!({ "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1 }),
            Progress::Progressing,
        ),
        (
            "unready later",
            json!({ "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1, "conditions": condition("NewReplicaSetAvailable") }),
            Progress::Complete,
        ),
        (
            "given up",
            json!({ "observedGeneration": 3, "replicas": 3, "updatedReplicas": 1, "conditions": condition("ProgressDeadlineExceeded") }),
            Progress::Failed,
        ),
    ];
    for (name, status, expected) in table {
        assert_eq!(deployment(&Value::Null, &status).evidence.progress, expected, "{name}");
    }
}

#[test]
fn a_value_never_appears_when_it_is_printed() {
    let decoded = source(&json!({ "metadata": meta(), "data": { "k": "swordfish" } }));
    assert!(!format!("{decoded:?}").contains("swordfish"));
}
