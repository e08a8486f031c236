//! Kubernetes Events on workloads (`events.k8s.io/v1`): what was done, and why, for `kubectl describe`.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{Request, Resource as _};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use windlass_core::notice::event::{Severity, WorkloadEvent};

use super::error::{ApiError, send};
use super::wire::resource;

/// How often an Event has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrences {
    /// This often.
    pub count: u32,
    /// When it happened last.
    pub last: Timestamp,
}

impl Occurrences {
    /// As `series` has it, which is for more than one only.
    fn series(self) -> Option<Value> {
        (self.count > 1).then(|| json!({"count": self.count, "lastObservedTime": format!("{:.6}", self.last)}))
    }
}

#[derive(Deserialize)]
struct Created {
    metadata: CreatedMetadata,
}

#[derive(Deserialize)]
struct CreatedMetadata {
    name: String,
}

fn body(event: &WorkloadEvent, instance: &str, occurrences: Occurrences) -> Value {
    let row = event.workload.kind.row();
    let api_version = format!("{}/{}", row.group, row.version);
    let mut body = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            // Unique without asking: the server makes the rest up.
            "generateName": format!("{}-", event.workload.name),
            "namespace": event.workload.namespace.as_str(),
        },
        "eventTime": format!("{:.6}", event.at),
        "reportingController": "windlass.dev/controller",
        "reportingInstance": instance,
        "action": "Reconcile",
        "reason": event.reason.as_str(),
        "type": match event.severity { Severity::Normal => "Normal", Severity::Warning => "Warning" },
        "note": event.note,
        "regarding": {
            "apiVersion": api_version,
            "kind": row.kind,
            "namespace": event.workload.namespace.as_str(),
            "name": event.workload.name.as_str(),
            "uid": event.uid.to_string(),
        },
    });
    if let (Value::Object(body), Some(series)) = (&mut body, occurrences.series()) {
        body.insert("series".into(), series);
    }
    body
}

/// Creates an Event and gives its name. `instance`: who we are, at most 128 characters.
///
/// # Errors
/// See [`ApiError`].
pub async fn create(
    event: &WorkloadEvent,
    client: &Client,
    instance: &str,
    occurrences: Occurrences,
    timeout: Duration,
) -> Result<String, ApiError> {
    let body = serde_json::to_vec(&body(event, instance, occurrences));
    let body = body.map_err(|_| ApiError::Unexpected("cannot encode it as JSON"))?;
    let request = Request::new(url(event))
        .create(&PostParams::default(), body)
        .map_err(|_| ApiError::Unexpected("cannot build the request of the Event"))?;
    let created: Created = send(client, request, timeout).await?;
    Ok(created.metadata.name)
}

/// Writes how often the Event of this name in the cluster has happened.
///
/// # Errors
/// See [`ApiError`].
pub async fn count(
    event: &WorkloadEvent,
    client: &Client,
    name: &str,
    occurrences: Occurrences,
    timeout: Duration,
) -> Result<(), ApiError> {
    let patch = Patch::Merge(json!({"series": occurrences.series()}));
    let request = Request::new(url(event))
        .patch(name, &PatchParams::default(), &patch)
        .map_err(|_| ApiError::Unexpected("cannot build the request of the Event"))?;
    send::<IgnoredAny>(client, request, timeout).await.map(|_| ())
}

fn url(event: &WorkloadEvent) -> String {
    DynamicObject::url_path(
        &resource("events.k8s.io", "v1", "Event", "events"),
        Some(event.workload.namespace.as_str()),
    )
}
