//! What a scenario needs to read as a few sentences.

pub mod audit;
pub mod build;
pub mod cluster;
pub mod controller;
pub mod faulty;
pub mod helm;
mod history;
pub mod kinds;
pub mod node;
pub mod policies;
pub mod prometheus;
pub mod receiver;
pub mod secrets;
mod wait;
pub mod webhook;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Event, Namespace, Pod, Secret, ServiceAccount},
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use self::{audit::Audit, build::env, cluster::Borrowed, controller::Controller, history::History};
pub use self::{
    build::{Workload, deployment},
    cluster::Server,
    wait::{await_condition, await_condition_within, next_second},
};

/// The baseline, on the workload.
pub const OBSERVED: &str = "windlass.dev/observed";
/// The digest of what was rolled out, on the template.
pub const CONFIG_DIGEST: &str = "windlass.dev/config-digest";
/// What the last restart was for, on the template.
pub const CAUSE: &str = "windlass.dev/cause";
/// The Secret that holds the key of all digests.
pub const DIGEST_KEY: &str = "windlass-digest-key";

/// Is part of every value in every `ConfigMap` and Secret of these tests, and must never be seen anywhere
/// else: not in an Event, an annotation, a log line or a metric.
const CANARY: &str = "never-to-be-seen-elsewhere";

/// Two, so that one can still be rolling when the next proof is asked for.
const MARKERS: [&str; 2] = ["marker-1", "marker-2"];

/// A program that is none of ours, where `cargo xtask test` puts it.
pub fn application(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".windlass/applications")
        .join(name);
    assert!(
        program.is_file(),
        "there is no {}: `cargo xtask test` puts it there from Debian's package; elsewhere install nginx and prometheus \
         first",
        program.display()
    );
    program
}

/// Where the controller is while a scenario writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It sees each write as it comes.
    Live,
    /// It has stopped before, and is started after.
    Down,
    /// It has crashed before, and is started after.
    Crashed,
    /// Its process is halted: afterwards all the events are there at once, and those of different
    /// kinds reach it in any order.
    Paused,
}

/// Makes a test of each scenario and each way of running it.
macro_rules! tests {
    ($($scenario:ident: $($way:ident),+;)+) => {$(
        mod $scenario {
            $(
                #[test]
                fn $way() {
                    $crate::support::way::$way(super::$scenario);
                }
            )+
        }
    )+};
}
pub(crate) use tests;

/// The ways of running a scenario.
pub mod way {
    use super::{Server, Test, When, run};

    macro_rules! ways {
        ($($(#[$doc:meta])* $way:ident: $server:ident, $when:ident;)+) => {$(
            $(#[$doc])*
            pub fn $way(scenario: impl AsyncFnOnce(&Test) + Send) {
                run(Server::$server, When::$when, scenario);
            }
        )+};
    }

    ways! {
        live: Any, Live;
        down: Any, Down;
        crashed: Any, Crashed;
        paused: Any, Paused;
        /// As `live`, against an API server without streaming lists.
        live_paged: WithoutWatchList, Live;
        /// As `down`, against an API server without streaming lists.
        down_paged: WithoutWatchList, Down;
        /// Needs what only a cluster of ours has.
        embedded: Embedded, Live;
        /// As `down`, in a cluster of ours.
        embedded_down: Embedded, Down;
        /// As `paused`, in a cluster of ours.
        embedded_paused: Embedded, Paused;
        /// Stops and starts the API server.
        alone: Stoppable, Live;
        /// Pods run, on a real node.
        on_node: Node, Live;
        /// Has a cluster with a real node for itself, to install the chart there.
        installed: Installed, Live;
    }
}

/// Runs one scenario in a namespace of its own.
fn run(server: Server, when: When, scenario: impl AsyncFnOnce(&Test) + Send) {
    let here = || run_here(cluster::borrow(server), server, when, scenario);
    if matches!(server, Server::Node | Server::Installed) {
        let network = cluster::borrow(server).network.clone();
        node::within(&network.expect("it has a real node"), here);
    } else {
        here();
    }
}

fn run_here(cluster: Borrowed, server: Server, when: When, scenario: impl AsyncFnOnce(&Test)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let test = runtime.block_on(Test::new(cluster, server, when));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            scenario(&test).await;
            test.nothing_leaked().await;
            test.stop().await;
        });
    }));
    if let Err(panic) = outcome {
        runtime.block_on(test.describe());
        resume_unwind(panic);
    }
    runtime.block_on(test.tidy());
}

/// A namespace, what was put into it, and the controller that is limited to it.
pub struct Test {
    /// The cluster that it is in.
    pub cluster: Borrowed,
    /// Acts as the test's user.
    pub client: Client,
    /// Belongs to this test alone.
    pub namespace: String,
    server: Server,
    when: When,
    scratch: tempfile::TempDir,
    history: History,
    windlass: RefCell<Option<Controller>>,
    flags: RefCell<Vec<String>>,
    controllers: Cell<u32>,
    configs: RefCell<BTreeMap<String, u32>>,
    namespaces: RefCell<Vec<String>>,
}

// The scenery: sources and workloads.
impl Test {
    async fn new(cluster: Borrowed, server: Server, when: When) -> Self {
        let client = cluster.client().await;
        let namespace = unique("it");
        let history = History::default();
        let mut test = Self {
            cluster,
            client,
            namespace: namespace.clone(),
            server,
            when,
            scratch: tempfile::tempdir().expect("a scratch folder"),
            history,
            windlass: RefCell::default(),
            flags: RefCell::default(),
            controllers: Cell::default(),
            configs: RefCell::default(),
            namespaces: RefCell::default(),
        };
        test.create_namespace(&namespace).await;
        test.history = History::record(test.api(), |it: &Deployment| {
            json!(it.spec.as_ref().map(|spec| &spec.template))
        });
        test
    }

    async fn create_namespace(&self, name: &str) {
        self.namespaces.borrow_mut().push(name.to_owned());
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = from(json!({"metadata": {"name": name}}));
        await_condition("the namespace to be created", async || {
            match namespaces.create(&PostParams::default(), &namespace).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                other => Ok(other.map(drop)?),
            }
        })
        .await;
        // No pod is admitted before.
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), name);
        await_condition("the namespace to have its service account", async || {
            accounts.get("default").await.map_err(Into::into)
        })
        .await;
        // Or whoever counts the ConfigMaps counts too early.
        let configs: Api<ConfigMap> = Api::namespaced(self.client.clone(), name);
        await_condition("the namespace to have the cluster's certificate", async || {
            configs.get("kube-root-ca.crt").await.map_err(Into::into)
        })
        .await;
    }

    /// A further namespace, for what does not belong into the workloads' own.
    pub async fn another_namespace(&self) -> String {
        let name = unique("it-other");
        self.create_namespace(&name).await;
        name
    }

    /// The objects of one kind in the test's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates an object in the test's namespace.
    pub async fn create<K>(&self, manifest: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize,
    {
        let created = self.api().create(&by("test").post(), &from(manifest)).await;
        created.expect("the API server accepts the object")
    }

    /// Makes this the whole content of the `ConfigMap`, creating it if it is not there.
    pub async fn config(&self, name: &str, content: &[(&str, &str)]) {
        let data: BTreeMap<_, _> = content.iter().map(|(key, text)| (*key, value(text))).collect();
        self.config_object(name, json!({"data": data})).await;
    }

    /// [`Test::config`] for what `data` alone cannot say. The values are the caller's.
    pub async fn config_object(&self, name: &str, mut object: Value) {
        object["apiVersion"] = json!("v1");
        object["kind"] = json!("ConfigMap");
        object["metadata"] = json!({"name": name});
        // Apply by one owner takes away what is not named any more.
        let patched = self
            .api::<ConfigMap>()
            .patch(name, &by("test").apply(), &Patch::Apply(object))
            .await;
        patched.expect("the API server accepts the ConfigMap");
    }

    /// Removes the `ConfigMap`.
    pub async fn delete_config(&self, name: &str) {
        let deleted = self.api::<ConfigMap>().delete(name, &DeleteParams::default()).await;
        deleted.expect("the ConfigMap was there");
    }

    /// Edits the metadata of the `ConfigMap`.
    pub async fn mark_config(&self, name: &str, metadata: Value) {
        let patch = Patch::Merge(json!({"metadata": metadata}));
        let patched = self.api::<ConfigMap>().patch(name, &by("test").patch(), &patch).await;
        patched.expect("the API server accepts the patch");
    }

    /// Creates the Deployment.
    pub async fn deploy(&self, mut workload: Workload) -> Deployment {
        if self.server == Server::Node {
            workload = workload.on_a_real_node();
        }
        self.create(workload.manifest().clone()).await
    }

    /// The Deployment as it is now.
    pub async fn deployment(&self, name: &str) -> Deployment {
        self.api().get(name).await.expect("the Deployment is there")
    }

    /// Patches the Deployment as somebody who is not Windlass.
    pub async fn patch_deployment(&self, name: &str, patch: Value) {
        let patched = self
            .api::<Deployment>()
            .patch(name, &by("somebody").patch(), &Patch::Strategic(patch))
            .await;
        patched.expect("the API server accepts the patch");
    }

    /// Sets or, with null, removes an annotation of the Deployment itself.
    pub async fn annotate(&self, name: &str, annotation: &str, value: impl Into<Value>) {
        let value = value.into();
        self.patch_deployment(name, json!({"metadata": {"annotations": {annotation: value}}}))
            .await;
    }

    /// Changes the template as an upgrade by somebody else does.
    pub async fn upgrade(&self, name: &str, version: &str) {
        let annotations = json!({"annotations": {"chart/version": version}});
        self.patch_deployment(name, json!({"spec": {"template": {"metadata": annotations}}}))
            .await;
    }

    /// Takes the Deployment back to its revision before this one.
    pub async fn undo(&self, name: &str) {
        let workload = format!("deployment/{name}");
        self.cluster
            .kubectl(&["--namespace", &self.namespace, "rollout", "undo", &workload])
            .await;
    }

    /// Restarts the Deployment as a person does.
    pub async fn rollout_restart(&self, name: &str) {
        let workload = format!("deployment/{name}");
        self.cluster
            .kubectl(&["--namespace", &self.namespace, "rollout", "restart", &workload])
            .await;
    }

    /// Puts the Deployment's manifest back as somebody has it who knows nothing of the baseline, the
    /// way that `kubectl replace` does.
    pub async fn replace_without_baseline(&self, name: &str) {
        let mut manifest = self.deployment(name).await;
        manifest
            .annotations_mut()
            .retain(|annotation, _| annotation == "windlass.dev/enabled");
        manifest.metadata.resource_version = None;
        manifest.metadata.managed_fields = None;
        let replaced = self
            .api::<Deployment>()
            .replace(name, &by("somebody").post(), &manifest)
            .await;
        let replaced = replaced.expect("the API server accepts the manifest");
        assert_eq!(annotation(&replaced, OBSERVED), None);
    }

    /// The pods of the Deployment that are not on their way out.
    pub async fn pods(&self, name: &str) -> Result<Vec<Pod>> {
        let pods = self
            .api::<Pod>()
            .list(&ListParams::default().labels(&format!("app={name}")))
            .await?;
        Ok(pods
            .items
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .collect())
    }

    /// Deletes all pods of the Deployment, so that new ones start.
    pub async fn replace_pods(&self, name: &str) {
        let old = self.pods(name).await.expect("a list of pods");
        for pod in &old {
            let deleted = self
                .api::<Pod>()
                .delete(&pod.name_any(), &DeleteParams::default())
                .await;
            deleted.expect("the pod was there");
        }
        await_condition("the old pods to be gone", async || {
            let old: Vec<_> = old.iter().map(ResourceExt::uid).collect();
            let left = self
                .pods(name)
                .await?
                .iter()
                .filter(|pod| old.contains(&pod.uid()))
                .count();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await;
        self.complete(name).await;
    }

    /// [`Test::complete`] for pods that the node leaves running and not ready: says for it that
    /// each one is.
    pub async fn complete_by_hand(&self, name: &str) {
        await_condition(&format!("{name} to be complete"), async || {
            for pod in self.pods(name).await? {
                Box::pin(self.make_ready(&pod)).await?;
            }
            is_complete(&self.api::<Deployment>().get(name).await?)
        })
        .await;
    }

    async fn make_ready(&self, pod: &Pod) -> Result<()> {
        let mut status = serde_json::to_value(&pod.status)?;
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions
            .iter()
            .any(|it| it["type"] == "Ready" && it["status"] == "True");
        // That it runs is the last thing that the node says; until then it would say otherwise.
        if ready || status["phase"] != "Running" {
            return Ok(());
        }
        for part in ["conditions", "containerStatuses"] {
            for entry in status[part].as_array_mut().context("the node has told everything")? {
                let (field, value) = if part == "conditions" {
                    ("status", json!("True"))
                } else {
                    ("ready", json!(true))
                };
                entry[field] = value;
            }
        }
        let patch = Patch::Merge(json!({"status": status}));
        self.api::<Pod>()
            .patch_status(&pod.name_any(), &by("test").patch(), &patch)
            .await?;
        Ok(())
    }

    /// Waits until every pod that the Deployment wants is there, ready, and of its newest template.
    pub async fn complete(&self, name: &str) {
        // After a crash of the API server the Deployment controller comes back in its own time: it
        // waits up to half a minute before it tries again, for each kind of object.
        let deadline = if self.server == Server::Stoppable { 5 } else { 1 };
        await_condition_within(
            Duration::from_mins(deadline),
            &format!("{name} to be complete"),
            async || is_complete(&self.api::<Deployment>().get(name).await?),
        )
        .await;
    }
}

// The controller.
impl Test {
    /// Starts the controller with these flags and waits until it is ready.
    pub async fn start(&self, flags: &[&str]) {
        self.start_unready(flags).await;
        self.windlass().await_ready().await;
    }

    /// Starts the controller with these flags.
    pub async fn start_unready(&self, flags: &[&str]) {
        *self.flags.borrow_mut() = flags.iter().map(|&flag| flag.to_owned()).collect();
        self.start_again().await;
    }

    async fn start_again(&self) {
        assert!(
            self.windlass.borrow().as_ref().is_none_or(|it| !it.runs()),
            "it runs already"
        );
        let mut flags = self.flags.borrow().clone();
        if !flags.iter().any(|flag| flag == "--lease-namespace") {
            flags.extend(["--lease-namespace".to_owned(), self.namespace.clone()]);
        }
        let kubeconfig = self.cluster.windlass.clone();
        let controller = self.installation(kubeconfig, flags).await;
        *self.windlass.borrow_mut() = Some(controller);
    }

    /// A controller besides the test's own, which is limited to the same namespace.
    pub async fn installation(&self, kubeconfig: PathBuf, mut flags: Vec<String>) -> Controller {
        let scoped =
            |flag: &String| ["--namespaces", "--namespace-selector", "--exclude-namespaces"].contains(&&**flag);
        if !flags.iter().any(scoped) {
            flags.extend(["--namespaces".to_owned(), self.namespace.clone()]);
        }
        if !flags.iter().any(|flag| flag == "--settle") {
            flags.extend(["--settle", "200ms"].map(str::to_owned));
        }
        // Markers are restarted as often as something is to be waited for.
        if !flags.iter().any(|flag| flag == "--flap-limit") {
            flags.extend(["--flap-limit", "0"].map(str::to_owned));
        }
        let number = self.controllers.replace(self.controllers.get() + 1);
        Controller::start(&kubeconfig, &flags, self.log_file(number)).await
    }

    /// Waits until all pods run, starts the controller with these flags and waits until it has
    /// adopted all workloads.
    ///
    /// Workloads whose pods cannot become ready are left out: [`Test::start`] is for them.
    pub async fn start_and_adopt(&self, flags: &[&str]) {
        self.settle_in().await;
        self.start(flags).await;
        self.all_adopted().await;
    }

    /// Deploys the markers and waits until all pods run.
    pub async fn settle_in(&self) {
        self.deploy_markers().await;
        for deployment in self.opted_in().await {
            self.complete(&deployment).await;
        }
        // So that these pods are older than anything the controller does or the scenario changes.
        next_second().await;
    }

    /// Waits until all that have opted in have a baseline.
    pub async fn all_adopted(&self) {
        for deployment in self.opted_in().await {
            self.adopted(&deployment).await;
        }
    }

    async fn opted_in(&self) -> Vec<String> {
        let all = self
            .api::<Deployment>()
            .list(&ListParams::default())
            .await
            .expect("a list");
        let opted_in = all
            .into_iter()
            .filter(|it| annotation(it, "windlass.dev/enabled") == Some("true"));
        opted_in.map(|it| it.name_any()).collect()
    }

    /// The running controller.
    pub fn windlass(&self) -> Controller {
        self.windlass
            .borrow()
            .clone()
            .expect("the scenario has started the controller")
    }

    /// Everything that controllers of this test have printed.
    pub fn logs(&self) -> String {
        let mut logs = String::new();
        for number in 0..self.controllers.get() {
            let text = std::fs::read(self.log_file(number)).unwrap_or_default();
            logs.push_str("--- a controller\n");
            logs.push_str(&String::from_utf8_lossy(&text));
        }
        logs
    }

    fn log_file(&self, number: u32) -> PathBuf {
        self.scratch.path().join(format!("controller-{number:02}.log"))
    }

    /// Stops the controller cleanly, if it runs.
    pub async fn stop(&self) {
        let controller = self.windlass.borrow_mut().take();
        if let Some(controller) = controller {
            controller.stop().await;
        }
    }

    /// Does this while the controller is where this way of running the scenario has it.
    pub async fn meanwhile<T>(&self, writes: impl Future<Output = T>) -> T {
        match self.when {
            When::Live => writes.await,
            When::Down => {
                self.stop().await;
                let outcome = writes.await;
                self.start_again().await;
                self.windlass().await_ready().await;
                outcome
            }
            When::Crashed => {
                self.windlass().kill().await;
                let outcome = writes.await;
                self.start_again().await;
                self.windlass().await_ready().await;
                outcome
            }
            When::Paused => {
                self.windlass().pause();
                let outcome = writes.await;
                self.windlass().resume();
                outcome
            }
        }
    }

    /// Stops the controller, does this, and starts it again, whatever the way of running.
    pub async fn while_down<T>(&self, writes: impl Future<Output = T>) -> T {
        self.stop().await;
        let outcome = writes.await;
        self.start_again().await;
        self.windlass().await_ready().await;
        outcome
    }

    /// Whether the controller sees each write as it comes.
    pub fn is_live(&self) -> bool {
        self.when == When::Live
    }

    /// The requests of the test's controller on the test's namespace from now on.
    pub fn audit(&self, user: &str) -> Audit {
        let log = self.cluster.audit_log.clone().expect("only run in a cluster of ours");
        Audit::from_now(log, user, &self.namespace)
    }
}

// What the world sees.
impl Test {
    /// Waits for the baseline of the Deployment and returns it.
    pub async fn adopted(&self, name: &str) -> Value {
        await_condition(&format!("{name} to be adopted"), async || {
            baseline(&self.api::<Deployment>().get(name).await?)
        })
        .await
    }

    /// The baseline of the Deployment as it is now.
    pub async fn baseline(&self, name: &str) -> Value {
        baseline(&self.deployment(name).await).expect("it has been adopted")
    }

    /// How often the template of the Deployment was changed since it was created, by anybody.
    pub async fn template_changes(&self, name: &str) -> usize {
        await_condition(&format!("the history of {name}"), async || {
            let deployment = self.api::<Deployment>().get(name).await?;
            self.history.template_changes(&deployment).context("not recorded yet")
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

    /// The Deployment is rolled out this often in all, by anybody, and the last of these rollouts
    /// becomes complete. 0 is a fine number: nothing happens.
    pub async fn rolls(&self, name: &str, times: usize) {
        self.await_template_changes(name, times).await;
        self.complete(name).await;
        self.rolled_no_more_than(name, times).await;
        let revision = annotation(&self.deployment(name).await, "deployment.kubernetes.io/revision").map(str::to_owned);
        assert_eq!(revision, Some((times + 1).to_string()), "the revision of {name}");
    }

    /// The Deployment was rolled out this often in all, by anybody, and whatever the controller
    /// had to do by now is done.
    pub async fn rolled_no_more_than(&self, name: &str, times: usize) {
        self.everything_before_is_done().await;
        let changes = self.template_changes(name).await;
        assert_eq!(changes, times, "rollouts of {name}:\n{}", self.history.describe(name));
    }

    /// Causes two restarts one after the other and waits for both, so that what was to be done
    /// before has been done.
    pub async fn everything_before_is_done(&self) {
        for marker in MARKERS {
            let before = self.template_changes(marker).await;
            self.change_marker(marker).await;
            self.await_template_changes(marker, before + 1).await;
        }
    }

    async fn deploy_markers(&self) {
        for marker in MARKERS {
            self.change_marker(marker).await;
        }
        // So that the pods are younger than what they use, to be read off their times.
        next_second().await;
        for marker in MARKERS {
            self.deploy(deployment(marker).uses(env(marker, "count"))).await;
        }
    }

    async fn change_marker(&self, marker: &str) {
        let count = {
            let mut configs = self.configs.borrow_mut();
            let count = configs.entry(marker.to_owned()).or_default();
            *count += 1;
            count.to_string()
        };
        self.config(marker, &[("count", &count)]).await;
    }

    /// The Events about the Deployment with this reason word, as (message, how often).
    pub async fn events(&self, name: &str, reason: &str) -> Vec<(String, i32)> {
        let about = ListParams::default().fields(&format!("involvedObject.name={name},reason={reason}"));
        let events = self.api::<Event>().list(&about).await.expect("a list of Events");
        let count = |event: &Event| {
            event
                .series
                .as_ref()
                .and_then(|it| it.count)
                .or(event.count)
                .unwrap_or(1)
                .max(1)
        };
        events
            .items
            .into_iter()
            .map(|it| (it.message.clone().unwrap_or_default(), count(&it)))
            .collect()
    }

    /// Waits for an Event about the Deployment with this reason word and returns its message.
    pub async fn event(&self, name: &str, reason: &str) -> String {
        await_condition(&format!("an Event {reason} about {name}"), async || {
            let (message, _) = self.events(name, reason).await.pop().context("there is none")?;
            Ok(message)
        })
        .await
    }

    /// Waits for an Event about the Deployment with this reason word whose message has all of these words, and
    /// returns the message. The first one may know less than those that follow.
    pub async fn event_with(&self, name: &str, reason: &str, words: &[&str]) -> String {
        await_condition(&format!("an Event {reason} about {name} with {words:?}"), async || {
            let messages = self.events(name, reason).await;
            let found = messages
                .iter()
                .find(|(message, _)| words.iter().all(|word| message.contains(word)));
            let (message, _) = found.with_context(|| format!("{messages:?}"))?;
            Ok(message.clone())
        })
        .await
    }

    /// How often this was said about the Deployment, by the time that everything which the controller
    /// has done so far is said: Events are written behind the patches.
    pub async fn event_count(&self, name: &str, reason: &str) -> i32 {
        self.everything_is_said().await;
        self.said(name, reason).await
    }

    async fn said(&self, name: &str, reason: &str) -> i32 {
        self.events(name, reason).await.iter().map(|(_, count)| count).sum()
    }

    async fn everything_is_said(&self) {
        let [_, marker] = MARKERS;
        let is_there = self.configs.borrow().contains_key(marker);
        let runs = self.windlass.borrow().as_ref().is_some_and(Controller::runs);
        if !is_there || !runs {
            return;
        }
        let before = self.template_changes(marker).await;
        self.change_marker(marker).await;
        self.await_template_changes(marker, before + 1).await;
        self.metric("windlass_events_waiting", &[], 0).await;
    }

    /// Waits until so many Deployments are in this state, by the controller's own account. The
    /// markers, where there are any, are Current.
    pub async fn state(&self, state: &str, count: u32) {
        self.metric("windlass_workloads", &[("kind", "Deployment"), ("state", state)], count)
            .await;
    }

    /// Waits until so many workloads are held for this reason.
    pub async fn held(&self, reason: &str, count: u32) {
        self.metric("windlass_held", &[("reason", reason)], count).await;
    }

    /// Waits until a metric has this value.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)], expected: u32) {
        self.windlass().await_metric(name, labels, expected).await;
    }

    /// Waits until this has been counted at least once.
    pub async fn counted(&self, name: &str, labels: &[(&str, &str)]) {
        await_condition(&format!("{name}{labels:?} to count"), async || {
            ensure!(self.windlass().metric(name, labels).await? > 0.5, "it is 0");
            Ok(())
        })
        .await;
    }
}

// The end.
impl Test {
    /// No content of any `ConfigMap` or Secret is in anything that the controller has said or written.
    pub async fn nothing_leaked(&self) {
        let mut said = vec![("log", self.logs())];
        let controller = self.windlass.borrow().clone().filter(Controller::runs);
        if let Some(controller) = controller {
            said.push(("metrics", controller.metrics().await.expect("the metrics are served")));
        }
        let events = self
            .api::<Event>()
            .list(&ListParams::default())
            .await
            .expect("a list of Events");
        said.push(("Events", to_json(&events.items)));
        let deployments = self
            .api::<Deployment>()
            .list(&ListParams::default())
            .await
            .expect("a list");
        for deployment in &deployments {
            said.push(("annotations", to_json(deployment.annotations())));
            said.push((
                "template",
                to_json(&deployment.spec.as_ref().map(|spec| &spec.template)),
            ));
        }
        let secrets = self.api::<Secret>().list(&ListParams::default()).await.expect("a list");
        let own = secrets.items.iter().filter(|it| it.name_any().ends_with("-digest-key"));
        said.push(("digest key", to_json(&own.collect::<Vec<_>>())));
        let forms = secrets::forms_of_canary();
        for (place, text) in said {
            for form in &forms {
                assert!(
                    !text.contains(form),
                    "a source's content is in the {place} as {form}:\n{text}"
                );
            }
        }
    }

    /// Everything that helps to find out why the scenario failed.
    async fn describe(&self) {
        let describe = async {
            for deployment in self.api::<Deployment>().list(&ListParams::default()).await? {
                let template = deployment.spec.as_ref().and_then(|it| it.template.metadata.as_ref());
                println!("--- Deployment {}", deployment.name_any());
                println!("annotations: {}", to_json(deployment.annotations()));
                println!("template: {}", to_json(&template.map(|it| &it.annotations)));
                println!("status: {}", to_json(&deployment.status));
            }
            for event in self.api::<Event>().list(&ListParams::default()).await? {
                if event
                    .reporting_component
                    .as_deref()
                    .is_some_and(|it| it.contains("windlass"))
                {
                    let about = event.involved_object.name.unwrap_or_default();
                    let [reason, message] = [event.reason, event.message].map(Option::unwrap_or_default);
                    println!("--- Event about {about}: {reason}: {message}");
                }
            }
            anyhow::Ok(())
        };
        println!("--- namespace {} on {:?}, {:?}", self.namespace, self.server, self.when);
        match tokio::time::timeout(Duration::from_secs(5), describe).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => println!("--- the API server does not say more: {error}"),
            Err(_) => println!("--- the API server does not answer"),
        }
        println!("{}", self.logs());
    }

    /// Leaves nothing in a cluster that is not ours; one of ours is gone soon anyway, and
    /// emptying a namespace would only cost the other tests time.
    async fn tidy(&self) {
        if self.cluster.audit_log.is_none() {
            let namespaces: Api<Namespace> = Api::all(self.client.clone());
            let created = self.namespaces.take();
            for namespace in &created {
                let deleted = namespaces.delete(namespace, &DeleteParams::default()).await;
                deleted.expect("the namespace can be deleted");
            }
        }
    }
}

/// The value of a key whose text is `text`, as every `ConfigMap` of these tests has it.
pub fn value(text: &str) -> String {
    format!("{text} {CANARY}")
}

/// An annotation of the object itself.
pub fn annotation<'object>(object: &'object Deployment, annotation: &str) -> Option<&'object str> {
    object.annotations().get(annotation).map(String::as_str)
}

/// An annotation of the Deployment's template.
pub fn template_annotation(deployment: &Deployment, annotation: &str) -> Option<String> {
    let metadata = deployment.spec.as_ref()?.template.metadata.as_ref()?;
    metadata.annotations.as_ref()?.get(annotation).cloned()
}

fn baseline(deployment: &Deployment) -> Result<Value> {
    let baseline = annotation(deployment, OBSERVED).context("there is no baseline")?;
    serde_json::from_str(baseline).with_context(|| format!("not JSON: {baseline}"))
}

fn is_complete(deployment: &Deployment) -> Result<()> {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    ensure!(
        status.observed_generation >= deployment.metadata.generation,
        "not observed yet"
    );
    for (what, count) in [
        ("pods", status.replicas),
        ("updated", status.updated_replicas),
        ("available", status.available_replicas),
    ] {
        let count = count.unwrap_or_default();
        ensure!(count == wanted, "{count} {what}, not {wanted}");
    }
    Ok(())
}

/// Who a write is made as.
pub struct By(&'static str);

/// Writes as this field manager.
pub fn by(manager: &'static str) -> By {
    By(manager)
}

impl By {
    pub fn patch(self) -> PatchParams {
        PatchParams {
            field_manager: Some(self.0.to_owned()),
            ..PatchParams::default()
        }
    }

    pub fn apply(self) -> PatchParams {
        PatchParams::apply(self.0).force()
    }

    pub fn post(self) -> PostParams {
        PostParams {
            field_manager: Some(self.0.to_owned()),
            ..PostParams::default()
        }
    }
}

/// A typed object from its manifest.
pub fn from<K: DeserializeOwned>(manifest: Value) -> K {
    serde_json::from_value(manifest).expect("a valid manifest")
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("API objects are JSON")
}

fn unique(prefix: &str) -> String {
    use std::hash::{BuildHasher, RandomState};
    // Seeded by the system anew in each call; no crate is needed for a name.
    format!("{prefix}-{:010x}", RandomState::new().hash_one(prefix) >> 24)
}
