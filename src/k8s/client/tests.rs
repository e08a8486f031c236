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
