//! Deployments, which most scenarios are about: the words of [`Workloads`], for the kind that needs no name.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DynamicObject;
use serde_json::Value;

use super::{Test, Workload, Workloads, kinds};

impl Test {
    /// The Deployments of the test's namespace.
    pub fn deployments(&self) -> Workloads<'_> {
        kinds::deployment().recorded(self, self.history.clone())
    }

    /// The Deployment as it is now.
    pub async fn deployment(&self, name: &str) -> Deployment {
        typed(self.deployments().get(name).await)
    }
}

// What somebody does.
impl Test {
    /// Creates the Deployment.
    pub async fn deploy(&self, workload: Workload) -> Deployment {
        typed(self.deployments().deploy(workload).await)
    }

    /// [`Workloads::patch`].
    pub async fn patch_deployment(&self, name: &str, patch: Value) {
        self.deployments().patch(name, patch).await;
    }

    /// [`Workloads::annotate`].
    pub async fn annotate(&self, name: &str, annotation: &str, value: impl Into<Value>) {
        self.deployments().annotate(name, annotation, value).await;
    }

    /// [`Workloads::upgrade`].
    pub async fn upgrade(&self, name: &str, version: &str) {
        self.deployments().upgrade(name, version).await;
    }

    /// [`Workloads::undo`].
    pub async fn undo(&self, name: &str) {
        self.deployments().undo(name).await;
    }

    /// [`Workloads::rollout_restart`].
    pub async fn rollout_restart(&self, name: &str) {
        self.deployments().rollout_restart(name).await;
    }

    /// [`Workloads::replace_without_baseline`].
    pub async fn replace_without_baseline(&self, name: &str) {
        self.deployments().replace_without_baseline(name).await;
    }

    /// [`Workloads::replace_pods`].
    pub async fn replace_pods(&self, name: &str) {
        self.deployments().replace_pods(name).await;
    }
}

// What the world sees.
impl Test {
    /// [`Workloads::complete`].
    pub async fn complete(&self, name: &str) {
        self.deployments().complete(name).await;
    }

    /// [`Workloads::complete_by_hand`].
    pub async fn complete_by_hand(&self, name: &str) {
        self.deployments().complete_by_hand(name).await;
    }

    /// [`Workloads::adopted`].
    pub async fn adopted(&self, name: &str) -> Value {
        self.deployments().adopted(name).await
    }

    /// [`Workloads::baseline`].
    pub async fn baseline(&self, name: &str) -> Value {
        self.deployments().baseline(name).await
    }

    /// [`Workloads::template_changes`].
    pub async fn template_changes(&self, name: &str) -> usize {
        self.deployments().template_changes(name).await
    }

    /// [`Workloads::await_template_changes`].
    pub async fn await_template_changes(&self, name: &str, times: usize) {
        self.deployments().await_template_changes(name, times).await;
    }

    /// [`Workloads::rolls`].
    pub async fn rolls(&self, name: &str, times: usize) {
        self.deployments().rolls(name, times).await;
    }

    /// [`Workloads::rolled_no_more_than`].
    pub async fn rolled_no_more_than(&self, name: &str, times: usize) {
        self.deployments().rolled_no_more_than(name, times).await;
    }

    /// [`Workloads::state`]. The markers, where there are any, are Current.
    pub async fn state(&self, state: &str, count: u32) {
        self.deployments().state(state, count).await;
    }
}

fn typed(object: DynamicObject) -> Deployment {
    object.try_parse().expect("a Deployment")
}

/// An annotation of the Deployment's template.
pub fn template_annotation(deployment: &Deployment, annotation: &str) -> Option<String> {
    let metadata = deployment.spec.as_ref()?.template.metadata.as_ref()?;
    metadata.annotations.as_ref()?.get(annotation).cloned()
}
