//! A mark of when Windlass last watched, kept as `renewTime` of a Lease.
//!
//! A source that reads as before after a while in which nobody watched may have been something else
//! in between, and pods started then run that. How long that while was only this mark tells.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::error::{ApiError, send};
use super::lease;
use super::patch::FIELD_MANAGER;
use super::read;

/// How often the mark is renewed.
pub const PERIOD: Duration = Duration::from_secs(10);

/// The Lease.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    requests: Request,
    name: String,
    holder: String,
    timeout: Duration,
}

#[derive(Deserialize)]
struct WireLease {
    #[serde(default)]
    spec: WireSpec,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireSpec {
    renew_time: Option<Timestamp>,
}

impl Heartbeat {
    /// Of the Lease `namespace/name`; `holder`: who we are.
    #[must_use]
    pub fn new(namespace: &str, name: &str, holder: &str, timeout: Duration) -> Self {
        Self {
            requests: lease::requests(namespace),
            name: name.into(),
            holder: holder.into(),
            timeout,
        }
    }

    /// When Windlass last watched; `None` if it never did.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn last(&self, client: &Client) -> Result<Option<Timestamp>, ApiError> {
        match read::get::<WireLease>(client, &self.requests, &self.name, self.timeout).await {
            Ok(lease) => Ok(lease.spec.renew_time),
            Err(ApiError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says that we watch, now.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn beat(&self, client: &Client, now: Timestamp) -> Result<(), ApiError> {
        let spec = json!({ "holderIdentity": self.holder, "renewTime": format!("{now:.6}") });
        let params = PatchParams::apply(FIELD_MANAGER);
        let request = self
            .requests
            .patch(&self.name, &params, &Patch::Merge(json!({ "spec": spec })))
            .map_err(|_| ApiError::Unexpected("invalid request"))?;
        match send::<IgnoredAny>(client, request, self.timeout).await {
            Err(ApiError::NotFound) => {}
            other => return other.map(|_| ()),
        }
        let body = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": self.name },
            "spec": spec,
        });
        let body = serde_json::to_vec(&body).map_err(|_| ApiError::Unexpected("cannot encode it as JSON"))?;
        let request = self
            .requests
            .create(&PostParams::default(), body)
            .map_err(|_| ApiError::Unexpected("invalid request"))?;
        send::<IgnoredAny>(client, request, self.timeout).await.map(|_| ())
    }
}
