//! The API servers that the tests run against: the one that `KUBECONFIG` names, or real ones of
//! their own, started by `tests/cluster` when the first test asks and gone with this process.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

#[path = "../../../xtask/src/image/stamp.rs"]
mod stamp;

use anyhow::{Context, Result, bail, ensure};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;

/// Names the built `devcluster`; `cargo xtask test` sets it.
const DEVCLUSTER: &str = "WINDLASS_DEVCLUSTER";

/// A user of the cluster who may do nothing until a test grants it.
pub const LIMITED_USER: &str = "limited";

/// The image of the test application (`tests/cluster/cmd/testapp`), in clusters with a real node.
pub const APPLICATION: &str = "windlass.test/testapp:1";

/// The image of Windlass itself, with the test application in it; in clusters with a real node.
pub const WINDLASS: &str = "windlass.test/windlass:1";

/// What `cargo xtask test` has built with `cargo xtask image`, and in which folder.
pub const IMAGE: &str = "localhost/windlass:test";
/// The same program as [`IMAGE`], as a later version.
pub const NEXT_IMAGE: &str = "localhost/windlass:next";
/// The agent's.
pub const AGENT_IMAGE: &str = "localhost/windlass-agent:test";
const IMAGES: &str = "WINDLASS_IMAGES";

/// The real node, where there is one.
pub const NODE: &str = "node-0";

/// Which API server a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Any; the one of `KUBECONFIG` if that is set.
    Any,
    /// One of ours, for the audit log and the users with few rights.
    Embedded,
    /// One of ours that has no streaming lists, as before Kubernetes 1.34.
    WithoutWatchList,
    /// One of ours that the test may stop and start; one test at a time.
    Stoppable,
    /// One of ours whose pods run, on a real node; the test runs in its network.
    Node,
    /// One of ours with both kinds of nodes, of which the real one is for Windlass and what says so, and with
    /// the images; one test at a time.
    Installed,
}

/// A running API server with its controllers and nodes, and the ways into it.
pub struct Cluster {
    /// For the test itself.
    pub test: PathBuf,
    /// For the controller under test.
    pub windlass: PathBuf,
    /// For a second installation, so that its requests can be told apart.
    pub second: PathBuf,
    /// For the tests of missing rights; only in clusters of ours.
    pub limited: Option<PathBuf>,
    /// One JSON line per request; only in clusters of ours.
    pub audit_log: Option<PathBuf>,
    /// The network in which pods have addresses, as a file of the kernel's; only with a real node.
    pub network: Option<PathBuf>,
    kubectl: PathBuf,
    dir: Option<PathBuf>,
    stopped: Mutex<BTreeSet<&'static str>>,
    // The harness ends when its standard input does, so holding the child here ties the cluster's
    // life to that of this process, however it ends.
    _harness: Option<Child>,
}

/// A cluster, for as long as the test has it.
pub struct Borrowed {
    cluster: &'static Cluster,
    _alone: Option<MutexGuard<'static, ()>>,
}

impl std::ops::Deref for Borrowed {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

/// The cluster for a test, started if it is the first to ask.
///
/// # Panics
/// When there is none to be had; no test is ever skipped.
pub fn borrow(server: Server) -> Borrowed {
    static GIVEN: OnceLock<Result<Cluster>> = OnceLock::new();
    static EMBEDDED: OnceLock<Result<Cluster>> = OnceLock::new();
    static WITHOUT_WATCH_LIST: OnceLock<Result<Cluster>> = OnceLock::new();
    static STOPPABLE: OnceLock<Result<Cluster>> = OnceLock::new();
    static NODE: OnceLock<Result<Cluster>> = OnceLock::new();
    static INSTALLED: OnceLock<Result<Cluster>> = OnceLock::new();
    static ONE_AT_A_TIME: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];

    // A test that failed has left the cluster whole all the same.
    let alone = match server {
        Server::Stoppable => ONE_AT_A_TIME.first(),
        Server::Installed => ONE_AT_A_TIME.last(),
        _ => None,
    };
    let alone = alone.map(|it| it.lock().unwrap_or_else(PoisonError::into_inner));
    let cluster = match (server, env::var_os("KUBECONFIG")) {
        (Server::Any, Some(kubeconfig)) => GIVEN.get_or_init(|| given(&kubeconfig)),
        (Server::Any | Server::Embedded, _) => EMBEDDED.get_or_init(|| embedded(&[])),
        (Server::WithoutWatchList, _) => WITHOUT_WATCH_LIST.get_or_init(|| embedded(&["--without-watch-list"])),
        (Server::Stoppable, _) => STOPPABLE.get_or_init(|| embedded(&[])),
        (Server::Node, _) => NODE.get_or_init(with_node),
        (Server::Installed, _) => INSTALLED.get_or_init(with_images),
    };
    match cluster {
        Ok(cluster) => Borrowed { cluster, _alone: alone },
        Err(reason) => panic!("no cluster to test on: {reason:#}"),
    }
}

/// The cluster that the caller's `KUBECONFIG` names: its user does everything.
fn given(kubeconfig: &OsString) -> Result<Cluster> {
    // Several files joined by a separator are kubectl's business; the controller gets one.
    let path = env::split_paths(kubeconfig).next().context("KUBECONFIG is empty")?;
    Ok(Cluster {
        test: path.clone(),
        windlass: path.clone(),
        second: path,
        limited: None,
        audit_log: None,
        network: None,
        kubectl: "kubectl".into(),
        dir: None,
        stopped: Mutex::default(),
        _harness: None,
    })
}

fn embedded(flags: &[&str]) -> Result<Cluster> {
    let mut harness = Command::new(devcluster()?)
        .arg("up")
        .args(["--users", "windlass,second,test,limited:none"])
        .arg("--stop-on-stdin-eof")
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting devcluster")?;
    let output = harness.stdout.take().context("devcluster has a piped output")?;
    let mut ready = String::new();
    BufReader::new(output).read_line(&mut ready)?;
    let ready: Value = match serde_json::from_str(&ready) {
        Ok(ready) => ready,
        Err(_) => bail!("devcluster ended before its cluster was ready; see its messages above"),
    };
    let path = |pointer: &str| -> Result<PathBuf> {
        let value = ready.pointer(pointer).and_then(Value::as_str);
        Ok(value.with_context(|| format!("devcluster told no {pointer}"))?.into())
    };
    Ok(Cluster {
        test: path("/kubeconfigs/test")?,
        windlass: path("/kubeconfigs/windlass")?,
        second: path("/kubeconfigs/second")?,
        limited: Some(path("/kubeconfigs/limited")?),
        audit_log: Some(path("/audit_log")?),
        network: ready
            .pointer("/node/pid")
            .map(|pid| format!("/proc/{pid}/ns/net").into()),
        kubectl: path("/kubectl")?,
        dir: Some(path("/dir")?),
        stopped: Mutex::default(),
        _harness: Some(harness),
    })
}

/// A cluster with a real node that has the image of the test application.
fn with_node() -> Result<Cluster> {
    let cluster = embedded(&["--node"])?;
    let programs = devcluster()?;
    let application = programs.with_file_name("testapp");
    ensure!(
        application.is_file(),
        "there is no {}: `cargo xtask test` builds it beside devcluster",
        application.display()
    );
    cluster.load_image(APPLICATION, &[&application])?;
    // With the application beside it, which plays the validator.
    let windlass = Path::new(env!("CARGO_BIN_EXE_windlass"));
    cluster.load_image(WINDLASS, &[windlass, &application])?;
    Ok(cluster)
}

/// A cluster in which Windlass itself can be installed. What says nothing of nodes is on the fake one.
fn with_images() -> Result<Cluster> {
    let images = env::var_os(IMAGES).map(PathBuf::from);
    let images =
        images.with_context(|| format!("run `cargo xtask test`, which builds the images and sets {IMAGES}"))?;
    let stamped = fs::read_to_string(images.join(stamp::FILE)).unwrap_or_default();
    ensure!(
        stamped == stamp::of(Path::new(env!("CARGO_MANIFEST_DIR")))?,
        "the images in {} are not of these sources: run `cargo xtask test -- --test it in_cluster`, which builds them",
        images.display()
    );
    let components = "etcd,kube-apiserver,kube-controller-manager,kube-scheduler,kwok";
    let cluster = embedded(&["--node", "--components", components])?;
    for name in ["test-windlass", "test-windlass-next", "test-windlass-agent"] {
        cluster.load_archive(&images.join(format!("{name}.tar")))?;
    }
    cluster.load_image(APPLICATION, &[&devcluster()?.with_file_name("testapp")])?;
    let mut taint = Command::new(&cluster.kubectl);
    taint.arg("--kubeconfig").arg(&cluster.test);
    complete(taint.args(["taint", "nodes", NODE, "windlass.test/real=:NoSchedule"]))?;
    Ok(cluster)
}

fn devcluster() -> Result<PathBuf> {
    env::var_os(DEVCLUSTER).map(PathBuf::from).with_context(|| {
        format!("run `cargo xtask test`, which builds a cluster and sets {DEVCLUSTER}, or set KUBECONFIG")
    })
}

impl Borrowed {
    /// Once more, for the same test.
    pub fn again(&self) -> Self {
        Self {
            cluster: self.cluster,
            _alone: None,
        }
    }
}

impl Cluster {
    /// A plain way to the API server with the rights of the controller under test, for as long as the
    /// process runs that is returned; and its port.
    pub fn plain_proxy(&self) -> (Child, u16) {
        let mut proxy = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(&self.windlass)
            .args(["proxy", "--port=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        let mut said = String::new();
        let output = proxy.stdout.take().expect("kubectl has a piped output");
        BufReader::new(output)
            .read_line(&mut said)
            .expect("kubectl says where it listens");
        let port = said.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        (proxy, port.unwrap_or_else(|| panic!("kubectl said: {said}")))
    }

    /// A client with the rights of the test.
    pub async fn client(&self) -> Client {
        Client::try_from(self.config().await).expect("a client for the test's kubeconfig")
    }

    /// The same, for which a refusal with 429 is an answer; the other one asks again for minutes.
    pub async fn client_without_retries(&self) -> Client {
        let mut config = self.config().await;
        config.default_retry = false;
        Client::try_from(config).expect("a client for the test's kubeconfig")
    }

    async fn config(&self) -> Config {
        let kubeconfig = Kubeconfig::read_from(&self.test).expect("the test's kubeconfig is readable");
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        config.expect("the test's kubeconfig is valid")
    }

    /// Runs kubectl as the test's user and returns what it prints.
    ///
    /// # Panics
    /// When kubectl fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(&self.test)
            .args(arguments)
            .stdin(Stdio::null());
        run(command).await
    }

    /// Runs kubectl as the test's user: all that it says, warnings among it, or what it complains of.
    pub async fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(&self.test)
            .args(arguments)
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("no panic")
            .expect("kubectl starts");
        let [said, complaint] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        let all = format!("{said}{complaint}");
        if output.status.success() { Ok(all) } else { Err(all) }
    }

    /// Gives the real node an image that consists of programs of this machine and the libraries that
    /// they need, and runs the first. Pods use it with `imagePullPolicy: Never`.
    pub fn load_image(&self, name: &str, programs: &[&Path]) -> Result<()> {
        self.load_image_with(name, "/", programs)
    }

    /// [`Cluster::load_image`] with the programs in this folder, which begins and ends with a slash.
    pub fn load_image_with(&self, name: &str, folder: &str, programs: &[&Path]) -> Result<()> {
        let scratch = tempfile::tempdir().context("a scratch folder")?;
        let archive = scratch.path().join("image.tar");
        let mut image = Command::new(devcluster()?);
        image.args(["image", "--name", name, "--output"]).arg(&archive);
        for program in programs {
            let target = program.file_name().context("a program has a name")?;
            let mut binary = program.as_os_str().to_owned();
            binary.push("=");
            binary.push(folder);
            binary.push(target);
            image.arg("--binary").arg(binary);
        }
        complete(&mut image)?;
        self.load_archive(&archive)
    }

    /// Gives the real node the image in this archive.
    fn load_archive(&self, archive: &Path) -> Result<()> {
        let dir = self.dir.as_deref().context("only a cluster of ours is given images")?;
        let mut load = Command::new(devcluster()?);
        complete(load.args(["load", "--dir"]).arg(dir).arg(archive))
    }

    /// Ends one component as a crash would.
    pub async fn kill(&self, component: &'static str) {
        self.stopped().insert(component);
        run(self.devcluster("stop", component, &["--signal", "KILL"])).await;
    }

    /// Starts a component that was ended, and returns when it is healthy.
    pub async fn start(&self, component: &'static str) {
        run(self.devcluster("start", component, &[])).await;
        self.stopped().remove(component);
    }

    fn stopped(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn devcluster(&self, verb: &str, component: &str, flags: &[&str]) -> Command {
        let dir = self
            .dir
            .as_deref()
            .expect("only a cluster of ours is stopped and started");
        let mut command = Command::new(devcluster().expect("it has started this cluster"));
        command
            .arg(verb)
            .arg("--dir")
            .arg(dir)
            .args(flags)
            .arg(component)
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // A test that failed halfway must not fail the next one as well.
        for component in std::mem::take(&mut *self.cluster.stopped()) {
            let status = self.cluster.devcluster("start", component, &[]).status();
            if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
                println!("starting {component} again: {status:?}");
            }
        }
    }
}

/// Runs it to its end.
fn complete(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("starting {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    Ok(())
}

/// Runs it to its end, and returns what it prints.
///
/// # Panics
/// When it fails.
pub async fn run(mut command: Command) -> String {
    let shown = format!("{command:?}");
    // Its own thread: while it runs the test goes on recording what the API server says.
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic");
    let output = output.unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert!(
        output.status.success(),
        "{shown}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
