use serde_json::json;

use super::*;
use crate::k8s::mock::{Answer, Api};

/// Found in a review: a token that had run out held a workload as `Forbidden`, and switched policies off.
#[tokio::test]
async fn only_the_word_of_the_authorizer_is_a_missing_right() {
    for (code, message, word) in [
        (401, "Unauthorized", "Unavailable"),
        (
            403,
            "pods is forbidden: User \"w\" cannot list resource \"pods\"",
            "Forbidden",
        ),
        (403, "admission webhook \"x\" denied the request", "Rejected"),
        (429, "too many requests", "Unavailable"),
        (503, "not now", "Unavailable"),
    ] {
        let body = json!({ "kind": "Status", "code": code, "message": message });
        let api = Api::expecting([("GET /api/v1/pods", Answer { code, body })]);
        let request = Request::get("/api/v1/pods").body(Vec::new()).expect("a request");
        let error = send::<serde_json::Value>(&api.client(), request, Duration::from_secs(5)).await;
        let error = error.expect_err("it was refused");
        assert_eq!(error.as_str(), word, "{code}");
        assert!(error.to_string().contains(message), "{error}");
        api.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_answered_ends() {
    let api = Api::silent();
    let request = Request::get("/api/v1/pods").body(Vec::new()).expect("a request");
    let outcome = send::<serde_json::Value>(&api.client(), request, Duration::from_secs(8)).await;
    assert_eq!(outcome, Err(ApiError::Unavailable("no answer within 8 s".into())));
}
