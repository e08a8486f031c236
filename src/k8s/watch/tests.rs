use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock;

use super::*;
use crate::k8s::wire::{WatchedConfigMap, resource};

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
    play_watching(WatchOptions::default(), steps).await
}

async fn play_watching(watching: WatchOptions, steps: Vec<Step>) -> Vec<String> {
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
    let target = WatchTarget {
        client: kube::Client::new(service, "default"),
        resource: resource("", "v1", "ConfigMap", "configmaps"),
        namespace: None,
    };
    let mut seen = Vec::new();
    let watching = follow::<WatchedConfigMap>(target, watching, |what| {
        seen.push(match what {
            WatchEvent::ListStart => "list".to_owned(),
            WatchEvent::Listed(object) => format!("listed {}", object.source.reference.name),
            WatchEvent::ListEnd => "end".to_owned(),
            WatchEvent::Applied(object) => format!("changed {}", object.source.reference.name),
            WatchEvent::Deleted(object) => format!("gone {}", object.source.reference.name),
            WatchEvent::Error(trouble) => format!("{trouble:?}")
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
            lines: vec![bookmark(7, false)],
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
    let by_definition = WatchOptions {
        availability: Availability::ByDefinition,
        ..WatchOptions::default()
    };
    let seen = play_watching(by_definition, steps()).await;
    assert_eq!(seen, ["list", "end", "NotServed"], "and one that may go is let go");
}

fn not_found() -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 404,
        "reason": "NotFound", "message": "the server could not find the requested resource" })
}

/// What a server does with one request.
enum Reply {
    /// Answers with this code and these lines, and closes.
    Answer(u16, Vec<Value>),
    /// Answers 200 with these lines, and then nothing more.
    Stay(Vec<Value>),
    /// Answers 200 with these lines, and then the connection breaks.
    Break(Vec<Value>),
    /// Answers 429 in plain text, with this header.
    Later(&'static str),
    /// Takes it, and never answers.
    Nothing,
}

type Which = fn(&str) -> bool;
type Rule = Box<dyn FnMut(&str) -> Reply + Send>;
type Streamed = http_body_util::combinators::UnsyncBoxBody<hyper::body::Bytes, std::io::Error>;

/// Watches for this long a server that answers by its own rule, in simulated time; gives when it was asked for
/// what, and what was seen.
async fn watch_for(
    length: std::time::Duration,
    mut rule: impl FnMut(&str) -> Reply + Send + 'static,
) -> (Vec<(Duration, String)>, Vec<String>) {
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Streamed>>();
    let begun = tokio::time::Instant::now();
    // No test asks more often.
    let (asked, mut requests) = tokio::sync::mpsc::channel(10_000);
    let server = tokio::spawn(async move {
        let mut never = Vec::new();
        while let Some((request, send)) = handle.next_request().await {
            let query = request.uri().query().unwrap_or_default().to_owned();
            asked
                .try_send((begun.elapsed(), query.clone()))
                .expect("it is asked too often");
            let broken = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            let mut response = Response::builder();
            let (code, lines, rest) = match rule(&query) {
                Reply::Answer(code, lines) => (code, lines, futures::stream::empty().boxed()),
                Reply::Stay(lines) => (200, lines, futures::stream::pending().boxed()),
                Reply::Break(lines) => (200, lines, futures::stream::iter([Err(broken())]).boxed()),
                Reply::Later(seconds) => {
                    response = response.header(http::header::RETRY_AFTER, seconds);
                    (429, vec![json!("too many")], futures::stream::empty().boxed())
                }
                Reply::Nothing => {
                    never.push(send);
                    continue;
                }
            };
            let mut text = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
            text.push('\n');
            let frame = hyper::body::Frame::data(hyper::body::Bytes::from(text));
            let frames = futures::stream::iter([Ok::<_, std::io::Error>(frame)]);
            let body = http_body_util::StreamBody::new(frames.chain(rest)).boxed_unsync();
            send.send_response(response.status(code).body(body).expect("a response"));
        }
    });
    let target = WatchTarget {
        client: kube::Client::new(service, "default"),
        resource: resource("", "v1", "ConfigMap", "configmaps"),
        namespace: None,
    };
    let mut seen = Vec::new();
    let watching = follow::<WatchedConfigMap>(target, WatchOptions::default(), |what| {
        seen.push(match what {
            WatchEvent::ListStart => "list".to_owned(),
            WatchEvent::ListEnd => "end".to_owned(),
            WatchEvent::Listed(object) | WatchEvent::Applied(object) => object.source.reference.name.to_string(),
            WatchEvent::Deleted(_) => "gone".to_owned(),
            WatchEvent::Error(trouble) => format!("{trouble:?}"),
        });
    });
    let _ = tokio::time::timeout(length, watching).await;
    server.abort();
    let mut all = Vec::new();
    while let Ok(request) = requests.try_recv() {
        all.push(request);
    }
    (all, seen)
}

const MINUTE: Duration = Duration::from_mins(1);

fn status(code: u16, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "message": message })
}

fn page(names: &[&str], next: &str) -> Reply {
    Reply::Answer(
        200,
        vec![
            json!({ "kind": "ConfigMapList", "apiVersion": "v1", "metadata": { "resourceVersion": "5", "continue": next },
            "items": names.iter().map(|name| object(name, 1)).collect::<Vec<_>>() }),
        ],
    )
}

fn is_streaming(query: &str) -> bool {
    query.contains("sendInitialEvents=true")
}

fn is_watch(query: &str) -> bool {
    query.contains("watch=true")
}

/// Of a server before 1.34: streaming lists are refused, and the rest is as `then` says.
fn paged(mut then: impl FnMut(&str) -> Reply) -> impl FnMut(&str) -> Reply {
    move |query| {
        if is_streaming(query) {
            Reply::Answer(422, vec![status(422, "sendInitialEvents is forbidden for watch")])
        } else {
            then(query)
        }
    }
}

/// Found in a review: a hundred LISTs a second against a server that is overloaded.
#[tokio::test(start_paused = true)]
async fn a_list_that_fails_is_asked_for_ever_more_rarely() {
    let each_fails = paged(|_| Reply::Answer(500, vec![status(500, "etcdserver: request timed out")]));
    let second_page_fails = paged(|query| {
        if query.contains("continue=") {
            Reply::Answer(500, vec![status(500, "etcdserver: request timed out")])
        } else {
            page(&["a"], "next")
        }
    });
    let rules: [Rule; 4] = [
        Box::new(each_fails),
        Box::new(second_page_fails),
        Box::new(|_| Reply::Answer(500, vec![status(500, "overloaded")])),
        // The list is complete, and the watch is refused or broken each time.
        Box::new(paged(|query| {
            if is_watch(query) {
                Reply::Answer(200, vec![event("ERROR", status(410, "expired"))])
            } else {
                page(&["a"], "")
            }
        })),
    ];
    for (number, rule) in rules.into_iter().enumerate() {
        let (requests, _) = watch_for(10 * MINUTE, rule).await;
        let in_first = requests.iter().filter(|(at, _)| *at < MINUTE).count();
        let in_last = requests.iter().filter(|(at, _)| *at >= 9 * MINUTE).count();
        assert!(
            (4..=24).contains(&in_first),
            "rule {number}: {in_first} requests in the first minute"
        );
        assert!(
            (1..=14).contains(&in_last),
            "rule {number}: {in_last} requests in the last minute"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_closed_at_once_each_time_is_opened_ever_more_rarely() {
    let rule = |query: &str| {
        if is_streaming(query) {
            Reply::Answer(200, vec![bookmark(5, true)])
        } else {
            Reply::Answer(200, vec![])
        }
    };
    let (requests, seen) = watch_for(10 * MINUTE, rule).await;
    assert!(requests.len() < 90, "{} requests in ten minutes", requests.len());
    assert!(seen.iter().any(|what| what.starts_with("Interrupted")), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_rarely_is_asked_for_soon_when_it_was_well_for_a_while() {
    let begun = tokio::time::Instant::now();
    // Down for ten minutes, well for ten, and then one error.
    let rule = paged(move |query| match begun.elapsed() {
        at if at < 10 * MINUTE => Reply::Answer(500, vec![status(500, "down")]),
        at if at < 20 * MINUTE && is_watch(query) => Reply::Stay(vec![]),
        _ if is_watch(query) => Reply::Answer(500, vec![status(500, "one error")]),
        _ => page(&["a"], ""),
    });
    let (requests, seen) = watch_for(26 * MINUTE, rule).await;
    assert!(seen.iter().any(|what| what == "end"), "{seen:?}");
    let again: Vec<_> = requests.iter().filter(|(at, _)| *at >= 20 * MINUTE).collect();
    let soon = again.windows(2).map(|two| two[1].0.saturating_sub(two[0].0)).next();
    assert!(soon.is_some_and(|pause| pause < Duration::from_secs(1)), "{again:?}");
}

/// Found in a review: an etcd that cannot tell its progress has a streaming list end with an error.
#[tokio::test(start_paused = true)]
async fn a_streaming_list_that_fails_is_made_by_pages() {
    let broken: [fn() -> Reply; 5] = [
        || {
            Reply::Answer(
                200,
                vec![
                    event("ADDED", object("a", 1)),
                    event("ERROR", status(500, "etcd is too old")),
                ],
            )
        },
        || Reply::Answer(200, vec![event("ERROR", status(504, "too slow"))]),
        || Reply::Answer(200, vec![event("ADDED", object("a", 1))]),
        || Reply::Stay(vec![event("ADDED", object("a", 1))]),
        || Reply::Break(vec![event("ADDED", object("a", 1))]),
    ];
    for (number, broken) in broken.into_iter().enumerate() {
        let rule = move |query: &str| match query {
            _ if is_streaming(query) => broken(),
            _ if is_watch(query) => Reply::Stay(vec![event("MODIFIED", object("b", 6))]),
            _ => page(&["b"], ""),
        };
        let (requests, seen) = watch_for(4 * MINUTE, rule).await;
        let end = seen.iter().position(|what| what == "end");
        let after: Vec<&str> = seen.iter().skip(end.unwrap_or_default()).map(String::as_str).collect();
        assert_eq!(after, ["end", "b"], "rule {number}: {seen:?}");
        assert!(
            seen.iter().any(|what| what.starts_with("Interrupted")),
            "rule {number}: {seen:?}"
        );
        assert_eq!(requests.len(), 3, "rule {number}: {requests:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_that_fail_are_streamed_again_where_that_is_not_refused() {
    let mut streamed = 0;
    let rule = move |query: &str| match query {
        _ if is_streaming(query) => {
            streamed += 1;
            if streamed == 1 {
                Reply::Answer(200, vec![event("ERROR", status(500, "for a moment"))])
            } else {
                Reply::Stay(vec![event("ADDED", object("a", 1)), bookmark(5, true)])
            }
        }
        _ => Reply::Answer(500, vec![status(500, "for long")]),
    };
    let (_, seen) = watch_for(MINUTE, rule).await;
    assert_eq!(
        seen.iter().rev().take(3).map(String::as_str).collect::<Vec<_>>(),
        ["end", "a", "list"],
        "{seen:?}"
    );
}

/// Found in a review: a load balancer that takes everything and never answers.
#[tokio::test(start_paused = true)]
async fn no_request_is_waited_for_without_end() {
    // What is not answered the first time, and the rest well.
    let silent: [(&str, Which, bool); 4] = [
        ("a streaming list", is_streaming, false),
        ("a page", |query| !is_watch(query) && !query.contains("continue="), true),
        ("the second page", |query| query.contains("continue="), true),
        ("a watch", |query| is_watch(query) && !is_streaming(query), true),
    ];
    for (what, is_silent, by_pages) in silent {
        let mut times = 0;
        let well = move |query: &str| match query {
            _ if is_streaming(query) => Reply::Stay(vec![
                event("ADDED", object("a", 1)),
                bookmark(5, true),
                event("MODIFIED", object("b", 6)),
            ]),
            _ if is_watch(query) => Reply::Stay(vec![event("MODIFIED", object("b", 6))]),
            _ if query.contains("continue=") => page(&["b"], ""),
            _ => page(&["a"], "next"),
        };
        let mut answer: Rule = if by_pages {
            Box::new(paged(well))
        } else {
            Box::new(well)
        };
        let rule = move |query: &str| {
            let counts = is_silent(query) && !(by_pages && is_streaming(query));
            times += usize::from(counts);
            if counts && times <= 2 {
                Reply::Nothing
            } else {
                answer(query)
            }
        };
        let (requests, seen) = watch_for(4 * MINUTE, rule).await;
        assert!(requests.len() >= 3, "{what}: {requests:?}");
        assert_eq!(seen.last().map(String::as_str), Some("b"), "{what}: {seen:?}");
        assert!(
            seen.iter()
                .any(|it| it.starts_with("Interrupted") && it.contains("answer")),
            "{what}: {seen:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_goes_silent_is_opened_anew_within_five_minutes() {
    let rule = |query: &str| {
        if is_streaming(query) {
            Reply::Stay(vec![bookmark(5, true)])
        } else {
            Reply::Stay(vec![event("MODIFIED", object("b", 6))])
        }
    };
    let (requests, seen) = watch_for(5 * MINUTE, rule).await;
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert_eq!(seen.last().map(String::as_str), Some("b"), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_when_to_come_back_is_not_asked_before() {
    let busy = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 429, "message": "too many",
        "details": { "retryAfterSeconds": 20 } });
    let (requests, _) = watch_for(2 * MINUTE, move |_: &str| Reply::Answer(429, vec![busy.clone()])).await;
    assert!((4..=7).contains(&requests.len()), "{requests:?}");
    // As the API server's own limits say it.
    let (requests, _) = watch_for(2 * MINUTE, |_: &str| Reply::Later("20")).await;
    assert!((4..=7).contains(&requests.len()), "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_tells_of_an_error_is_left_also_where_it_stays_open() {
    let rule = |query: &str| {
        if is_streaming(query) {
            Reply::Stay(vec![bookmark(5, true), event("ERROR", status(500, "a moment"))])
        } else {
            Reply::Stay(vec![event("MODIFIED", object("b", 6))])
        }
    };
    let (requests, seen) = watch_for(Duration::from_secs(5), rule).await;
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert_eq!(seen.last().map(String::as_str), Some("b"), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_forgotten_before_the_watch_begins_is_listed_again() {
    let mut watched = 0;
    let rule = move |query: &str| match query {
        _ if is_streaming(query) => Reply::Answer(200, vec![bookmark(5, true)]),
        _ => {
            watched += 1;
            Reply::Answer(if watched == 1 { 410 } else { 200 }, vec![status(410, "gone")])
        }
    };
    let (requests, seen) = watch_for(Duration::from_secs(5), rule).await;
    assert_eq!(
        seen.iter().take(4).map(String::as_str).collect::<Vec<_>>(),
        ["list", "end", "Expired", "list"],
        "{requests:?}"
    );
}
