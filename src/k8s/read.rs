//! Single objects: those that no watch brings, and our own.

use std::time::Duration;

use base64::Engine as _;
use kube::Client;
use kube::api::{DynamicObject, GetParams};
use kube::core::{Request, Resource as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use windlass_core::types::name::{Name, Namespace, SourceKind, SourceRef, WorkloadRef};
use windlass_core::workload::Source;

use super::error::{ApiError, send};
use super::wire::{IntoSource as _, ReadSecret, WatchedConfigMap, source_resource, workload_resource};

/// Reads a source, digested while it is decoded.
///
/// # Errors
/// See [`ApiError`].
pub async fn source(client: &Client, source: &SourceRef, timeout: Duration) -> Result<Source, ApiError> {
    let row = source_resource(source.kind);
    let requests = Request::new(DynamicObject::url_path(&row, Some(source.namespace.as_str())));
    let name = source.name.as_str();
    match source.kind {
        SourceKind::ConfigMap => get(client, &requests, name, timeout)
            .await
            .map(WatchedConfigMap::into_source),
        SourceKind::Secret => get(client, &requests, name, timeout)
            .await
            .map(|ReadSecret(source)| source),
    }
}

/// Reads the key of a Secret that agents share with us. `Ok(None)`: there is no such key.
///
/// # Errors
/// See [`ApiError`].
pub async fn token(
    client: &Client,
    namespace: &Namespace,
    name: &Name,
    timeout: Duration,
) -> Result<Option<Vec<u8>>, ApiError> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        data: Option<WireData>,
    }
    #[derive(Deserialize)]
    struct WireData {
        #[serde(default)]
        token: Option<String>,
    }
    let row = source_resource(SourceKind::Secret);
    let requests = Request::new(DynamicObject::url_path(&row, Some(namespace.as_str())));
    let Wire { data } = get(client, &requests, name.as_str(), timeout).await?;
    let text = data.and_then(|data| data.token);
    let bytes = text.map(|text| base64::engine::general_purpose::STANDARD.decode(text));
    bytes.transpose().map_err(|_| ApiError::Unexpected("it is not base64"))
}

/// Reads as much of a workload as `T` has: [`super::wire::WatchedWorkload`] to put it into the index.
///
/// # Errors
/// See [`ApiError`].
pub async fn workload<T: DeserializeOwned>(
    client: &Client,
    workload: &WorkloadRef,
    timeout: Duration,
) -> Result<T, ApiError> {
    let row = workload_resource(workload.kind);
    let requests = Request::new(DynamicObject::url_path(&row, Some(workload.namespace.as_str())));
    get(client, &requests, workload.name.as_str(), timeout).await
}

/// Reads one of the objects that `requests` are for.
///
/// # Errors
/// See [`ApiError`].
pub async fn get<T: DeserializeOwned>(
    client: &Client,
    requests: &Request,
    name: &str,
    timeout: Duration,
) -> Result<T, ApiError> {
    let request = requests
        .get(name, &GetParams::default())
        .map_err(|_| ApiError::Unexpected("invalid request"))?;
    send(client, request, timeout).await
}
