use serde_json::{Value, json};
use windlass_core::workload::kind::{DEPLOYMENT, RolloutProgress};
use windlass_core::workload::opt_in::AnnotationOptions;
use windlass_core::workload::{Source, Workload};

use super::*;

fn source(value: &Value) -> Source {
    serde_json::from_str::<WatchedConfigMap>(&value.to_string())
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
        decoded.contents.iter().map(|(key, _)| key).collect::<Vec<_>>(),
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
        json!({ "metadata": { "labels": null, "ownerReferences": null } }),
        json!({ "metadata": { "labels": { "a": null }, "ownerReferences": [null, { "kind": 7, "controller": null }, "x"] } }),
        json!({ "metadata": { "labels": "x", "ownerReferences": "x", "annotations": { "windlass.dev/ignore": 7 } } }),
    ] {
        source(&odd);
        let _ = serde_json::from_value::<WatchedWorkload>(odd)
            .expect("it decodes")
            .workload(DEPLOYMENT, AnnotationOptions::default());
    }
}

#[test]
fn the_last_write_of_content_is_the_latest_of_those_who_own_some() {
    let decoded = source(&json!({ "metadata": { "name": "web", "managedFields": [
        { "manager": "a", "time": "2026-11-21T10:00:00Z", "fieldsV1": { "f:data": { "f:k": {} } } },
        { "manager": "b", "time": "2026-11-21T10:00:05Z", "fieldsV1": { "f:binaryData": {} } },
        { "manager": "c", "time": "2026-11-21T11:00:00Z", "fieldsV1": { "f:metadata": { "f:data": {} } } },
    ] } }));
    assert_eq!(decoded.written.at(), Second::parse("2026-11-21T10:00:05Z"));
    let of_metadata = Second::parse("2026-11-21T11:00:00Z").expect("a time");
    assert!(decoded.written.touched_since(of_metadata));
}

#[test]
fn only_the_exact_word_makes_a_source_ignored() {
    for (value, ignored) in [("true", true), ("True", false), ("yes", false), ("", false)] {
        let mut meta = meta();
        meta["annotations"] = json!({ "windlass.dev/ignore": value });
        assert_eq!(
            source(&json!({ "metadata": meta })).is_ignored(false),
            ignored,
            "{value}"
        );
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
        .workload(DEPLOYMENT, AnnotationOptions::default())
}

#[test]
fn a_deployment_becomes_what_the_rules_need() {
    let complete = json!({ "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 });
    let decoded = deployment(&json!({ "windlass.dev/config-digest": "k.d" }), &complete);
    assert_eq!(decoded.rollout_status.revision, Some(4));
    assert_eq!(decoded.rollout_status.progress, RolloutProgress::Complete);
    assert_eq!(decoded.template_digest.as_deref(), Some("k.d"));
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
            RolloutProgress::Progressing,
        ),
        (
            "an old pod is left",
            json!({ "observedGeneration": 3, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3 }),
            RolloutProgress::Progressing,
        ),
        (
            "a new pod is missing",
            json!({ "observedGeneration": 3, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2 }),
            RolloutProgress::Progressing,
        ),
        (
            "a new pod is not ready",
            json!({ "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1 }),
            RolloutProgress::Progressing,
        ),
        (
            "unready later",
            json!({ "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1, "conditions": condition("NewReplicaSetAvailable") }),
            RolloutProgress::Complete,
        ),
        (
            "given up",
            json!({ "observedGeneration": 3, "replicas": 3, "updatedReplicas": 1, "conditions": condition("ProgressDeadlineExceeded") }),
            RolloutProgress::Failed,
        ),
    ];
    for (name, status, expected) in table {
        assert_eq!(
            deployment(&Value::Null, &status).rollout_status.progress,
            expected,
            "{name}"
        );
    }
}

#[test]
fn a_value_never_appears_when_it_is_printed() {
    let decoded = source(&json!({ "metadata": meta(), "data": { "k": "swordfish" } }));
    assert!(!format!("{decoded:?}").contains("swordfish"));
}

#[test]
fn a_secret_is_watched_without_its_content_even_if_it_is_sent() {
    let object = json!({ "metadata": meta(), "data": { "password": "c3dvcmRmaXNo" } });
    let watched = serde_json::from_str::<WatchedSecret>(&object.to_string()).expect("it decodes");
    assert_eq!(watched.source.reference.kind, SourceKind::Secret);
    assert_eq!(watched.source.contents.iter().len(), 0);
}

#[test]
fn a_secret_that_is_read_becomes_digests_of_what_it_stands_for() {
    let secret = json!({ "metadata": meta(), "data": { "password": "c3dvcmRmaXNo" } });
    let ReadSecret(read) = serde_json::from_str(&secret.to_string()).expect("it decodes");
    let plain = source(&json!({ "metadata": meta(), "data": { "password": "swordfish" } }));
    assert_eq!(read.contents.get("password"), plain.contents.get("password"));
    assert!(!format!("{read:?}").contains("swordfish"));
}

#[test]
fn an_error_while_decoding_a_secret_does_not_repeat_it() {
    let secret = json!({ "metadata": { "name": 7 }, "data": { "password": "c3dvcmRmaXNo" } });
    let error = serde_json::from_str::<ReadSecret>(&secret.to_string()).expect_err("a name is no number");
    assert!(!error.to_string().contains("c3dvcmRmaXNo"), "{error}");
    let values = json!({ "metadata": meta(), "data": { "password": ["c3dvcmRmaXNo"] } });
    let error = serde_json::from_str::<ReadSecret>(&values.to_string()).expect_err("a value is no list");
    assert!(!error.to_string().contains("c3dvcmRmaXNo"), "{error}");
}

#[test]
fn marks_and_consent_are_read_off_a_source() {
    let mut meta = meta();
    meta["annotations"] = json!({
        "reloader.stakater.com/match": "true",
        "reloader.stakater.com/ignore": "true",
        "windlass.dev/allow-from": "a, b,,",
    });
    let decoded = source(&json!({ "metadata": meta }));
    assert!(decoded.is_matched() && decoded.is_ignored(true) && !decoded.is_ignored(false));
    let allows = |name| decoded.allows(&Namespace::from(name));
    assert!(allows("a") && allows("b") && !allows(""));
}

#[test]
fn a_source_that_allows_thousands_allows_none() {
    let mut meta = meta();
    meta["annotations"] = json!({ "windlass.dev/allow-from": "a,".repeat(100_000) });
    let decoded = source(&json!({ "metadata": meta }));
    assert_eq!(decoded.annotations, None);
}

#[test]
fn what_is_too_long_to_be_ours_is_not_kept() {
    let read = |bytes: usize| {
        let long = "x".repeat(bytes);
        let mut meta = meta();
        meta["annotations"] = json!({ "windlass.dev/enabled": "true", "windlass.dev/observed": long });
        meta["ownerReferences"] = json!([{ "kind": "App", "name": long, "controller": true }]);
        let template = json!({ "metadata": { "annotations": { "windlass.dev/config-digest": long } } });
        let object = json!({ "metadata": meta, "spec": { "template": template } });
        let workload = serde_json::from_str::<WatchedWorkload>(&object.to_string())
            .expect("it decodes")
            .workload(DEPLOYMENT, AnnotationOptions::default());
        let length = |text: Option<&str>| text.map(str::len);
        let owner = length(workload.owner());
        (
            length(workload.observed.as_deref()),
            length(workload.template_digest.as_deref()),
            owner,
        )
    };
    assert_eq!(read(128), (Some(128), Some(128), Some(132)));
    assert_eq!(read(4096), (Some(4096), None, Some(320)));
    // There is one, and it cannot be read.
    assert_eq!(read(4097), (Some(0), None, Some(320)));
}

/// What the API server keeps and `serde_json` refuses, each as a value in a JSON text.
fn refused() -> [String; 4] {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(1000), close.repeat(1000));
    [
        deep("[", "]"),
        deep(r#"{"a":"#, "}"),
        deep(r#"[{"a":"#, "}]"),
        r#"{"$serde_json::private::RawValue":"{"}"#.to_owned(),
    ]
}

/// A Deployment that uses one `ConfigMap`, with that value in a field and in its template.
fn with(odd: &str, name: &str) -> String {
    let template = format!(
        r#"{{"odd":{odd},"spec":{{"odd":{odd},"containers":[{{"envFrom":[{{"configMapRef":{{"name":"web"}}}}]}}]}}}}"#
    );
    let meta = format!(r#"{{"name":"{name}","namespace":"shop","uid":"u","resourceVersion":"7"}}"#);
    format!(r#"{{"odd":{odd},"spec":{{"template":{template}}},"metadata":{meta},"status":{{"odd":{odd}}}}}"#)
}

#[test]
fn one_odd_object_does_not_end_a_list_or_a_watch() {
    for odd in refused() {
        serde_json::from_str::<Value>(&odd).expect_err("else this test shows nothing");
        let list = format!(
            r#"{{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{{}},"items":[{},{}]}}"#,
            with(&odd, "odd"),
            with("1", "plain"),
        );
        let list: kube::core::ObjectList<WatchedWorkload> = serde_json::from_str(&list).expect("a list");
        let event = format!(r#"{{"type":"MODIFIED","object":{}}}"#, with(&odd, "odd"));
        let event: kube::core::WatchEvent<WatchedWorkload> = serde_json::from_str(&event).expect("an event");
        let kube::core::WatchEvent::Modified(object) = event else {
            panic!("it is a change")
        };
        let names: Vec<_> = list.items.iter().map(|it| it.reference(DEPLOYMENT).name).collect();
        assert_eq!(names, ["odd", "plain"].map(Name::from));
        for object in list.items.iter().chain([&object]) {
            let uses = object.workload(DEPLOYMENT, AnnotationOptions::default()).uses;
            assert_eq!(uses.len(), 1, "all that is known is read");
        }
    }
}

#[test]
fn a_change_of_what_is_too_deep_to_be_read_is_seen() {
    let deep = |innermost: u8| format!("{}{innermost}{}", "[".repeat(200), "]".repeat(200));
    let print = |odd: &str| {
        let object: WatchedWorkload = serde_json::from_str(&with(odd, "web")).expect("it decodes");
        object.workload(DEPLOYMENT, AnnotationOptions::default()).fingerprint
    };
    assert_eq!(print(&deep(1)), print(&deep(1)));
    assert_ne!(print(&deep(1)), print(&deep(2)));
}

#[test]
fn what_is_read_is_what_is_there() {
    let value = json!({
        "a": [null, true, -3, 18_446_744_073_709_551_615_u64, 1.5, "text \u{1F600}\n\"", {}, []],
        "b": { "c": { "d": [[{ "e": "f" }]] } },
    });
    for text in [value.to_string(), format!("{value:#}")] {
        let Json(read) = serde_json::from_str(&text).expect("it decodes");
        assert_eq!(read, value);
    }
}

fn rollout(spec: &Value) -> Role {
    let object = json!({
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "r", "resourceVersion": "9", "generation": 2,
            "annotations": { "windlass.dev/enabled": "true", "rollout.argoproj.io/revision": "4" },
        },
        "spec": spec,
        "status": { "phase": "Healthy", "observedGeneration": "2" },
    });
    let kind = KindId::named("Rollout").expect("it is built in");
    serde_json::from_str::<WatchedWorkload>(&object.to_string())
        .expect("it decodes")
        .role(kind, AnnotationOptions::default())
}

#[test]
fn a_rollout_with_a_workload_ref_runs_the_template_of_another() {
    let named = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "template" });
    let Role::Delegation(delegation) = rollout(&json!({ "workloadRef": named })) else {
        panic!("it has no template of its own")
    };
    assert_eq!(delegation.target.kind, DEPLOYMENT);
    assert_eq!(delegation.target.namespace.as_str(), "shop");
    assert_eq!(delegation.target.name.as_str(), "template");
    assert_eq!(delegation.rollout_status.revision, Some(4));
    assert_eq!(delegation.rollout_status.progress, RolloutProgress::Complete);
}

#[test]
fn a_rollout_without_one_or_with_one_of_an_unknown_kind_is_a_workload() {
    let unknown = json!({ "apiVersion": "v1", "kind": "PodTemplate", "name": "template" });
    for spec in [json!({ "template": {} }), json!({ "workloadRef": unknown })] {
        assert!(matches!(rollout(&spec), Role::Workload(_)), "{spec}");
    }
}

#[test]
fn the_template_may_be_anywhere() {
    let fields = ["job", "pod"].map(str::to_owned);
    let kind = KindId::described("example.org", "v1", "Thing", "things", &fields);
    let object = json!({
        "metadata": meta(),
        "job": { "pod": { "spec": { "containers": [{ "envFrom": [{ "secretRef": { "name": "web" } }] }] } } },
    });
    let workload = serde_json::from_str::<WatchedWorkload>(&object.to_string())
        .expect("it decodes")
        .workload(kind, AnnotationOptions::default());
    assert_eq!(workload.uses.len(), 1);
}

#[test]
fn whoever_was_left_paused_counts_until_it_is_resumed() {
    let object = |paused: bool| {
        let mut meta = meta();
        meta["annotations"] = json!({ "deployment.reloader.stakater.com/paused-at": "2026-01-31T10:00:00Z" });
        json!({ "metadata": meta, "spec": { "paused": paused, "template": {} } })
    };
    let reading = |reloader| AnnotationOptions {
        compat: windlass_core::compat::Compat {
            reloader,
            ..Default::default()
        },
        cross_namespace: false,
    };
    let asked = |paused, reloader| {
        serde_json::from_str::<WatchedWorkload>(&object(paused).to_string())
            .expect("it decodes")
            .workload(DEPLOYMENT, reading(reloader))
            .opt_in
    };
    assert!(matches!(asked(true, true), Ok(Some(_))));
    assert!(matches!(asked(false, true), Ok(None)), "it runs");
    assert!(matches!(asked(true, false), Ok(None)), "nobody stands in for Reloader");
}
