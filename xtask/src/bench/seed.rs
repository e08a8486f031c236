//! Fills the cluster: every Deployment uses two ConfigMaps of its own.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{Client, api::PostParams, core::Request};
use serde_json::{Value, json};

use super::{NAMESPACE, Options, SYSTEM_NAMESPACE};
use crate::say;

/// Requests at a time: keeps two cores busy without a queue in the API server.
const CONCURRENCY: usize = 32;
/// Of each ConfigMap, as keys and values.
const CONFIG_MAP_BYTES: usize = 1024;

/// Who acts on a set of Deployments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The bare loop.
    Floor,
    /// The controller.
    Windlass,
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Floor => "floor",
            Self::Windlass => "windlass",
        })
    }
}

impl Subject {
    /// The name of its n-th Deployment.
    pub fn deployment(self, index: usize) -> String {
        format!("{self}-{index:05}")
    }

    /// The ConfigMap that feeds the environment of that Deployment; [`USED_KEY`] counts.
    pub fn environment(self, index: usize) -> String {
        self.deployment(index) + ENVIRONMENT_SUFFIX
    }

    /// The ConfigMap that it mounts.
    fn files(self, index: usize) -> String {
        self.deployment(index) + FILES_SUFFIX
    }
}

/// What a ConfigMap's name has more than its Deployment's.
pub const ENVIRONMENT_SUFFIX: &str = "-environment";
/// The same for the other one.
pub const FILES_SUFFIX: &str = "-files";
/// The key that the measurements change.
pub const USED_KEY: &str = "level";

/// Creates everything, in any order.
pub async fn fill(client: &Client, options: &Options) -> Result<()> {
    let Options {
        configmaps,
        deployments,
        floor_deployments,
        ..
    } = *options;
    say::step(format_args!(
        "Seeding {configmaps} ConfigMaps, {deployments} Deployments, and {floor_deployments} for the floor"
    ));
    let started = Instant::now();
    for name in [NAMESPACE, SYSTEM_NAMESPACE] {
        create(client, "/api/v1/namespaces", &json!({"metadata": {"name": name}})).await?;
    }
    let subjects = (0..deployments)
        .map(|index| (Subject::Windlass, index))
        .chain((0..floor_deployments).map(|index| (Subject::Floor, index)));
    let pairs = subjects
        .clone()
        .flat_map(|(subject, index)| [subject.environment(index), subject.files(index)]);
    // Used by nobody; a cluster has those as well.
    let ballast = (2 * deployments..configmaps).map(|index| format!("ballast-{index:05}"));
    let objects = pairs
        .chain(ballast)
        .map(|name| (config_maps_path(), config_map(&name)))
        .chain(subjects.map(|(subject, index)| (deployments_path(), deployment(subject, index))));
    let total = stream::iter(objects.map(|(path, object)| async move { create(client, &path, &object).await }))
        .buffer_unordered(CONCURRENCY)
        .try_fold(0_usize, |count, ()| async move { Ok(count + 1) })
        .await?;
    let per_second = f64::from(u32::try_from(total).unwrap_or(u32::MAX)) / started.elapsed().as_secs_f64();
    say::note(format_args!(
        "{total} objects in {} ({per_second:.0} per second)",
        say::time(started.elapsed())
    ));
    // The API server's watch cache and etcd catch their breath.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}

/// Where ConfigMaps of the bench are.
pub fn config_maps_path() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/configmaps")
}

/// Where Deployments of the bench are.
pub fn deployments_path() -> String {
    format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments")
}

async fn create(client: &Client, path: &str, object: &Value) -> Result<()> {
    let request = Request::new(path).create(&PostParams::default(), serde_json::to_vec(object)?)?;
    client
        .request_text(request)
        .await
        .with_context(|| format!("create an object at {path}"))?;
    Ok(())
}

fn config_map(name: &str) -> Value {
    let filler = "configuration that somebody wrote once, and that few read again; ";
    let text: String = filler
        .chars()
        .cycle()
        .take(CONFIG_MAP_BYTES - 2 * "level".len())
        .collect();
    let (used, unused) = text.split_at(text.len() / 2);
    json!({
        "metadata": {"name": name},
        "data": {USED_KEY: "00000", "application.properties": used, "README": unused},
    })
}

/// About 2.4 KB as the API server returns it, which is what people's Deployments have.
fn deployment(subject: Subject, index: usize) -> Value {
    let name = subject.deployment(index);
    let annotations = match subject {
        Subject::Windlass => json!({"windlass.dev/enabled": "true"}),
        Subject::Floor => json!({}),
    };
    json!({
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "bench"},
            "annotations": annotations,
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "bench"}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "app",
                        "image": "busybox:1.37",
                        "args": ["--listen", ":8080", "--config", "/etc/app"],
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "env": [{
                            "name": "LEVEL",
                            "valueFrom": {"configMapKeyRef": {"name": subject.environment(index), "key": USED_KEY}},
                        }],
                        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
                        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
                        "volumeMounts": [{"name": "files", "mountPath": "/etc/app"}],
                    }],
                    "volumes": [{"name": "files", "configMap": {"name": subject.files(index)}}],
                },
            },
        },
    })
}
