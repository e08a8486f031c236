use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock;

use super::*;
use crate::k8s::lean::{WatchedConfigMap, resource};

/// One call that the server expects, and the lines that it answers with before it closes.
struct Step {
    query: &'static [&'static str],
    not: &'static [&'static str],
    code: u16,
    lines: Vec<Value>,
}

fn object(name: &str, version: u32) -> Value {
    json!({ "metadata": { "name": name, "namespace": "shop", "uid": name, "resourceVersion": version.to_string() } })
}

fn event(kind: &str, object: Value) -> Value {
    json!({ "type": kind, "object": object })
}

fn bookmark(version: u32, end_of_list: bool) -> Value {
    let annotations = if end_of_list {
        json!({ "k8s.io/initial-events-end": "true" })
    } else {
        json!({})
    };
    event(
        "BOOKMARK",
        json!({
            "kind": "ConfigMap", "apiVersion": "v1",
            "metadata": { "resourceVersion": version.to_string(), "annotations": annotations },
        }),
    )
}

fn expired() -> Value {
    event(
        "ERROR",
        json!({ "kind": "Status", "code": 410, "reason": "Expired", "message": "too old", "status": "Failure" }),
    )
}

/// Plays the steps and gives what was seen, a word each, until the last step is reached.
async fn play(steps: Vec<Step>) -> Vec<String> {
    play_watching(Watching::default(), steps).await
}

async fn play_watching(watching: Watching, steps: Vec<Step>) -> Vec<String> {
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let (done, finished) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        for step in steps {
            let (request, send) = handle.next_request().await.expect("a call");
            let query = request.uri().query().unwrap_or_default().to_owned();
            for part in step.query {
                assert!(query.contains(part), "{part} is not in {query}");
            }
            for part in step.not {
                assert!(!query.contains(part), "{part} is in {query}");
            }
            let mut lines: String = step
                .lines
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n");
            lines.push('\n');
            let response = Response::builder()
                .status(step.code)
                .body(Body::from(lines.into_bytes()));
            send.send_response(response.expect("a response"));
        }
        let last = handle.next_request().await;
        let _ = done.send(());
        last
    });
    let api = Api::<WatchedConfigMap>::all_with(
        kube::Client::new(service, "default"),
        &resource("", "v1", "ConfigMap", "configmaps"),
    );
    let mut seen = Vec::new();
    let watching = follow(api, watching, |what| {
        seen.push(match what {
            Seen::ListStart => "list".to_owned(),
            Seen::Listed(object) => format!("listed {}", object.source.reference.name),
            Seen::ListEnd => "end".to_owned(),
            Seen::Changed(object) => format!("changed {}", object.source.reference.name),
            Seen::Gone(object) => format!("gone {}", object.source.reference.name),
            Seen::Trouble(trouble) => format!("{trouble:?}")
                .split(['(', ' '])
                .next()
                .unwrap_or_default()
                .to_owned(),
        });
    });
    tokio::select! {
        () = watching => {}
        _ = finished => {}
    }
    drop(server);
    seen
}

const STREAMING: &[&str] = &["sendInitialEvents=true"];

#[tokio::test(start_paused = true)]
async fn a_streaming_list_and_what_comes_after_it() {
    let seen = play(vec![Step {
        query: STREAMING,
        not: &[],
        code: 200,
        lines: vec![
            event("ADDED", object("a", 1)),
            event("ADDED", object("b", 2)),
            bookmark(5, true),
            event("MODIFIED", object("a", 6)),
            event("DELETED", object("b", 7)),
        ],
    }])
    .await;
    assert_eq!(seen, ["list", "listed a", "listed b", "end", "changed a", "gone b"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_the_server_closes_goes_on_where_it_was() {
    let seen = play(vec![
        Step {
            query: STREAMING,
            not: &[],
            code: 200,
            lines: vec![bookmark(5, true), event("ADDED", object("a", 6))],
        },
        Step {
            query: &["resourceVersion=6"],
            not: STREAMING,
            code: 200,
            lines: vec![event("ADDED", object("b", 7))],
        },
        Step {
            query: &["resourceVersion=7"],
            not: STREAMING,
            code: 200,
            lines: vec![],
        },
    ])
    .await;
    assert_eq!(seen, ["list", "end", "changed a", "changed b"]);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_place_is_listed_again() {
    let seen = play(vec![
        Step {
            query: STREAMING,
            not: &[],
            code: 200,
            lines: vec![bookmark(5, true), expired()],
        },
        Step {
            query: STREAMING,
            not: &[],
            code: 200,
            lines: vec![event("ADDED", object("a", 9)), bookmark(9, true)],
        },
    ])
    .await;
    assert_eq!(seen, ["list", "end", "Expired", "list", "listed a", "end"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_streaming_lists_is_listed_by_pages() {
    let refused = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 422,
        "reason": "Invalid", "message": "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled" });
    let page = |names: &[&str], next: &str| {
        json!({ "kind": "ConfigMapList", "apiVersion": "v1", "metadata": { "resourceVersion": "5", "continue": next },
            "items": names.iter().map(|name| object(name, 1)).collect::<Vec<_>>() })
    };
    let seen = play(vec![
        Step {
            query: STREAMING,
            not: &[],
            code: 422,
            lines: vec![refused],
        },
        Step {
            query: &["limit=10"],
            not: STREAMING,
            code: 200,
            lines: vec![page(&["a"], "next")],
        },
        Step {
            query: &["continue=next"],
            not: STREAMING,
            code: 200,
            lines: vec![page(&["b"], "")],
        },
        Step {
            query: &["watch=true", "resourceVersion=5"],
            not: STREAMING,
            code: 200,
            lines: vec![event("DELETED", object("a", 6))],
        },
    ])
    .await;
    assert_eq!(
        seen,
        ["NoStreamingLists", "list", "listed a", "listed b", "end", "gone a"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_told_and_waited_for() {
    let forbidden = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 403,
        "reason": "Forbidden", "message": "configmaps is forbidden: User \"w\" cannot watch resource \"configmaps\"" });
    let seen = play(vec![
        Step {
            query: STREAMING,
            not: &[],
            code: 403,
            lines: vec![forbidden.clone()],
        },
        Step {
            query: STREAMING,
            not: &[],
            code: 403,
            lines: vec![forbidden],
        },
        Step {
            query: STREAMING,
            not: &[],
            code: 200,
            lines: vec![bookmark(5, true)],
        },
    ])
    .await;
    assert_eq!(seen, ["Forbidden", "Forbidden", "list", "end"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_decoded_leads_to_a_new_list() {
    let seen = play(vec![
        Step {
            query: STREAMING,
            not: &[],
            code: 200,
            lines: vec![bookmark(5, true), event("MODIFIED", json!({ "metadata": 7 }))],
        },
        Step {
            query: STREAMING,
            not: &[],
            code: 200,
            lines: vec![event("ADDED", object("a", 9)), bookmark(9, true)],
        },
    ])
    .await;
    assert_eq!(seen, ["list", "end", "Undecodable", "list", "listed a", "end"]);
}

/// A proxy, or an API server that has just started.
#[tokio::test(start_paused = true)]
async fn a_kind_of_kubernetes_own_is_watched_again_after_a_404() {
    let steps = || {
        vec![
            Step {
                query: STREAMING,
                not: &[],
                code: 200,
                lines: vec![bookmark(5, true)],
            },
            Step {
                query: &["resourceVersion=5"],
                not: STREAMING,
                code: 404,
                lines: vec![not_found()],
            },
            Step {
                query: &["resourceVersion=5"],
                not: STREAMING,
                code: 200,
                lines: vec![event("ADDED", object("a", 6))],
            },
        ]
    };
    assert_eq!(play(steps()).await, ["list", "end", "Interrupted", "changed a"]);
    let by_definition = Watching {
        served: Served::ByDefinition,
        ..Watching::default()
    };
    let seen = play_watching(by_definition, steps()).await;
    assert_eq!(seen, ["list", "end", "NotServed"], "and one that may go is let go");
}

fn not_found() -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 404,
        "reason": "NotFound", "message": "the server could not find the requested resource" })
}
