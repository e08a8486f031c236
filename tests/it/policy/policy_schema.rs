//! What the API server makes of policies: it takes what makes sense, says of all else which field is
//! wrong and what is accepted, and shows people at a glance whether everything is current.

mod coverage;
mod nonsense;

use http::Request;
use kube::api::{DeleteParams, Patch};
use serde_json::{Value, json};
use windlass::api::{ClusterRolloutPolicySpec, RolloutPolicySpec, in_place::OnTimeout, sources::Strategy};

use crate::support::{
    Test, by,
    policies::{
        CLUSTER, NAMESPACED, cluster_policies, cluster_policy, install, only_here, policies, policy, shipped,
        try_cluster_policy, try_policy, unique_policy,
    },
    tests,
};

tests! {
    a_full_policy_is_kept_as_it_is_written: live;
    what_is_not_said_has_its_default: live;
    what_makes_no_sense_is_refused_by_name: live;
    what_is_at_the_edge_is_accepted: live;
    a_policy_is_found_by_its_short_name_and_category: live;
    a_list_answers_whether_everything_is_current: live;
    the_status_is_the_controllers_and_the_rest_is_its_authors: live;
    a_definition_is_installed_again_and_again: live;
}

fn selector() -> Value {
    json!({
        "matchLabels": {"app.kubernetes.io/part-of": "shop", "tier": ""},
        "matchExpressions": [
            {"key": "track", "operator": "NotIn", "values": ["canary", "beta"]},
            {"key": "example.org/managed", "operator": "Exists"},
        ],
    })
}

/// Every field of a namespaced policy.
fn full() -> Value {
    json!({
        "priority": -7,
        "workloads": {"kinds": ["Deployment", "StatefulSet"], "selector": selector()},
        "sources": {
            "include": [{"kind": "ConfigMap", "name": "web-*"}],
            "exclude": [{"kind": "Secret", "name": "*-tls"}],
            "extra": [{"kind": "ConfigMap", "name": "feature-flags"}],
        },
        "strategy": "Auto",
        "rules": [
            {"kind": "Secret", "name": "web", "keys": ["flags.*", "a?"], "strategy": "InPlace"},
            {"name": "*", "keys": ["README*"], "strategy": "Ignore"},
        ],
        "inPlace": {
            "nudge": false,
            "agent": {"port": 9533, "tokenSecretRef": {"name": "windlass-agent"}},
            "timeout": "1m30s",
            "onTimeout": "Restart",
        },
        "restart": {
            "settle": "2s",
            "minInterval": "168h",
            "maxParallel": 10,
            "windows": [{"schedule": "0 2 * * 1-5", "duration": "3h", "timeZone": "America/Argentina/Buenos_Aires"}],
            "freezes": [{"schedule": "*/5 0-6,8 20 DEC SUN", "duration": "336h", "timeZone": "Etc/GMT+5"}],
            "haltOnFailure": true,
            "deadline": "10m",
            "waves": [{"selector": selector()}, {"selector": {}}],
        },
        "mode": "Enforce",
        "suspend": true,
    })
}

fn full_of_cluster(t: &Test) -> Value {
    let mut spec = full();
    spec["workloads"]["namespaceSelector"] = only_here(t);
    spec
}

/// A policy in which there is something at `pointer`: there is either an agent or `notifyHttp`.
fn full_at(pointer: &str) -> Value {
    let mut full = full();
    if pointer.starts_with("/inPlace/notifyHttp") {
        full["inPlace"] = json!({
            "notifyHttp": {"port": 8080, "path": "/-/reload?now=1", "method": "PUT", "delay": "10m"},
        });
    }
    full
}

/// The same of the cluster. It selects no namespace, and is only tried.
fn full_of_cluster_at(pointer: &str) -> Value {
    let mut full = full_at(pointer);
    full["workloads"]["namespaceSelector"] = selector();
    full
}

/// `full` with `value` at `pointer`, a JSON pointer.
fn with(mut full: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let parent = full.pointer_mut(parent).expect(pointer);
    match parent {
        Value::Array(entries) => entries[field.parse::<usize>().expect(pointer)] = value,
        other => other[field] = value,
    }
    full
}

fn without(mut full: Value, pointer: &str) -> Value {
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let parent = full.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.expect(pointer).remove(field).expect(pointer);
    full
}

async fn a_full_policy_is_kept_as_it_is_written(t: &Test) {
    install(t).await;
    policy(t, "web", full()).await;
    let kept = policies(t).get("web").await.expect("it is there");
    assert_eq!(serde_json::to_value(&kept.spec).expect("JSON"), full());
    assert_eq!(kept.spec.policy.strategy, Some(Strategy::Auto));
    assert_eq!(
        kept.spec.policy.in_place.and_then(|it| it.on_timeout),
        Some(OnTimeout::Restart)
    );
    assert_eq!(try_policy(t, &full()).await.expect("it is accepted"), full());

    let name = unique_policy();
    cluster_policy(t, &name, full_of_cluster(t)).await;
    let kept = cluster_policies(t).get(&name).await.expect("it is there");
    assert_eq!(serde_json::to_value(&kept.spec).expect("JSON"), full_of_cluster(t));
    cluster_policies(t)
        .delete(&name, &DeleteParams::default())
        .await
        .expect("it was there");
}

async fn what_is_not_said_has_its_default(t: &Test) {
    install(t).await;
    let empty = try_policy(t, &json!({})).await.expect("it is accepted");
    assert_eq!(empty, json!({"priority": 0, "suspend": false}));

    let sparse = json!({
        "workloads": {"selector": {}},
        "rules": [{"keys": ["*"], "strategy": "Ignore"}],
        "inPlace": {},
        "restart": {"windows": [{"schedule": "0 2 * * *", "duration": "1h"}]},
    });
    let kept = try_cluster_policy(t, &sparse).await.expect("it is accepted");
    assert_eq!(
        kept,
        json!({
            "priority": 0,
            "workloads": {"selector": {}},
            "rules": [{"name": "*", "keys": ["*"], "strategy": "Ignore"}],
            "inPlace": {"nudge": true},
            "restart": {"windows": [{"schedule": "0 2 * * *", "duration": "1h", "timeZone": "UTC"}]},
            "suspend": false,
        })
    );
    // The types agree with the server about what is not said.
    let read: ClusterRolloutPolicySpec = serde_json::from_value(sparse).expect("valid");
    assert_eq!(serde_json::to_value(read).expect("JSON"), kept);
    let read: RolloutPolicySpec = serde_json::from_value(json!({})).expect("valid");
    assert_eq!(serde_json::to_value(read).expect("JSON"), empty);
}

/// The API server's spelling of a pointer: `/rules/0/name` is `spec.rules[0].name`.
fn path_of(pointer: &str) -> String {
    let mut path = "spec".to_owned();
    for part in pointer.split('/').skip(1) {
        let is_index = part.bytes().all(|c| c.is_ascii_digit());
        let (before, after) = if is_index { ("[", "]") } else { (".", "") };
        path.extend([before, part, after]);
    }
    path
}

/// What is wrong with an answer that should be a refusal of this field in these words.
fn judge(answer: kube::Result<Value>, path: &str, said: &str) -> Result<(), String> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 422 => {
            let message = &status.message;
            // A rule that fails over the very mistake it is about says nothing that helps.
            let named = message.contains(path) && message.contains(said);
            let torn = message.contains("evaluating rule") || message.contains("cost");
            if named && !torn {
                Ok(())
            } else {
                Err(format!("said: {message}"))
            }
        }
        Err(other) => Err(format!("failed: {other}")),
        Ok(_) => Err("was accepted".to_owned()),
    }
}

async fn what_makes_no_sense_is_refused_by_name(t: &Test) {
    install(t).await;
    let mut wrong = Vec::new();
    let mut note = |row: String, outcome: Result<(), String>| {
        if let Err(what) = outcome {
            wrong.push(format!("{row} {what}"));
        }
    };
    for (pointer, said, values) in nonsense::rows() {
        for value in values.as_array().expect("an array of values") {
            let answer = try_policy(t, &with(full_at(&pointer), &pointer, value.clone())).await;
            note(format!("{pointer} = {value}"), judge(answer, &path_of(&pointer), said));
        }
    }
    for (pointer, said, values) in nonsense::rows_of_cluster() {
        for value in values.as_array().expect("an array of values") {
            let answer = try_cluster_policy(t, &with(full_of_cluster_at(&pointer), &pointer, value.clone())).await;
            let row = format!("of the cluster: {pointer} = {value}");
            note(row, judge(answer, &path_of(&pointer), said));
        }
    }
    for pointer in nonsense::REQUIRED {
        let answer = try_policy(t, &without(full_at(pointer), pointer)).await;
        let outcome = judge(answer, &path_of(pointer), "Required value");
        note(format!("without {pointer}"), outcome);
    }
    for pointer in nonsense::REQUIRED_OF_CLUSTER {
        let answer = try_cluster_policy(t, &without(full_of_cluster_at(pointer), pointer)).await;
        let outcome = judge(answer, &path_of(pointer), "Required value");
        note(format!("of the cluster: without {pointer}"), outcome);
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

async fn what_is_at_the_edge_is_accepted(t: &Test) {
    install(t).await;
    let mut refused = Vec::new();
    let longest_key = format!(
        "{}/{}",
        ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join("."),
        "e".repeat(63)
    );
    let most_labels: serde_json::Map<_, _> = (0..32).map(|n| (format!("key-{n}"), json!("x"))).collect();
    let longest_path = format!("/{}", "a".repeat(255));
    for (pointer, value) in [
        ("/priority", json!(1000)),
        ("/priority", json!(-1000)),
        ("/workloads/kinds", json!([])),
        ("/workloads/selector", json!({})),
        (
            "/workloads/selector/matchLabels",
            json!({ longest_key: "x".repeat(63) }),
        ),
        ("/workloads/selector/matchLabels", json!(most_labels)),
        ("/sources/include/0/name", json!("?")),
        ("/sources/include/0/name", json!("a".repeat(253))),
        ("/rules/0/keys/0", json!("2021.._a-B?*")),
        (
            "/rules",
            json!(vec![
                json!({"name": "w", "keys": vec!["a".repeat(15); 17], "strategy": "Ignore"});
                64
            ]),
        ),
        (
            "/rules",
            json!(vec![
                json!({"name": "w", "keys": vec!["*".repeat(16); 4], "strategy": "Ignore"});
                64
            ]),
        ),
        (
            "/sources/extra",
            json!(vec![json!({"kind": "ConfigMap", "name": "*".repeat(63)}); 64]),
        ),
        ("/inPlace/agent/port", json!(65535)),
        ("/inPlace/timeout", json!("1s")),
        ("/inPlace/notifyHttp/port", json!(1)),
        ("/inPlace/notifyHttp/path", json!(longest_path)),
        ("/inPlace/notifyHttp/method", json!("GET")),
        ("/inPlace/notifyHttp/delay", json!("0s")),
        ("/restart/settle", json!("0s")),
        ("/restart/settle", json!("1h")),
        ("/restart/settle", json!("0h59m59s999ms")),
        ("/restart/minInterval", json!("0s")),
        ("/restart/maxParallel", json!(10_000)),
        ("/restart/deadline", json!("24h")),
        ("/restart/windows/0/schedule", json!("* * * * *")),
        ("/restart/windows/0/schedule", json!("0,30 */2 1-15 JAN-MAR mon-fri")),
        ("/restart/windows/0/duration", json!("1m")),
        ("/restart/windows/0/duration", json!("8784h")),
        ("/restart/windows/0/timeZone", json!("UTC")),
        ("/restart/windows/0/timeZone", json!("America/Port-au-Prince")),
        // As kubectl sends what an author has left empty.
        ("/strategy", json!(null)),
        ("/restart", json!(null)),
    ] {
        let row = format!("{pointer} = {value}");
        if let Err(error) = try_policy(t, &with(full_at(pointer), pointer, value)).await {
            refused.push(format!("{row}: {error}"));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

async fn ask(t: &Test, path: &str, accept: &str) -> Value {
    let request = Request::get(path).header("Accept", accept).body(Vec::new());
    let answer = t.client.request(request.expect("a valid request")).await;
    answer.expect("the API server answers")
}

async fn a_policy_is_found_by_its_short_name_and_category(t: &Test) {
    install(t).await;
    let resources = ask(t, "/apis/windlass.dev/v1alpha1", "application/json").await;
    let named = |name: &str| {
        let all = resources["resources"].as_array().expect("a list");
        let found = all.iter().find(|it| it["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {resources}")).clone()
    };
    for (name, kind, short, namespaced) in [
        ("rolloutpolicies", "RolloutPolicy", "rop", true),
        ("clusterrolloutpolicies", "ClusterRolloutPolicy", "crop", false),
    ] {
        let resource = named(name);
        assert_eq!(resource["kind"], kind);
        assert_eq!(resource["shortNames"], json!([short]));
        assert_eq!(resource["categories"], json!(["windlass"]));
        assert_eq!(resource["namespaced"], namespaced);
        assert_eq!(named(&format!("{name}/status"))["kind"], kind);
    }
    // Nobody else of those who are there has these names.
    for group in ["/api/v1", "/apis/apps/v1", "/apis/batch/v1", "/apis/policy/v1"] {
        let text = ask(t, group, "application/json").await.to_string();
        assert!(!text.contains("\"rop\"") && !text.contains("\"crop\""), "{group}");
    }
}

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

async fn a_list_answers_whether_everything_is_current(t: &Test) {
    install(t).await;
    policy(t, "web", full()).await;
    say_status(t, "web").await;

    let path = format!("/apis/windlass.dev/v1alpha1/namespaces/{}/rolloutpolicies", t.namespace);
    let table = ask(t, &path, TABLE).await;
    let column = |of: &Value| (of["name"].clone(), of["priority"].clone());
    let columns: Vec<_> = table["columnDefinitions"]
        .as_array()
        .expect("columns")
        .iter()
        .map(column)
        .collect();
    let cells = table["rows"][0]["cells"].as_array().expect("one row").clone();
    let shown: Vec<_> = columns.iter().zip(&cells).filter(|(_, cell)| !cell.is_null()).collect();
    let expected = [
        ("Name", 0, json!("web")),
        ("Workloads", 0, json!(6)),
        ("Current", 0, json!(0)),
        ("Pending", 0, json!(1)),
        ("Rolling", 0, json!(2)),
        ("Held", 0, json!(0)),
        ("Failed", 0, json!(3)),
        ("Ready", 0, json!("False")),
        ("Suspended", 0, json!(true)),
        ("Reason", 1, json!("Invalid")),
        ("Strategy", 1, json!("Auto")),
        ("Mode", 1, json!("Enforce")),
    ];
    for ((shown, (name, priority, value)), at) in shown.iter().zip(expected).zip(0..) {
        let ((column, of), cell) = shown;
        assert_eq!(
            (column, of, *cell),
            (&json!(name), &json!(priority), &value),
            "column {at}"
        );
    }
    assert_eq!(columns.len(), 13);
    assert_eq!(columns.last(), Some(&(json!("Age"), json!(0))));

    let of_cluster = ask(t, "/apis/windlass.dev/v1alpha1/clusterrolloutpolicies", TABLE).await;
    assert_eq!(of_cluster["columnDefinitions"], table["columnDefinitions"]);
}

fn condition(kind: &str) -> Value {
    json!({
        "type": kind, "status": "False", "reason": "Invalid", "message": "no such zone",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    })
}

fn status() -> Value {
    json!({
        "observedGeneration": 1,
        "workloads": {"total": 6, "current": 0, "pending": 1, "rolling": 2, "held": 0, "failed": 3, "observed": 0},
        "conditions": [condition("Ready"), condition("Halted")],
    })
}

async fn say_status(t: &Test, name: &str) {
    let said = policies(t)
        .patch_status(
            name,
            &by("windlass").patch(),
            &Patch::Merge(json!({"status": status()})),
        )
        .await;
    said.expect("the API server takes the status");
}

async fn the_status_is_the_controllers_and_the_rest_is_its_authors(t: &Test) {
    install(t).await;
    let made = policy(t, "web", json!({"suspend": true})).await;
    assert_eq!(made.status, None);

    // Through the main resource only the spec changes.
    let both = |status: Value| json!({"spec": {"priority": 5}, "status": status});
    let patched = policies(t)
        .patch("web", &by("author").patch(), &Patch::Merge(both(status())))
        .await;
    let patched = patched.expect("it is accepted");
    assert_eq!((patched.spec.policy.priority, patched.status), (5, None));
    let generation = patched.metadata.generation;

    // Through the status only the status does.
    let mut other = both(status());
    other["spec"] = json!({"priority": 9});
    let patched = policies(t)
        .patch_status("web", &by("windlass").patch(), &Patch::Merge(other))
        .await;
    let patched = patched.expect("it is accepted");
    assert_eq!(patched.spec.policy.priority, 5);
    assert_eq!(serde_json::to_value(&patched.status).expect("JSON"), status());
    assert_eq!(patched.metadata.generation, generation);

    // Conditions are one for each type, so that each can be applied without the others.
    let twice = json!({"status": {"conditions": [condition("Ready"), condition("Ready")]}});
    let refused = policies(t)
        .patch_status("web", &by("windlass").patch(), &Patch::Merge(twice))
        .await
        .expect_err("two of a type");
    assert!(refused.to_string().contains("Duplicate value"), "{refused}");
    let negative = json!({"status": {"workloads": {"held": -1}}});
    let refused = policies(t)
        .patch_status("web", &by("windlass").patch(), &Patch::Merge(negative))
        .await
        .expect_err("less than none");
    assert!(refused.to_string().contains("status.workloads.held"), "{refused}");
    // Nobody has counted these.
    let sparse = json!({"status": {"workloads": null}});
    let patched = policies(t)
        .patch_status("web", &by("windlass").patch(), &Patch::Merge(sparse))
        .await
        .expect("it is accepted");
    assert_eq!(patched.status.expect("conditions").workloads, None);
}

/// Nothing that the API server adds or writes otherwise makes a difference to who applies it again.
async fn a_definition_is_installed_again_and_again(t: &Test) {
    install(t).await;
    for name in [NAMESPACED, CLUSTER] {
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        let before = ask(t, &path, "application/json").await;
        install(t).await;
        let after = ask(t, &path, "application/json").await;
        assert_eq!(before["metadata"]["generation"], after["metadata"]["generation"]);
        let shipped = shipped(name);
        assert_eq!(before["spec"]["versions"], shipped["spec"]["versions"]);
        let conditions = before["status"]["conditions"].as_array().expect("conditions");
        let structural = conditions.iter().all(|it| it["type"] != "NonStructuralSchema");
        assert!(structural, "{conditions:?}");
    }
}
