use http::Method;

use super::*;

#[test]
fn requests_are_told_apart_as_rbac_does() {
    let table = [
        (
            "GET",
            "/api/v1/configmaps?&watch=true&resourceVersion=5",
            "watch",
            "configmaps",
        ),
        ("GET", "/api/v1/namespaces/shop/configmaps", "list", "configmaps"),
        ("GET", "/api/v1/namespaces/shop/secrets/key", "get", "secrets"),
        ("GET", "/apis/apps/v1/deployments", "list", "deployments"),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/shop/deployments/web?&fieldManager=windlass",
            "patch",
            "deployments",
        ),
        (
            "POST",
            "/apis/events.k8s.io/v1/namespaces/shop/events",
            "create",
            "events",
        ),
        ("GET", "/apis/example.com/v1/namespaces/shop/widgets/a", "get", "other"),
        ("GET", "/version", "list", "other"),
    ];
    for (method, uri, verb, resource) in table {
        let method: Method = method.parse().expect("a method");
        assert_eq!(
            classify(&method, &uri.parse().expect("a uri")),
            (verb, resource),
            "{method} {uri}"
        );
    }
}

#[test]
fn a_streaming_list_asks_for_the_newest_state_and_a_watch_goes_on_where_it_was() {
    let sent = |query: &str| {
        let request = Request::get(format!("/api/v1/configmaps?{query}"))
            .body(())
            .expect("a request");
        newest_list(request).uri().query().expect("a query").to_owned()
    };
    assert_eq!(
        sent("&watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0"),
        "&watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    );
    let resumed = "&watch=true&allowWatchBookmarks=true&resourceVersion=0";
    assert_eq!(sent(resumed), resumed);
}

type Seen = Arc<std::sync::Mutex<Vec<(&'static str, CallResult)>>>;

fn observed<S>(inner: S) -> (ObservedService<S>, Seen) {
    let seen = Seen::default();
    let noted = seen.clone();
    let observer: CallObserver = Arc::new(move |call: ApiCall| noted.lock().unwrap().push((call.verb, call.result)));
    let pulses = WatchActivity::default();
    (
        ObservedService {
            inner,
            observer,
            activity: pulses,
        },
        seen,
    )
}

fn request(method: &str) -> Request<Body> {
    let path = "/apis/apps/v1/namespaces/shop/deployments/web";
    Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .expect("a request")
}

#[tokio::test]
async fn a_request_is_counted_by_how_it_ended_also_when_nobody_waits_for_it_any_more() {
    let service = tower::service_fn(|request: Request<Body>| async move {
        match request.method().as_str() {
            "GET" => Ok(Response::new(Body::empty())),
            "PATCH" => Err(std::io::Error::other("a broken connection")),
            _ => std::future::pending().await,
        }
    });
    let (service, seen) = observed(service);
    assert!(service.clone().oneshot(request("GET")).await.is_ok());
    assert!(service.clone().oneshot(request("PATCH")).await.is_err());
    let waited = tokio::time::timeout(Duration::from_millis(1), service.oneshot(request("DELETE"))).await;
    assert!(waited.is_err());
    assert_eq!(
        *seen.lock().unwrap(),
        [
            ("get", CallResult::Status(200)),
            ("patch", CallResult::Broken),
            ("delete", CallResult::NotInTime)
        ]
    );
}

#[tokio::test]
async fn what_a_watch_brings_is_felt_and_a_refusal_is_not() {
    for (status, felt) in [(200, true), (403, false)] {
        let (service, _) = observed(tower::service_fn(move |_: Request<Body>| async move {
            let mut response = Response::new(Body::from(b"bookmark".to_vec()));
            *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
            Ok::<_, std::io::Error>(response)
        }));
        let pulses = service.activity.clone();
        let _watched = pulses.begin("configmaps", "/api/v1/configmaps");
        let begun = Instant::now();
        while begun.elapsed().is_zero() {}
        let watch = Request::get("/api/v1/configmaps?watch=true").body(Body::empty());
        let response = service.oneshot(watch.expect("a request")).await.expect("an answer");
        let body = http_body_util::BodyExt::collect(response.into_body()).await;
        assert_eq!(body.expect("a body").to_bytes().as_ref(), b"bookmark");
        let silence = pulses.silences(begun + Duration::from_secs(90))["configmaps"];
        assert_eq!(silence < Duration::from_secs(90), felt, "{status}");
    }
}
