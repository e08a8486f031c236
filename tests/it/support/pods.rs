//! Pods, by the workload that they belong to.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{ListParams, Patch},
};
use serde_json::json;

use super::{Test, by};

impl Test {
    /// The pods of the Deployment that are not on their way out.
    pub async fn pods(&self, name: &str) -> Result<Vec<Pod>> {
        let pods = self
            .api::<Pod>()
            .list(&ListParams::default().labels(&format!("app={name}")))
            .await?;
        Ok(pods
            .items
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .collect())
    }

    pub(super) async fn make_ready(&self, pod: &Pod) -> Result<()> {
        let mut status = serde_json::to_value(&pod.status)?;
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions
            .iter()
            .any(|it| it["type"] == "Ready" && it["status"] == "True");
        // That it runs is the last thing that the node says; until then it would say otherwise.
        if ready || status["phase"] != "Running" {
            return Ok(());
        }
        for part in ["conditions", "containerStatuses"] {
            for entry in status[part].as_array_mut().context("the node has told everything")? {
                let (field, value) = if part == "conditions" {
                    ("status", json!("True"))
                } else {
                    ("ready", json!(true))
                };
                entry[field] = value;
            }
        }
        let patch = Patch::Merge(json!({"status": status}));
        self.api::<Pod>()
            .patch_status(&pod.name_any(), &by("test").patch(), &patch)
            .await?;
        Ok(())
    }
}
