//! Fills the cluster.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{Client, api::PostParams, core::Request};
use serde_json::{Value, json};

use super::{
    NAMESPACE, SYSTEM_NAMESPACE,
    layout::{Layout, Source},
    manifests,
    sizes::Sizes,
};
use crate::say;

/// Requests at a time: keeps two cores busy without a queue in the API server.
const CONCURRENCY: usize = 32;

/// Creates everything, in any order.
pub async fn fill(client: &Client, sizes: &Sizes) -> Result<()> {
    say::step(format_args!("Seeding {}", sizes.describe()));
    let started = Instant::now();
    for name in [NAMESPACE, SYSTEM_NAMESPACE] {
        create(client, "/api/v1/namespaces", &json!({"metadata": {"name": name}})).await?;
    }
    let Layout {
        config_maps,
        secrets,
        workloads,
    } = Layout::new(sizes);
    let config_maps = config_maps
        .iter()
        .map(|name| (Source::ConfigMap.path(), manifests::config_map(name)));
    let wide = (0..sizes.wide_configmaps).map(|at| {
        (
            Source::ConfigMap.path(),
            manifests::wide_config_map(&format!("wide-{at:03}")),
        )
    });
    let secrets = secrets
        .iter()
        .map(|name| (Source::Secret.path(), manifests::secret(name)));
    let workloads = workloads
        .iter()
        .map(|placed| (placed.workload.kind.path(NAMESPACE), manifests::workload(placed)));
    let objects = config_maps.chain(wide).chain(secrets).chain(workloads);
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

async fn create(client: &Client, path: &str, object: &Value) -> Result<()> {
    let request = Request::new(path).create(&PostParams::default(), serde_json::to_vec(object)?)?;
    client
        .request_text(request)
        .await
        .with_context(|| format!("create an object at {path}"))?;
    Ok(())
}
