//! Applications that people really run, changed in place on a real kubelet: nginx and Prometheus, by the
//! manifests of `examples/in-place` as they stand, but for the images.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, Secret},
};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::{
    policy::policy_docs::manifests,
    support::{
        Test, application, await_condition,
        node::process_of,
        policies::{condition, install, policies, policy},
        tests, value,
    },
};

tests! {
    nginx_serves_what_was_changed_with_the_same_processes: on_node;
    what_nginx_refuses_is_told_in_its_own_words_and_the_old_is_served_on: on_node;
    prometheus_runs_what_was_changed_once_it_is_verified: on_node;
    what_promtool_refuses_is_told_in_its_own_words_and_the_old_runs_on: on_node;
    without_an_agent_prometheus_is_told_by_the_controller: on_node;
}

/// All of them and Windlass: they are applications and agents, with their validators.
const IMAGE: &str = "windlass.test/applications:1";

/// Loads the image when the first test asks for it; the others wait.
fn load_image(t: &Test) {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    let load = || -> Result<()> {
        let mut programs = vec![PathBuf::from(env!("CARGO_BIN_EXE_windlass"))];
        programs.extend(["nginx", "prometheus", "promtool"].map(application));
        let programs: Vec<&Path> = programs.iter().map(PathBuf::as_path).collect();
        // Where containers look for programs.
        t.cluster.load_image_with(IMAGE, "/usr/local/bin/", &programs)
    };
    let loaded = LOADED.get_or_init(|| load().map_err(|error| format!("{error:#}")));
    loaded.as_ref().expect("the applications run in pods");
}

/// An application as its example has it. The Deployment, the `ConfigMap` and the policy have its name.
struct Application<'test> {
    t: &'test Test,
    name: &'static str,
    port: u16,
    data: Value,
    spec: Value,
    deployment: Value,
}

/// An application that runs.
struct Running<'test> {
    application: Application<'test>,
    pods: Vec<Pod>,
    before: Vec<Lives>,
}

/// What is another one after anything of a pod was started again.
type Lives = Vec<(String, String, i32)>;

fn lives(pod: &Pod) -> Lives {
    let status = pod.status.clone().unwrap_or_default();
    let containers = [status.init_container_statuses, status.container_statuses];
    let lives = containers.into_iter().flatten().flatten().map(|it| {
        let id = it.container_id.unwrap_or_default();
        (it.name, id, it.restart_count)
    });
    lives.collect()
}

impl<'test> Application<'test> {
    fn of_example(t: &'test Test, name: &'static str, port: u16) -> Self {
        let manifests = manifests(&format!("examples/in-place/{name}.yaml"));
        let find = |kind: &str| {
            let found = manifests.iter().find(|it| it["kind"] == kind);
            let found = found.unwrap_or_else(|| panic!("the example has no {kind}"));
            assert_eq!(found["metadata"]["name"], name, "{kind}");
            found
        };
        Self {
            t,
            name,
            port,
            data: find("ConfigMap")["data"].clone(),
            spec: find("RolloutPolicy")["spec"].clone(),
            deployment: find("Deployment").clone(),
        }
    }

    fn without_agent(mut self, in_place: Value) -> Self {
        self.deployment["spec"]["template"]["spec"]["initContainers"] = json!([]);
        self.spec["inPlace"] = in_place;
        self
    }

    fn with_timeout(mut self, timeout: &str) -> Self {
        self.spec["inPlace"]["timeout"] = json!(timeout);
        self
    }

    /// Makes this the content of the `ConfigMap`.
    async fn write(&self, data: &Value) {
        let texts = data.as_object().expect("data").iter().map(|(key, text)| {
            let text = text.as_str().expect("text");
            // A comment in the language of each.
            (key.clone(), json!(format!("{text}\n# {}\n", value(""))))
        });
        let data = Value::Object(texts.collect());
        self.t.config_object(self.name, json!({"data": data})).await;
    }

    /// Runs it, and the controller, until that knows it.
    async fn start(self) -> Running<'test> {
        let Self { t, name, .. } = self;
        load_image(t);
        install(t).await;
        let token = json!({"metadata": {"name": "windlass-agent"}, "stringData": {"token": "0123456789abcdef0123456789abcdef"}});
        t.create::<Secret>(token).await;
        self.write(&self.data).await;
        policy(t, name, self.spec.clone()).await;
        let mut deployment = self.deployment.clone();
        deployment["metadata"]["namespace"] = json!(t.namespace);
        let pod = &mut deployment["spec"]["template"]["spec"];
        // Nobody is to wait for it at the end.
        pod["terminationGracePeriodSeconds"] = json!(1);
        for list in ["initContainers", "containers"] {
            for container in pod[list].as_array_mut().into_iter().flatten() {
                container["image"] = json!(IMAGE);
                container["imagePullPolicy"] = json!("Never");
            }
        }
        t.create::<Deployment>(deployment).await;
        t.complete(name).await;
        t.start_and_adopt(&[]).await;
        t.adopted(name).await;
        let pods = t.pods(name).await.expect("a list");
        let before = pods.iter().map(lives).collect();
        Running {
            application: self,
            pods,
            before,
        }
    }
}

impl Running<'_> {
    /// Makes the `ConfigMap` what it is in the example, but for this.
    async fn change(&self, key: &str, from: &str, to: &str) {
        let mut data = self.application.data.clone();
        let text = data[key].as_str().expect("the example has this key");
        assert!(text.contains(from), "{key} has no {from}");
        data[key] = json!(text.replace(from, to));
        self.application.write(&data).await;
    }

    /// What each pod's server has at this path.
    async fn served(&self, path: &str) -> Result<Vec<String>> {
        let Application { t, port, .. } = self.application;
        let mut all = Vec::new();
        for pod in &self.pods {
            all.push(t.served(pod, port, path).await?);
        }
        Ok(all)
    }

    async fn await_served(&self, path: &str, text: &str) {
        await_condition(&format!("{text} to be served"), async || {
            let all = self.served(path).await?;
            ensure!(all.iter().all(|it| it.contains(text)), "{all:?}");
            Ok(())
        })
        .await;
    }

    async fn counted(&self, result: &str, count: u32) {
        let t = self.application.t;
        t.metric("windlass_in_place_changes_total", &[("result", result)], count)
            .await;
    }

    /// The numbers of the processes that do this.
    fn processes(&self, arguments: &str) -> Vec<i32> {
        let pids = self.pods.iter().map(|pod| process_of(pod, arguments));
        pids.map(|pid| pid.expect("it runs").as_raw_pid()).collect()
    }

    /// The pods are those that were there before, and nothing in them was started again.
    async fn nothing_restarted(&self) {
        let Application { t, name, .. } = self.application;
        t.rolls(name, 0).await;
        let pods = t.pods(name).await.expect("a list");
        let uids = |pods: &[Pod]| -> Vec<Option<String>> { pods.iter().map(Pod::uid).collect() };
        assert_eq!(uids(&pods), uids(&self.pods));
        let now: Vec<Lives> = pods.iter().map(lives).collect();
        assert_eq!(now, self.before);
        assert!(now.iter().flatten().all(|(.., restarts)| *restarts == 0), "{now:?}");
    }

    /// Windlass says of a pod, in an Event and in the policy's status, what its validator said.
    async fn refused_with(&self, words: &[&str]) {
        let Application { t, name, .. } = self.application;
        let note = t.event_with(name, "NotApplied", words).await;
        let pod = self.pods.iter().find(|pod| note.contains(&pod.name_any()));
        assert!(pod.is_some(), "it names no pod: {note}");
        t.state("Failed", 1).await;
        await_condition("the policy to count it", async || {
            let status = policies(t).get(name).await?.status.unwrap_or_default();
            let counts = status.workloads.context("not counted yet")?;
            ensure!(counts.failed == 1, "{counts:?}");
            Ok(())
        })
        .await;
        await_condition("the policy to say so", async || {
            let message = condition(t, name, "Progressing", "False").await.message;
            ensure!(words.iter().all(|word| message.contains(word)), "{message}");
            Ok(())
        })
        .await;
    }
}

const SITE: &str = "site.conf";
const MASTER: &str = "nginx: master process";

async fn nginx_serves_what_was_changed_with_the_same_processes(t: &Test) {
    let nginx = Application::of_example(t, "nginx", 8080).start().await;
    nginx.await_served("/", "hello").await;
    let masters = nginx.processes(MASTER);
    let workers = nginx.processes("nginx: worker process");
    for (number, text) in (1..).zip(["good morning", "good night"]) {
        nginx.change(SITE, "hello", text).await;
        nginx.counted("verified", number).await;
        // A signal says nothing of when it was followed.
        nginx.await_served("/", text).await;
    }
    assert!(t.event("nginx", "Verified").await.contains("2/2 pods"));
    assert_eq!(nginx.processes(MASTER), masters);
    assert_ne!(nginx.processes("nginx: worker process"), workers, "it did not reload");
    nginx.nothing_restarted().await;
}

async fn what_nginx_refuses_is_told_in_its_own_words_and_the_old_is_served_on(t: &Test) {
    let nginx = Application::of_example(t, "nginx", 8080)
        .with_timeout("5s")
        .start()
        .await;
    nginx.await_served("/", "hello").await;
    nginx.change(SITE, "return 200 \"hello", "retrun 200 \"hi").await;
    nginx
        .refused_with(&["unknown directive \"retrun\"", "/etc/nginx/site.conf:5"])
        .await;
    nginx.await_served("/", "hello").await;
    nginx.change(SITE, "hello", "hi").await;
    nginx.counted("verified", 1).await;
    nginx.await_served("/", "hi").await;
    t.state("Failed", 0).await;
    nginx.nothing_restarted().await;
}

const SETTINGS: &str = "prometheus.yml";
const SHOWN: &str = "/api/v1/status/config";

async fn prometheus_runs_what_was_changed_once_it_is_verified(t: &Test) {
    let prometheus = Application::of_example(t, "prometheus", 9090).start().await;
    prometheus.await_served(SHOWN, "stage: blue").await;
    let processes = prometheus.processes("prometheus --config.file");
    prometheus.change(SETTINGS, "stage: blue", "stage: green").await;
    prometheus.counted("verified", 1).await;
    // It answers when it has loaded, so that it is so now, not soon.
    let now = prometheus.served(SHOWN).await.expect("it answers");
    assert!(now.iter().all(|it| it.contains("stage: green")), "{now:?}");
    assert_eq!(prometheus.processes("prometheus --config.file"), processes);
    prometheus.nothing_restarted().await;
}

async fn what_promtool_refuses_is_told_in_its_own_words_and_the_old_runs_on(t: &Test) {
    let prometheus = Application::of_example(t, "prometheus", 9090)
        .with_timeout("5s")
        .start()
        .await;
    prometheus.await_served(SHOWN, "stage: blue").await;
    prometheus
        .change(SETTINGS, "scrape_interval: 30s", "scrape_interval: often")
        .await;
    prometheus.refused_with(&["not a valid duration string", "often"]).await;
    let now = prometheus.served(SHOWN).await.expect("it answers");
    assert!(now.iter().all(|it| it.contains("scrape_interval: 30s")), "{now:?}");
    prometheus.change("shop.rules", "sum(up)", "sum(up").await;
    await_condition("the rule to be refused as well", async || {
        let message = condition(t, "prometheus", "Progressing", "False").await.message;
        ensure!(message.contains("unclosed left parenthesis"), "{message}");
        Ok(())
    })
    .await;
    prometheus.change(SETTINGS, "stage: blue", "stage: green").await;
    prometheus.counted("verified", 1).await;
    let now = prometheus.served(SHOWN).await.expect("it answers");
    assert!(now.iter().all(|it| it.contains("stage: green")), "{now:?}");
    t.state("Failed", 0).await;
    prometheus.nothing_restarted().await;
}

async fn without_an_agent_prometheus_is_told_by_the_controller(t: &Test) {
    // Longer than the kubelet of a busy machine takes.
    let notify = json!({"port": 9090, "path": "/-/reload", "delay": "10s"});
    let notify = json!({"notifyHttp": notify, "timeout": "30s"});
    let prometheus = Application::of_example(t, "prometheus", 9090).without_agent(notify);
    let prometheus = prometheus.start().await;
    prometheus.await_served(SHOWN, "stage: blue").await;
    prometheus.change(SETTINGS, "stage: blue", "stage: green").await;
    prometheus.counted("propagated", 1).await;
    let now = prometheus.served(SHOWN).await.expect("it answers");
    assert!(now.iter().all(|it| it.contains("stage: green")), "{now:?}");
    // Nobody validates: Prometheus itself refuses, and says why only in its log.
    prometheus
        .change(SETTINGS, "scrape_interval: 30s", "scrape_interval: often")
        .await;
    prometheus.refused_with(&["POST /-/reload returned 500"]).await;
    let now = prometheus.served(SHOWN).await.expect("it answers");
    assert!(now.iter().all(|it| it.contains("stage: green")), "{now:?}");
    prometheus.nothing_restarted().await;
}
