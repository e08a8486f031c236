use serde_json::json;

use super::*;
use crate::annotation::{CAUSE, CONFIG_DIGEST, reloader, wave};

fn count(template: &Value) -> Fingerprint {
    Fingerprint::of(template, MarkHandling::Count)
}

fn leave_out(template: &Value) -> Fingerprint {
    Fingerprint::of(template, MarkHandling::LeftOut(NamedSources::any()))
}

const ONE: &str = "0123456789abcdef0123456789abcdef01234567";
const TWO: &str = "1123456789abcdef0123456789abcdef01234567";

/// A pod template of one container with this environment.
fn with_env(env: Value) -> Value {
    json!({ "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "web", "env": env }] } })
}

fn annotated(annotations: Value) -> Value {
    json!({ "metadata": { "labels": { "app": "web" }, "annotations": annotations }, "spec": {} })
}

fn plain() -> Value {
    json!({ "metadata": { "labels": { "app": "web" } }, "spec": {} })
}

#[test]
fn any_two_templates_are_told_apart() {
    let all = [
        json!(null),
        json!({}),
        json!([]),
        json!([[]]),
        json!([[], []]),
        json!([[[]]]),
        json!({ "a": { "b": 1 } }),
        json!({ "a": {}, "b": 1 }),
        json!({ "a": "b" }),
        json!({ "ab": "" }),
        json!({ "a": ["b", "c"] }),
        json!({ "a": ["c", "b"] }),
        json!({ "a": ["bc"] }),
        json!({ "a": ["bsc"] }),
        json!({ "a": 1 }),
        json!({ "a": "1" }),
        json!({ "a": 10 }),
        json!({ "a": true }),
        json!({ "a": false }),
        json!({ "a": null }),
        json!({ "a": "" }),
        json!({ "a": {} }),
        json!({ "a": [] }),
        json!({ "a": "}" }),
        json!({ "a": [null, null] }),
        json!({ "a": ["0", null] }),
    ];
    for (at, one) in all.iter().enumerate() {
        for (other_at, other) in all.iter().enumerate() {
            for marks in [MarkHandling::Count, MarkHandling::LeftOut(NamedSources::any())] {
                let same = Fingerprint::of(one, marks) == Fingerprint::of(other, marks);
                assert_eq!(same, at == other_at, "{one} and {other}");
            }
        }
    }
}

#[test]
fn the_order_of_fields_does_not_matter() {
    let parse = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
    let one = parse(r#"{"metadata":{"labels":{"a":"1","b":"2"}},"spec":{"x":1,"y":[{"p":1,"q":2}]}}"#);
    let other = parse(r#"{"spec":{"y":[{"q":2,"p":1}],"x":1},"metadata":{"labels":{"b":"2","a":"1"}}}"#);
    assert_eq!(count(&one), count(&other));
    assert_eq!(leave_out(&one), leave_out(&other));
}

#[test]
fn our_own_annotations_do_not_count() {
    for fingerprint in [count as fn(&Value) -> Fingerprint, leave_out] {
        let bare = fingerprint(&plain());
        assert_eq!(fingerprint(&annotated(json!({}))), bare);
        assert_eq!(
            fingerprint(&annotated(json!({ (CONFIG_DIGEST): "k1:abc", (CAUSE): "x" }))),
            bare
        );
        let others = fingerprint(&annotated(json!({ "note": "x" })));
        assert_ne!(others, bare);
        assert_eq!(
            fingerprint(&annotated(json!({ "note": "x", (CONFIG_DIGEST): "k1:abc" }))),
            others
        );
        assert_ne!(
            fingerprint(&annotated(json!({ "note": "y", (CONFIG_DIGEST): "k1:abc" }))),
            others
        );
        assert_ne!(fingerprint(&annotated(json!({ "windlass.devious/note": "x" }))), bare);
    }
}

/// Found by this test: where a custom resource's template has no metadata, a restart of ours looked
/// like somebody else's change.
#[test]
fn metadata_with_nothing_but_our_annotations_is_none() {
    let ours = json!({ "metadata": { "annotations": { (CONFIG_DIGEST): "k1:abc" } }, "spec": {} });
    for fingerprint in [count as fn(&Value) -> Fingerprint, leave_out] {
        let bare = fingerprint(&json!({ "spec": {} }));
        assert_eq!(fingerprint(&ours), bare);
        assert_eq!(fingerprint(&json!({ "metadata": {}, "spec": {} })), bare);
        assert_eq!(fingerprint(&json!({ "metadata": null, "spec": {} })), bare);
        assert_ne!(fingerprint(&plain()), bare);
    }
}

#[test]
fn our_prefix_means_something_only_among_the_templates_annotations() {
    let elsewhere =
        json!({ "metadata": { "labels": { (CONFIG_DIGEST): "x" } }, "spec": { "annotations": { (CAUSE): "x" } } });
    let other =
        json!({ "metadata": { "labels": { (CONFIG_DIGEST): "y" } }, "spec": { "annotations": { (CAUSE): "x" } } });
    let third =
        json!({ "metadata": { "labels": { (CONFIG_DIGEST): "x" } }, "spec": { "annotations": { (CAUSE): "y" } } });
    assert_ne!(leave_out(&elsewhere), leave_out(&other));
    assert_ne!(leave_out(&elsewhere), leave_out(&third));
}

#[test]
fn marks_count_as_anything_else_or_are_left_out() {
    let table = [
        (
            "Reloader's annotation",
            plain(),
            annotated(json!({ (reloader::LAST_RELOADED_FROM): "{}" })),
        ),
        (
            "Wave's annotation",
            plain(),
            annotated(json!({ (wave::CONFIG_HASH): "5f9c" })),
        ),
        (
            "a mark's value",
            annotated(json!({ "note": "x", (wave::CONFIG_HASH): "1" })),
            annotated(json!({ "note": "x", (wave::CONFIG_HASH): "2" })),
        ),
        (
            "Reloader's variable",
            with_env(json!([{ "name": "LEVEL", "value": "info" }])),
            with_env(json!([{ "name": "LEVEL", "value": "info" }, { "name": "STAKATER_WEB_CONFIGMAP", "value": ONE }])),
        ),
        (
            "a variable's value",
            with_env(json!([{ "name": "STAKATER_WEB_SECRET", "value": ONE }, { "name": "LEVEL", "value": "info" }])),
            with_env(json!([{ "name": "STAKATER_WEB_SECRET", "value": TWO }, { "name": "LEVEL", "value": "info" }])),
        ),
        (
            "an environment of nothing but marks, and none",
            json!({ "spec": { "containers": [{ "name": "web" }], "initContainers": [{ "name": "migrate" }] } }),
            json!({ "spec": {
                "containers": [{ "name": "web", "env": [{ "name": "STAKATER_WEB_CONFIGMAP", "value": ONE }] }],
                "initContainers": [{ "name": "migrate", "env": [{ "name": "STAKATER_WEB_CONFIGMAP", "value": ONE }] }],
            } }),
        ),
        (
            "Wave's scheduler",
            json!({ "spec": { "schedulerName": "default-scheduler" } }),
            json!({ "spec": { "schedulerName": wave::NO_SCHEDULER } }),
        ),
    ];
    for (sentence, one, other) in table {
        assert_ne!(count(&one), count(&other), "{sentence}");
        assert_eq!(leave_out(&one), leave_out(&other), "{sentence}");
    }
}

#[test]
fn what_is_no_mark_is_never_left_out() {
    let level = |value: &str| {
        with_env(json!([{ "name": "STAKATER_WEB_SECRET", "value": ONE }, { "name": "LEVEL", "value": value }]))
    };
    let table = [
        ("another variable", level("info"), level("debug")),
        (
            "a variable of nearly such a name",
            with_env(json!([{ "name": "STAKATER_WEB", "value": "1" }])),
            with_env(json!([{ "name": "STAKATER_WEB", "value": "2" }])),
        ),
        (
            "a variable that the application has from elsewhere",
            with_env(
                json!([{ "name": "STAKATER_WEB_SECRET", "valueFrom": { "secretKeyRef": { "name": "web", "key": "a" } } }]),
            ),
            with_env(json!([])),
        ),
        (
            "a variable with a value that Reloader does not write",
            with_env(json!([{ "name": "STAKATER_WEB_SECRET", "value": "1" }])),
            with_env(json!([{ "name": "STAKATER_WEB_SECRET", "value": "2" }])),
        ),
        ("another annotation", annotated(json!({ "note": "x" })), plain()),
        (
            "what people ask Reloader for",
            annotated(json!({ (reloader::AUTO): "true" })),
            annotated(json!({ (reloader::AUTO): "false" })),
        ),
        (
            "a mark's name where no mark stands",
            json!({ "metadata": { "labels": { (wave::CONFIG_HASH): "1" } } }),
            json!({ "metadata": { "labels": { (wave::CONFIG_HASH): "2" } } }),
        ),
        (
            "the order of variables",
            with_env(json!([{ "name": "A" }, { "name": "B" }])),
            with_env(json!([{ "name": "B" }, { "name": "A" }])),
        ),
    ];
    for (sentence, one, other) in table {
        assert_ne!(leave_out(&one), leave_out(&other), "{sentence}");
    }
}
