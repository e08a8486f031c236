//! Kubernetes Events on workloads (`events.k8s.io/v1`): what was done, and why, for `kubectl describe`.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{Request, Resource as _};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::error::{ApiError, send};
use super::lean::resource;
use crate::core::event::{Severity, WorkloadEvent};

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

impl WorkloadEvent {
    fn body(&self, instance: &str, occurrences: Occurrences) -> Value {
        let row = self.workload.kind.row();
        let api_version = format!("{}/{}", row.group, row.version);
        let mut body = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                // Unique without asking: the server makes the rest up.
                "generateName": format!("{}-", self.workload.name),
                "namespace": self.workload.namespace.as_str(),
            },
            "eventTime": format!("{:.6}", self.at),
            "reportingController": "windlass.dev/controller",
            "reportingInstance": instance,
            "action": "Reconcile",
            "reason": self.reason.word(),
            "type": match self.severity { Severity::Normal => "Normal", Severity::Warning => "Warning" },
            "note": self.note,
            "regarding": {
                "apiVersion": api_version,
                "kind": row.kind,
                "namespace": self.workload.namespace.as_str(),
                "name": self.workload.name.as_str(),
                "uid": self.uid.to_string(),
            },
        });
        if let (Value::Object(body), Some(series)) = (&mut body, occurrences.series()) {
            body.insert("series".into(), series);
        }
        body
    }

    /// Creates it and gives its name. `instance`: who we are, at most 128 characters.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn create(
        &self,
        client: &Client,
        instance: &str,
        occurrences: Occurrences,
        timeout: Duration,
    ) -> Result<String, ApiError> {
        let body = serde_json::to_vec(&self.body(instance, occurrences));
        let body = body.map_err(|_| ApiError::Unexpected("no JSON form"))?;
        let request = Request::new(self.url())
            .create(&PostParams::default(), body)
            .map_err(|_| ApiError::Unexpected("the Event cannot be put into a request"))?;
        let created: Created = send(client, request, timeout).await?;
        Ok(created.metadata.name)
    }

    /// Writes how often the Event of this name in the cluster has happened.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn count(
        &self,
        client: &Client,
        name: &str,
        occurrences: Occurrences,
        timeout: Duration,
    ) -> Result<(), ApiError> {
        let patch = Patch::Merge(json!({"series": occurrences.series()}));
        let request = Request::new(self.url())
            .patch(name, &PatchParams::default(), &patch)
            .map_err(|_| ApiError::Unexpected("the Event cannot be put into a request"))?;
        send::<IgnoredAny>(client, request, timeout).await.map(|_| ())
    }

    fn url(&self) -> String {
        DynamicObject::url_path(
            &resource("events.k8s.io", "v1", "Event", "events"),
            Some(self.workload.namespace.as_str()),
        )
    }
}
