//! Pods that run: reaching them, asking the application in them.

use std::{
    fs::File,
    os::fd::AsFd,
    panic::resume_unwind,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::Patch};
use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Test, await_condition, await_condition_within, by, cluster::APPLICATION, unique};

/// Where the test application serves.
pub const PORT: u16 = 8080;

/// Longer than the kubelet needs for one.
const BETWEEN_NUDGES: Duration = Duration::from_secs(2);

/// The process of this program in the pod's containers, as the machine sees it.
pub fn process_of(pod: &Pod, arguments: &str) -> Result<Pid> {
    let uid = pod.uid().context("a pod has a uid")?;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(number) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        if read("cgroup").contains(&uid) && read("cmdline").replace('\0', " ").contains(arguments) {
            return Pid::from_raw(number).context("a process has a number");
        }
    }
    bail!("no process of the pod runs {arguments}")
}

/// Does this on a thread of the network in which pods have addresses. A network belongs to a thread
/// and to what that starts: the test's connections, its kubectl and its controller all are in it.
pub fn within<T: Send>(network: &Path, what: impl FnOnce() -> T + Send) -> T {
    let outcome = thread::scope(|scope| {
        let inside = thread::Builder::new().name(thread::current().name().unwrap_or("node").to_owned());
        let inside = inside.spawn_scoped(scope, || {
            let network = File::open(network).expect("the node runs");
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("the tests run as root");
            what()
        });
        inside.expect("a thread").join()
    });
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// A pod whose only container is the test application, with these flags, and has what `spec` says
/// besides.
pub fn pod(name: &str, flags: &[&str], spec: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [application("app", flags)]}
    });
    if let (Some(target), Value::Object(fields)) = (pod["spec"].as_object_mut(), spec) {
        target.extend(fields);
    }
    pod
}

/// A container with the test application and these flags.
pub fn application(name: &str, flags: &[&str]) -> Value {
    json!({"name": name, "image": APPLICATION, "imagePullPolicy": "Never", "args": flags})
}

impl Test {
    /// Waits until the pod is ready.
    pub async fn pod_ready(&self, name: &str) -> Pod {
        await_condition(&format!("the pod {name} to be ready"), async || {
            let pod = self.api::<Pod>().get(name).await?;
            let status = pod.status.clone().unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            let ready = conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True");
            ensure!(ready, "{:?}", status.container_statuses);
            Ok(pod)
        })
        .await
    }

    /// Waits until the pod has ended, and returns its phase.
    pub async fn pod_ended(&self, name: &str) -> String {
        await_condition(&format!("the pod {name} to end"), async || {
            let status = self.api::<Pod>().get(name).await?.status.unwrap_or_default();
            let phase = status.phase.unwrap_or_default();
            ensure!(
                ["Succeeded", "Failed"].contains(&phase.as_str()),
                "{phase}: {:?}",
                status.container_statuses
            );
            Ok(phase)
        })
        .await
    }

    /// Waits for `check`, and touches the pod until it is satisfied, so that the kubelet looks at its volumes.
    /// Once may be too soon: the kubelet's own watch may not have seen the change yet, and it would write the
    /// old content again.
    pub async fn nudged<T>(
        &self,
        within: Duration,
        pod: &str,
        what: &str,
        mut check: impl AsyncFnMut() -> Result<T>,
    ) -> T {
        let mut touched: Option<Instant> = None;
        await_condition_within(within, what, async || {
            if touched.is_none_or(|it| it.elapsed() > BETWEEN_NUDGES) {
                touched = Some(Instant::now());
                let nudge = json!({"metadata": {"annotations": {"windlass.dev/nudge": unique("nudge")}}});
                let api = self.api::<Pod>();
                api.patch(pod, &by("test").patch(), &Patch::Merge(nudge)).await?;
            }
            check().await
        })
        .await
    }

    /// What a container of the pod has printed.
    pub async fn pod_logs(&self, name: &str, container: &str) -> String {
        self.cluster
            .kubectl(&["--namespace", &self.namespace, "logs", name, "--container", container])
            .await
    }

    /// Runs a program in a container of the pod and returns what it prints.
    pub async fn exec(&self, name: &str, container: &str, command: &[&str]) -> String {
        let namespace = &self.namespace;
        let exec = ["--namespace", namespace, "exec", name, "--container", container, "--"];
        self.cluster.kubectl(&[&exec, command].concat()).await
    }

    /// A file of the pod's container, as the application in it reads it now.
    pub async fn file_in(&self, pod: &Pod, path: &str) -> Result<String> {
        self.served(pod, PORT, &format!("/file?path={path}")).await
    }

    /// What the application in the pod has been told so far: `reloads`, `hangups`, `started`.
    pub async fn app_state(&self, pod: &Pod) -> Result<Value> {
        Ok(serde_json::from_str(&self.served(pod, PORT, "/state").await?)?)
    }

    /// What a server in the pod has at this path.
    pub async fn served(&self, pod: &Pod, port: u16, path: &str) -> Result<String> {
        let (status, body) = ask(pod, port, "GET", path).await?;
        ensure!(status == 200, "{path}: {status}: {body}");
        Ok(body)
    }

    /// Asks the application in the pod to read its configuration again; the status of its answer.
    pub async fn reload(&self, pod: &Pod) -> Result<u16> {
        let (status, _) = ask(pod, PORT, "POST", "/-/reload").await?;
        Ok(status)
    }
}

/// Asks a server in a pod; only from the node's network, as tests on a node are.
pub async fn ask(pod: &Pod, port: u16, method: &str, path: &str) -> Result<(u16, String)> {
    let address = pod.status.as_ref().and_then(|it| it.pod_ip.as_deref());
    let address = address.with_context(|| format!("{} has no address", pod.name_any()))?;
    let exchange = async {
        let mut connection = TcpStream::connect((address, port)).await?;
        // HTTP/1.0, so that the answer ends with the connection and is never chunked.
        let request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no end of the headers")?;
        let status = head.split_whitespace().nth(1).context("no status")?.parse()?;
        anyhow::Ok((status, body.to_owned()))
    };
    tokio::time::timeout(Duration::from_secs(5), exchange)
        .await
        .context("no answer in 5 s")?
}
