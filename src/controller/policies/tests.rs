use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock;

use super::*;
use crate::controller::fixtures;
use crate::controller::index::Rules;

fn feed(client: kube::Client) -> Feed {
    Feed {
        context: Arc::new(fixtures::context(Index::new(Rules::default()), client)),
        queue: Arc::default(),
        reading: Arc::default(),
        metrics: fixtures::metrics(),
        progress: Arc::default(),
        pulses: crate::k8s::pulse::Pulses::default(),
        excluded: None,
        source_labels: None,
    }
}

/// The lines of a watch that lists one policy and then ends.
fn one_policy() -> String {
    let policy = json!({
        "apiVersion": "windlass.dev/v1alpha1", "kind": "ClusterRolloutPolicy",
        "metadata": { "name": "stop", "uid": "u", "resourceVersion": "4", "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "suspend": true, "workloads": { "selector": {} } },
    });
    let end = json!({ "metadata": { "resourceVersion": "5", "annotations": { "k8s.io/initial-events-end": "true" } },
        "kind": "ClusterRolloutPolicy", "apiVersion": "windlass.dev/v1alpha1" });
    format!(
        "{}\n{}\n",
        json!({ "type": "ADDED", "object": policy }),
        json!({ "type": "BOOKMARK", "object": end })
    )
}

fn not_found() -> String {
    let status: Value = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 404,
        "reason": "NotFound", "message": "the server could not find the requested resource" });
    format!("{status}\n")
}

/// Found in a review: one 404 from a proxy, and the emergency stop was off until the next start.
#[tokio::test(start_paused = true)]
async fn policies_hold_until_it_is_certain_that_they_are_not_served() {
    const WATCH: &str = "/apis/windlass.dev/v1alpha1/clusterrolloutpolicies";
    const FIND: &str = "/apis/windlass.dev/v1alpha1";
    let served = json!({ "resources": [
        { "name": "clusterrolloutpolicies", "kind": "ClusterRolloutPolicy", "verbs": ["list", "watch"] },
    ] });
    let mut script = vec![
        (WATCH, 200, one_policy()),
        (WATCH, 404, not_found()),
        (FIND, 200, served.to_string()),
        (WATCH, 200, one_policy()),
        (WATCH, 404, not_found()),
        (FIND, 503, "{}".to_owned()),
    ];
    script.extend((0..6).map(|_| (FIND, 404, not_found())));

    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let feed = feed(kube::Client::new(service, "default"));
    let context = feed.context.clone();
    let policies = Policies::new(feed, vec![None], Relists::default());
    let announced = policies.announce(Kind::OfCluster).remove(0);
    let server = tokio::spawn(async move {
        let mut known = Vec::new();
        for (path, code, body) in script {
            let (request, send) = handle.next_request().await.expect("a call");
            assert_eq!(request.uri().path(), path);
            known.push(context.index().policies().count());
            let response = Response::builder().status(code).body(Body::from(body.into_bytes()));
            send.send_response(response.expect("a response"));
        }
        known
    });
    let ended = policies.policies(announced.watch, Kind::OfCluster, None).await;
    assert_eq!(ended, Ended::NotServed);
    assert_eq!(
        server.await.expect("the calls were as expected"),
        [vec![0], vec![1; 11]].concat()
    );
    policies.let_go(&announced);
    assert_eq!(policies.feed.context.index().policies().count(), 0);
}
