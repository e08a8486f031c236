//! Deployments as sentences: `deployment("web").uses(env("web", "level"))`.

mod workload;

use serde_json::{Value, json};

pub use self::workload::{Workload, deployment};

/// One use of a source by a pod template.
#[derive(Clone, Debug)]
pub struct Use {
    place: Place,
    env: Option<Value>,
    env_from: Option<Value>,
    volume: Option<Value>,
    mounts: Vec<Value>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Main,
    Init,
    Sidecar,
}

const NOTHING: Use = Use {
    place: Place::Main,
    env: None,
    env_from: None,
    volume: None,
    mounts: Vec::new(),
};

/// One key as an environment variable.
pub fn env(source: &str, key: &str) -> Use {
    let name = format!("{source}_{key}").replace(['-', '.'], "_").to_uppercase();
    let from = json!({"configMapKeyRef": {"name": source, "key": key}});
    Use {
        env: Some(json!({"name": name, "valueFrom": from})),
        ..NOTHING
    }
}

/// All keys as environment variables.
pub fn env_from(source: &str) -> Use {
    Use {
        env_from: Some(json!({"configMapRef": {"name": source}})),
        ..NOTHING
    }
}

/// All keys as files.
pub fn volume(source: &str) -> Use {
    Use {
        volume: Some(json!({"configMap": {"name": source}})),
        mounts: vec![json!({})],
        ..NOTHING
    }
}

/// All keys as files of a projected volume.
pub fn projected(source: &str) -> Use {
    let sources = json!([{"configMap": {"name": source}}]);
    Use {
        volume: Some(json!({"projected": {"sources": sources}})),
        mounts: vec![json!({})],
        ..NOTHING
    }
}

impl Use {
    /// With a prefix for the names of the variables.
    pub fn prefixed(mut self, prefix: &str) -> Self {
        self.env_from.as_mut().expect("only envFrom has a prefix")["prefix"] = json!(prefix);
        self
    }

    /// Only these keys, each at its path.
    pub fn items(mut self, items: &[(&str, &str)]) -> Self {
        let items: Vec<_> = items
            .iter()
            .map(|(key, path)| json!({"key": key, "path": path}))
            .collect();
        self.reference()["items"] = json!(items);
        self
    }

    /// Only this path of the volume.
    pub fn sub_path(mut self, path: &str) -> Self {
        self.mounts = vec![json!({"subPath": path})];
        self
    }

    /// A path of the volume that is known only when the container starts.
    pub fn sub_path_expr(mut self, path: &str) -> Self {
        self.mounts = vec![json!({"subPathExpr": path})];
        self
    }

    /// The volume is there, but no container mounts it.
    pub fn unmounted(mut self) -> Self {
        self.mounts.clear();
        self
    }

    /// Pods start without it.
    pub fn optional(mut self) -> Self {
        self.reference()["optional"] = json!(true);
        self
    }

    /// The same of the Secret of that name, as the last word of all.
    pub fn of_secret(mut self) -> Self {
        let renamed = |object: &mut Value, from: &str, to: &str| {
            let part = object.as_object_mut().and_then(|fields| fields.remove(from));
            object[to] = part.expect("it was of a ConfigMap");
        };
        if let Some(env) = &mut self.env {
            renamed(&mut env["valueFrom"], "configMapKeyRef", "secretKeyRef");
        } else if let Some(env_from) = &mut self.env_from {
            renamed(env_from, "configMapRef", "secretRef");
        } else if let Some(volume) = &mut self.volume {
            if volume.get("projected").is_some() {
                renamed(&mut volume["projected"]["sources"][0], "configMap", "secret");
            } else {
                renamed(volume, "configMap", "secret");
                renamed(&mut volume["secret"], "name", "secretName");
            }
        }
        self
    }

    /// In an init container.
    pub fn in_init(mut self) -> Self {
        self.place = Place::Init;
        self
    }

    /// In a native sidecar: an init container that goes on running.
    pub fn in_sidecar(mut self) -> Self {
        self.place = Place::Sidecar;
        self
    }

    /// The part that names the source.
    fn reference(&mut self) -> &mut Value {
        if let Some(env) = &mut self.env {
            return &mut env["valueFrom"]["configMapKeyRef"];
        }
        if let Some(env_from) = &mut self.env_from {
            return &mut env_from["configMapRef"];
        }
        let volume = self.volume.as_mut().expect("a use has one of the three");
        if volume.get("projected").is_some() {
            &mut volume["projected"]["sources"][0]["configMap"]
        } else {
            &mut volume["configMap"]
        }
    }
}
