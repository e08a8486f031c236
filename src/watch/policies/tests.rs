use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock;

use super::*;
use crate::fixtures;
use crate::index::IndexSettings;
use crate::watch::observer::Uncounted;

fn ingest(client: kube::Client) -> Ingest {
    Ingest {
        reader: Arc::new(fixtures::reader(Index::new(IndexSettings::default()), client)),
        queue: Arc::default(),
        fetch_queue: Arc::default(),
        observer: Arc::new(Uncounted),
        progress: Arc::default(),
        watch_activity: crate::k8s::watch_activity::WatchActivity::default(),
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
    let ingest = ingest(kube::Client::new(service, "default"));
    let reader = ingest.reader.clone();
    let policies = PolicyWatches::new(ingest, vec![None], ClusterPolicies::Required, Relists::default());
    let announced = policies.announce(Kind::OfCluster).remove(0);
    let server = tokio::spawn(async move {
        let mut known = Vec::new();
        for (path, code, body) in script {
            let (request, send) = handle.next_request().await.expect("a call");
            assert_eq!(request.uri().path(), path);
            known.push(reader.index().policies().count());
            let response = Response::builder().status(code).body(Body::from(body.into_bytes()));
            send.send_response(response.expect("a response"));
        }
        known
    });
    policies.policies(announced.watch, Kind::OfCluster, None).await;
    assert_eq!(
        server.await.expect("the calls were as expected"),
        [vec![0], vec![1; 11]].concat()
    );
    policies.drop_policies(&announced);
    assert_eq!(policies.ingest.reader.index().policies().count(), 0);
}

const FORBIDDEN: &str =
    "clusterrolloutpolicies is forbidden: User \"w\" cannot list resource \"clusterrolloutpolicies\"";

/// Watches policies of the cluster for this long, in simulated time, on a server that answers each request with what
/// `code` says of the time: 200 lists one policy. Gives at which second decisions could begin, if they could, and
/// how many policies were known then; and how many were known at the end.
async fn watch_for(
    length: Duration,
    of_cluster: ClusterPolicies,
    code: impl Fn(Duration) -> u16 + Send + 'static,
) -> (Option<(u64, usize)>, usize) {
    let begun = Instant::now();
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let ingest = ingest(kube::Client::new(service, "default"));
    let reader = ingest.reader.clone();
    let scopes = vec![Some(Namespace::from("shop"))];
    let policies = PolicyWatches::new(ingest, scopes, of_cluster, Relists::default());
    let announced = policies.announce(Kind::OfCluster);
    reader.index().end_watch(announced[1].watch);
    let server = tokio::spawn(async move {
        let mut never = Vec::new();
        while let Some((request, send)) = handle.next_request().await {
            let code = code(begun.elapsed());
            let body = match code {
                200 if !request.uri().query().unwrap_or_default().contains("sendInitialEvents") => {
                    never.push(send);
                    continue;
                }
                200 => one_policy(),
                403 => json!({ "kind": "Status", "apiVersion": "v1", "code": 403, "message": FORBIDDEN }).to_string(),
                code => json!({ "kind": "Status", "apiVersion": "v1", "code": code, "message": "no" }).to_string(),
            };
            let response = Response::builder().status(code).body(Body::from(body.into_bytes()));
            send.send_response(response.expect("a response"));
        }
    });
    let known = || reader.index().policies().count();
    let mut first = None;
    let watching = policies.policies(announced[0].watch, Kind::OfCluster, None);
    let looking = async {
        while begun.elapsed() < length {
            if first.is_none() && reader.index().has_policies() {
                first = Some((begun.elapsed().as_secs(), known()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = watching => panic!("it does not end"),
        () = looking => {}
    }
    server.abort();
    (first, known())
}

const HOUR: Duration = Duration::from_hours(1);

/// Found in a review: one 403 in the first second, and freezes of the cluster were off until a restart.
#[tokio::test(start_paused = true)]
async fn a_right_that_is_given_a_moment_later_is_waited_for() {
    let soon = |at: Duration| if at < Duration::from_secs(5) { 403 } else { 200 };
    for of_cluster in [ClusterPolicies::Required, ClusterPolicies::IfPermitted] {
        let (first, known) = watch_for(HOUR, of_cluster, soon).await;
        assert!(
            first.is_some_and(|(at, count)| at >= 5 && count == 1),
            "{of_cluster:?}: {first:?}"
        );
        assert_eq!(known, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_decided_without_the_policies_that_are_meant_to_hold() {
    let (first, _) = watch_for(HOUR, ClusterPolicies::Required, |_| 403).await;
    assert_eq!(first, None);
    let late = |at: Duration| if at < HOUR / 2 { 403 } else { 200 };
    let (first, known) = watch_for(HOUR, ClusterPolicies::Required, late).await;
    assert!(
        first.is_some_and(|(at, count)| (1800..1900).contains(&at) && count == 1),
        "{first:?}"
    );
    assert_eq!(known, 1);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_not_accepted_say_nothing_of_rights() {
    let late = |at: Duration| if at < HOUR / 2 { 401 } else { 200 };
    let (first, known) = watch_for(HOUR, ClusterPolicies::IfPermitted, late).await;
    assert!(first.is_some_and(|(at, count)| at >= 1800 && count == 1), "{first:?}");
    assert_eq!(known, 1);
}

#[tokio::test(start_paused = true)]
async fn without_rights_on_the_cluster_it_begins_soon_and_asks_again() {
    let (first, _) = watch_for(HOUR, ClusterPolicies::IfPermitted, |_| 403).await;
    assert!(
        first.is_some_and(|(at, count)| (10..20).contains(&at) && count == 0),
        "{first:?}"
    );
    let late = |at: Duration| if at < HOUR / 2 { 403 } else { 200 };
    let (first, known) = watch_for(HOUR, ClusterPolicies::IfPermitted, late).await;
    assert!(first.is_some_and(|(at, _)| at < 20), "{first:?}");
    assert_eq!(known, 1, "they count from then on");
}
