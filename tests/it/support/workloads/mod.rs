//! Workloads of any kind: what somebody does to them.

mod rollouts;

use std::ops::Deref;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch},
};
use serde_json::{Value, json};

use super::{OBSERVED, Server, Test, Workload, await_condition, by, from, history::History, kinds::Kind};

impl Kind {
    /// The workloads of this kind in the test's namespace.
    pub fn of<'t>(&self, t: &'t Test) -> Workloads<'t> {
        self.recorded(t, self.history(t))
    }

    /// [`Kind::of`] with what has been recorded of them before.
    pub(super) fn recorded<'t>(&self, t: &'t Test, history: History) -> Workloads<'t> {
        Workloads {
            test: t,
            kind: self.clone(),
            api: self.api(t),
            history,
        }
    }

    /// Records the workloads of this kind in the test's namespace.
    pub(super) fn history(&self, t: &Test) -> History {
        let kind = self.clone();
        History::record(self.api(t), move |object| kind.template_of(object))
    }
}

/// The workloads of one kind in the test's namespace. What it has no word for is the test's.
pub struct Workloads<'t> {
    test: &'t Test,
    kind: Kind,
    /// The objects.
    pub api: Api<DynamicObject>,
    history: History,
}

impl Deref for Workloads<'_> {
    type Target = Test;

    fn deref(&self) -> &Test {
        self.test
    }
}

impl Workloads<'_> {
    /// What is written of this kind in front of a name.
    pub fn word(&self) -> &str {
        &self.kind.resource.kind
    }

    /// Creates what the Deployment is as a workload of this kind.
    pub async fn deploy(&self, mut deployment: Workload) -> DynamicObject {
        if self.server == Server::Node {
            deployment = deployment.on_a_real_node();
        }
        self.create_object(self.kind.manifest(&deployment)).await
    }

    /// Creates a workload from its manifest.
    pub async fn create_object(&self, mut manifest: Value) -> DynamicObject {
        manifest["apiVersion"] = json!(self.kind.resource.api_version);
        manifest["kind"] = json!(self.kind.resource.kind);
        let created = self.api.create(&by("test").post(), &from(manifest)).await;
        created.expect("the API server accepts the object")
    }

    /// The workload as it is now.
    pub async fn get(&self, name: &str) -> DynamicObject {
        self.api.get(name).await.expect("the workload is there")
    }

    /// Patches the workload as somebody who is not Windlass.
    pub async fn patch(&self, name: &str, patch: Value) {
        let patch = if self.kind.is_custom() {
            Patch::Merge(patch)
        } else {
            Patch::Strategic(patch)
        };
        let patched = self.api.patch(name, &by("somebody").patch(), &patch).await;
        patched.expect("the API server accepts the patch");
    }

    /// Patches the status of the workload as its own controller.
    pub async fn patch_status(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        let patched = self.api.patch_status(name, &by("its-controller").patch(), &patch).await;
        patched.expect("the API server accepts the patch");
    }

    /// Sets or, with null, removes an annotation of the workload itself.
    pub async fn annotate(&self, name: &str, annotation: &str, value: impl Into<Value>) {
        let value = value.into();
        self.patch(name, json!({"metadata": {"annotations": {annotation: value}}}))
            .await;
    }

    /// Changes the template as an upgrade by somebody else does.
    pub async fn upgrade(&self, name: &str, version: &str) {
        let mut patch = json!({});
        let annotations = json!({"metadata": {"annotations": {"chart/version": version}}});
        self.kind.put_template(&mut patch, annotations);
        self.patch(name, patch).await;
    }

    /// Takes the workload back to its revision before this one.
    pub async fn undo(&self, name: &str) {
        self.rollout("undo", name).await;
    }

    /// Restarts the workload as a person does.
    pub async fn rollout_restart(&self, name: &str) {
        self.rollout("restart", name).await;
    }

    async fn rollout(&self, verb: &str, name: &str) {
        let workload = format!("{}/{name}", self.kind.resource.plural);
        self.cluster
            .kubectl(&["--namespace", &self.namespace, "rollout", verb, &workload])
            .await;
    }

    /// Puts the workload's manifest back as somebody has it who knows nothing of the baseline, the
    /// way that `kubectl replace` does.
    pub async fn replace_without_baseline(&self, name: &str) {
        let mut manifest = self.get(name).await;
        manifest
            .annotations_mut()
            .retain(|annotation, _| annotation == "windlass.dev/enabled");
        manifest.metadata.resource_version = None;
        manifest.metadata.managed_fields = None;
        let replaced = self.api.replace(name, &by("somebody").post(), &manifest).await;
        let replaced = replaced.expect("the API server accepts the manifest");
        assert_eq!(annotation(&replaced, OBSERVED), None);
    }

    /// Removes the workload with its pods.
    pub async fn delete(&self, name: &str) {
        let deleted = self.api.delete(name, &DeleteParams::background()).await;
        deleted.expect("it was there");
        await_condition(&format!("{name} to be gone"), async || {
            ensure!(self.api.get_opt(name).await?.is_none(), "it is there");
            Ok(())
        })
        .await;
    }

    /// Deletes all pods of the workload and waits for new ones.
    pub async fn replace_pods(&self, name: &str) {
        self.delete_pods(name).await;
        self.complete(name).await;
    }

    /// Deletes all pods of the workload and waits until they are gone.
    pub async fn delete_pods(&self, name: &str) {
        let old = self.pods(name).await.expect("a list of pods");
        assert!(!old.is_empty(), "{name} has no pods");
        let pods: Api<Pod> = self.test.api();
        for pod in &old {
            let deleted = pods.delete(&pod.name_any(), &DeleteParams::default()).await;
            deleted.expect("the pod was there");
        }
        let old: Vec<_> = old.iter().map(ResourceExt::uid).collect();
        await_condition("the old pods to be gone", async || {
            let pods = self.pods(name).await?;
            let left = pods.iter().filter(|pod| old.contains(&pod.uid())).count();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await;
    }
}

/// An annotation of the workload itself.
pub fn annotation<'object>(object: &'object impl ResourceExt, annotation: &str) -> Option<&'object str> {
    object.annotations().get(annotation).map(String::as_str)
}
