//! The objects as JSON.

use serde_json::{Value, json};

use super::{
    layout::{Placed, SecretUse, Subject, USED_KEY, Uses},
    sizes::WIDE_KEYS,
};
use crate::kinds::Kind;

/// Of each source, as keys and values.
const SOURCE_BYTES: usize = 1024;

/// About 1 KiB in three keys.
pub fn config_map(name: &str) -> Value {
    let text = filler();
    let (used, unused) = text.split_at(text.len() / 2);
    json!({
        "metadata": {"name": name},
        "data": {USED_KEY: "00000", "application.properties": used, "README": unused},
    })
}

/// Three letters for each key, and nothing in it.
pub fn wide_config_map(name: &str) -> Value {
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let letter = |at: usize| letters[at % letters.len()];
    let key = |at: usize| [at, at / letters.len(), at / letters.len().pow(2)].map(letter);
    let keys = (0..WIDE_KEYS).map(|at| (String::from_iter(key(at)), json!("")));
    json!({"metadata": {"name": name}, "data": keys.collect::<serde_json::Map<_, _>>()})
}

/// About 1 KiB in two keys.
pub fn secret(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "type": "Opaque",
        "stringData": {USED_KEY: "00000", "token": filler()},
    })
}

fn filler() -> String {
    let sentence = "configuration that somebody wrote once, and that few read again; ";
    sentence
        .chars()
        .cycle()
        .take(SOURCE_BYTES - 2 * USED_KEY.len())
        .collect()
}

/// About 2.4 KB as the API server returns it, which is what people's workloads have.
pub fn workload(placed: &Placed) -> Value {
    let Placed {
        subject,
        workload,
        uses,
    } = placed;
    let name = &workload.name;
    let annotations = match subject {
        Subject::Windlass => json!({"windlass.dev/enabled": "true"}),
        Subject::Floor => json!({}),
    };
    let selector = json!({"matchLabels": {"app.kubernetes.io/name": name}});
    let template = template(name, workload.kind, uses);
    let spec = match workload.kind {
        Kind::Deployment => json!({"replicas": 1, "selector": selector, "template": template}),
        Kind::StatefulSet => {
            json!({"replicas": 1, "serviceName": name, "selector": selector, "template": template})
        }
        Kind::DaemonSet => json!({"selector": selector, "template": template}),
        Kind::CronJob => json!({"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": template}}}),
    };
    json!({
        "metadata": {"name": name, "labels": labels(name), "annotations": annotations},
        "spec": spec,
    })
}

fn labels(name: &str) -> Value {
    json!({"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "bench"})
}

fn template(name: &str, kind: Kind, uses: &Uses) -> Value {
    let Uses {
        environment,
        files,
        secret,
    } = uses;
    let mut variables = vec![json!({
        "name": "LEVEL",
        "valueFrom": {"configMapKeyRef": {"name": environment, "key": USED_KEY}},
    })];
    let mut mounts = Vec::new();
    let mut volumes = Vec::new();
    if let Some(config_map) = files {
        mounts.push(json!({"name": "files", "mountPath": "/etc/app"}));
        volumes.push(json!({"name": "files", "configMap": {"name": config_map}}));
    }
    match secret {
        Some(SecretUse::Environment(secret)) => variables.push(json!({
            "name": "SECRET_LEVEL",
            "valueFrom": {"secretKeyRef": {"name": secret, "key": USED_KEY}},
        })),
        Some(SecretUse::Files(secret)) => {
            mounts.push(json!({"name": "secret", "mountPath": "/etc/secret"}));
            volumes.push(json!({"name": "secret", "secret": {"secretName": secret}}));
        }
        None => {}
    }
    json!({
        "metadata": {"labels": labels(name)},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "restartPolicy": if kind == Kind::CronJob { "OnFailure" } else { "Always" },
            "containers": [{
                "name": "app",
                "image": "busybox:1.37",
                "args": ["--listen", ":8080", "--config", "/etc/app"],
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": variables,
                "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
                "volumeMounts": mounts,
            }],
            "volumes": volumes,
        },
    })
}
