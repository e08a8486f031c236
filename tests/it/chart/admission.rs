//! What the API server says to all that the chart renders, in a namespace that enforces the restricted Pod
//! Security Standard; and that its pods are let in there.

use std::fs;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api,
    api::{ListParams, Patch},
};
use serde_json::{Value, json};

use super::{
    helm::{template, the},
    monitoring,
    scene::apply,
};
use crate::support::{Test, await_condition, by, tests};

tests! {
    every_combination_is_accepted_and_its_pods_are_let_in: embedded;
    a_pod_that_may_do_more_is_not_let_in: embedded;
}

/// Sets of values that between them render everything that the chart can be.
fn combinations() -> Vec<(&'static str, Value)> {
    let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    vec![
        ("defaults", json!({})),
        (
            "single",
            json!({"namespaces": ["default", "kube-public"], "rbac": {"clusterPolicies": true}}),
        ),
        (
            "roles",
            json!({"namespaces": ["default"], "sources": ["configmaps"], "inPlace": {"agentTokenSecrets": ["windlass-agent"]}}),
        ),
        (
            "one",
            json!({"replicas": 1, "leaderElection": {"enabled": false}, "podDisruptionBudget": {"enabled": false}, "networkPolicy": {"enabled": false}, "service": {"enabled": false}, "podAntiAffinity": "none", "topologySpreadConstraints": []}),
        ),
        (
            "observe",
            json!({"observeOnly": true, "inPlace": {"nudge": false}, "rbac": {"createDigestKey": false}, "openshift": true, "podAntiAffinity": "required"}),
        ),
        (
            "monitored",
            json!({
                "serviceMonitor": {"enabled": true, "labels": {"release": "prometheus"}, "interval": "15s", "scrapeTimeout": "5s",
                    "relabelings": [{"action": "labeldrop", "regex": "pod"}], "metricRelabelings": [{"action": "drop", "sourceLabels": ["__name__"], "regex": "process_.*"}]},
                "prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}},
                "dashboard": {"enabled": true, "annotations": {"folder": "Tools"}},
            }),
        ),
        (
            "pods",
            json!({"podMonitor": {"enabled": true, "interval": "1m", "relabelings": [{"targetLabel": "team", "replacement": "platform"}]}}),
        ),
        (
            "notified",
            json!({
                "notifications": {"slack": {"url": "https://hooks.example.org/a"}, "teams": {"secret": {"name": "hooks", "key": "teams"}}, "cluster": "east", "caBundle": {"name": "ca-bundle", "key": "ca.crt"}},
                "tracing": {"otlpEndpoint": "http://collector:4317"},
            }),
        ),
        (
            "network",
            json!({"networkPolicy": {"ingressFrom": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}], "restrictEgress": true,
            "apiServerCidrs": ["10.0.0.1/32", "fd00::1/128"], "extraEgress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]}}),
        ),
        (
            "kinds",
            json!({"workloadKinds": ["Rollout"], "customKinds": [{"group": "apps.example.org", "version": "v1", "kind": "Service", "resource": "services", "path": ".spec.template"}],
            "compat": {"controllers": ["reloader", "wave"], "autoReloadAll": true}}),
        ),
        (
            "reloader",
            json!({"reloader": {"watchGlobally": false, "ignoreCronJobs": true, "logFormat": "json", "resourceLabelSelector": "a=b", "enableHA": true}}),
        ),
        (
            "fitted",
            json!({
                "image": {"digest": digest}, "imagePullSecrets": [{"name": "registry"}],
                "commonLabels": {"team": "platform"}, "commonAnnotations": {"owner": "platform"},
                "podLabels": {"a": "b"}, "podAnnotations": {"c": "d"}, "deploymentAnnotations": {"e": "f"},
                "nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": [{"key": "a", "operator": "Exists"}],
                "priorityClassName": "system-cluster-critical", "extraArgs": ["--log-level=debug"],
                "extraEnv": [{"name": "A", "value": "b"}], "extraEnvFrom": [{"configMapRef": {"name": "a", "optional": true}}],
                "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]}},
                "crds": {"keep": false, "annotations": {"a": "b"}}, "serviceAccount": {"annotations": {"a": "b"}}, "service": {"annotations": {"a": "b"}},
            }),
        ),
    ]
}

async fn restricted(t: &Test) {
    let labels =
        ["enforce", "warn", "audit"].map(|mode| (format!("pod-security.kubernetes.io/{mode}"), json!("restricted")));
    let labels: serde_json::Map<String, Value> = labels.into_iter().collect();
    let namespaces: Api<Namespace> = Api::all(t.client.clone());
    let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
    namespaces
        .patch(&t.namespace, &by("test").patch(), &patch)
        .await
        .expect("the namespace is there");
}

async fn every_combination_is_accepted_and_its_pods_are_let_in(t: &Test) {
    restricted(t).await;
    for definition in monitoring::definitions() {
        apply(t, &definition).await;
    }
    await_condition("the kinds of the operator to be served", async || {
        t.cluster
            .try_kubectl(&["get", "servicemonitors,podmonitors,prometheusrules"])
            .await
            .map_err(anyhow::Error::msg)
    })
    .await;
    let scratch = tempfile::tempdir().expect("a scratch folder");
    for (name, values) in combinations() {
        let documents = template(name, &t.namespace, &values).unwrap_or_else(|error| panic!("{name}: {error}"));
        let file = scratch.path().join(format!("{name}.json"));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
        fs::write(&file, list.to_string()).expect("a scratch file");
        let file = file.to_string_lossy();
        let dry = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "--filename",
            &file,
        ];
        let said = t
            .cluster
            .try_kubectl(&dry)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!said.contains("Warning"), "{name}: {said}");
        let count = said
            .lines()
            .filter(|line| line.contains("serverside-applied (server dry run)"))
            .count();
        assert_eq!(count, documents.len(), "{name}: {said}");
        let mut deployment = the(&documents, "Deployment").clone();
        // Nobody is there to give the account that is not made here a name.
        deployment["spec"]["template"]["spec"]["serviceAccountName"] = json!("default");
        apply(t, &deployment).await;
        let_in(t, name).await;
    }
}

/// Waits until the ReplicaSet has made its pod, which Pod Security would have kept it from.
async fn let_in(t: &Test, release: &str) {
    let pods: Api<Pod> = t.api();
    await_condition(&format!("a pod of {release}"), async || {
        let labelled = ListParams::default().labels(&format!("app.kubernetes.io/instance={release}"));
        anyhow::ensure!(!pods.list(&labelled).await?.items.is_empty(), "there is none");
        Ok(())
    })
    .await;
}

/// The test above can fail.
async fn a_pod_that_may_do_more_is_not_let_in(t: &Test) {
    restricted(t).await;
    let documents = template("open", &t.namespace, &json!({})).expect("its own values");
    let mut deployment = the(&documents, "Deployment").clone();
    let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
    container["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let file = scratch.path().join("open.json");
    fs::write(&file, deployment.to_string()).expect("a scratch file");
    let said = t
        .cluster
        .try_kubectl(&[
            "apply",
            "--dry-run=server",
            "--namespace",
            &t.namespace,
            "--filename",
            &file.to_string_lossy(),
        ])
        .await;
    let said = said.expect("a Deployment is only warned of");
    assert!(
        said.contains("Warning") && said.contains("allowPrivilegeEscalation"),
        "{said}"
    );
}
