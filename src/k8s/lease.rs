//! The Lease as an object: reads and writes of it, each under a timeout and at a known version.
//!
//! The leader's renewals are at the same time the mark of when Windlass last watched: it is the very
//! Lease that [`super::heartbeat`] keeps where only one replica runs.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{Request, Resource as _};
use serde::Deserialize;
use serde_json::{Value, json};
use windlass_core::lease::{Answer, Call, Holder, Record};
use windlass_core::types::name::Version;

use super::error::{ApiError, send};
use super::patch::FIELD_MANAGER;
use super::read;
use super::wire::resource;

#[cfg(test)]
mod tests;

#[derive(Clone, Debug)]
pub struct Lease {
    requests: Request,
    name: String,
}

#[derive(Deserialize)]
struct Wire {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    holder_identity: Option<String>,
    lease_duration_seconds: Option<u32>,
    acquire_time: Option<Timestamp>,
    renew_time: Option<Timestamp>,
    lease_transitions: Option<u32>,
}

impl Lease {
    /// The Lease `namespace/name`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            requests: requests(namespace),
            name: name.into(),
        }
    }

    /// Carries a call out. `timeout`: how long to wait for the answer.
    ///
    /// # Errors
    /// See [`ApiError`]; [`answer`] says what it means for the elector.
    pub async fn call(&self, client: &Client, call: &Call, timeout: Duration) -> Result<Answer, ApiError> {
        match call {
            Call::Read => match read::get::<Wire>(client, &self.requests, &self.name, timeout).await {
                Ok(wire) => Ok(Answer::Read(Some(wire.parsed()?))),
                Err(ApiError::NotFound) => Ok(Answer::Read(None)),
                Err(error) => Err(error),
            },
            Call::Create(record) => {
                let body = json!({
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": { "name": self.name },
                    "spec": spec(record),
                });
                let body = serde_json::to_vec(&body).map_err(|_| ApiError::Unexpected("cannot encode it as JSON"))?;
                let params = PostParams {
                    field_manager: Some(FIELD_MANAGER.into()),
                    ..PostParams::default()
                };
                let request = self
                    .requests
                    .create(&params, body)
                    .map_err(|_| ApiError::Unexpected("invalid request"))?;
                written(send(client, request, timeout).await?)
            }
            Call::Update(record, version) => {
                // A patch, so that labels and annotations of others stay.
                let body = json!({
                    "metadata": { "resourceVersion": version.to_string() },
                    "spec": spec(record),
                });
                let params = PatchParams::apply(FIELD_MANAGER);
                let request = self
                    .requests
                    .patch(&self.name, &params, &Patch::Merge(body))
                    .map_err(|_| ApiError::Unexpected("invalid request"))?;
                written(send(client, request, timeout).await?)
            }
        }
    }
}

/// Requests for the Leases of a namespace.
pub(super) fn requests(namespace: &str) -> Request {
    let row = resource("coordination.k8s.io", "v1", "Lease", "leases");
    Request::new(DynamicObject::url_path(&row, Some(namespace)))
}

/// What an outcome says to the elector. Refused for good or not carried out for sure is only what a
/// version or a name stands against.
#[must_use]
pub fn answer(outcome: Result<Answer, ApiError>) -> Answer {
    match outcome {
        Ok(answer) => answer,
        Err(ApiError::Conflict | ApiError::NotFound) => Answer::Conflict,
        Err(
            ApiError::Replaced
            | ApiError::Forbidden(_)
            | ApiError::Rejected(_)
            | ApiError::Unavailable(_)
            | ApiError::Unexpected(_),
        ) => Answer::Failed,
    }
}

fn written(wire: Wire) -> Result<Answer, ApiError> {
    Ok(Answer::Written(wire.parsed()?.1))
}

fn spec(record: &Record) -> Value {
    let Record {
        holder,
        duration,
        acquired,
        renewed,
        transitions,
    } = record;
    // metav1.MicroTime has exactly six digits.
    let time = |at: &Option<Timestamp>| at.map(|at| format!("{at:.6}"));
    json!({
        // Empty is what client-go writes when it releases; null would be taken for it as well.
        "holderIdentity": holder.as_ref().map_or("", Holder::as_str),
        "leaseDurationSeconds": duration.map(|duration| duration.as_secs()),
        "acquireTime": time(acquired),
        "renewTime": time(renewed),
        "leaseTransitions": transitions,
    })
}

impl Wire {
    fn parsed(self) -> Result<(Record, Version), ApiError> {
        let Self {
            metadata: Metadata { resource_version },
            spec:
                Spec {
                    holder_identity,
                    lease_duration_seconds,
                    acquire_time,
                    renew_time,
                    lease_transitions,
                },
        } = self;
        let version =
            Version::parse(&resource_version).ok_or(ApiError::Unexpected("the resource version is not a number"))?;
        let record = Record {
            holder: holder_identity.as_deref().and_then(Holder::new),
            duration: lease_duration_seconds.map(|seconds| Duration::from_secs(seconds.into())),
            acquired: acquire_time,
            renewed: renew_time,
            transitions: lease_transitions.unwrap_or(0),
        };
        Ok((record, version))
    }
}
