//! The two writes to a workload: its baseline alone, or a restart with the baseline in it.
//!
//! Both are JSON merge patches with nothing in them but our own keys, so that a GitOps tool sees no
//! field of its own moved, and both carry uid and resourceVersion: a workload that was changed or
//! replaced since it was looked at is not touched.

use std::time::Duration;

use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{Request, Resource as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, send};
use super::lean::workload_resource;
use crate::core::annotation;
use crate::core::decide::Restart;
use crate::core::name::{Uid, Version, WorkloadRef};

#[cfg(test)]
mod tests;

/// Who the API server says wrote it.
pub const FIELD_MANAGER: &str = "windlass";

/// What is written to a workload.
#[derive(Clone, Debug)]
pub enum Write {
    /// The baseline; no pod is touched.
    Baseline(String),
    /// A new pod template and the baseline.
    Restart(Restart),
}

/// A write with what it was decided on.
#[derive(Clone, Debug)]
pub struct WorkloadPatch {
    /// Which workload.
    pub workload: WorkloadRef,
    /// Which one of that name.
    pub uid: Uid,
    /// The version that the decision was made on.
    pub version: Version,
    /// What to write.
    pub write: Write,
}

impl WorkloadPatch {
    /// The merge patch.
    #[must_use]
    pub fn body(&self) -> Value {
        let (observed, template) = match &self.write {
            Write::Baseline(observed) => (observed, None),
            Write::Restart(Restart {
                observed,
                digest,
                cause,
            }) => (observed, Some((digest, cause))),
        };
        let mut body = json!({
            "metadata": {
                "uid": self.uid.as_str(),
                "resourceVersion": self.version.to_string(),
                "annotations": { annotation::OBSERVED: observed },
            },
        });
        if let Some((digest, cause)) = template {
            let marks = json!({
                "metadata": { "annotations": { annotation::CONFIG_DIGEST: digest, annotation::CAUSE: cause } },
            });
            let path = self.workload.kind.row().template;
            let nested = path
                .iter()
                .skip(1)
                .rev()
                .fold(marks, |inner, field| json!({ *field: inner }));
            if let (Some(root), Some(fields)) = (path.first(), body.as_object_mut()) {
                fields.insert((*root).to_owned(), nested);
            }
        }
        body
    }

    /// Sends it. Gives the version that the workload has by it.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn send(&self, client: &Client, timeout: Duration) -> Result<Version, ApiError> {
        #[derive(Deserialize)]
        struct Answer {
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            resource_version: String,
        }
        let url = DynamicObject::url_path(
            &workload_resource(self.workload.kind),
            Some(self.workload.namespace.as_str()),
        );
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let request = Request::new(url)
            .patch(self.workload.name.as_str(), &params, &Patch::Merge(self.body()))
            .map_err(|_| ApiError::Unexpected("the patch cannot be put into a request"))?;
        let answer: Answer = send(client, request, timeout).await?;
        Version::parse(&answer.metadata.resource_version).ok_or(ApiError::Unexpected("its version is no number"))
    }
}
