//! The examples, run.

#[allow(dead_code, reason = "its main is not called here")]
#[path = "../../examples/blob.rs"]
mod blob;
#[allow(dead_code, reason = "its main is not called here")]
#[path = "../../examples/service.rs"]
mod service;

use axum::{Router, body::Body};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{kubelet::Kubelet, support::DEADLINE};

#[tokio::test]
async fn the_loader_of_a_blob_follows_its_file() {
    let mut kubelet = Kubelet::with([("limits.json", r#"{"connections": 1}"#)]);
    let limits = blob::load(kubelet.path().display().to_string()).await.expect("a blob");
    let mut changes = limits.subscribe();
    kubelet.write([("limits.json", r#"{"connections": 2}"#)]);
    let next = tokio::time::timeout(DEADLINE, changes.next())
        .await
        .expect("in time")
        .expect("a version");
    assert_eq!((next.connections, limits.load().connections), (2, 2));
    assert!(blob::load("/nowhere".to_owned()).await.is_err());
}

async fn ask(router: &Router, path: &str, accept: &str) -> (Response<()>, String) {
    let request = Request::get(path)
        .header(header::ACCEPT, accept)
        .body(Body::empty())
        .expect("a request");
    let (parts, body) = router.clone().oneshot(request).await.expect("an answer").into_parts();
    assert_eq!(parts.status, StatusCode::OK, "{path}");
    let bytes = body.collect().await.expect("a body").to_bytes();
    (
        Response::from_parts(parts, ()),
        String::from_utf8(bytes.to_vec()).expect("text"),
    )
}

async fn becomes(router: &Router, greeting: &str) {
    let wait = async {
        while ask(router, "/", "*/*").await.1 != greeting {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait)
        .await
        .expect("the greeting in time");
}

#[tokio::test]
async fn the_service_follows_its_flags_and_shows_them() {
    let mut kubelet = Kubelet::with([("greeting", "good day")]);
    let arguments = [
        format!("--volume={}", kubelet.path().display()),
        "--mood=loud".to_owned(),
    ];
    let (_, router) = service::prepare(arguments)
        .await
        .expect("a service")
        .expect("to be served");
    assert_eq!(ask(&router, "/", "*/*").await.1, "GOOD DAY!\n");

    kubelet.write([("greeting", "<b>hi</b>"), ("mood", "polite"), ("listen", "127.0.0.1:9")]);
    becomes(&router, "<b>hi</b>\n").await;
    let (answer, page) = ask(&router, "/flags", "text/html").await;
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    assert!(
        page.contains("&lt;b&gt;hi&lt;/b&gt;") && !page.contains("<b>hi"),
        "nobody's markup"
    );
    assert!(page.contains("restart required to apply 127.0.0.1:9"));

    kubelet.write([("greeting", ""), ("mood", "loud"), ("listen", "127.0.0.1:9")]);
    let problem = "greeting: says nothing";
    let wait = async {
        while !ask(&router, "/flags", "*/*").await.1.contains(problem) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("the problem in time");
    assert_eq!(ask(&router, "/", "*/*").await.1, "<b>hi</b>\n", "both stay");

    for path in ["/flags", "/flags/json"] {
        let (answer, body) = ask(&router, path, "application/json").await;
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["problem"], problem);
        assert_eq!(body["refusals"], 1);
        assert_eq!(body["needsRestart"][0], "listen");
        let flags = body["flags"].as_array().expect("flags");
        let mood = flags.iter().find(|flag| flag["name"] == "mood").expect("a flag");
        assert_eq!(mood["value"], "polite");
        assert_eq!(mood["default"], "polite");
        assert_eq!(mood["kind"], "dynamic");
        assert_eq!(mood["type"], "one of polite, loud");
        assert_eq!(mood["source"], "key mood");
        assert!(mood["lastChange"].as_str().expect("a time").ends_with('Z'));
        let greeting = flags.iter().find(|flag| flag["name"] == "greeting").expect("a flag");
        assert_eq!(greeting["lastError"], "says nothing");
    }
}

#[tokio::test]
async fn the_service_prints_help_and_rules_and_serves_nothing() {
    for arguments in [vec!["--help"], vec!["--print-rules", "web"]] {
        let arguments = arguments.into_iter().map(str::to_owned);
        assert!(service::prepare(arguments).await.expect("an end").is_none());
    }
}

#[test]
fn the_policy_of_the_manifest_has_the_rules_that_the_service_prints() {
    let manifest = include_str!("../../../../examples/live/greeter.yaml");
    let rules = service::rules("greeter").expect("rules");
    let indented: String = rules.lines().flat_map(|line| ["  ", line, "\n"]).collect();
    assert!(manifest.contains(&indented), "{indented}");
}
