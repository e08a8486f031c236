//! The workload, from which each kind makes its own.

use serde_json::{Value, json};

use super::{Place, Use};
use crate::support::cluster::APPLICATION;

/// The only container, unless a use is in an init container or a sidecar.
const CONTAINER: &str = "app";

/// Fake nodes do not look.
const NO_IMAGE: &str = "example.invalid/app:1";

/// A Deployment to be created.
#[derive(Clone, Debug)]
pub struct Workload(Value);

/// A Deployment with one pod that has opted in and uses nothing yet.
pub fn deployment(name: &str) -> Workload {
    Workload(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "annotations": {"windlass.dev/enabled": "true"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": {}},
                "spec": {
                    "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": 0,
                    "containers": [container(CONTAINER)],
                    "initContainers": [],
                    "volumes": []
                }
            }
        }
    }))
}

fn container(name: &str) -> Value {
    json!({"name": name, "image": NO_IMAGE, "env": [], "envFrom": [], "volumeMounts": []})
}

impl Workload {
    /// Adds one use of a source.
    pub fn uses(mut self, used: Use) -> Self {
        let pod = &mut self.0["spec"]["template"]["spec"];
        let Use {
            place,
            env,
            env_from,
            volume,
            mounts,
        } = used;
        let number = pod["volumes"].as_array().map_or(0, Vec::len);
        if let Some(mut volume) = volume {
            volume["name"] = json!(format!("volume-{number}"));
            push(&mut pod["volumes"], volume);
        }
        let (list, name) = match place {
            Place::Main => ("containers", CONTAINER),
            Place::Init => ("initContainers", "init"),
            Place::Sidecar => ("initContainers", "sidecar"),
        };
        let containers = pod[list].as_array_mut().expect("the builder made a list");
        if !containers.iter().any(|it| it["name"] == name) {
            let mut new = container(name);
            if matches!(place, Place::Sidecar) {
                new["restartPolicy"] = json!("Always");
            }
            containers.push(new);
        }
        let container = containers
            .iter_mut()
            .find(|it| it["name"] == name)
            .expect("it was there or was added");
        if let Some(env) = env {
            push(&mut container["env"], env);
        }
        if let Some(env_from) = env_from {
            push(&mut container["envFrom"], env_from);
        }
        for (index, mut mount) in mounts.into_iter().enumerate() {
            mount["name"] = json!(format!("volume-{number}"));
            mount["mountPath"] = json!(format!("/etc/volume-{number}/{index}"));
            push(&mut container["volumeMounts"], mount);
        }
        self
    }

    /// With the test application in each container that has no image, so that it runs: the main one
    /// serves at port 8080, a sidecar at 8081, an init container ends.
    pub fn on_a_real_node(mut self) -> Self {
        let pod = &mut self.0["spec"]["template"]["spec"];
        for (list, main) in [("containers", true), ("initContainers", false)] {
            for container in pod[list].as_array_mut().into_iter().flatten() {
                if container["image"] != NO_IMAGE {
                    continue;
                }
                container["image"] = json!(APPLICATION);
                container["imagePullPolicy"] = json!("Never");
                if container["args"].is_null() {
                    container["args"] = match (main, container["restartPolicy"].as_str()) {
                        (true, _) => json!([]),
                        (false, Some("Always")) => json!(["--listen", ":8081"]),
                        (false, _) => json!(["--exit"]),
                    };
                }
            }
        }
        self
    }

    /// Sets an annotation of the Deployment, not of its template.
    pub fn annotated(mut self, annotation: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][annotation] = json!(value);
        self
    }

    /// Without any annotation of ours.
    pub fn not_opted_in(mut self) -> Self {
        self.0["metadata"]["annotations"] = json!({});
        self
    }

    /// Sets a label of the Deployment, not of its template.
    pub fn labelled(mut self, label: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][label] = json!(value);
        self
    }

    /// Sets an annotation of its template.
    pub fn template_annotated(mut self, annotation: &str, value: &str) -> Self {
        self.0["spec"]["template"]["metadata"]["annotations"][annotation] = json!(value);
        self
    }

    /// Sets an environment variable of its container.
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        let env = &mut self.0["spec"]["template"]["spec"]["containers"][0]["env"];
        push(env, json!({"name": name, "value": value}));
        self
    }

    /// Sets an environment variable of its container to a key of a Secret.
    pub fn with_variable_of_secret(mut self, name: &str, secret: &str, key: &str) -> Self {
        let env = &mut self.0["spec"]["template"]["spec"]["containers"][0]["env"];
        let from = json!({"secretKeyRef": {"name": secret, "key": key}});
        push(env, json!({"name": name, "valueFrom": from}));
        self
    }

    /// Gives its container this argument.
    pub fn with_argument(mut self, argument: &str) -> Self {
        let container = &mut self.0["spec"]["template"]["spec"]["containers"][0];
        container["args"] = json!([argument]);
        self
    }

    /// Sets a field of the Deployment's spec.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["spec"][field] = value.into();
        self
    }

    /// Sets a field of the pods' spec.
    pub fn with_pod(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["spec"]["template"]["spec"][field] = value.into();
        self
    }

    /// The node leaves its pods alone, so that they become ready only when the test says so.
    pub fn made_ready_by_hand(mut self) -> Self {
        self.0["spec"]["template"]["metadata"]["annotations"]["windlass.test/never-ready"] = json!("true");
        self
    }

    /// The manifest.
    pub fn manifest(&self) -> &Value {
        &self.0
    }
}

fn push(list: &mut Value, item: Value) {
    list.as_array_mut().expect("the builder made a list").push(item);
}
