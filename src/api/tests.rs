use serde_json::{Value, json};

use super::in_place::OnTimeout;
use super::policy::Mode;
use super::sources::Strategy;
use super::*;

/// Each field of the schema with its path, properties of one definition at a time.
fn fields(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    found.push((path.to_owned(), schema.clone()));
    if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            fields(property, &format!("{path}.{name}"), found);
        }
    }
    for (word, step) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[word].is_object() {
            fields(&schema[word], &format!("{path}{step}"), found);
        }
    }
}

fn schemas() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for definition in serde_saphyr::from_multiple::<Value>(&definitions()).expect("YAML") {
        let schema = definition
            .pointer("/spec/versions/0/schema/openAPIV3Schema")
            .expect("a schema");
        let kind = definition["spec"]["names"]["kind"].as_str().expect("a kind");
        for part in ["spec", "status"] {
            fields(&schema["properties"][part], &format!("{kind}.{part}"), &mut found);
        }
    }
    assert!(found.len() > 150, "only {} fields", found.len());
    found
}

#[test]
fn everything_that_a_policy_says_has_a_bound() {
    for (path, schema) in schemas().iter().filter(|(path, _)| path.contains(".spec")) {
        let bounded = match schema["type"].as_str().expect(path) {
            "string" => schema["maxLength"].is_u64() || schema["enum"].is_array(),
            "array" => schema["maxItems"].is_u64(),
            "integer" => schema["minimum"].is_i64() && schema["maximum"].is_i64(),
            "object" => schema["maxProperties"].is_u64() || schema["additionalProperties"].is_null(),
            "boolean" => true,
            other => panic!("{path} is of the type {other}"),
        };
        assert!(bounded, "{path}: {schema}");
        assert!(schema["x-kubernetes-preserve-unknown-fields"].is_null(), "{path}");
        assert!(schema["nullable"].is_null(), "{path}");
    }
}

#[test]
fn everything_is_described_in_one_line() {
    for (path, schema) in schemas() {
        // Of a plain list or map, the list itself says what its entries are.
        if path.ends_with(['[', ']', '{', '}']) && schema["type"] == "string" {
            continue;
        }
        let description = schema["description"].as_str().unwrap_or_default();
        assert!(
            description.ends_with('.') && !description.contains('\n'),
            "{path}: {description:?}"
        );
    }
}

#[test]
fn a_default_is_the_same_in_the_schema_and_in_the_type() {
    let mut defaults = schemas();
    defaults.retain(|(_, schema)| !schema["default"].is_null());
    let mut defaults: Vec<_> = defaults
        .iter()
        .filter_map(|(path, schema)| Some((path.strip_prefix("RolloutPolicy.")?, &schema["default"])))
        .collect();
    defaults.sort_by_key(|(path, _)| *path);
    assert_eq!(
        defaults,
        [
            ("spec.inPlace.notifyHttp.method", &json!("POST")),
            ("spec.inPlace.nudge", &json!(true)),
            ("spec.priority", &json!(0)),
            ("spec.restart.freezes[].timeZone", &json!("UTC")),
            ("spec.restart.windows[].timeZone", &json!("UTC")),
            ("spec.rules[].name", &json!("*")),
            ("spec.suspend", &json!(false)),
        ]
    );
    let window = json!({"schedule": "0 2 * * *", "duration": "1h"});
    let sparse = json!({
        "inPlace": {},
        "rules": [{"keys": ["a"], "strategy": "Ignore"}],
        "restart": {"windows": [window]},
    });
    let spec: RolloutPolicySpec = serde_json::from_value(sparse).expect("a valid spec");
    let full = serde_json::to_value(&spec).expect("JSON");
    assert_eq!(full["inPlace"], json!({"nudge": true}));
    assert_eq!(full["priority"], json!(0));
    assert_eq!(full["suspend"], json!(false));
    assert_eq!(full["rules"][0]["name"], "*");
    assert_eq!(full["restart"]["windows"][0]["timeZone"], "UTC");
}

#[test]
fn what_is_not_said_is_not_there_and_not_null() {
    let spec: RolloutPolicySpec = serde_json::from_value(json!({})).expect("a valid spec");
    assert_eq!(spec, RolloutPolicySpec::default());
    let written = serde_json::to_value(&spec).expect("JSON");
    assert_eq!(written, json!({"priority": 0, "suspend": false}));
}

#[test]
fn both_kinds_say_the_same_but_for_the_choice_of_workloads() {
    let common = json!({
        "strategy": "Auto",
        "mode": "Observe",
        "inPlace": {"timeout": "1m30s", "onTimeout": "Restart"},
        "restart": {"settle": "2s"},
    });
    let with = |workloads: Value| {
        let mut spec = common.clone();
        spec["workloads"] = workloads;
        spec
    };
    let namespaced: RolloutPolicySpec =
        serde_json::from_value(with(json!({"kinds": ["Deployment"], "selector": {}}))).expect("valid");
    let cluster: ClusterRolloutPolicySpec =
        serde_json::from_value(with(json!({"selector": {}, "namespaceSelector": {}}))).expect("valid");

    assert_eq!(namespaced.policy, cluster.policy);
    assert_eq!(namespaced.policy.strategy, Some(Strategy::Auto));
    assert_eq!(namespaced.policy.mode, Some(Mode::Observe));
    let in_place = namespaced.policy.in_place.expect("it is given");
    assert_eq!(
        in_place.timeout.map(Duration::get),
        Some(std::time::Duration::from_secs(90))
    );
    assert_eq!(in_place.on_timeout, Some(OnTimeout::Restart));
    assert_eq!(namespaced.workloads.expect("they are given").kinds, ["Deployment"]);
    assert!(cluster.workloads.namespace_selector.is_some());
}

#[test]
fn what_a_later_version_says_is_an_error_and_not_a_guess() {
    for (spec, said) in [
        (json!({"strategy": "Reload"}), "unknown variant `Reload`"),
        (
            json!({"restart": {"settle": "-2s"}}),
            "\"-2s\" is not a duration; accepted: one such as 2s, 10m or 1h30m",
        ),
        (json!({"workloads": {}}), "missing field `selector`"),
    ] {
        let error = serde_json::from_value::<RolloutPolicySpec>(spec).expect_err("an error");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn what_can_match_nothing_is_named_and_every_name_and_wildcard_is_taken() {
    let rule = |name: &str, key: &str| json!({ "name": name, "keys": ["fits", key], "strategy": "Ignore" });
    let said = |rule: Value| {
        let fits = json!({ "keys": ["*"], "strategy": "Restart" });
        let spec = json!({ "rules": [fits, rule] });
        let spec: RolloutPolicySpec = serde_json::from_value(spec).expect("a valid spec");
        let error = spec.policy.settings().err()?.to_string();
        Some(error.split_once(';').expect("and what is accepted").0.to_owned())
    };
    for name in [
        ".web", "web.", "-web", "web-", "*-", ".", "Web", "web_tls", "shop/web", "",
    ] {
        let expected = "spec.rules[1].name: not a possible object name";
        assert_eq!(said(rule(name, "a")).as_deref(), Some(expected), "{name}");
    }
    for key in [".", "..", "..data", "..*", "a b", "a/b", ""] {
        let expected = "spec.rules[1].keys[1]: not a possible key of a ConfigMap or Secret";
        assert_eq!(said(rule("web", key)).as_deref(), Some(expected), "{key}");
    }
    for (name, key) in [
        ("*", "*"),
        ("web", "LOG_LEVEL"),
        ("7.example.org", ".env"),
        ("?eb-*", "a..b"),
        ("*.web", "?."),
        ("web.?", ".*"),
        ("*-tls-*", "README*"),
    ] {
        assert_eq!(said(rule(name, key)), None, "{name} {key}");
    }
}

/// The schema refuses them; what was stored before, or under an older schema, is refused here.
#[test]
fn patterns_that_would_take_too_much_work_are_named_with_the_bound_and_what_was_given() {
    let said = |spec: Value| {
        let spec: RolloutPolicySpec = serde_json::from_value(spec).expect("a valid spec");
        spec.policy.settings().err().map(|error| error.to_string())
    };
    let rules = |count: usize, keys: usize, key: &str| {
        let rule = json!({ "name": "w", "keys": vec![key; keys], "strategy": "Ignore" });
        json!({ "rules": vec![rule; count] })
    };
    let wildcards = |bytes: usize| "*".repeat(bytes);
    let source = |bytes: usize| json!({ "kind": "ConfigMap", "name": wildcards(bytes) });
    let table = [
        (rules(64, 4, &wildcards(16)), None),
        (rules(64, 17, &"a".repeat(15)), None),
        (json!({ "sources": { "extra": vec![source(64); 64] } }), None),
        (rules(65, 1, "a"), Some("spec.rules: 65 rules; accepted: at most 64")),
        (
            rules(2, 65, "a"),
            Some("spec.rules[0].keys: 65 keys; accepted: at most 64"),
        ),
        (
            rules(64, 64, &"a".repeat(126)),
            Some("spec.rules: 516160 bytes of names and keys; accepted: at most 16384"),
        ),
        (
            rules(64, 4, &wildcards(17)),
            Some("spec.rules: 4352 bytes of names and keys with wildcards; accepted: at most 4096"),
        ),
        (
            json!({ "sources": { "include": vec![source(1); 65] } }),
            Some("spec.sources.include: 65 entries; accepted: at most 64"),
        ),
        (
            json!({ "sources": { "include": vec![source(64); 32], "exclude": vec![source(65); 32] } }),
            Some("spec.sources: 4128 bytes of names with wildcards; accepted: at most 4096"),
        ),
    ];
    for (spec, expected) in table {
        assert_eq!(said(spec).as_deref(), expected);
    }
}

/// The schema refuses them; what was stored before, or under an older schema, is refused here.
#[test]
fn a_value_beyond_its_bounds_is_named_with_what_is_accepted() {
    let said = |spec: Value| {
        let spec: RolloutPolicySpec = serde_json::from_value(spec).expect("a valid spec");
        spec.policy.settings().err().map(|error| error.to_string())
    };
    let window = |duration: &str| json!({ "schedule": "0 2 * * *", "duration": duration });
    let table = [
        (
            json!({ "restart": { "settle": "1h", "minInterval": "168h", "deadline": "1s" } }),
            None,
        ),
        (
            json!({ "restart": { "maxParallel": 10_000, "windows": vec![window("1m"); 32] } }),
            None,
        ),
        (json!({ "inPlace": { "timeout": "1h" } }), None),
        (
            json!({ "restart": { "settle": "61m" } }),
            Some("spec.restart.settle: 1h1m; accepted: from 0s to 1h"),
        ),
        (
            json!({ "restart": { "minInterval": "169h" } }),
            Some("spec.restart.minInterval: 169h; accepted: from 0s to 168h"),
        ),
        (
            json!({ "restart": { "deadline": "0s" } }),
            Some("spec.restart.deadline: 0s; accepted: from 1s to 24h"),
        ),
        (
            json!({ "restart": { "maxParallel": 0 } }),
            Some("spec.restart.maxParallel: 0; accepted: from 1 to 10000"),
        ),
        (
            json!({ "restart": { "freezes": vec![window("1h"); 33] } }),
            Some("spec.restart.freezes: 33 entries; accepted: at most 32"),
        ),
        (
            json!({ "restart": { "freezes": [window("1s")] } }),
            Some("spec.restart.freezes[0].duration: 1s; accepted: from 1m to 8784h"),
        ),
        (
            json!({ "restart": { "waves": vec![json!({ "selector": {} }); 17] } }),
            Some("spec.restart.waves: 17 waves; accepted: at most 16"),
        ),
        (
            json!({ "inPlace": { "timeout": "61m" } }),
            Some("spec.inPlace.timeout: 1h1m; accepted: from 1s to 1h"),
        ),
        (
            json!({ "inPlace": { "notifyHttp": { "port": 1, "path": "/", "delay": "11m" } } }),
            Some("spec.inPlace.notifyHttp.delay: 11m; accepted: from 0s to 10m"),
        ),
    ];
    for (spec, expected) in table {
        assert_eq!(said(spec).as_deref(), expected);
    }
}
