//! Single objects that no watch brings: Secrets that are used, workloads that others run.

use std::time::Duration;

use kube::Client;
use kube::api::{DynamicObject, GetParams};
use kube::core::{Request, Resource as _};
use serde::de::DeserializeOwned;

use super::error::{ApiError, send};
use super::lean::{ReadSecret, WatchedWorkload, source_resource, workload_resource};
use crate::core::name::{SourceRef, WorkloadRef};
use crate::core::workload::Source;

/// Reads a Secret, digested while it is decoded.
///
/// # Errors
/// See [`ApiError`].
pub async fn secret(client: &Client, source: &SourceRef, timeout: Duration) -> Result<Source, ApiError> {
    let row = source_resource(source.kind);
    let url = DynamicObject::url_path(&row, Some(source.namespace.as_str()));
    get(client, &url, source.name.as_str(), timeout)
        .await
        .map(|ReadSecret(source)| source)
}

/// Reads a workload.
///
/// # Errors
/// See [`ApiError`].
pub async fn workload(client: &Client, workload: &WorkloadRef, timeout: Duration) -> Result<WatchedWorkload, ApiError> {
    let row = workload_resource(workload.kind);
    let url = DynamicObject::url_path(&row, Some(workload.namespace.as_str()));
    get(client, &url, workload.name.as_str(), timeout).await
}

async fn get<T: DeserializeOwned>(client: &Client, url: &str, name: &str, timeout: Duration) -> Result<T, ApiError> {
    let request = Request::new(url)
        .get(name, &GetParams::default())
        .map_err(|_| ApiError::Unexpected("no such request"))?;
    send(client, request, timeout).await
}
