//! The writes to a workload: its baseline alone, a restart with the baseline in it, the end of a pause.
//!
//! All are patches with nothing in them but our own keys and the marks that we stand in for, so that
//! a GitOps tool sees no field of its own moved, and all carry uid and resourceVersion: a workload
//! that was changed or replaced since it was looked at is not touched.

use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT;
use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{Request, Resource as _};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use windlass_core::annotation::{self, reloader, wave};
use windlass_core::compat::marks::ControllerMarks;
use windlass_core::decide::{Pause, Restart, RestartMethod};
use windlass_core::types::name::{Uid, Version, WorkloadRef};

use super::client::METADATA;
use super::error::{ApiError, send};
use super::wire::workload_resource;

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
    Restart(Box<Restart>),
    /// The end of a pause; the template stays as it is.
    Resume,
}

/// A write with what it was decided on.
#[derive(Clone, Debug)]
pub struct WorkloadPatch {
    pub workload: WorkloadRef,
    pub uid: Uid,
    /// The version that the decision was made on.
    pub version: Version,
    pub write: Write,
}

impl WorkloadPatch {
    /// The patch.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut annotations = Map::new();
        let mut body = json!({});
        match &self.write {
            Write::Baseline(observed) => {
                annotations.insert(annotation::OBSERVED.into(), observed.as_str().into());
            }
            Write::Resume => {
                annotations.insert(reloader::PAUSED_AT.into(), Value::Null);
                put(&mut body, &["spec", "paused"], Value::Null);
            }
            Write::Restart(restart) => self.restart(restart, &mut annotations, &mut body),
        }
        put(
            &mut body,
            &["metadata"],
            json!({
                "uid": self.uid.to_string(),
                "resourceVersion": self.version.to_string(),
                "annotations": annotations,
            }),
        );
        body
    }

    fn restart(&self, restart: &Restart, annotations: &mut Map<String, Value>, body: &mut Value) {
        let Restart {
            observed,
            digest,
            cause,
            method: by,
            reloaded_from,
            marks,
            pause,
            sources: _,
        } = restart;
        annotations.insert(annotation::OBSERVED.into(), observed.as_str().into());
        match pause {
            Some(Pause::Begin(at)) => {
                annotations.insert(reloader::PAUSED_AT.into(), format!("{at:.0}").into());
                put(body, &["spec", "paused"], true.into());
            }
            Some(Pause::End) => {
                annotations.insert(reloader::PAUSED_AT.into(), Value::Null);
                put(body, &["spec", "paused"], Value::Null);
            }
            None => {}
        }
        match by {
            RestartMethod::RestartAt(at) => put(body, &["spec", "restartAt"], format!("{at:.0}").into()),
            RestartMethod::Template => {
                let template = self.template(digest, cause, reloaded_from.as_deref(), marks.as_deref());
                put(body, self.workload.kind.row().template, template);
            }
        }
        if marks.as_ref().is_some_and(|marks| marks.scheduler.is_some()) {
            annotations.insert(wave::SCHEDULING_DISABLED.into(), Value::Null);
        }
    }

    fn template(
        &self,
        digest: &str,
        cause: &str,
        reloaded_from: Option<&str>,
        marks: Option<&ControllerMarks>,
    ) -> Value {
        let mut annotations = Map::new();
        annotations.insert(annotation::CONFIG_DIGEST.into(), digest.into());
        annotations.insert(annotation::CAUSE.into(), cause.into());
        for mark in marks.into_iter().flat_map(|marks| &marks.annotations) {
            annotations.insert((*mark).into(), Value::Null);
        }
        if let Some(text) = reloaded_from {
            annotations.insert(reloader::LAST_RELOADED_FROM.into(), text.into());
        }
        let mut template = json!({ "metadata": { "annotations": annotations } });
        let Some(marks) = marks else { return template };
        if let Some(scheduler) = &marks.scheduler {
            let name = Some(&**scheduler).filter(|name| !name.is_empty());
            put(&mut template, &["spec", "schedulerName"], name.into());
        }
        if self.is_strategic() {
            for variable in &marks.variables {
                let gone = json!({ "name": &*variable.name, "$patch": "delete" });
                let list = template
                    .as_object_mut()
                    .map(|fields| fields.entry("spec").or_insert_with(|| json!({})))
                    .and_then(Value::as_object_mut)
                    .map(|spec| spec.entry(variable.list).or_insert_with(|| json!([])))
                    .and_then(Value::as_array_mut);
                let Some(list) = list else { continue };
                let known = list.iter_mut().find(|it| it["name"] == *variable.container);
                match known.and_then(|it| it.get_mut("env")).and_then(Value::as_array_mut) {
                    Some(env) => env.push(gone),
                    None => list.push(json!({ "name": &*variable.container, "env": [gone] })),
                }
            }
        }
        template
    }

    /// Variables that others put into containers are taken out by name, which only a strategic merge
    /// patch can; elsewhere they stay, and do nothing.
    fn is_strategic(&self) -> bool {
        let Write::Restart(restart) = &self.write else {
            return false;
        };
        let variables = restart.marks.as_ref().is_some_and(|marks| !marks.variables.is_empty());
        variables && self.workload.kind.row().strategic_patch
    }

    /// Sends it. Gives the version that the workload has by it.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn send(&self, client: &Client, timeout: Duration) -> Result<Version, ApiError> {
        self.request(client, timeout, false).await
    }

    /// Sends it as a dry run: what the API server would say to it.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn rehearse(&self, client: &Client, timeout: Duration) -> Result<(), ApiError> {
        self.request(client, timeout, true).await.map(|_| ())
    }

    async fn request(&self, client: &Client, timeout: Duration, dry_run: bool) -> Result<Version, ApiError> {
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
            dry_run,
            ..PatchParams::default()
        };
        let patch = if self.is_strategic() {
            Patch::Strategic(self.body())
        } else {
            Patch::Merge(self.body())
        };
        let mut request = Request::new(url)
            .patch(self.workload.name.as_str(), &params, &patch)
            .map_err(|_| ApiError::Unexpected("cannot build the request of the patch"))?;
        // Its version is all that is of interest.
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(METADATA));
        let answer: Answer = send(client, request, timeout).await?;
        Version::parse(&answer.metadata.resource_version)
            .ok_or(ApiError::Unexpected("the resource version is not a number"))
    }
}

/// Puts a value at a path, making the objects on the way.
fn put(root: &mut Value, path: &[&str], value: Value) {
    let mut at = root;
    for field in path {
        if !at.is_object() {
            *at = json!({});
        }
        let Some(fields) = at.as_object_mut() else { return };
        at = fields.entry(*field).or_insert(Value::Null);
    }
    *at = value;
}
