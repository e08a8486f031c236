//! Windlass as its users have it: the chart, installed by helm from the image, in pods on a real node.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api, ResourceExt,
    api::{EvictParams, ListParams, Patch},
};
use serde_json::{Value, json};

use super::{
    Test, await_condition, await_condition_within, by,
    cluster::{IMAGE, NODE, run},
};

/// Name of the release, and so of everything in it.
pub const RELEASE: &str = "windlass";
/// Where it is installed.
pub const SYSTEM: &str = "windlass-system";

/// Names the helm that `cargo xtask test` has built.
const HELM: &str = "WINDLASS_HELM";

/// Pods have to start and to be ready, one after the other, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_mins(3);

/// The chart's values for the test node, with the image of this tag.
fn values(tag: &str) -> Value {
    let (repository, _) = IMAGE.split_once(':').expect("a tag");
    json!({
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "nodeSelector": {"kubernetes.io/hostname": NODE},
        "tolerations": [{"key": "windlass.test/real", "operator": "Exists"}],
        "settle": "200ms",
        // Markers are restarted as often as something is to be waited for.
        "flapLimit": 0,
    })
}

impl Test {
    /// Installs the chart or upgrades it, and returns when every replica is ready.
    pub async fn helm_upgrade(&self, tag: &str) {
        let file = self.scratch.path().join("values.json");
        std::fs::write(&file, values(tag).to_string()).expect("a file");
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/windlass");
        let file = file.to_str().expect("a name that is text");
        self.helm(&[
            "upgrade",
            RELEASE,
            chart,
            "--install",
            "--create-namespace",
            "--wait",
            "--timeout",
            "3m",
            "--values",
            file,
        ])
        .await;
    }

    /// Takes everything away that the chart installed, and returns when no pod of it is left.
    pub async fn helm_uninstall(&self) {
        self.helm(&["uninstall", RELEASE, "--wait", "--timeout", "3m"]).await;
        await_condition_within(PATIENCE, "its pods to be gone", async || {
            let left = self.replicas_of_any_state().await?.len();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await;
    }

    /// Goes back to the revision before this one.
    pub async fn helm_rollback(&self) {
        self.helm(&["rollback", RELEASE, "--wait", "--timeout", "3m"]).await;
    }

    /// What there is of Windlass: all objects of its namespace but what Kubernetes itself puts into each, and
    /// those of the cluster that have its name. Workloads are elsewhere.
    pub async fn left_over(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (namespaced, place) in [("true", &["--namespace", SYSTEM][..]), ("false", &[])] {
            let scope = format!("--namespaced={namespaced}");
            let kinds = ["api-resources", "--verbs=list", "--output=name", &scope];
            let kinds = self.cluster.kubectl(&kinds).await;
            let kinds: Vec<&str> = kinds.lines().filter(|it| !it.starts_with("events")).collect();
            let kinds = kinds.join(",");
            let get = [&["get", &kinds, "--output=name", "--ignore-not-found"][..], place].concat();
            let objects = self.cluster.kubectl(&get).await;
            let ours = objects.lines().filter(|object| match namespaced {
                "true" => !["configmap/kube-root-ca.crt", "serviceaccount/default"].contains(object),
                // The API server serves a group, which is what an APIService says, for as long as there is a definition.
                _ => object.contains(RELEASE) && !["namespace/", "apiservice."].iter().any(|it| object.starts_with(it)),
            });
            left.extend(ours.map(str::to_owned));
        }
        left.sort();
        left.dedup();
        left
    }

    /// Lets nothing new onto the real node, or ends that.
    pub async fn cordon(&self, closed: bool) {
        let verb = if closed { "cordon" } else { "uncordon" };
        self.cluster.kubectl(&[verb, NODE]).await;
    }

    async fn helm(&self, arguments: &[&str]) -> String {
        let helm = std::env::var_os(HELM).map(PathBuf::from);
        let helm = helm.unwrap_or_else(|| panic!("run `cargo xtask test`, which builds helm and sets {HELM}"));
        let mut command = std::process::Command::new(helm);
        command
            .args(arguments)
            .args(["--namespace", SYSTEM, "--kubeconfig"])
            .arg(&self.cluster.test)
            // Nothing that the person who runs this has configured.
            .env("HELM_CONFIG_HOME", self.scratch.path())
            .env("HELM_CACHE_HOME", self.scratch.path())
            .env("HELM_DATA_HOME", self.scratch.path())
            .stdin(Stdio::null());
        run(command).await
    }

    /// The objects of one kind in the namespace of the installation.
    pub fn system<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), SYSTEM)
    }

    /// Evicts a pod of the installation, as a drain does.
    pub async fn evict(&self, pod: &str) -> kube::Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client_without_retries().await, SYSTEM);
        pods.evict(pod, &EvictParams::default()).await.map(drop)
    }

    async fn replicas_of_any_state(&self) -> Result<Vec<Pod>> {
        let ours = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
        Ok(self.system::<Pod>().list(&ours).await?.items)
    }

    /// The pods of the installation that are ready, and not on their way out.
    pub async fn ready_replicas(&self) -> Result<Vec<Pod>> {
        let is_ready = |pod: &Pod| {
            let conditions = pod.status.as_ref().and_then(|it| it.conditions.as_ref());
            let ready = conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"));
            ready && pod.metadata.deletion_timestamp.is_none()
        };
        let pods = self.replicas_of_any_state().await?;
        Ok(pods.into_iter().filter(is_ready).collect())
    }

    /// Waits until there are so many replicas, all ready.
    pub async fn await_replicas(&self, count: usize) -> Vec<Pod> {
        await_condition_within(PATIENCE, &format!("{count} replicas"), async || {
            let all = self.replicas_of_any_state().await?.len();
            let ready = self.ready_replicas().await?;
            ensure!(
                ready.len() == count && all == count,
                "{} of {all} are ready",
                ready.len()
            );
            Ok(ready)
        })
        .await
    }

    /// Who holds the Lease, by its own word: the pod's name and something random.
    pub async fn holder(&self) -> Result<String> {
        let lease = self.system::<Lease>().get(RELEASE).await?;
        let holder = lease.spec.and_then(|it| it.holder_identity);
        holder.filter(|it| !it.is_empty()).context("nobody holds the lease")
    }

    /// The replica that writes.
    pub async fn leader(&self) -> Pod {
        await_condition("one of the replicas to lead", async || {
            let holder = self.holder().await?;
            let replicas = self.ready_replicas().await?;
            let leader = replicas.into_iter().find(|it| holder.starts_with(&it.name_any()));
            leader.with_context(|| format!("{holder} is not one of them"))
        })
        .await
    }

    /// What the replicas have logged, for those who look into a failure, and for canaries.
    pub async fn logs_of_replicas(&self) -> String {
        let label = format!("app.kubernetes.io/instance={RELEASE}");
        let logs = [
            "--namespace",
            SYSTEM,
            "logs",
            "--selector",
            &label,
            "--tail=-1",
            "--prefix",
        ];
        self.cluster.kubectl(&logs).await
    }

    /// The namespace, with the strictest of Kubernetes' own rules for pods.
    pub async fn restricted_system_namespace(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": SYSTEM, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        });
        let applied = namespaces
            .patch(SYSTEM, &by("operator").apply(), &Patch::Apply(object))
            .await;
        applied.expect("the API server accepts the namespace");
    }
}
