//! The simulated API server: the requests that the controller sends, and no others.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use windlass_core::types::name::{Name, Namespace, SourceKind, SourceRef, WorkloadRef};
use windlass_core::workload::kind::DEPLOYMENT;

use super::cluster::Millis;
use super::world::{State, World};
use super::write::Write;

/// Longer than any request of the controller may take.
const NEVER: Duration = Duration::from_secs(30);

type Answer = (u16, Value);

pub fn client(world: &Arc<World>) -> Client {
    let world = world.clone();
    let service = tower::service_fn(move |request: Request<Body>| answer(world.clone(), request));
    Client::new(service, "default")
}

async fn answer(world: Arc<World>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let arrived = world.now();
    let (method, uri) = (request.method().to_string(), request.uri().clone());
    let body = request.into_body().collect().await.expect("a body").to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (before, after, refused, lost) = world.look(|state| {
        state.requests += 1;
        let (faults, rng) = (state.faults, &mut state.cluster.rng);
        let latency = faults.latency;
        let waits = (rng.between(0, latency), rng.between(0, latency));
        (waits.0, waits.1, rng.chance(faults.refused), rng.chance(faults.lost))
    });
    tokio::time::sleep(Duration::from_millis(before)).await;
    let ((code, body), read) = if refused {
        ((503, json!({ "message": "busy" })), None)
    } else {
        let query = uri.query().unwrap_or_default();
        world.act(|state| {
            let answer = state.serve(&method, uri.path(), query, &body, arrived);
            (answer, state.read.take())
        })
    };
    let after = if lost { NEVER } else { Duration::from_millis(after) };
    tokio::time::sleep(after).await;
    if let Some((source, seen)) = read {
        let words = format!("  has read {source} at {}", seen.version);
        world.look(|state| state.cluster.say(format_args!("{words}")));
        // Whoever asked knows it from now on.
        world.look(|state| state.checks.show_source(state.cluster.now, &source, Some(seen)));
    }
    let body = Body::from(body.to_string().into_bytes());
    Ok(Response::builder().status(code).body(body).expect("a response"))
}

fn not_found() -> Answer {
    (404, json!({ "message": "not found" }))
}

fn list(items: Vec<Value>) -> Answer {
    (200, json!({ "metadata": {}, "items": items }))
}

impl State {
    fn serve(&mut self, method: &str, path: &str, query: &str, body: &Value, arrived: Millis) -> Answer {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["apis", "apps", "v1", "namespaces", namespace, "deployments", name]) => {
                let known = self.cluster.deployments.get(&workload(namespace, name));
                known.map_or_else(not_found, |known| (200, known.object()))
            }
            ("GET", ["apis", "apps", "v1", "namespaces", namespace, "replicasets"]) => {
                list(self.owned(namespace, query, |it| it.replica_sets().collect()))
            }
            ("GET", ["apis", "apps", "v1", "replicasets"]) => {
                let all = self.cluster.deployments.values();
                list(all.flat_map(super::deployment::Deployment::replica_sets).collect())
            }
            ("GET", ["api", "v1", "namespaces", namespace, "pods"]) => {
                list(self.owned(namespace, query, |it| it.pod_objects().collect()))
            }
            (
                "GET",
                [
                    "api",
                    "v1",
                    "namespaces",
                    namespace,
                    plural @ ("configmaps" | "secrets"),
                    name,
                ],
            ) => {
                let reference = SourceRef {
                    namespace: Namespace::from(*namespace),
                    kind: if *plural == "secrets" {
                        SourceKind::Secret
                    } else {
                        SourceKind::ConfigMap
                    },
                    name: Name::from(*name),
                };
                let read = self.cluster.read_source(&reference);
                self.cluster.say(format_args!(
                    "  read {namespace} {name}: {:?}",
                    read.as_ref().map(|it| it.1)
                ));
                match read {
                    Some((object, seen)) => {
                        self.read = Some((reference, seen));
                        (200, object)
                    }
                    None => not_found(),
                }
            }
            ("PATCH", ["apis", "apps", "v1", "namespaces", namespace, "deployments", name]) => {
                let dry = query.contains("dryRun=All");
                self.patch(&workload(namespace, name), body, dry, arrived)
            }
            _ => {
                self.checks
                    .problem(format!("no such request is known: {method} {path}?{query}"));
                not_found()
            }
        }
    }

    fn owned(
        &self,
        namespace: &str,
        query: &str,
        what: impl Fn(&super::deployment::Deployment) -> Vec<Value>,
    ) -> Vec<Value> {
        let all = self.cluster.deployments.values();
        let selected = all.filter(|it| {
            let label = format!("app%3D{}", it.reference.name);
            it.reference.namespace.as_str() == namespace && query.split('&').any(|part| part.ends_with(&label))
        });
        selected.flat_map(what).collect()
    }

    fn patch(&mut self, reference: &WorkloadRef, body: &Value, dry: bool, arrived: Millis) -> Answer {
        let Some(known) = self.cluster.deployments.get(reference) else {
            return not_found();
        };
        if body.pointer("/metadata/uid") != Some(&known.uid.to_string().into()) {
            let causes = json!([{ "field": "metadata.uid" }]);
            return (422, json!({ "message": "uid", "details": { "causes": causes } }));
        }
        if body.pointer("/metadata/resourceVersion") != Some(&known.version.to_string().into()) {
            self.cluster.say(format_args!("conflict on {}", reference.name));
            return (409, json!({ "message": "the object has been modified" }));
        }
        let write = match Write::read(body) {
            Ok(write) => write,
            Err(why) => {
                self.checks.problem(format!("{why}: {body}"));
                return (422, json!({ "message": why }));
            }
        };
        if dry {
            self.checks.rehearsed(reference, known.version, arrived);
            return (200, known.object());
        }
        self.checks.accept(&mut self.cluster, reference, &write, arrived);
        self.cluster.change(reference, |it, _| write.apply(it));
        let now = self.cluster.deployments.get(reference);
        now.map_or_else(not_found, |now| (200, now.object()))
    }
}

pub fn workload(namespace: &str, name: &str) -> WorkloadRef {
    WorkloadRef {
        namespace: Namespace::from(namespace),
        kind: DEPLOYMENT,
        name: Name::from(name),
    }
}
