//! Deployments, `ReplicaSet`s and pods as the API server shows them.

use serde_json::{Value, json};
use windlass_core::types::name::SourceKind;

use super::cluster::printed;
use super::deployment::{DEPLOYMENT_REVISION, Deployment, Status, Template, Use};

impl Deployment {
    pub fn object(&self) -> Value {
        let Status {
            observed_generation,
            replicas,
            updated,
            available,
            reason,
        } = &self.status;
        json!({
            "metadata": {
                "name": self.reference.name.as_str(), "namespace": self.reference.namespace.as_str(),
                "uid": self.uid.to_string(), "resourceVersion": self.version.to_string(),
                "generation": self.generation, "creationTimestamp": printed(self.created),
                "labels": { "tier": self.tier.to_string() },
                "annotations": self.annotations,
            },
            "spec": {
                "replicas": self.replicas,
                "selector": { "matchLabels": { "app": self.reference.name.as_str() } },
                "template": self.template.object(),
            },
            "status": {
                "observedGeneration": observed_generation, "replicas": replicas,
                "updatedReplicas": updated, "availableReplicas": available,
                "conditions": [{ "type": "Progressing", "status": "True", "reason": reason }],
            },
        })
    }

    pub fn replica_sets(&self) -> impl Iterator<Item = Value> {
        self.sets.iter().map(|set| {
            let mut annotations = set.annotations.clone();
            annotations.insert(DEPLOYMENT_REVISION.to_owned(), set.revision.to_string());
            json!({
                "metadata": {
                    "uid": set.uid.to_string(), "creationTimestamp": printed(set.created), "annotations": annotations,
                    "ownerReferences": [{ "uid": self.uid.to_string(), "controller": true }],
                },
                "spec": { "template": set.template.object() },
            })
        })
    }

    pub fn pod_objects(&self) -> impl Iterator<Item = Value> {
        self.pods.iter().map(|pod| {
            let state = match pod.started {
                Some(at) => json!({ "running": { "startedAt": printed(at) } }),
                None => json!({ "waiting": {} }),
            };
            json!({
                "metadata": {
                    "uid": pod.uid.to_string(),
                    "ownerReferences": [{ "uid": pod.set.to_string(), "controller": true }],
                },
                "status": { "phase": "Running", "containerStatuses": [{ "state": state }] },
            })
        })
    }
}

impl Template {
    fn object(&self) -> Value {
        let reference = |used: &Use, field: &str| {
            let (name, optional) = (used.source.name.as_str(), used.optional);
            match used.key {
                None => json!({ format!("{field}Ref"): { "name": name, "optional": optional } }),
                Some(at) => {
                    let key = if at == 0 { "one" } else { "two" };
                    let from = json!({ "name": name, "key": key, "optional": optional });
                    json!({ "name": format!("{field}_{name}_{key}"), "valueFrom": { format!("{field}KeyRef"): from } })
                }
            }
        };
        let (mut env, mut env_from) = (Vec::new(), Vec::new());
        for used in &self.uses {
            let field = match used.source.kind {
                SourceKind::ConfigMap => "configMap",
                SourceKind::Secret => "secret",
            };
            let list = if used.key.is_some() { &mut env } else { &mut env_from };
            list.push(reference(used, field));
        }
        json!({
            "metadata": { "annotations": self.annotations },
            "spec": { "containers": [{
                "name": "app", "image": format!("app:{}", self.image), "env": env, "envFrom": env_from,
            }] },
        })
    }
}
