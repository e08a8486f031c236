use serde_json::json;

use super::*;
use crate::k8s::mock::{Answer, Api};

const LIST: &str = "GET /apis/apps/v1/controllerrevisions?&limit=100";

fn revision(owner: &str, observed: &str, data: &Value) -> Value {
    json!({
        "metadata": {
            "name": owner, "uid": owner, "annotations": { "windlass.dev/observed": observed },
            "ownerReferences": [{ "uid": owner, "controller": true }],
        },
        "data": data, "revision": 1,
    })
}

#[tokio::test]
async fn revisions_of_others_may_hold_anything() {
    let odd = [
        json!(null),
        json!("text"),
        json!(["a", 1]),
        json!({ "spec": 7 }),
        json!({ "spec": { "template": "text" } }),
        json!({ "spec": { "template": { "metadata": { "annotations": { "a": 1 } } } } }),
    ];
    let mut items: Vec<Value> = odd.iter().map(|data| revision("other", "x", data)).collect();
    items.push(revision("web", "baseline", &json!({ "spec": { "template": {} } })));
    items.push(revision("long", &"x".repeat(BASELINE_BYTES + 1), &Value::Null));
    let api = Api::expecting([(LIST, Answer::ok(json!({ "metadata": {}, "items": items })))]);
    let found = all_observed(
        &api.client(),
        RevisionHistory::ControllerRevisions,
        None,
        Duration::from_secs(5),
    )
    .await;
    let found = found.expect("a list");
    assert_eq!(found.get(&Uid::from("web")).map(|text| &**text), Some("baseline"));
    assert_eq!(found.get(&Uid::from("long")), None, "that is none of ours");
    api.finish().await;
}

#[test]
fn the_digest_of_a_revision_is_found() {
    let template_digest = |data: &Value| -> Option<Box<str>> {
        let kept: WireRevision = serde_json::from_value(revision("web", "x", data)).expect("it decodes");
        kept.revision(RevisionHistory::ControllerRevisions).template_digest
    };
    let template = |digest: &str| {
        json!({ "spec": { "template": { "metadata": {
            "creationTimestamp": null, "annotations": { "windlass.dev/config-digest": digest },
        } } } })
    };
    assert_eq!(template_digest(&template("k1.abc")).as_deref(), Some("k1.abc"));
    assert_eq!(template_digest(&template(&"x".repeat(TEMPLATE_DIGEST_BYTES + 1))), None);
}

/// A pod, a `ReplicaSet` and a `ControllerRevision` as the API server has them.
fn real_objects() -> [Value; 3] {
    let meta = |name: &str, owner: &str| {
        json!({
            "name": name, "uid": name, "namespace": "shop", "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": { "app": "web" }, "annotations": { "deployment.kubernetes.io/revision": "3" },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "X", "name": owner, "uid": owner, "controller": true }],
        })
    };
    let template =
        json!({ "metadata": { "creationTimestamp": null, "annotations": { "windlass.dev/config-digest": "k.d" } } });
    let state = json!({ "running": { "startedAt": "2026-01-02T03:04:06Z" } });
    let ended = json!({ "terminated": { "exitCode": 0, "startedAt": "2026-01-02T03:04:05Z", "finishedAt": "2026-01-02T03:04:06Z" } });
    [
        json!({
            "metadata": meta("web-1", "web-rs"),
            "spec": {
                "volumes": [
                    { "name": "a", "configMap": { "name": "web", "items": [{ "key": "a", "path": "b" }] } },
                    { "name": "b", "secret": { "secretName": "web" } },
                    { "name": "c", "projected": { "sources": [{ "configMap": { "name": "web" } }, { "secret": { "name": "web" } }] } },
                ],
                "containers": [{
                    "name": "web", "ports": [{ "containerPort": 80 }],
                    "volumeMounts": [{ "name": "a", "mountPath": "/a", "subPath": "x" }],
                }],
                "initContainers": [{ "name": "agent", "restartPolicy": "Always", "ports": [{ "containerPort": 9533 }] }],
                "hostNetwork": false, "readinessGates": [{ "conditionType": "x" }],
            },
            "status": {
                "phase": "Running", "podIP": "10.0.0.1",
                "conditions": [{ "type": "Ready", "status": "True" }],
                "containerStatuses": [{ "name": "web", "state": state }],
                "initContainerStatuses": [{ "name": "agent", "state": ended }],
            },
        }),
        json!({ "metadata": meta("web-rs", "web"), "spec": { "replicas": 1, "template": template } }),
        json!({ "metadata": meta("web-cr", "web"), "revision": 3, "data": { "spec": { "template": template } } }),
    ]
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{number}"), all);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                places(
                    field,
                    &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
                    all,
                );
            }
        }
        _ => {}
    }
}

fn other_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-7),
        json!(1.5),
        json!(""),
        json!("text"),
        json!([]),
        json!([null, 1, "text", {}, []]),
        json!({}),
        json!({ "name": 1, "uid": null, "state": "x", "running": [] }),
    ]
}

/// `value` with what is at `place` replaced, or left out (`None`).
fn with(value: &Value, place: &str, other: Option<Value>) -> Value {
    let mut value = value.clone();
    if let Some(other) = other {
        *value.pointer_mut(place).expect("it is there") = other;
        return value;
    }
    let Some((parent, name)) = place.rsplit_once('/') else {
        return Value::Null;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent).expect("it is there") {
        Value::Object(fields) => drop(fields.remove(&name)),
        Value::Array(items) => drop(items.remove(name.parse().expect("a number"))),
        _ => {}
    }
    value
}

fn decodes(kind: usize, odd: &Value) {
    let page = json!({ "metadata": { "resourceVersion": "1" }, "items": [odd, real_objects()[kind]] }).to_string();
    let undecodable = match kind {
        0 => [decoded::<WirePod>(&page), decoded::<super::running::WirePod>(&page)],
        _ => [decoded::<WireRevision>(&page), None],
    };
    assert_eq!(undecodable, [None, None], "{odd}");
}

fn decoded<T: Lenient>(page: &str) -> Option<String> {
    serde_json::from_str::<Page<T>>(page).err().map(|why| why.to_string())
}

#[test]
fn no_field_of_an_object_makes_its_list_undecodable() {
    for (kind, object) in real_objects().iter().enumerate() {
        let mut all = Vec::new();
        places(object, "", &mut all);
        for place in &all {
            let others = other_values().into_iter().map(Some).chain([None]);
            others.for_each(|other| decodes(kind, &with(object, place, other)));
        }
    }
}

/// What of a pod with this status is taken for a proof of a change in the second after it was created: whether
/// it counts at all, whether it runs the change, and whether anything may have started around it.
fn proves(status: &Value) -> Option<(bool, bool)> {
    let pod = json!({ "metadata": { "creationTimestamp": "2026-01-02T03:04:05Z" }, "status": status });
    let Field::Value(pod) = serde_json::from_value::<Field<WirePod>>(pod).expect("it decodes") else {
        return None;
    };
    let change = Second::parse("2026-01-02T03:04:06Z").expect("a time");
    let later = Second::parse("2026-01-02T03:04:16Z").expect("a time");
    pod.stays().then(|| {
        let rollout_history = RolloutHistory {
            pods: Some(vec![pod.pod()]),
            ..RolloutHistory::default()
        };
        (
            rollout_history.all_started_after(change),
            rollout_history.any_started_between(change, later),
        )
    })
}

#[test]
fn a_pod_proves_only_what_is_written_of_it() {
    let is = |phase: &str, states: &[Value]| {
        let statuses: Vec<_> = states
            .iter()
            .map(|state| json!({ "name": "a", "state": state }))
            .collect();
        proves(&json!({ "phase": phase, "containerStatuses": statuses }))
    };
    let running = |at: &str| json!({ "running": { "startedAt": at } });
    let lost = json!({ "terminated": { "exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": null, "finishedAt": null } });
    let (new, old) = (running("2026-01-02T03:05:00Z"), running("2026-01-02T03:04:05Z"));
    let (proven, not_proven, unknown) = (Some((true, false)), Some((false, false)), Some((false, true)));
    assert_eq!(is("Running", std::slice::from_ref(&new)), proven);
    assert_eq!(is("Running", &[old, new.clone()]), not_proven);
    assert_eq!(is("Failed", std::slice::from_ref(&lost)), None, "it runs nothing");
    assert_eq!(is("Succeeded", &[json!("text")]), None, "it runs nothing");
    assert_eq!(is("Running", &[new.clone(), lost]), unknown);
    assert_eq!(
        is("Pending", &[json!({ "waiting": {} }), json!({}), json!(null)]),
        proven,
        "nothing has started"
    );
    assert_eq!(is("Pending", &[]), proven, "nothing has started");
    assert_eq!(is("Running", &[]), unknown);
    for odd in [
        json!("text"),
        json!({ "running": 1 }),
        json!({ "running": {} }),
        running("soon"),
    ] {
        assert_eq!(is("Running", &[new.clone(), odd.clone()]), unknown, "{odd}");
    }
    for odd in [
        json!(null),
        json!({}),
        json!("text"),
        json!({ "phase": "Pending", "containerStatuses": "x" }),
    ] {
        assert_eq!(proves(&odd), unknown, "{odd}");
    }
}

#[test]
fn a_pod_that_was_made_after_the_change_needs_no_times_of_its_containers() {
    let lost = json!({ "state": { "terminated": { "startedAt": null } } });
    let pod = json!({
        "metadata": { "creationTimestamp": "2026-01-02T03:04:07Z" },
        "status": { "phase": "Running", "containerStatuses": [lost] },
    });
    let pod: WirePod = serde_json::from_value(pod).expect("it decodes");
    let rollout_history = RolloutHistory {
        pods: Some(vec![pod.pod()]),
        ..RolloutHistory::default()
    };
    assert!(rollout_history.all_started_after(Second::parse("2026-01-02T03:04:06Z").expect("a time")));
}

#[tokio::test]
async fn pods_of_whom_nothing_tells_are_not_left_out() {
    let web = WorkloadRef {
        namespace: Namespace::from("shop"),
        kind: windlass_core::workload::kind::DEPLOYMENT,
        name: windlass_core::types::name::Name::from("web"),
    };
    let get = "GET /apis/apps/v1/namespaces/shop/deployments/web";
    let sets = "GET /apis/apps/v1/namespaces/shop/replicasets?&labelSelector=app%3Dweb&limit=100";
    let list = "GET /api/v1/namespaces/shop/pods?&labelSelector=app%3Dweb&limit=100";
    let pod = |owner: Value| json!({ "metadata": { "uid": "p", "ownerReferences": owner }, "status": { "phase": "Running" } });
    let ours = json!([{ "uid": "rs", "controller": true }]);
    let odd = json!([{ "uid": 7, "controller": true }]);
    let set = |owner: Value| json!({ "metadata": { "uid": "rs", "ownerReferences": owner } });
    let of_web = json!([{ "uid": "web", "controller": true }]);
    for (set, pods, count) in [
        (set(of_web.clone()), json!([pod(ours.clone())]), 1),
        (
            set(of_web.clone()),
            json!([pod(json!([{ "uid": "other", "controller": true }]))]),
            0,
        ),
        (set(of_web.clone()), json!([pod(json!(null))]), 0),
        (set(of_web.clone()), json!([pod(odd)]), 1),
        (set(of_web.clone()), json!(["text", null, pod(ours.clone())]), 3),
        (set(json!("text")), json!([pod(ours.clone())]), 1),
        (json!(7), json!([pod(ours)]), 1),
    ] {
        let deployment = json!({
            "metadata": { "uid": "web" }, "spec": { "selector": { "matchLabels": { "app": "web" }, "matchExpressions": null } },
        });
        let api = Api::expecting([
            (get, Answer::ok(deployment)),
            (sets, Answer::ok(json!({ "metadata": {}, "items": [set] }))),
            (
                list,
                Answer::ok(json!({ "metadata": { "continue": null }, "items": pods })),
            ),
        ]);
        let rollout_history =
            rollout_history(&api.client(), &web, &Uid::from("web"), &web, Duration::from_secs(5)).await;
        let found = rollout_history.expect("it is read").pods.expect("a selector");
        assert_eq!(found.len(), count, "{set} {pods}");
        api.finish().await;
    }
}
