//! A cluster with a real node, and the pods on it.

use std::{
    fs::File,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::time::sleep;

use super::{Detection, Who, objects};
use crate::{
    bench::{NAMESPACE, SYSTEM_NAMESPACE},
    client,
    controller::Controller,
    devcluster::{Cluster, Info, Plan},
    say,
    workspace::root,
};

/// Images are there, so a pod takes seconds even on a busy machine.
const READY_LIMIT: Duration = Duration::from_mins(2);

/// A cluster whose network we are in.
pub struct Site {
    pub detection: Detection,
    pub client: Client,
    cluster: Cluster,
    windlass: PathBuf,
    folder: PathBuf,
    inside: Inside,
}

impl Site {
    /// Starts the cluster, gives its node the images, and enters its network: from then on this thread and
    /// what it starts reach pods.
    pub async fn start(detection: Detection, devcluster: &Path, windlass: &Path, folder: &Path) -> Result<Self> {
        say::step(format_args!(
            "Starting Kubernetes with a real node, change detection {detection}"
        ));
        let plan = Plan {
            dir: folder.join("cluster"),
            users: vec!["windlass", "bench"],
            extra: ["--node", "--change-detection", detection.word()]
                .map(str::to_owned)
                .to_vec(),
            ..Plan::default()
        };
        let cluster = Cluster::start(devcluster, &plan, &folder.join("cluster.log")).await?;
        let testapp = devcluster.with_file_name("testapp");
        ensure!(
            testapp.is_file(),
            "there is no {}, which the pods run: `cargo xtask test` builds it",
            testapp.display()
        );
        for (image, program) in [(objects::APPLICATION, testapp.as_path()), (objects::AGENT, windlass)] {
            load(devcluster, &cluster.info, folder, image, program)?;
        }
        let node = cluster.info.node.as_ref().context("the cluster has no node")?;
        let inside = Inside::enter(node.pid)?;
        let client = client::connect(cluster.info.kubeconfig("bench")?).await?;
        Ok(Self {
            detection,
            client,
            cluster,
            windlass: windlass.to_owned(),
            folder: folder.to_owned(),
            inside,
        })
    }

    /// How to reach it.
    pub fn info(&self) -> &Info {
        &self.cluster.info
    }

    /// Policies, namespaces, ConfigMaps: all that is there before pods are.
    pub fn prepare(&self) -> Result<()> {
        let crds = root().join("crds");
        self.kubectl(&["apply", "--server-side", "-f", &crds.display().to_string()])?;
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
        for name in [NAMESPACE, SYSTEM_NAMESPACE] {
            self.kubectl(&["create", "namespace", name])?;
        }
        self.apply("sources", &objects::sources())
    }

    /// The pods, and the policies of those that Windlass has.
    pub async fn deploy(&self) -> Result<Vec<RunningPod>> {
        self.apply("workloads", &objects::workloads())?;
        let started = Instant::now();
        let mut pods = Vec::new();
        for who in Who::ALL {
            pods.push(self.ready(who, started).await?);
        }
        Ok(pods)
    }

    /// The controller with the flags that it has by default.
    pub async fn controller(&self) -> Result<Controller> {
        let kubeconfig = self.info().kubeconfig("windlass")?;
        let log = self.folder.join("controller.log");
        let arguments = ["--lease-namespace", SYSTEM_NAMESPACE];
        let mut controller = Controller::start(&self.windlass, kubeconfig, &log, &arguments).await?;
        controller.ready(READY_LIMIT).await?;
        Ok(controller)
    }

    /// Ends the cluster.
    pub async fn stop(self) -> Result<()> {
        let Self { cluster, inside, .. } = self;
        drop(inside);
        cluster.stop().await.map(drop)
    }

    async fn ready(&self, who: Who, started: Instant) -> Result<RunningPod> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let of_who = ListParams::default().labels(&format!("app={}", who.name()));
        loop {
            let pods = api.list(&of_who).await.context("list pods")?;
            if let Some(pod) = pods.items.into_iter().find(is_ready) {
                return RunningPod::new(who, pod, self.info());
            }
            if started.elapsed() > READY_LIMIT {
                bail!(
                    "the pod of {} is not ready after {}",
                    who.name(),
                    say::time(READY_LIMIT)
                );
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn apply(&self, what: &str, objects: &serde_json::Value) -> Result<()> {
        let path = self.folder.join(format!("{what}.json"));
        std::fs::write(&path, objects.to_string()).with_context(|| format!("write {}", path.display()))?;
        self.kubectl(&["apply", "--server-side", "-f", &path.display().to_string()])
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<()> {
        run(self.info().kubectl()?.args(arguments))
    }
}

/// A pod that runs, and where its file is.
pub struct RunningPod {
    pub who: Who,
    pub name: String,
    pub address: String,
    /// What the application reads, seen from here: the node has mounts of its own.
    pub file: PathBuf,
}

impl RunningPod {
    fn new(who: Who, pod: Pod, info: &Info) -> Result<Self> {
        let node = info.node.as_ref().context("the cluster has no node")?;
        let uid = pod.metadata.uid.context("a pod has a uid")?;
        let volume = format!("kubernetes.io~configmap/{}", objects::VOLUME);
        let file = format!(
            "/proc/{}/root/var/lib/kubelet/pods/{uid}/volumes/{volume}/{}",
            node.pid,
            objects::KEY
        );
        Ok(Self {
            who,
            name: pod.metadata.name.context("a pod has a name")?,
            address: pod
                .status
                .and_then(|it| it.pod_ip)
                .context("a ready pod has an address")?,
            file: file.into(),
        })
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
}

/// Makes an image of one program and the libraries that it needs.
fn load(devcluster: &Path, info: &Info, folder: &Path, image: &str, program: &Path) -> Result<()> {
    let archive = folder.join("image.tar");
    let name = program.file_name().context("a program has a name")?.to_string_lossy();
    let binary = format!("{}=/{name}", program.display());
    run(Command::new(devcluster)
        .args(["image", "--name", image, "--binary", &binary, "--output"])
        .arg(&archive))?;
    run(Command::new(devcluster)
        .args(["load", "--dir"])
        .arg(&info.dir)
        .arg(&archive))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    Ok(())
}

/// Undoes the move at its end.
struct Inside {
    outside: File,
}

impl Inside {
    /// Moves this thread into the network of that process. Connections and processes that begin here are
    /// in it as well; the runtime has no other thread that connects.
    fn enter(pid: u32) -> Result<Self> {
        let open = |path: &str| File::open(path).with_context(|| format!("open {path}"));
        let outside = open("/proc/thread-self/ns/net")?;
        let network = open(&format!("/proc/{pid}/ns/net"))?;
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
            .context("enter the node's network, which takes root")?;
        Ok(Self { outside })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Err(error) = move_into_link_name_space(self.outside.as_fd(), Some(LinkNameSpaceType::Network)) {
            say::note(format_args!("(the way out of the node's network is barred: {error})"));
        }
    }
}
