//! The kinds of workloads.

mod definition;

use anyhow::{Result, ensure};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use super::{Test, Workload, unique};

/// A kind of workloads.
#[derive(Clone, Debug)]
pub struct Kind {
    /// What the API server calls it.
    pub resource: ApiResource,
    /// Field names from the object's root down to the pod template.
    pub template: &'static [&'static str],
    /// How its own controller says that every pod is there, ready, and of the newest template.
    pub(super) complete: fn(&Value, &Value) -> Result<()>,
    /// The annotation in which its own controller counts the templates that it has rolled out, from 1.
    pub(super) revision: Option<&'static str>,
}

const TEMPLATE: &[&str] = &["spec", "template"];

/// `apps/v1` Deployment.
pub fn deployment() -> Kind {
    let kind = Kind::new("apps", "v1", "Deployment", "deployments", TEMPLATE, |spec, status| {
        let wanted = spec["replicas"].as_i64().unwrap_or(1);
        counts(status, &["replicas", "updatedReplicas", "availableReplicas"], wanted)
    });
    Kind {
        revision: Some("deployment.kubernetes.io/revision"),
        ..kind
    }
}

/// `apps/v1` StatefulSet.
pub fn stateful_set() -> Kind {
    Kind::new("apps", "v1", "StatefulSet", "statefulsets", TEMPLATE, |spec, status| {
        let wanted = spec["replicas"].as_i64().unwrap_or(1);
        counts(status, &["replicas", "updatedReplicas", "availableReplicas"], wanted)?;
        // With OnDelete its controller never moves the first of the two.
        let [current, updated] = ["currentRevision", "updateRevision"].map(|field| &status[field]);
        ensure!(
            spec["updateStrategy"]["type"] == "OnDelete" || current == updated,
            "{current} is not {updated}"
        );
        Ok(())
    })
}

/// `apps/v1` DaemonSet.
pub fn daemon_set() -> Kind {
    Kind::new("apps", "v1", "DaemonSet", "daemonsets", TEMPLATE, |_, status| {
        let wanted = status["desiredNumberScheduled"].as_i64().unwrap_or(0);
        ensure!(wanted > 0, "no node is to have it");
        let all = ["currentNumberScheduled", "updatedNumberScheduled", "numberAvailable"];
        counts(status, &all, wanted)
    })
}

/// `batch/v1` CronJob.
pub fn cron_job() -> Kind {
    let template = &["spec", "jobTemplate", "spec", "template"];
    Kind::new("batch", "v1", "CronJob", "cronjobs", template, |_, _| Ok(()))
}

/// `argoproj.io/v1alpha1` Rollout. The test is its controller.
pub fn rollout() -> Kind {
    Kind::new(
        "argoproj.io",
        "v1alpha1",
        "Rollout",
        "rollouts",
        TEMPLATE,
        |_, _| Ok(()),
    )
}

fn counts(status: &Value, fields: &[&str], wanted: i64) -> Result<()> {
    for field in fields {
        let count = status[*field].as_i64().unwrap_or(0);
        ensure!(count == wanted, "{field} is {count}, not {wanted}");
    }
    Ok(())
}

impl Kind {
    fn new(
        group: &str,
        version: &str,
        kind: &str,
        plural: &str,
        template: &'static [&'static str],
        complete: fn(&Value, &Value) -> Result<()>,
    ) -> Self {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        Self {
            resource,
            template,
            complete,
            revision: None,
        }
    }

    /// A kind of the test's own, with the pod template at `template`.
    pub fn custom(group: &str, kind: &str, template: &'static [&'static str]) -> Self {
        let plural = format!("{}s", kind.to_lowercase());
        Self::new(group, "v1", kind, &plural, template, |_, _| Ok(()))
    }

    /// What a Deployment is as a workload of this kind.
    pub fn manifest(&self, deployment: &Workload) -> Value {
        let deployment = deployment.manifest();
        let mut spec = deployment["spec"].clone();
        let mut template = spec["template"].take();
        let fields = spec.as_object_mut().expect("the builder made an object");
        fields.remove("template");
        match &*self.resource.kind {
            "DaemonSet" => drop(fields.remove("replicas")),
            "StatefulSet" => drop(fields.insert("serviceName".into(), json!("none"))),
            "CronJob" => {
                template["spec"]["restartPolicy"] = json!("Never");
                // A time that does not come while the test runs.
                spec = json!({"schedule": "0 0 29 2 *"});
            }
            _ => {}
        }
        let mut manifest = json!({"metadata": deployment["metadata"], "spec": spec});
        self.put_template(&mut manifest, template);
        manifest
    }

    pub(super) fn put_template(&self, object: &mut Value, template: Value) {
        let place = self.template.iter().fold(object, |at, field| &mut at[*field]);
        *place = template;
    }

    pub(super) fn template_of(&self, object: &DynamicObject) -> Value {
        self.template.iter().fold(&object.data, |at, field| &at[*field]).clone()
    }

    /// Whether it is of Kubernetes itself, whose API server knows how lists are merged.
    pub(super) fn is_built_in(&self) -> bool {
        ["apps", "batch"].contains(&&*self.resource.group)
    }

    /// Whether its own controller says which generation it has seen.
    pub(super) fn is_observed(&self) -> bool {
        self.resource.group == "apps"
    }

    pub(super) fn api(&self, t: &Test) -> Api<DynamicObject> {
        Api::namespaced_with(t.client.clone(), &t.namespace, &self.resource)
    }
}

/// Makes a test of each scenario, each kind and each way of running it.
macro_rules! tests_of_kinds {
    ($kinds:tt $($scenario:ident: $($way:ident),+;)+) => {$(
        mod $scenario {
            $crate::support::kinds::tests_of_kinds!(@kinds $kinds $scenario $($way)+);
        }
    )+};
    (@kinds [$($kind:ident)+] $scenario:ident $($way:ident)+) => {
        $crate::support::kinds::tests_of_kinds!(@each [$($kind)+] $scenario [$($way)+]);
    };
    (@each [$kind:ident $($more:ident)*] $scenario:ident [$($way:ident)+]) => {
        mod $kind {
            $(
                #[test]
                fn $way() {
                    $crate::support::way::$way(async |t: &$crate::support::Test| {
                        super::super::$scenario(&$crate::support::kinds::$kind().of(t)).await;
                    });
                }
            )+
        }
        $crate::support::kinds::tests_of_kinds!(@each [$($more)*] $scenario [$($way)+]);
    };
    (@each [] $scenario:ident [$($way:ident)+]) => {};
}

pub(crate) use tests_of_kinds;

/// A name that no other test has.
pub fn unique_group() -> String {
    format!("{}.windlass.test", unique("it"))
}
