//! What is said of a policy, written to its status and nowhere else.

use std::time::Duration;

use kube::Client;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::{Request, Resource as _};
use serde::de::IgnoredAny;
use serde_json::json;
use windlass_core::policy::PolicyRef;
use windlass_core::types::name::Uid;

use super::error::{ApiError, send};
use super::patch::FIELD_MANAGER;
use crate::api::{ClusterRolloutPolicy, PolicyStatus, RolloutPolicy};

/// Writes it. Another policy of that name is left alone.
///
/// # Errors
/// See [`ApiError`].
pub async fn write(
    client: &Client,
    policy: &PolicyRef,
    uid: Option<&Uid>,
    status: &PolicyStatus,
    timeout: Duration,
) -> Result<(), ApiError> {
    let row = match &policy.namespace {
        Some(_) => ApiResource::erase::<RolloutPolicy>(&()),
        None => ApiResource::erase::<ClusterRolloutPolicy>(&()),
    };
    let url = DynamicObject::url_path(
        &row,
        policy
            .namespace
            .as_ref()
            .map(windlass_core::types::name::Namespace::as_str),
    );
    let params = PatchParams::apply(FIELD_MANAGER);
    let patch = Patch::Merge(json!({
        "metadata": { "uid": uid.map(Uid::to_string) },
        "status": status,
    }));
    let request = Request::new(url)
        .patch_subresource("status", policy.name.as_str(), &params, &patch)
        .map_err(|_| ApiError::Unexpected("invalid request"))?;
    send::<IgnoredAny>(client, request, timeout).await.map(|_| ())
}
