use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use windlass_core::decide::Action;
use windlass_core::types::name::{Name, WorkloadRef};
use windlass_core::workload::kind::DEPLOYMENT;

use super::*;
use crate::fixtures;
use crate::index::IndexSettings;
use crate::k8s::keyring::{self, KeyStore};
use crate::k8s::watch_activity::WatchActivity;
use crate::reader::Reader;
use crate::reconcile::gather::{Decision, decide_now, read_history};
use crate::scope::{ClusterPolicies, WorkloadKind};
use crate::watch::observer::Uncounted;

const KEYS: &str = "/api/v1/namespaces/ops/secrets/windlass-digest-key";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
const CONFIG_MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";

/// The lines of a watch that begins with a list of one object.
fn listed(kind: &str, object: &Value) -> String {
    let end = json!({
        "kind": kind, "apiVersion": "v1",
        "metadata": { "resourceVersion": "9", "annotations": { "k8s.io/initial-events-end": "true" } },
    });
    format!(
        "{}\n{}\n",
        json!({ "type": "ADDED", "object": object }),
        json!({ "type": "BOOKMARK", "object": end })
    )
}

/// What a cluster with Deployment `web` and `ConfigMap` `web` answers to reads; `None`: it keeps the caller waiting.
fn answer(path: &str, query: &str) -> Option<(u16, String)> {
    let watched = query.contains("watch=true");
    if watched && !query.contains("sendInitialEvents=true") {
        return None;
    }
    let text = match path {
        KEYS => json!({ "data": { "k1": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=" } }).to_string(),
        DEPLOYMENTS if watched => listed(
            "Deployment",
            &json!({
                "metadata": {
                    "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 1,
                    "annotations": { "windlass.dev/enabled": "true", "deployment.kubernetes.io/revision": "1" },
                },
                "spec": { "replicas": 1, "template": { "spec": { "containers": [{
                    "name": "web", "envFrom": [{ "configMapRef": { "name": "web" } }],
                }] } } },
            }),
        ),
        CONFIG_MAPS if watched => listed(
            "ConfigMap",
            &json!({
                "metadata": { "name": "web", "namespace": "shop", "uid": "c", "resourceVersion": "3" },
                "data": { "color": "blue" },
            }),
        ),
        REPLICA_SETS => json!({ "metadata": {}, "items": [] }).to_string(),
        _ => {
            return Some((
                404,
                json!({ "kind": "Status", "code": 404, "message": path }).to_string(),
            ));
        }
    };
    Some((200, text))
}

/// A client of that cluster, and what was asked: all of it, reads or not.
fn cluster() -> (Client, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let noted = asked.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let noted = noted.clone();
        async move {
            let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
            let call = format!("{} {path}", request.method());
            noted.lock().expect("no panic").push(call);
            let Some((code, text)) = answer(path, query) else {
                return std::future::pending().await;
            };
            let response = Response::builder().status(code).body(Body::from(text.into_bytes()));
            Ok::<_, Infallible>(response.expect("a response"))
        }
    });
    (Client::new(service, "default"), asked)
}

/// Lists once, and decides: without metrics, a governor, a lease, or a key that is made on the way.
async fn decided_once(client: Client) -> Decision {
    let timeout = Duration::from_secs(5);
    let key_store = KeyStore(SourceKind::Secret);
    let ring = keyring::find(&client, key_store, "ops", "windlass-digest-key", timeout).await;
    let reader = Arc::new(Reader {
        ring: ring.expect("they can be read").expect("there are some"),
        ..fixtures::reader(Index::new(IndexSettings::default()), client)
    });
    let ingest = Ingest {
        reader: reader.clone(),
        queue: Arc::default(),
        fetch_queue: Arc::default(),
        observer: Arc::new(Uncounted),
        progress: Arc::default(),
        watch_activity: WatchActivity::default(),
        excluded: None,
        source_labels: None,
    };
    let scope = Scope {
        namespaces: vec!["shop".into()],
        exclude_namespaces: Vec::new(),
        namespace_selector: None,
        cluster_policies: ClusterPolicies::Ignored,
        sources: SourceKinds {
            configmaps: true,
            secrets: false,
        },
        workload_kinds: vec![WorkloadKind::BuiltIn(DEPLOYMENT)],
    };
    let watches = open(&scope, &ingest, None).await;
    baselines::recover(&reader, &scope.namespaces).await;
    let web = WorkloadRef {
        namespace: Namespace::from("shop"),
        kind: DEPLOYMENT,
        name: Name::from("web"),
    };
    let mut history = None;
    let decision = loop {
        let decision = decide_now(&reader, &web, history.as_ref()).expect("all that it needs is known");
        let Action::Read(need) = decision.plan.action else {
            break decision;
        };
        history = read_history(&reader, &web, &decision.uid, need)
            .await
            .expect("it can be read")
            .or(history);
    };
    drop(watches);
    decision
}

#[tokio::test(start_paused = true)]
async fn whoever_only_wants_to_know_what_is_decided_writes_nothing() {
    let (client, asked) = cluster();
    let decision = decided_once(client).await;
    assert!(
        matches!(&decision.plan.action, Action::Adopt(baseline) if baseline.contains("k1")),
        "{:?}",
        decision.plan
    );
    let asked = asked.lock().expect("no panic");
    for path in [KEYS, DEPLOYMENTS, CONFIG_MAPS, REPLICA_SETS] {
        assert!(asked.contains(&format!("GET {path}")), "{path} is not in {asked:?}");
    }
    let writes: Vec<&String> = asked.iter().filter(|call| !call.starts_with("GET ")).collect();
    assert!(writes.is_empty(), "{writes:?}");
}
