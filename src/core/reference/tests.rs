use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The uses of a pod spec, each as a line: `ConfigMap web keys=a,b required=a object`.
fn uses(spec: &Value) -> Vec<String> {
    discover(&json!({ "spec": spec }))
        .iter()
        .map(|found| {
            let keys = match &found.consumed {
                Consumed::Whole => "*".to_owned(),
                Consumed::Keys(keys) => join(keys),
            };
            let channels: Vec<&str> = [
                (Channel::Env, "Env"),
                (Channel::Mount, "Mount"),
                (Channel::SubPath, "SubPath"),
                (Channel::Init, "Init"),
            ]
            .iter()
            .filter(|(channel, _)| found.channels.contains(*channel))
            .map(|(_, word)| *word)
            .collect();
            let required = if found.required { " required" } else { "" };
            let needs = if found.required_keys.is_empty() {
                String::new()
            } else {
                format!(" needs={}", join(&found.required_keys))
            };
            format!(
                "{} {} keys={keys} {}{required}{needs}",
                found.kind.word(),
                found.name,
                channels.join("+")
            )
        })
        .collect()
}

fn join(keys: &[Key]) -> String {
    keys.iter().map(Key::as_str).collect::<Vec<_>>().join(",")
}

fn with(container: Value) -> Value {
    json!({ "containers": [container] })
}

#[test]
#[allow(clippy::too_many_lines)] // A table.
fn each_way_of_using_a_source() {
    let volume =
        |source: Value, mount: Value| json!({ "containers": [{ "volumeMounts": [mount] }], "volumes": [source] });
    let table: Vec<(&str, Value, &[&str])> = vec![
        (
            "an env variable uses one key",
            with(
                json!({ "env": [{ "name": "A", "valueFrom": { "configMapKeyRef": { "name": "web", "key": "a" } } }] }),
            ),
            &["ConfigMap web keys=a Env required needs=a"],
        ),
        (
            "an optional env variable needs nothing",
            with(
                json!({ "env": [{ "valueFrom": { "configMapKeyRef": { "name": "web", "key": "a", "optional": true } } }] }),
            ),
            &["ConfigMap web keys=a Env"],
        ),
        (
            "envFrom uses all keys, whatever the prefix",
            with(json!({ "envFrom": [{ "prefix": "P_", "configMapRef": { "name": "web" } }] })),
            &["ConfigMap web keys=* Env required"],
        ),
        (
            "a Secret is a Secret",
            with(json!({ "envFrom": [{ "secretRef": { "name": "web", "optional": true } }] })),
            &["Secret web keys=* Env"],
        ),
        (
            "a mounted volume uses all keys",
            volume(
                json!({ "name": "v", "configMap": { "name": "web" } }),
                json!({ "name": "v", "mountPath": "/x" }),
            ),
            &["ConfigMap web keys=* Mount required"],
        ),
        (
            "items narrow it, and each is needed",
            volume(
                json!({ "name": "v", "configMap": { "name": "web", "items": [{ "key": "b", "path": "b" }, { "key": "a", "path": "x/a" }] } }),
                json!({ "name": "v" }),
            ),
            &["ConfigMap web keys=a,b Mount required needs=a,b"],
        ),
        (
            "a volume that no container mounts does not count",
            volume(
                json!({ "name": "v", "configMap": { "name": "web" } }),
                json!({ "name": "other" }),
            ),
            &[],
        ),
        (
            "subPath shows one file",
            volume(
                json!({ "name": "v", "configMap": { "name": "web" } }),
                json!({ "name": "v", "subPath": "app.conf" }),
            ),
            &["ConfigMap web keys=app.conf SubPath required"],
        ),
        (
            "subPath shows a folder of items, all of which are needed",
            volume(
                json!({ "name": "v", "configMap": { "name": "web", "items": [{ "key": "a", "path": "d/a" }, { "key": "b", "path": "dd/b" }] } }),
                json!({ "name": "v", "subPath": "d" }),
            ),
            &["ConfigMap web keys=a SubPath required needs=a,b"],
        ),
        (
            "subPathExpr may show anything",
            volume(
                json!({ "name": "v", "configMap": { "name": "web" } }),
                json!({ "name": "v", "subPathExpr": "$(POD)" }),
            ),
            &["ConfigMap web keys=* SubPath required"],
        ),
        (
            "a projected volume uses each of its sources",
            volume(
                json!({ "name": "v", "projected": { "sources": [
                    { "configMap": { "name": "web", "items": [{ "key": "a", "path": "a" }] } },
                    { "secret": { "name": "tls", "optional": true } },
                    { "serviceAccountToken": { "path": "token" } },
                ] } }),
                json!({ "name": "v" }),
            ),
            &["ConfigMap web keys=a Mount required needs=a", "Secret tls keys=* Mount"],
        ),
        (
            "a secret volume names its source otherwise",
            volume(
                json!({ "name": "v", "secret": { "secretName": "tls" } }),
                json!({ "name": "v" }),
            ),
            &["Secret tls keys=* Mount required"],
        ),
        (
            "an init container reads once",
            json!({ "initContainers": [{ "envFrom": [{ "configMapRef": { "name": "web" } }] }] }),
            &["ConfigMap web keys=* Init required"],
        ),
        (
            "a native sidecar goes on running",
            json!({ "initContainers": [{ "restartPolicy": "Always", "envFrom": [{ "configMapRef": { "name": "web" } }] }] }),
            &["ConfigMap web keys=* Env required"],
        ),
        (
            "several uses of one source are one",
            json!({
                "containers": [
                    { "env": [{ "valueFrom": { "configMapKeyRef": { "name": "web", "key": "b" } } }] },
                    { "env": [{ "valueFrom": { "configMapKeyRef": { "name": "web", "key": "a", "optional": true } } }],
                      "volumeMounts": [{ "name": "v" }] },
                ],
                "volumes": [{ "name": "v", "configMap": { "name": "web", "items": [{ "key": "c", "path": "c" }] } }],
            }),
            &["ConfigMap web keys=a,b,c Env+Mount required needs=b,c"],
        ),
        (
            "a pull secret does not count",
            json!({ "imagePullSecrets": [{ "name": "registry" }], "containers": [] }),
            &[],
        ),
        (
            "a reference without a name is none",
            with(json!({ "envFrom": [{ "configMapRef": {} }] })),
            &[],
        ),
    ];
    for (name, spec, expected) in table {
        assert_eq!(uses(&spec), expected, "{name}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "spec",
        "containers",
        "initContainers",
        "volumes",
        "env",
        "envFrom",
        "valueFrom",
        "configMapKeyRef",
        "configMapRef",
        "name",
        "key",
        "items",
        "path",
        "optional",
        "volumeMounts",
        "subPath",
        "projected",
        "sources",
        "configMap",
        "a",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(words.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_walked_without_harm(value in any_json()) {
        let _ = discover(&value);
        let _ = discover(&json!({ "spec": value }));
    }

    #[test]
    fn what_is_found_is_sorted_and_each_source_stands_once(value in any_json()) {
        let found = discover(&json!({ "spec": value }));
        prop_assert!(found.is_sorted_by(|a, b| (a.kind, &a.name) < (b.kind, &b.name)));
        for one in &found {
            if let Consumed::Keys(keys) = &one.consumed {
                prop_assert!(keys.is_sorted_by(|a, b| a < b));
            }
        }
    }
}
