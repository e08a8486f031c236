//! Kubernetes Events on workloads (`events.k8s.io/v1`): what was done, and why, for `kubectl describe`.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use kube::api::{DynamicObject, PostParams};
use kube::core::{Request, Resource as _};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::error::{ApiError, send};
use super::lean::resource;
use crate::core::name::{Uid, WorkloadRef};
use crate::core::reason::Reason;

/// The API server refuses longer notes.
const NOTE_BYTES: usize = 1024;

/// How the Event is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// For the record.
    Normal,
    /// Somebody should look.
    Warning,
}

/// One Event.
#[derive(Clone, Debug)]
pub struct WorkloadEvent {
    /// On which workload.
    pub workload: WorkloadRef,
    /// Which one of that name.
    pub uid: Uid,
    /// For the record or for somebody to look.
    pub severity: Severity,
    /// The word.
    pub reason: Reason,
    /// The sentence. Names only, never content.
    pub note: String,
    /// When it happened.
    pub at: Timestamp,
}

impl WorkloadEvent {
    fn body(&self, instance: &str) -> Value {
        let row = self.workload.kind.row();
        let api_version = format!("{}/{}", row.group, row.version);
        let mut note = self.note.clone();
        while note.len() > NOTE_BYTES {
            note.pop();
        }
        json!({
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
            "note": note,
            "regarding": {
                "apiVersion": api_version,
                "kind": row.kind,
                "namespace": self.workload.namespace.as_str(),
                "name": self.workload.name.as_str(),
                "uid": self.uid.to_string(),
            },
        })
    }

    /// Sends it. `instance`: who we are, at most 128 characters.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn send(&self, client: &Client, instance: &str, timeout: Duration) -> Result<(), ApiError> {
        let url = DynamicObject::url_path(
            &resource("events.k8s.io", "v1", "Event", "events"),
            Some(self.workload.namespace.as_str()),
        );
        let body = serde_json::to_vec(&self.body(instance)).map_err(|_| ApiError::Unexpected("no JSON form"))?;
        let request = Request::new(url)
            .create(&PostParams::default(), body)
            .map_err(|_| ApiError::Unexpected("the Event cannot be put into a request"))?;
        send::<IgnoredAny>(client, request, timeout).await.map(|_| ())
    }
}
