use serde_json::json;
use windlass_core::compat::marks::NamedSources;
use windlass_core::types::name::{Name, Namespace};
use windlass_core::workload::kind::DEPLOYMENT;
use windlass_core::workload::opt_in::{OptIn, Selection};
use windlass_core::workload::pattern::Pattern;

use super::*;
use crate::k8s::mock::{Answer, Api};

fn patch(write: Write) -> WorkloadPatch {
    WorkloadPatch {
        workload: WorkloadRef {
            namespace: Namespace::from("shop"),
            kind: DEPLOYMENT,
            name: Name::from("web"),
        },
        uid: Uid::from("u"),
        version: Version::new(7),
        write,
    }
}

fn restart() -> WorkloadPatch {
    patch(Write::Restart(Box::new(Restart {
        observed: "o".into(),
        digest: "d".into(),
        cause: "c".into(),
        method: RestartMethod::Template,
        reloaded_from: None,
        marks: None,
        pause: None,
        sources: Vec::new(),
    })))
}

#[test]
fn a_baseline_is_one_annotation_with_its_preconditions() {
    assert_eq!(
        patch(Write::Baseline("o".into())).body(),
        json!({ "metadata": { "uid": "u", "resourceVersion": "7", "annotations": { "windlass.dev/observed": "o" } } })
    );
}

#[test]
fn a_restart_is_two_marks_on_the_template_and_the_baseline_in_one_patch() {
    assert_eq!(
        restart().body(),
        json!({
            "metadata": { "uid": "u", "resourceVersion": "7", "annotations": { "windlass.dev/observed": "o" } },
            "spec": { "template": { "metadata": { "annotations": {
                "windlass.dev/config-digest": "d",
                "windlass.dev/cause": "c",
            } } } },
        })
    );
}

#[tokio::test]
async fn the_answer_tells_the_new_version() {
    let api = Api::expecting([(
        "PATCH /apis/apps/v1/namespaces/shop/deployments/web?&fieldManager=windlass",
        Answer::ok(json!({ "metadata": { "resourceVersion": "8" } })),
    )]);
    let version = restart().send(&api.client(), Duration::from_secs(5)).await;
    assert_eq!(version, Ok(Version::new(8)));
    api.finish().await;
}

#[tokio::test]
async fn each_refusal_is_told_apart() {
    let status = |message: &str| json!({ "kind": "Status", "message": message });
    let uid = json!({ "message": "invalid", "details": { "causes": [{ "field": "metadata.uid" }] } });
    let rbac =
        "deployments.apps \"web\" is forbidden: User \"x\" cannot patch resource \"deployments\" in API group \"apps\"";
    let table = [
        (409, status("conflict"), ApiError::Conflict),
        (404, status("not found"), ApiError::NotFound),
        (422, uid, ApiError::Replaced),
        (422, status("no"), ApiError::Rejected("no".into())),
        (403, status(rbac), ApiError::Forbidden(rbac.into())),
        (
            403,
            status("exceeded quota"),
            ApiError::Rejected("exceeded quota".into()),
        ),
        (400, status("bad"), ApiError::Rejected("bad".into())),
        (429, status("slow down"), ApiError::Unavailable("slow down".into())),
        (
            503,
            json!("not even a status"),
            ApiError::Unavailable("Service Unavailable".into()),
        ),
        (
            200,
            json!({ "kind": "Nonsense" }),
            ApiError::Unexpected("cannot decode it"),
        ),
    ];
    for (code, body, expected) in table {
        let api = Api::expecting([(
            "PATCH /apis/apps/v1/namespaces/shop/deployments/web?&fieldManager=windlass",
            Answer { code, body },
        )]);
        assert_eq!(
            restart().send(&api.client(), Duration::from_secs(5)).await,
            Err(expected)
        );
        api.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up() {
    let api = Api::silent();
    let error = restart().send(&api.client(), Duration::from_secs(5)).await;
    assert_eq!(error, Err(ApiError::Unavailable("no answer within 5 s".into())));
}

fn restart_with(change: impl FnOnce(&mut Restart)) -> Value {
    let mut patch = restart();
    let Write::Restart(restart) = &mut patch.write else {
        panic!("it is a restart")
    };
    change(restart);
    patch.body()
}

fn marks(template: Value) -> Option<Box<ControllerMarks>> {
    let annotation = |name: &str| (name == wave::SCHEDULING_DISABLED).then_some("fast");
    let named = Selection {
        named: Pattern::expression(".*").into_iter().collect(),
        ..Selection::default()
    };
    let opt_in = OptIn {
        configmaps: named.clone(),
        secrets: named,
        ..OptIn::default()
    };
    let any = NamedSources {
        uses: &[],
        opt_in: Some(&opt_in),
    };
    ControllerMarks::of(&template, annotation, any)
}

#[test]
fn marks_of_others_go_with_the_restart_by_name() {
    let template = json!({
        "metadata": { "annotations": { "reloader.stakater.com/last-reloaded-from": "{}" } },
        "spec": { "containers": [
            { "name": "app", "env": [{ "name": "A", "value": "1" }, {
                "name": "STAKATER_WEB_CONFIGMAP", "value": "da39a3ee5e6b4b0d3255bfef95601890afd80709"
            }] },
        ] },
    });
    let body = restart_with(|restart| restart.marks = marks(template));
    let spec = &body["spec"]["template"]["spec"];
    assert_eq!(
        *spec,
        json!({ "containers": [{ "name": "app", "env": [{ "name": "STAKATER_WEB_CONFIGMAP", "$patch": "delete" }] }] })
    );
    let annotations = body["spec"]["template"]["metadata"]["annotations"].as_object();
    let gone = annotations.and_then(|it| it.get("reloader.stakater.com/last-reloaded-from"));
    assert_eq!(gone, Some(&Value::Null));
}

#[test]
fn our_own_mark_takes_the_place_of_reloaders() {
    let template = json!({ "metadata": { "annotations": { "reloader.stakater.com/last-reloaded-from": "{}" } } });
    let body = restart_with(|restart| {
        restart.marks = marks(template);
        restart.reloaded_from = Some("ours".into());
    });
    let annotations = &body["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["reloader.stakater.com/last-reloaded-from"], "ours");
}

#[test]
fn pods_that_wave_kept_from_being_scheduled_get_their_scheduler_back() {
    let body = restart_with(|restart| {
        restart.marks = marks(json!({ "spec": { "schedulerName": "wave.pusher.com/invalid" } }));
    });
    assert_eq!(body["spec"]["template"]["spec"]["schedulerName"], "fast");
    assert!(body["metadata"]["annotations"]["wave.pusher.com/scheduling-disabled"].is_null());
}

#[test]
fn a_pause_begins_and_ends_with_its_time() {
    let at: jiff::Timestamp = "2026-01-31T10:00:00.5Z".parse().expect("a time");
    let begun = restart_with(|restart| restart.pause = Some(Pause::Begin(at)));
    assert_eq!(begun["spec"]["paused"], true);
    let annotation = &begun["metadata"]["annotations"]["deployment.reloader.stakater.com/paused-at"];
    assert_eq!(annotation, "2026-01-31T10:00:00Z");
    assert!(begun["spec"]["template"].is_object());
    for body in [
        restart_with(|restart| restart.pause = Some(Pause::End)),
        patch(Write::Resume).body(),
    ] {
        let spec = body["spec"].as_object().expect("a spec");
        assert_eq!(spec.get("paused"), Some(&Value::Null));
        let annotations = body["metadata"]["annotations"].as_object().expect("annotations");
        let paused_at = annotations.get("deployment.reloader.stakater.com/paused-at");
        assert_eq!(paused_at, Some(&Value::Null));
    }
    assert!(patch(Write::Resume).body()["spec"].get("template").is_none());
}

#[test]
fn a_rollout_may_be_restarted_without_a_new_template() {
    let at: jiff::Timestamp = "2026-01-31T10:00:00Z".parse().expect("a time");
    let body = restart_with(|restart| restart.method = RestartMethod::RestartAt(at));
    assert_eq!(body["spec"], json!({ "restartAt": "2026-01-31T10:00:00Z" }));
}
