//! The objects as JSON.

use serde_json::{Value, json};

use super::Who;
use crate::bench::NAMESPACE;

/// The image of the application.
pub const APPLICATION: &str = "windlass.test/testapp:1";
/// The image of the agent: the binary that is measured.
pub const AGENT: &str = "windlass.test/windlass:1";
/// The volume of the ConfigMap.
pub const VOLUME: &str = "config";
/// The key that changes.
pub const KEY: &str = "level";
/// Where the application serves.
pub const APPLICATION_PORT: u16 = 8080;
/// What the key holds in the beginning.
pub const FIRST: &str = "00000";

const AGENT_PORT: u16 = 9533;
const TOKEN_SECRET: &str = "windlass-agent";

/// What pods mount.
pub fn sources() -> Value {
    let mut items = vec![json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": TOKEN_SECRET, "namespace": NAMESPACE},
        // Of a cluster that nobody else reaches and that is gone in minutes.
        "stringData": {"token": "0123456789abcdef0123456789abcdef"},
    })];
    items.extend(Who::ALL.map(|who| {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": who.name(), "namespace": NAMESPACE},
            "data": {KEY: FIRST, "other": "never changes"},
        })
    }));
    list(items)
}

/// Deployments of one pod each, with the agent beside the application; policies for those that Windlass has.
pub fn workloads() -> Value {
    let governed = Who::ALL.into_iter().filter(|who| who.is_governed());
    list(governed.map(policy).chain(Who::ALL.map(deployment)).collect())
}

fn policy(who: Who) -> Value {
    json!({
        "apiVersion": "windlass.dev/v1alpha1",
        "kind": "RolloutPolicy",
        "metadata": {"name": who.name(), "namespace": NAMESPACE},
        "spec": {
            "workloads": {"selector": {"matchLabels": {"app": who.name()}}},
            "strategy": "InPlace",
            "inPlace": {
                "nudge": who == Who::Nudged,
                "agent": {"port": AGENT_PORT, "tokenSecretRef": {"name": TOKEN_SECRET}},
                "timeout": "5m",
            },
        },
    })
}

fn deployment(who: Who) -> Value {
    let labels = json!({"app": who.name()});
    let mount = json!({"name": VOLUME, "mountPath": "/etc/web", "readOnly": true});
    let reload = format!("http://localhost:{APPLICATION_PORT}/-/reload");
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": who.name(), "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "app",
                        "image": APPLICATION,
                        "imagePullPolicy": "Never",
                        "volumeMounts": [mount],
                        "readinessProbe": {"httpGet": {"path": "/state", "port": APPLICATION_PORT}},
                    }],
                    "initContainers": [{
                        "name": "windlass-agent",
                        "image": AGENT,
                        "imagePullPolicy": "Never",
                        "restartPolicy": "Always",
                        "command": [
                            "/windlass", "agent", "--volume=/etc/web", format!("--notify-http={reload}"),
                            "--token-file=/etc/windlass/token",
                        ],
                        "ports": [{"name": "windlass-agent", "containerPort": AGENT_PORT}],
                        "readinessProbe": {"httpGet": {"path": "/readyz", "port": AGENT_PORT}},
                        "livenessProbe": {"httpGet": {"path": "/livez", "port": AGENT_PORT}},
                        "volumeMounts": [mount, {"name": "token", "mountPath": "/etc/windlass", "readOnly": true}],
                    }],
                    "volumes": [
                        {"name": VOLUME, "configMap": {"name": who.name()}},
                        {"name": "token", "secret": {"secretName": TOKEN_SECRET}},
                    ],
                },
            },
        },
    })
}

fn list(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}
