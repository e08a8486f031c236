//! One object of the API, against a server that is a script: it checks the complete list of calls.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{StreamExt as _, stream};
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower_test::mock;
use windlass_live::{
    ApiError, ApiSource, Live, Volume,
    flags::{Flag, FlagSet},
};

use crate::{
    kubelet::Kubelet,
    support::{eventually, text, until},
};

const WATCH: &str = "/api/v1/namespaces/shop/configmaps?&watch=true&timeoutSeconds=240\
                     &fieldSelector=metadata.name%3Dweb&allowWatchBookmarks=true&resourceVersion=";
const GET: &str = "/api/v1/namespaces/shop/configmaps/web";

type Reply = Response<UnsyncBoxBody<bytes::Bytes, Infallible>>;

enum Answer {
    /// The object.
    Object(Value),
    /// An error of the API.
    Status(u16),
    /// These events, and then the end of the watch.
    Ends(Vec<Value>),
    /// These events, and then nothing.
    StaysOpen(Vec<Value>),
    /// The connection breaks.
    Breaks,
    /// Nothing is ever answered.
    Silence,
}

use Answer::{Breaks, Ends, Object, Silence, Status, StaysOpen};

/// `watch VERSION` or `get`.
fn name_of(uri: &str) -> String {
    match uri.strip_prefix(WATCH) {
        Some(version) => format!("watch {version}").trim_end().to_owned(),
        None if uri == GET => "get".to_owned(),
        None => uri.to_owned(),
    }
}

fn status(code: u16) -> Value {
    let reason = if code == 410 { "Expired" } else { "Some" };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "hunter2"})
}

fn respond(answer: Answer) -> Option<Reply> {
    let lines = |events: Vec<Value>| {
        events
            .iter()
            .flat_map(|event| [event.to_string(), "\n".to_owned()])
            .collect::<String>()
    };
    let (code, body, stays_open) = match answer {
        Object(object) => (200, object.to_string(), false),
        Status(code) => (code, status(code).to_string(), false),
        Ends(events) => (200, lines(events), false),
        StaysOpen(events) => (200, lines(events), true),
        Breaks | Silence => return None,
    };
    let frames = stream::iter([Ok(http_body::Frame::data(body.into()))]);
    let body = if stays_open {
        StreamBody::new(frames.chain(stream::pending())).boxed_unsync()
    } else {
        StreamBody::new(frames).boxed_unsync()
    };
    Some(Response::builder().status(code).body(body).expect("a response"))
}

/// The server.
struct Api {
    client: Client,
    calls: Arc<AtomicUsize>,
    script: JoinHandle<()>,
}

impl Api {
    fn expecting<const N: usize>(plan: [(&'static str, Answer); N]) -> Self {
        let (service, mut handle) = mock::pair::<Request<Body>, Reply>();
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let script = tokio::spawn(async move {
            let mut held = Vec::new();
            for (expected, answer) in plan {
                let (request, send) = handle
                    .next_request()
                    .await
                    .unwrap_or_else(|| panic!("missing call: {expected}"));
                assert_eq!(name_of(&request.uri().to_string()), expected);
                count.fetch_add(1, Ordering::Relaxed);
                let silent = matches!(answer, Silence);
                match respond(answer) {
                    Some(response) => send.send_response(response),
                    None if silent => held.push(send),
                    None => send.send_error(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
                }
            }
            if let Some((request, _)) = handle.next_request().await {
                panic!("one call too many: {}", request.uri());
            }
        });
        Self {
            client: Client::new(service, "default"),
            calls,
            script,
        }
    }

    /// Waits until so many calls have come: what is dropped earlier does not make them.
    async fn called(&self, count: usize) {
        eventually("the calls have come", || self.calls.load(Ordering::Relaxed) >= count).await;
    }

    fn client(&self) -> Client {
        self.client.clone()
    }

    /// Checks that every call came and none more.
    async fn finish(self) {
        drop(self.client);
        self.script.await.expect("the calls were as expected");
    }
}

fn web(version: u32, level: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "web", "namespace": "shop", "uid": "1", "resourceVersion": version.to_string()},
        "data": {"level": level}, "binaryData": {"logo": "AAEC"},
    })
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}

fn bookmark(version: u32) -> Value {
    let metadata = json!({"resourceVersion": version.to_string()});
    event(
        "BOOKMARK",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}),
    )
}

fn source(api: &Api) -> windlass_live::ApiSourceBuilder {
    ApiSource::config_map(api.client(), "shop", "web")
}

#[tokio::test(start_paused = true)]
async fn the_watch_is_opened_the_object_is_read_and_what_comes_is_taken() {
    let api = Api::expecting([
        // The watch begins with what was there before the object was read: it is old by then.
        (
            "watch",
            StaysOpen(vec![event("ADDED", web(4, "stale")), event("MODIFIED", web(6, "next"))]),
        ),
        ("get", Object(web(5, "first"))),
    ]);
    let source = source(&api).start().await.expect("a source");
    let mut changes = source.changes();
    assert_eq!(
        source.snapshot().get("logo").map(|content| content.to_vec()),
        Some(vec![0, 1, 2])
    );
    let snapshot = if text(changes.last(), "level") == Some("first") {
        changes.next().await.expect("a snapshot")
    } else {
        source.snapshot()
    };
    assert_eq!(text(&snapshot, "level"), Some("next"), "never the stale one");
    assert_eq!(source.trouble(), None);
    drop((source, changes));
    api.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_is_resumed_where_it_was() {
    let api = Api::expecting([
        ("watch", Ends(vec![event("ADDED", web(5, "a")), bookmark(40)])),
        ("get", Object(web(5, "a"))),
        ("watch 40", Ends(vec![event("MODIFIED", web(41, "b"))])),
        ("watch 41", Breaks),
        ("watch 41", Status(500)),
        ("watch 41", StaysOpen(vec![event("MODIFIED", web(44, "c"))])),
    ]);
    let source = source(&api).start().await.expect("a source");
    let mut changes = source.changes();
    until(&mut changes, |snapshot| text(snapshot, "level") == Some("c")).await;
    assert_eq!(source.trouble(), None);
    drop((source, changes));
    api.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_the_server_has_forgotten_begins_anew() {
    let api = Api::expecting([
        ("watch", Ends(vec![])),
        ("get", Object(web(5, "a"))),
        ("watch 5", Status(410)),
        (
            "watch",
            Ends(vec![event("ADDED", web(9, "b")), event("ERROR", status(410))]),
        ),
        ("get", Object(web(9, "b"))),
        ("watch", StaysOpen(vec![])),
        ("get", Object(web(12, "c"))),
    ]);
    let source = source(&api).start().await.expect("a source");
    let mut changes = source.changes();
    until(&mut changes, |snapshot| text(snapshot, "level") == Some("c")).await;
    drop((source, changes));
    api.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_object_keeps_its_last_good_version_until_it_is_back() {
    let api = Api::expecting([
        ("watch", Ends(vec![event("DELETED", web(6, "a"))])),
        ("get", Object(web(5, "a"))),
        ("watch 6", Ends(vec![])),
        // It still does not exist, though the watch is in order.
        ("watch 6", Ends(vec![event("ADDED", web(8, "b"))])),
        ("watch 8", StaysOpen(vec![])),
    ]);
    let source = source(&api).start().await.expect("a source");
    let mut changes = source.changes();
    eventually("it says that it is gone", || {
        source.trouble().is_some_and(|trouble| trouble.kind() == "missing")
    })
    .await;
    assert_eq!(text(&source.snapshot(), "level"), Some("a"));
    until(&mut changes, |snapshot| text(snapshot, "level") == Some("b")).await;
    assert_eq!(source.trouble(), None);
    api.called(5).await;
    drop((source, changes));
    api.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_without_the_object_or_the_right_is_an_error_at_once() {
    let object = "ConfigMap shop/web".to_owned();
    let api = Api::expecting([("watch", StaysOpen(vec![])), ("get", Status(404))]);
    let error = source(&api).start().await.expect_err("missing");
    assert_eq!(error, ApiError::Missing { object: object.clone() });
    api.finish().await;

    let api = Api::expecting([("watch", Status(403))]);
    let error = source(&api).start().await.expect_err("denied");
    assert_eq!(error, ApiError::Denied { object, code: 403 });
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "nothing of what the server says"
    );
    api.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_asked_until_the_time_is_over() {
    let api = Api::expecting([("watch", Breaks), ("watch", Status(503)), ("watch", Silence)]);
    let error = source(&api).start().await.expect_err("unreachable");
    assert_eq!(error.kind(), "unreachable");
    api.finish().await;

    let api = Api::expecting([
        ("watch", Breaks),
        ("watch", StaysOpen(vec![])),
        ("get", Breaks),
        ("watch", StaysOpen(vec![])),
        ("get", Object(web(5, "a"))),
    ]);
    let source = source(&api).start().await.expect("it came up in time");
    assert_eq!(text(&source.snapshot(), "level"), Some("a"));
    drop(source);
    api.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_lost_and_a_server_that_goes_away_keep_the_last_good_version() {
    let api = Api::expecting([
        ("watch", Ends(vec![])),
        ("get", Object(web(5, "a"))),
        ("watch 5", Status(403)),
        ("watch 5", Breaks),
        ("watch 5", Silence),
        ("watch 5", StaysOpen(vec![event("MODIFIED", web(9, "b"))])),
    ]);
    let source = source(&api).start().await.expect("a source");
    let mut changes = source.changes();
    for kind in ["denied", "unreachable"] {
        eventually("it says so", || {
            source.trouble().is_some_and(|trouble| trouble.kind() == kind)
        })
        .await;
        assert_eq!(text(&source.snapshot(), "level"), Some("a"));
    }
    until(&mut changes, |snapshot| text(snapshot, "level") == Some("b")).await;
    assert_eq!(source.trouble(), None);
    drop((source, changes));
    api.finish().await;
}

#[tokio::test]
async fn it_starts_from_the_mount_and_goes_over_to_the_server() {
    let mut kubelet = Kubelet::with([("level", "mounted")]);
    let mount = Volume::open(kubelet.path()).await.expect("a volume");
    let api = Api::expecting([("watch", Status(403)), ("watch", Silence)]);
    let source = source(&api).or_mount(&mount).start().await.expect("the mount");
    let mut changes = source.changes();
    assert_eq!(text(&source.snapshot(), "level"), Some("mounted"));
    assert_eq!(source.trouble().map(|trouble| trouble.kind()), Some("denied"));
    kubelet.write([("level", "newer")]);
    until(&mut changes, |snapshot| text(snapshot, "level") == Some("newer")).await;
    assert!(source.trouble().is_some(), "the server is still not there");
    api.called(2).await;
    drop((source, changes));
    api.finish().await;

    let api = Api::expecting([
        ("watch", Breaks),
        ("watch", Breaks),
        ("watch", StaysOpen(vec![])),
        ("get", Object(web(5, "served"))),
    ]);
    let builder =
        ApiSource::config_map(api.client(), "shop", "web").start_timeout(std::time::Duration::from_millis(50));
    let source = builder.or_mount(&mount).start().await.expect("the mount");
    let mut changes = source.changes();
    until(&mut changes, |snapshot| text(snapshot, "level") == Some("served")).await;
    assert_eq!(source.trouble(), None);
    drop((source, changes));
    api.finish().await;
}

#[tokio::test(start_paused = true)]
async fn flags_and_live_take_the_object_as_they_take_a_mount() {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "resourceVersion": "5"},
        "data": {"port": "81", "list.json": "[1, 2]"},
    });
    let api = Api::expecting([("watch", StaysOpen(vec![])), ("get", Object(object))]);
    let source = source(&api).start().await.expect("a source");
    let list = Live::<Vec<u8>>::json(&source, "list.json").expect("JSON");
    assert_eq!(*list.load(), [1, 2]);
    let mut set = FlagSet::new();
    set.unknown_keys(windlass_live::flags::Unknown::Ignore);
    let port = set.add_static(Flag::new("port", 80_u16)).expect("a flag");
    let flags = set.initialize(&source).expect("good keys");
    assert_eq!(port.get(), 81);
    drop((source, list, flags));
    api.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_decoded_and_quoted_nowhere() {
    const URI: &str = "/api/v1/namespaces/shop/secrets";
    let (service, mut handle) = mock::pair::<Request<Body>, Reply>();
    let script = tokio::spawn(async move {
        let mut open = Vec::new();
        for answer in [
            StaysOpen(vec![]),
            Object(json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web", "resourceVersion": "5"},
                "data": {"pin.json": "Imh1bnRlcjIi"},
            })),
        ] {
            let (request, send) = handle.next_request().await.expect("a call");
            assert!(request.uri().path().starts_with(URI));
            open.push(request);
            send.send_response(respond(answer).expect("a response"));
        }
        handle
    });
    let source = ApiSource::secret(Client::new(service, "default"), "shop", "web")
        .start()
        .await
        .expect("a source");
    assert_eq!(text(&source.snapshot(), "pin.json"), Some("\"hunter2\""));
    let refused = Live::<u16>::json(&source, "pin.json").expect_err("no number");
    assert!(!format!("{refused} {refused:?} {source:?}").contains("hunter2"));
    drop(source);
    script.await.expect("the calls were as expected");
}
