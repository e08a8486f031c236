//! What the API server calls a kind that it may or may not serve.

use std::time::Duration;

use kube::Client;
use serde::Deserialize;

use super::error::{ApiError, send};

/// The plural of a kind; `None` while it is not served.
///
/// # Errors
/// See [`ApiError`].
pub async fn plural(
    client: &Client,
    group: &str,
    version: &str,
    kind: &str,
    timeout: Duration,
) -> Result<Option<String>, ApiError> {
    #[derive(Deserialize)]
    struct Resources {
        #[serde(default)]
        resources: Vec<Served>,
    }
    #[derive(Deserialize)]
    struct Served {
        name: String,
        kind: String,
        #[serde(default)]
        verbs: Vec<String>,
    }
    let path = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    let request = http::Request::get(path)
        .body(Vec::new())
        .map_err(|_| ApiError::Unexpected("invalid request"))?;
    match send::<Resources>(client, request, timeout).await {
        Ok(found) => Ok(found
            .resources
            .into_iter()
            // deployments/status is of the same kind.
            .find(|served| {
                served.kind == kind && !served.name.contains('/') && served.verbs.iter().any(|verb| verb == "watch")
            })
            .map(|served| served.name)),
        Err(ApiError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
