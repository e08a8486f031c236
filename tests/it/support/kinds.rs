//! Workloads of any kind, by the words that the Deployments of these tests have.

use std::ops::Deref;

use anyhow::{Context, Result, ensure};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PostParams},
};
use serde_json::{Value, json};

use super::{CANARY, OBSERVED, Test, Workload, await_condition, by, history::History, to_json};

/// A kind of workloads.
#[derive(Clone, Debug)]
pub struct Kind {
    /// What the API server calls it.
    pub resource: ApiResource,
    /// Field names from the object's root down to the pod template.
    pub template: &'static [&'static str],
    /// How its own controller says that every pod is there, ready, and of the newest template.
    complete: fn(&Value, &Value) -> Result<()>,
}

const TEMPLATE: &[&str] = &["spec", "template"];

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

    fn put_template(&self, object: &mut Value, template: Value) {
        let place = self.template.iter().fold(object, |at, field| &mut at[*field]);
        *place = template;
    }

    fn template_of(&self, object: &DynamicObject) -> Value {
        self.template.iter().fold(&object.data, |at, field| &at[*field]).clone()
    }

    /// Makes a custom resource of it: whatever is written is kept, and the status is apart.
    pub async fn define(&self, t: &Test) {
        let ApiResource {
            group,
            version,
            kind,
            plural,
            ..
        } = &self.resource;
        let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
                "versions": [{
                    "name": version,
                    "served": true,
                    "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": any, "status": any}}},
                    "subresources": {"status": {}},
                }],
            },
        });
        let definition: DynamicObject = super::from(definition);
        // Tests that run in the same cluster share it.
        match definitions(t).create(&PostParams::default(), &definition).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            other => drop(other.expect("the API server accepts the definition")),
        }
        let api = self.api(t);
        await_condition(&format!("{kind} to be served"), async || {
            Ok(api.list(&ListParams::default()).await?)
        })
        .await;
    }

    /// Takes the custom resource and all of its objects away.
    pub async fn undefine(&self, t: &Test) {
        let name = format!("{}.{}", self.resource.plural, self.resource.group);
        let deleted = definitions(t).delete(&name, &DeleteParams::default()).await;
        deleted.expect("it was defined");
        let api = self.api(t);
        await_condition(&format!("{} not to be served", self.resource.kind), async || match api
            .list(&ListParams::default())
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => anyhow::bail!("it is: {other:?}"),
        })
        .await;
    }

    fn api(&self, t: &Test) -> Api<DynamicObject> {
        Api::namespaced_with(t.client.clone(), &t.namespace, &self.resource)
    }

    /// The workloads of this kind in the test's namespace.
    pub fn of<'t>(&self, t: &'t Test) -> Workloads<'t> {
        let (api, kind) = (self.api(t), self.clone());
        let history = History::record(api.clone(), move |object| kind.template_of(object));
        Workloads {
            test: t,
            kind: self.clone(),
            api,
            history,
        }
    }
}

fn definitions(t: &Test) -> Api<DynamicObject> {
    let definition = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    Api::all_with(t.client.clone(), &ApiResource::from_gvk(&definition))
}

/// The workloads of one kind in the test's namespace. What it has no word for is the test's.
pub struct Workloads<'t> {
    test: &'t Test,
    kind: Kind,
    /// The objects.
    pub api: Api<DynamicObject>,
    history: History,
}

impl Deref for Workloads<'_> {
    type Target = Test;

    fn deref(&self) -> &Test {
        self.test
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

// What somebody does.
impl Workloads<'_> {
    /// What is written of this kind in front of a name.
    pub fn word(&self) -> &str {
        &self.kind.resource.kind
    }

    /// Creates what the Deployment is as a workload of this kind.
    pub async fn deploy(&self, deployment: Workload) -> DynamicObject {
        self.create_object(self.kind.manifest(&deployment)).await
    }

    /// Creates a workload from its manifest.
    pub async fn create_object(&self, mut manifest: Value) -> DynamicObject {
        manifest["apiVersion"] = json!(self.kind.resource.api_version);
        manifest["kind"] = json!(self.kind.resource.kind);
        let created = self.api.create(&by("test").post(), &super::from(manifest)).await;
        created.expect("the API server accepts the object")
    }

    /// The workload as it is now.
    pub async fn get(&self, name: &str) -> DynamicObject {
        self.api.get(name).await.expect("the workload is there")
    }

    /// Patches the workload as somebody who is not Windlass.
    pub async fn patch(&self, name: &str, patch: Value) {
        let patched = self
            .api
            .patch(name, &by("somebody").patch(), &Patch::Merge(patch))
            .await;
        patched.expect("the API server accepts the patch");
    }

    /// Patches the status of the workload as its own controller.
    pub async fn patch_status(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        let patched = self.api.patch_status(name, &by("its-controller").patch(), &patch).await;
        patched.expect("the API server accepts the patch");
    }

    /// Sets or, with null, removes an annotation of the workload itself.
    pub async fn annotate(&self, name: &str, annotation: &str, value: impl Into<Value>) {
        let value = value.into();
        self.patch(name, json!({"metadata": {"annotations": {annotation: value}}}))
            .await;
    }

    /// Changes the template as an upgrade by somebody else does.
    pub async fn upgrade(&self, name: &str, version: &str) {
        let mut patch = json!({});
        let annotations = json!({"metadata": {"annotations": {"chart/version": version}}});
        self.kind.put_template(&mut patch, annotations);
        self.patch(name, patch).await;
    }

    /// Takes the workload back to its revision before this one.
    pub async fn undo(&self, name: &str) {
        self.rollout("undo", name).await;
    }

    /// Restarts the workload as a person does.
    pub async fn rollout_restart(&self, name: &str) {
        self.rollout("restart", name).await;
    }

    async fn rollout(&self, verb: &str, name: &str) {
        let workload = format!("{}/{name}", self.kind.resource.plural);
        self.cluster
            .kubectl(&["--namespace", &self.namespace, "rollout", verb, &workload])
            .await;
    }

    /// Removes the workload with its pods.
    pub async fn delete(&self, name: &str) {
        let deleted = self.api.delete(name, &DeleteParams::background()).await;
        deleted.expect("it was there");
        await_condition(&format!("{name} to be gone"), async || {
            ensure!(self.api.get_opt(name).await?.is_none(), "it is there");
            Ok(())
        })
        .await;
    }

    /// Deletes all pods of the workload and waits for new ones.
    pub async fn replace_pods(&self, name: &str) {
        self.delete_pods(name).await;
        self.complete(name).await;
    }

    /// Deletes all pods of the workload and waits until they are gone.
    pub async fn delete_pods(&self, name: &str) {
        let old = self.pods(name).await.expect("a list of pods");
        assert!(!old.is_empty(), "{name} has no pods");
        let pods: Api<k8s_openapi::api::core::v1::Pod> = self.test.api();
        for pod in &old {
            let deleted = pods.delete(&pod.name_any(), &DeleteParams::default()).await;
            deleted.expect("the pod was there");
        }
        let old: Vec<_> = old.iter().map(ResourceExt::uid).collect();
        await_condition("the old pods to be gone", async || {
            let pods = self.pods(name).await?;
            let left = pods.iter().filter(|pod| old.contains(&pod.uid())).count();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await;
    }
}

// The controller and the world.
impl Workloads<'_> {
    /// [`Test::start_and_adopt`] for these workloads as well.
    pub async fn start_and_adopt(&self, flags: &[&str]) {
        let names = self.opted_in().await;
        for name in &names {
            self.complete(name).await;
        }
        self.test.start_and_adopt(flags).await;
        for name in &names {
            self.adopted(name).await;
        }
    }

    async fn opted_in(&self) -> Vec<String> {
        let all = self.api.list(&ListParams::default()).await.expect("a list");
        let opted_in = all.into_iter().filter(|it| {
            it.annotations()
                .get("windlass.dev/enabled")
                .is_some_and(|it| it == "true")
        });
        opted_in.map(|it| it.name_any()).collect()
    }

    /// Waits until every pod that the workload wants is there, ready, and of its newest template.
    pub async fn complete(&self, name: &str) {
        await_condition(&format!("{name} to be complete"), async || self.is_complete(name).await).await;
    }

    /// [`Workloads::complete`] for pods that the node leaves running and not ready: says for it that
    /// each one is.
    pub async fn complete_by_hand(&self, name: &str) {
        await_condition(&format!("{name} to be complete"), async || {
            for pod in self.pods(name).await? {
                Box::pin(self.make_ready(&pod)).await?;
            }
            self.is_complete(name).await
        })
        .await;
    }

    async fn is_complete(&self, name: &str) -> Result<()> {
        let object = self.api.get(name).await?;
        let [spec, status] = ["spec", "status"].map(|part| &object.data[part]);
        if ["StatefulSet", "DaemonSet"].contains(&self.word()) {
            let seen = status["observedGeneration"].as_i64();
            ensure!(seen >= object.metadata.generation, "not observed yet");
        }
        (self.kind.complete)(spec, status)
    }

    /// Waits for the baseline of the workload and returns it.
    pub async fn adopted(&self, name: &str) -> Value {
        await_condition(&format!("{name} to be adopted"), async || {
            baseline(&self.api.get(name).await?)
        })
        .await
    }

    /// The baseline of the workload as it is now.
    pub async fn baseline(&self, name: &str) -> Value {
        baseline(&self.get(name).await).expect("it has been adopted")
    }

    /// The pod template of the workload as it is now.
    pub async fn template(&self, name: &str) -> Value {
        self.kind.template_of(&self.get(name).await)
    }

    /// How often the template of the workload was changed since it was created, by anybody.
    pub async fn template_changes(&self, name: &str) -> usize {
        await_condition(&format!("the history of {name}"), async || {
            let object = self.api.get(name).await?;
            self.history.template_changes(&object).context("not recorded yet")
        })
        .await
    }

    /// Waits until the template has been changed this often.
    pub async fn await_template_changes(&self, name: &str, times: usize) {
        await_condition(&format!("{name} to be changed {times} times"), async || {
            let changes = self.template_changes(name).await;
            ensure!(changes >= times, "{changes} times so far");
            Ok(())
        })
        .await;
    }

    /// The workload is rolled out this often in all, by anybody, and the last of these rollouts
    /// becomes complete. 0 is a fine number: nothing happens.
    pub async fn rolls(&self, name: &str, times: usize) {
        self.await_template_changes(name, times).await;
        self.complete(name).await;
        self.rolled_no_more_than(name, times).await;
    }

    /// The workload was rolled out this often in all, by anybody, and whatever the controller had to
    /// do by now is done.
    pub async fn rolled_no_more_than(&self, name: &str, times: usize) {
        self.everything_before_is_done().await;
        let changes = self.template_changes(name).await;
        assert_eq!(changes, times, "rollouts of {name}:\n{}", self.history.describe(name));
        let object = self.get(name).await;
        let written = [
            to_json(object.annotations()),
            self.kind.template_of(&object).to_string(),
        ];
        for text in written {
            assert!(!text.contains(CANARY), "a source's content is in {name}:\n{text}");
        }
    }

    /// Waits until so many workloads of this kind are in this state, by the controller's own account.
    pub async fn state(&self, state: &str, count: u32) {
        let labels = [("kind", self.word()), ("state", state)];
        self.metric("windlass_workloads", &labels, count).await;
    }

    /// Waits until so many workloads of this kind are known to the controller at all.
    pub async fn known(&self, count: u32) {
        self.metric("windlass_workloads", &[("kind", self.word())], count).await;
    }
}

/// An annotation of the workload itself.
pub fn annotation<'object>(object: &'object DynamicObject, annotation: &str) -> Option<&'object str> {
    object.annotations().get(annotation).map(String::as_str)
}

fn baseline(object: &DynamicObject) -> Result<Value> {
    let baseline = annotation(object, OBSERVED).context("there is no baseline")?;
    serde_json::from_str(baseline).with_context(|| format!("not JSON: {baseline}"))
}

/// A name that no other test has.
pub fn unique_group() -> String {
    format!("{}.windlass.test", super::unique("it"))
}
