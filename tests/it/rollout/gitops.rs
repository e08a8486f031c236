//! What GitOps tools do, done to the API server while the controller runs: they apply what is in Git again
//! and again, and look for drift. docs/gitops.md promises what is tested here.

use std::io::Write as _;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{
    CONFIG_DIGEST, OBSERVED, Test, Workload, annotation, await_condition,
    build::{deployment, env},
    by, next_second, template_annotation, tests, value,
};

tests! {
    argo_cd_that_applies_server_side_sees_no_drift: live, down;
    flux_sees_no_drift: live, down;
    helm_that_applies_server_side_sees_no_drift: live;
    a_three_way_merge_sees_no_drift: live, down;
    a_sync_of_both_is_one_rollout: live;
    replacing_after_the_rollout_is_one_more: live;
    taking_all_annotations_away_after_the_rollout_is_one_more: live;
    replacing_before_the_rollout_is_done_is_not_fought: live;
}

/// What is in Git: a Deployment and the `ConfigMap` that it uses.
struct Git {
    deployment: Value,
}

impl Git {
    fn of(workload: Workload) -> Self {
        let mut deployment = workload.manifest().clone();
        deployment["apiVersion"] = json!("apps/v1");
        deployment["kind"] = json!("Deployment");
        without_empty(&mut deployment);
        Self { deployment }
    }

    fn config(level: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "web"},
            "data": {"level": value(level)},
        })
    }

    /// Server-side apply by force, as Argo CD, Flux and Helm 4 do it.
    async fn sync(&self, t: &Test, tool: &'static str, level: &str) {
        let config = Patch::Apply(Self::config(level));
        let applied = t.api::<ConfigMap>().patch("web", &by(tool).apply(), &config).await;
        applied.expect("the API server accepts the ConfigMap");
        self.apply(t, &by(tool).apply()).await;
    }

    async fn apply(&self, t: &Test, how: &PatchParams) -> Deployment {
        let manifest = Patch::Apply(&self.deployment);
        let applied = t.api::<Deployment>().patch("web", how, &manifest).await;
        applied.expect("the API server accepts the Deployment")
    }

    /// Drift as it is looked for by a dry run: what is there, and what would be there after a sync.
    async fn drift(&self, t: &Test, tool: &'static str) -> (Value, Value) {
        let dry = PatchParams {
            dry_run: true,
            ..by(tool).apply()
        };
        let would_be = self.apply(t, &dry).await;
        (compared(&t.deployment("web").await), compared(&would_be))
    }

    /// Both in a file.
    fn file(&self, level: &str) -> tempfile::NamedTempFile {
        file(&json!({"apiVersion": "v1", "kind": "List", "items": [Self::config(level), self.deployment]}))
    }
}

/// Without what the API server does not keep, as in a manifest that people write.
fn without_empty(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(without_empty);
            fields.retain(|_, field| *field != json!([]) && *field != json!({}));
        }
        Value::Array(items) => items.iter_mut().for_each(without_empty),
        _ => {}
    }
}

/// What tools compare: neither status nor bookkeeping.
fn compared(deployment: &Deployment) -> Value {
    let mut deployment = deployment.clone();
    deployment.status = None;
    deployment.metadata.managed_fields = None;
    deployment.metadata.resource_version = None;
    // The Deployment controller counts in an annotation, at a time of its own.
    if let Some(annotations) = &mut deployment.metadata.annotations {
        annotations.remove("deployment.kubernetes.io/revision");
    }
    json!(deployment)
}

fn file(manifest: &Value) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::with_suffix(".json").expect("a file");
    file.write_all(manifest.to_string().as_bytes()).expect("it is written");
    file
}

async fn kubectl(t: &Test, command: &str, file: &tempfile::NamedTempFile) -> String {
    let path = file.path().to_str().expect("a plain path");
    t.cluster
        .kubectl(&["--namespace", &t.namespace, command, "--filename", path])
        .await
}

async fn no_drift(t: &Test, git: &Git, tool: &'static str) {
    let (is, would_be) = git.drift(t, tool).await;
    assert_eq!(is, would_be, "{tool} sees drift");
}

/// As many as there were rollouts, and the first one.
async fn replica_sets(t: &Test) -> usize {
    let of_web = ListParams::default().labels("app=web");
    let list = t.api::<ReplicaSet>().list(&of_web).await;
    list.expect("a list of ReplicaSets").items.len()
}

/// What `manager` owns of the Deployment, as JSON.
fn owned_by(deployment: &Deployment, manager: &str) -> String {
    let fields = deployment.metadata.managed_fields.iter().flatten();
    fields
        .filter(|entry| entry.manager.as_deref() == Some(manager))
        .map(|entry| json!(entry.fields_v1).to_string())
        .collect()
}

fn web() -> Workload {
    deployment("web").uses(env("web", "level"))
}

async fn server_side(t: &Test, tool: &'static str) {
    let git = Git::of(web());
    git.sync(t, tool, "A").await;
    t.start_and_adopt(&[]).await;
    no_drift(t, &git, tool).await;

    for (times, level) in ["B", "C", "D"].into_iter().enumerate() {
        t.meanwhile(git.sync(t, tool, level)).await;
        t.await_template_changes("web", times + 1).await;
        let digest = template_annotation(&t.deployment("web").await, CONFIG_DIGEST);
        assert!(digest.is_some(), "restarted by us");
        // Once while it rolls and once after, as an interval may have it.
        no_drift(t, &git, tool).await;
        git.sync(t, tool, level).await;
        t.complete("web").await;
        no_drift(t, &git, tool).await;
        git.sync(t, tool, level).await;
        t.rolls("web", times + 1).await;
        assert_eq!(replica_sets(t).await, times + 2);
        let after = t.deployment("web").await;
        assert_eq!(template_annotation(&after, CONFIG_DIGEST), digest, "it is still there");
    }
    assert_eq!(t.event_count("web", "Restarted").await, 3);
    t.state("Current", 3).await;

    let after = t.deployment("web").await;
    let ours = owned_by(&after, "windlass");
    assert!(ours.contains(CONFIG_DIGEST) && ours.contains(OBSERVED), "{ours}");
    for field in ["f:image", "f:replicas", "f:containers", "windlass.dev/enabled"] {
        assert!(!ours.contains(field), "{field} is ours: {ours}");
    }
    let theirs = owned_by(&after, tool);
    assert!(
        !theirs.contains(CONFIG_DIGEST) && !theirs.contains(OBSERVED),
        "{theirs}"
    );

    // Drift that is some is seen.
    let mut changed = Git::of(web());
    changed.deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example.org/other");
    let (is, would_be) = changed.drift(t, tool).await;
    assert_ne!(is, would_be);
}

async fn argo_cd_that_applies_server_side_sees_no_drift(t: &Test) {
    server_side(t, "argocd-controller").await;
}

async fn flux_sees_no_drift(t: &Test) {
    server_side(t, "kustomize-controller").await;
}

async fn helm_that_applies_server_side_sees_no_drift(t: &Test) {
    server_side(t, "helm").await;
}

/// kubectl's own, with what was applied last in an annotation: what Argo CD does by default.
async fn a_three_way_merge_sees_no_drift(t: &Test) {
    let git = Git::of(web());
    kubectl(t, "apply", &git.file("A")).await;
    t.start_and_adopt(&[]).await;

    for (times, level) in ["B", "C"].into_iter().enumerate() {
        let file = git.file(level);
        t.meanwhile(kubectl(t, "apply", &file)).await;
        t.await_template_changes("web", times + 1).await;
        // It fails where there is a difference.
        assert_eq!(kubectl(t, "diff", &file).await, "");
        kubectl(t, "apply", &file).await;
        t.complete("web").await;
        assert_eq!(kubectl(t, "diff", &file).await, "");
        let again = kubectl(t, "apply", &file).await;
        assert!(again.contains("deployment.apps/web unchanged"), "{again}");
        t.rolls("web", times + 1).await;
        assert_eq!(replica_sets(t).await, times + 2);
    }
    let after = t.deployment("web").await;
    assert!(template_annotation(&after, CONFIG_DIGEST).is_some());
    assert!(annotation(&after, OBSERVED).is_some());
}

async fn a_sync_of_both_is_one_rollout(t: &Test) {
    let tool = "argocd-controller";
    let mut git = Git::of(web());
    git.sync(t, tool, "A").await;
    t.start_and_adopt(&["--settle", "5s"]).await;

    git.deployment["spec"]["template"]["metadata"]["annotations"]["chart/version"] = json!("2");
    git.sync(t, tool, "B").await;
    t.complete("web").await;
    t.event("web", "CoveredByRollout").await;
    t.rolls("web", 1).await;
    assert_eq!(t.event_count("web", "Restarted").await, 0);
    no_drift(t, &git, tool).await;
}

/// A restart that is complete, and then what the tool makes of it: the template as it was before, with pods
/// that are younger than the change.
async fn taken_away_after(t: &Test, git: &Git, command: &str) {
    kubectl(t, "apply", &git.file("A")).await;
    t.start_and_adopt(&[]).await;
    for (times, level) in [(2, "B"), (4, "C")] {
        // The Deployment later: it might already be restarted when its turn comes.
        kubectl(t, command, &file(&Git::config(level))).await;
        t.await_template_changes("web", times - 1).await;
        t.complete("web").await;
        t.state("Current", 3).await;
        // So that the tool's pods are younger than the change, to be read off their times.
        next_second().await;
        kubectl(t, command, &git.file(level)).await;
        t.await_template_changes("web", times).await;
        assert_eq!(template_annotation(&t.deployment("web").await, CONFIG_DIGEST), None);
        t.complete("web").await;
        t.rolls("web", times).await;
        t.state("Current", 3).await;
        t.held("RolledBack", 0).await;
    }
    assert_eq!(t.event_count("web", "Restarted").await, 2);
}

async fn replacing_after_the_rollout_is_one_more(t: &Test) {
    taken_away_after(t, &Git::of(web()), "replace").await;
}

/// `annotations:` with nothing behind it, as careless templates render it: each merge takes all of them away.
async fn taking_all_annotations_away_after_the_rollout_is_one_more(t: &Test) {
    let mut git = Git::of(web());
    git.deployment["spec"]["template"]["metadata"]["annotations"] = Value::Null;
    taken_away_after(t, &git, "apply").await;
}

async fn replacing_before_the_rollout_is_done_is_not_fought(t: &Test) {
    let surge = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    let git = Git::of(web().made_ready_by_hand().with("strategy", surge));
    kubectl(t, "apply", &git.file("A")).await;
    t.complete_by_hand("web").await;
    t.start_and_adopt(&[]).await;

    kubectl(t, "replace", &file(&Git::config("B"))).await;
    t.await_template_changes("web", 1).await;
    kubectl(t, "replace", &git.file("B")).await;
    t.await_template_changes("web", 2).await;

    let advice = t.event("web", "RolledBack").await;
    assert!(
        advice.contains("windlass.dev/resume") || advice.contains("restart"),
        "{advice}"
    );
    t.held("RolledBack", 1).await;
    t.rolled_no_more_than("web", 2).await;
    await_condition("its baseline to be back", async || {
        let observed = annotation(&t.deployment("web").await, OBSERVED).map(str::to_owned);
        observed.ok_or_else(|| anyhow::anyhow!("it is not"))
    })
    .await;
}
