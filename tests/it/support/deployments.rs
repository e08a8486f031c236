//! Deployments, which most scenarios are about: what somebody does to them, and what the world sees of them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch},
};
use serde_json::{Value, json};

use super::{OBSERVED, Server, Test, Workload, await_condition, await_condition_within, by};

// What somebody does.
impl Test {
    /// Creates the Deployment.
    pub async fn deploy(&self, mut workload: Workload) -> Deployment {
        if self.server == Server::Node {
            workload = workload.on_a_real_node();
        }
        self.create(workload.manifest().clone()).await
    }

    /// The Deployment as it is now.
    pub async fn deployment(&self, name: &str) -> Deployment {
        self.api().get(name).await.expect("the Deployment is there")
    }

    /// Patches the Deployment as somebody who is not Windlass.
    pub async fn patch_deployment(&self, name: &str, patch: Value) {
        let patched = self
            .api::<Deployment>()
            .patch(name, &by("somebody").patch(), &Patch::Strategic(patch))
            .await;
        patched.expect("the API server accepts the patch");
    }

    /// Sets or, with null, removes an annotation of the Deployment itself.
    pub async fn annotate(&self, name: &str, annotation: &str, value: impl Into<Value>) {
        let value = value.into();
        self.patch_deployment(name, json!({"metadata": {"annotations": {annotation: value}}}))
            .await;
    }

    /// Changes the template as an upgrade by somebody else does.
    pub async fn upgrade(&self, name: &str, version: &str) {
        let annotations = json!({"annotations": {"chart/version": version}});
        self.patch_deployment(name, json!({"spec": {"template": {"metadata": annotations}}}))
            .await;
    }

    /// Takes the Deployment back to its revision before this one.
    pub async fn undo(&self, name: &str) {
        let workload = format!("deployment/{name}");
        self.cluster
            .kubectl(&["--namespace", &self.namespace, "rollout", "undo", &workload])
            .await;
    }

    /// Restarts the Deployment as a person does.
    pub async fn rollout_restart(&self, name: &str) {
        let workload = format!("deployment/{name}");
        self.cluster
            .kubectl(&["--namespace", &self.namespace, "rollout", "restart", &workload])
            .await;
    }

    /// Puts the Deployment's manifest back as somebody has it who knows nothing of the baseline, the
    /// way that `kubectl replace` does.
    pub async fn replace_without_baseline(&self, name: &str) {
        let mut manifest = self.deployment(name).await;
        manifest
            .annotations_mut()
            .retain(|annotation, _| annotation == "windlass.dev/enabled");
        manifest.metadata.resource_version = None;
        manifest.metadata.managed_fields = None;
        let replaced = self
            .api::<Deployment>()
            .replace(name, &by("somebody").post(), &manifest)
            .await;
        let replaced = replaced.expect("the API server accepts the manifest");
        assert_eq!(annotation(&replaced, OBSERVED), None);
    }

    /// Deletes all pods of the Deployment, so that new ones start.
    pub async fn replace_pods(&self, name: &str) {
        let old = self.pods(name).await.expect("a list of pods");
        for pod in &old {
            let deleted = self
                .api::<Pod>()
                .delete(&pod.name_any(), &DeleteParams::default())
                .await;
            deleted.expect("the pod was there");
        }
        await_condition("the old pods to be gone", async || {
            let old: Vec<_> = old.iter().map(ResourceExt::uid).collect();
            let left = self
                .pods(name)
                .await?
                .iter()
                .filter(|pod| old.contains(&pod.uid()))
                .count();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await;
        self.complete(name).await;
    }
}

// What the world sees.
impl Test {
    /// [`Test::complete`] for pods that the node leaves running and not ready: says for it that
    /// each one is.
    pub async fn complete_by_hand(&self, name: &str) {
        await_condition(&format!("{name} to be complete"), async || {
            for pod in self.pods(name).await? {
                Box::pin(self.make_ready(&pod)).await?;
            }
            is_complete(&self.api::<Deployment>().get(name).await?)
        })
        .await;
    }

    /// Waits until every pod that the Deployment wants is there, ready, and of its newest template.
    pub async fn complete(&self, name: &str) {
        // After a crash of the API server the Deployment controller comes back in its own time: it
        // waits up to half a minute before it tries again, for each kind of object.
        let deadline = if self.server == Server::Stoppable { 5 } else { 1 };
        await_condition_within(
            Duration::from_mins(deadline),
            &format!("{name} to be complete"),
            async || is_complete(&self.api::<Deployment>().get(name).await?),
        )
        .await;
    }

    /// Waits for the baseline of the Deployment and returns it.
    pub async fn adopted(&self, name: &str) -> Value {
        await_condition(&format!("{name} to be adopted"), async || {
            baseline(&self.api::<Deployment>().get(name).await?)
        })
        .await
    }

    /// The baseline of the Deployment as it is now.
    pub async fn baseline(&self, name: &str) -> Value {
        baseline(&self.deployment(name).await).expect("it has been adopted")
    }

    /// How often the template of the Deployment was changed since it was created, by anybody.
    pub async fn template_changes(&self, name: &str) -> usize {
        await_condition(&format!("the history of {name}"), async || {
            let deployment = self.api::<Deployment>().get(name).await?;
            self.history.template_changes(&deployment).context("not recorded yet")
        })
        .await
    }

    /// Waits until the template has been changed this often.
    pub async fn await_template_changes(&self, name: &str, times: usize) {
        await_condition(&format!("{name} to be changed {times} times"), async || {
            let changes = self.template_changes(name).await;
            ensure!(changes >= times, "{changes} times so far");
            Ok(())
        })
        .await;
    }

    /// The Deployment is rolled out this often in all, by anybody, and the last of these rollouts
    /// becomes complete. 0 is a fine number: nothing happens.
    pub async fn rolls(&self, name: &str, times: usize) {
        self.await_template_changes(name, times).await;
        self.complete(name).await;
        self.rolled_no_more_than(name, times).await;
        let revision = annotation(&self.deployment(name).await, "deployment.kubernetes.io/revision").map(str::to_owned);
        assert_eq!(revision, Some((times + 1).to_string()), "the revision of {name}");
    }

    /// The Deployment was rolled out this often in all, by anybody, and whatever the controller
    /// had to do by now is done.
    pub async fn rolled_no_more_than(&self, name: &str, times: usize) {
        self.everything_before_is_done().await;
        let changes = self.template_changes(name).await;
        assert_eq!(changes, times, "rollouts of {name}:\n{}", self.history.describe(name));
    }
}

/// An annotation of the object itself.
pub fn annotation<'object>(object: &'object Deployment, annotation: &str) -> Option<&'object str> {
    object.annotations().get(annotation).map(String::as_str)
}

/// An annotation of the Deployment's template.
pub fn template_annotation(deployment: &Deployment, annotation: &str) -> Option<String> {
    let metadata = deployment.spec.as_ref()?.template.metadata.as_ref()?;
    metadata.annotations.as_ref()?.get(annotation).cloned()
}

fn baseline(deployment: &Deployment) -> Result<Value> {
    let baseline = annotation(deployment, OBSERVED).context("there is no baseline")?;
    serde_json::from_str(baseline).with_context(|| format!("not JSON: {baseline}"))
}

fn is_complete(deployment: &Deployment) -> Result<()> {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    ensure!(
        status.observed_generation >= deployment.metadata.generation,
        "not observed yet"
    );
    for (what, count) in [
        ("pods", status.replicas),
        ("updated", status.updated_replicas),
        ("available", status.available_replicas),
    ] {
        let count = count.unwrap_or_default();
        ensure!(count == wanted, "{count} {what}, not {wanted}");
    }
    Ok(())
}
