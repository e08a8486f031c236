//! The kinds of workloads.

mod definition;

use anyhow::{Result, ensure};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};
use windlass_core::workload::kind::KindId;

use super::{Test, Workload, build, unique};

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
    adapt: fn(&mut Value, &mut Value),
}

/// What a test has to know of a built-in kind besides its row.
struct BuiltIn {
    kind: &'static str,
    complete: fn(&Value, &Value) -> Result<()>,
    revision: Option<&'static str>,
    /// Makes the `spec` and the pod template of a Deployment those of this kind.
    adapt: fn(&mut Value, &mut Value),
}

const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        kind: "Deployment",
        complete: |spec, status| {
            let wanted = spec["replicas"].as_i64().unwrap_or(1);
            counts(status, &["replicas", "updatedReplicas", "availableReplicas"], wanted)
        },
        revision: Some("deployment.kubernetes.io/revision"),
        adapt: |_, _| {},
    },
    BuiltIn {
        kind: "StatefulSet",
        complete: |spec, status| {
            let wanted = spec["replicas"].as_i64().unwrap_or(1);
            counts(status, &["replicas", "updatedReplicas", "availableReplicas"], wanted)?;
            // With OnDelete its controller never moves the first of the two.
            let [current, updated] = ["currentRevision", "updateRevision"].map(|field| &status[field]);
            ensure!(
                spec["updateStrategy"]["type"] == "OnDelete" || current == updated,
                "{current} is not {updated}"
            );
            Ok(())
        },
        revision: None,
        adapt: |spec, _| spec["serviceName"] = json!("none"),
    },
    BuiltIn {
        kind: "DaemonSet",
        complete: |_, status| {
            let wanted = status["desiredNumberScheduled"].as_i64().unwrap_or(0);
            ensure!(wanted > 0, "no node is to have it");
            let all = ["currentNumberScheduled", "updatedNumberScheduled", "numberAvailable"];
            counts(status, &all, wanted)
        },
        revision: None,
        adapt: |spec, _| drop(spec.as_object_mut().and_then(|fields| fields.remove("replicas"))),
    },
    BuiltIn {
        kind: "CronJob",
        complete: |_, _| Ok(()),
        revision: None,
        adapt: |spec, template| {
            template["spec"]["restartPolicy"] = json!("Never");
            // A time that does not come while the test runs.
            *spec = json!({"schedule": "0 0 29 2 *"});
        },
    },
    // The test is its controller.
    BuiltIn {
        kind: "Rollout",
        complete: |_, _| Ok(()),
        revision: None,
        adapt: |_, _| {},
    },
];

/// All kinds that Windlass knows by itself.
pub fn all() -> impl Iterator<Item = Kind> {
    KindId::built_in().map(Kind::built_in)
}

fn named(kind: &str) -> Kind {
    Kind::built_in(KindId::named(kind).expect("a kind of the table"))
}

/// `apps/v1` Deployment.
pub fn deployment() -> Kind {
    named("Deployment")
}

/// `apps/v1` StatefulSet.
pub fn stateful_set() -> Kind {
    named("StatefulSet")
}

/// `apps/v1` DaemonSet.
pub fn daemon_set() -> Kind {
    named("DaemonSet")
}

/// `batch/v1` CronJob.
pub fn cron_job() -> Kind {
    named("CronJob")
}

/// `argoproj.io/v1alpha1` Rollout.
pub fn rollout() -> Kind {
    named("Rollout")
}

fn counts(status: &Value, fields: &[&str], wanted: i64) -> Result<()> {
    for field in fields {
        let count = status[*field].as_i64().unwrap_or(0);
        ensure!(count == wanted, "{field} is {count}, not {wanted}");
    }
    Ok(())
}

impl Kind {
    fn built_in(id: KindId) -> Self {
        let row = id.row();
        let known = BUILT_IN.iter().find(|known| known.kind == row.kind);
        let known = known.unwrap_or_else(|| panic!("tests/it/support/kinds/mod.rs has no row for {id:?}"));
        let gvk = GroupVersionKind::gvk(row.group, row.version, row.kind);
        Self {
            resource: ApiResource::from_gvk_with_plural(&gvk, row.plural),
            template: row.template,
            complete: known.complete,
            revision: known.revision,
            adapt: known.adapt,
        }
    }

    /// A kind of the test's own, with the pod template at `template`.
    pub fn custom(group: &str, kind: &str, template: &'static [&'static str]) -> Self {
        let plural = format!("{}s", kind.to_lowercase());
        Self {
            resource: ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), &plural),
            template,
            complete: |_, _| Ok(()),
            revision: None,
            adapt: |_, _| {},
        }
    }

    /// What a Deployment is as a workload of this kind.
    pub fn manifest(&self, deployment: &Workload) -> Value {
        let deployment = deployment.manifest();
        let mut spec = deployment["spec"].clone();
        let mut template = spec["template"].take();
        let fields = spec.as_object_mut().expect("the builder made an object");
        fields.remove("template");
        (self.adapt)(&mut spec, &mut template);
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

    /// Whether it is defined by a custom resource. Of others the API server knows how lists are merged.
    pub fn is_custom(&self) -> bool {
        self.resource.group.contains('.')
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

#[test]
fn every_built_in_kind_has_a_manifest() {
    for kind in all() {
        let web = build::deployment("web");
        let manifest = kind.manifest(&web);
        let template = kind.template.iter().fold(&manifest, |at, field| &at[*field]);
        assert!(template["spec"]["containers"].is_array(), "{manifest}");
    }
}
