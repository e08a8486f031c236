use serde_json::json;

use super::*;
use crate::core::kind::DEPLOYMENT;
use crate::core::name::{Name, Namespace};
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
    patch(Write::Restart(Restart {
        observed: "o".into(),
        digest: "d".into(),
        cause: "c".into(),
    }))
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
            ApiError::Unexpected("it cannot be decoded"),
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
