//! The embedded Kubernetes: compiled from `tests/cluster`, started and stopped.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::timeout,
};

use crate::{
    process, say,
    workspace::{root, scratch},
};

/// The variable with which a test run, or a person, names a binary that was built elsewhere.
pub const OVERRIDE: &str = "WINDLASS_DEVCLUSTER";

/// Part of every `go` command: without it, or with other flags, Go's build cache does not apply
/// and all of Kubernetes is compiled once more.
pub const GO_BUILD_FLAGS: &[&str] = &["-trimpath"];

/// Small programs that lie beside the binary: what a real node needs, and the application that its
/// pods run in the tests.
const PROGRAMS: &[&str] = &["devcluster-node", "testapp"];

const READY_LIMIT: Duration = Duration::from_mins(2);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Builds the binary unless the one that is there came from the same sources.
pub fn build() -> Result<PathBuf> {
    if let Some(path) = env::var_os(OVERRIDE).map(PathBuf::from) {
        say::note(format_args!("{OVERRIDE} is set: using {}", path.display()));
        return Ok(path);
    }
    let source = root().join("tests/cluster");
    let scratch = scratch()?;
    // Two commands at once would otherwise compile Kubernetes twice.
    let lock = File::create(scratch.join("devcluster.lock")).context("create the build lock")?;
    lock.lock()
        .context("wait for another build of the embedded Kubernetes")?;

    let binary = scratch.join("devcluster");
    let stamp_file = scratch.join("devcluster.stamp");
    let flags = linker_flags(&source)?;
    let stamp = stamp(&source, &flags)?;
    let built = binary.is_file() && PROGRAMS.iter().all(|name| scratch.join(name).is_file());
    if built && fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
        return Ok(binary);
    }
    say::step("Compiling the embedded Kubernetes (about 8 minutes the first time, 1 minute after a change)");
    // Go replaces the file and never writes into it, so a cluster that runs from it is not disturbed.
    let fresh = scratch.join("devcluster.new");
    let mut command = Command::new("go");
    command
        .arg("build")
        .args(GO_BUILD_FLAGS)
        .args(["-ldflags", &flags, "-o"])
        .arg(&fresh)
        .arg(".");
    command.current_dir(&source).stdin(Stdio::null());
    run_slow(command, "go build")?;
    fs::rename(&fresh, &binary).context("put the new binary in place")?;
    build_programs(&source, &scratch)?;
    fs::write(&stamp_file, stamp).context("write the stamp")?;
    Ok(binary)
}

/// Static, since they are the whole content of an image.
fn build_programs(source: &Path, scratch: &Path) -> Result<()> {
    let fresh = scratch.join("programs.new");
    let mut command = Command::new("go");
    command
        .arg("build")
        .args(GO_BUILD_FLAGS)
        .args(["-ldflags", "-s -w", "-o"])
        .arg(&fresh)
        .arg("./cmd/...");
    command.env("CGO_ENABLED", "0").current_dir(source).stdin(Stdio::null());
    fs::create_dir_all(&fresh).with_context(|| format!("create {}", fresh.display()))?;
    run_slow(command, "go build ./cmd/...")?;
    for name in PROGRAMS {
        fs::rename(fresh.join(name), scratch.join(name)).with_context(|| format!("put {name} in place"))?;
    }
    fs::remove_dir(&fresh).with_context(|| format!("remove {}", fresh.display()))
}

/// The server must know its own version; the Go module is the one place that names it.
fn linker_flags(source: &Path) -> Result<String> {
    let text = fs::read_to_string(source.join("go.mod")).context("read tests/cluster/go.mod")?;
    let version = text
        .lines()
        .find_map(|line| {
            let mut words = line.trim().trim_start_matches("require ").split_whitespace();
            (words.next() == Some("k8s.io/kubernetes")).then(|| words.next())?
        })
        .context("tests/cluster/go.mod does not require k8s.io/kubernetes")?;
    let mut numbers = version.trim_start_matches('v').split('.');
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        bail!("the version of k8s.io/kubernetes in tests/cluster/go.mod is odd: {version}");
    };
    let package = "k8s.io/component-base/version";
    Ok(format!(
        "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    ))
}

/// A fingerprint of all that goes into the binary. Times of files do not matter: a fresh clone with
/// a cached binary must not rebuild. Not for security, so the standard library's hash will do.
pub fn stamp(source: &Path, flags: &str) -> Result<String> {
    let mut files = Vec::new();
    collect(source, &mut files)?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    flags.hash(&mut hasher);
    for path in files {
        path.strip_prefix(source).unwrap_or(&path).hash(&mut hasher);
        fs::read(&path)
            .with_context(|| format!("read {}", path.display()))?
            .hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// What Go compiles or embeds; tests and their data are left out.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "testdata" {
                collect(&path, files)?;
            }
            continue;
        }
        let extension = path.extension().unwrap_or_default();
        let counts = ["go", "mod", "sum", "yaml", "json"]
            .iter()
            .any(|known| extension == *known);
        if counts && !name.ends_with("_test.go") {
            files.push(path);
        }
    }
    Ok(())
}

/// Runs a command that may be silent for minutes, and shows that it is alive.
pub fn run_slow(mut command: Command, name: &str) -> Result<()> {
    const SIGN_OF_LIFE: Duration = Duration::from_mins(1);
    let started = Instant::now();
    let mut said = started;
    let mut child = command.spawn().with_context(|| format!("start {name}"))?;
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("wait for {name}"))? {
            break status;
        }
        if said.elapsed() >= SIGN_OF_LIFE {
            said = Instant::now();
            say::note(format_args!(
                "{name} is still at work after {}",
                say::time(started.elapsed())
            ));
        }
        thread::sleep(Duration::from_millis(200));
    };
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    say::note(format_args!("done in {}", say::time(started.elapsed())));
    Ok(())
}

/// What to start.
#[derive(Default)]
pub struct Plan {
    /// Belongs to the cluster alone.
    pub dir: PathBuf,
    /// All that the program knows when empty.
    pub components: Vec<&'static str>,
    /// Nodes on which pods become ready without containers.
    pub fake_nodes: u32,
    /// Users beside `admin`, each with a kubeconfig, so that the audit log tells them apart.
    pub users: Vec<&'static str>,
    /// Further arguments.
    pub extra: Vec<String>,
}

impl Plan {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["up".to_owned(), "--dir".to_owned(), self.dir.display().to_string()];
        if !self.components.is_empty() {
            arguments.extend(["--components".to_owned(), self.components.join(",")]);
        }
        arguments.extend(["--fake-nodes".to_owned(), self.fake_nodes.to_string()]);
        if !self.users.is_empty() {
            arguments.extend(["--users".to_owned(), self.users.join(",")]);
        }
        arguments.extend(self.extra.iter().cloned());
        arguments
    }
}

/// What the program says about a cluster that is ready.
#[derive(Clone, Serialize, Deserialize)]
pub struct Info {
    /// Its folder.
    pub dir: PathBuf,
    /// Of the supervisor.
    pub pid: u32,
    /// URL of the API server.
    pub server: String,
    /// Of Kubernetes.
    pub version: String,
    kubeconfigs: BTreeMap<String, PathBuf>,
    /// One line of JSON per request.
    pub audit_log: PathBuf,
    /// A kubectl of the server's own version.
    pub kubectl: PathBuf,
    /// The real node, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Node>,
}

/// A node on which pods run.
#[derive(Clone, Serialize, Deserialize)]
pub struct Node {
    /// Of its process 1, whose network and mounts are the node's.
    pub pid: u32,
}

impl Info {
    /// The file with which to connect as that user.
    pub fn kubeconfig(&self, user: &str) -> Result<&Path> {
        self.kubeconfigs
            .get(user)
            .map(PathBuf::as_path)
            .with_context(|| format!("the cluster has no user {user}"))
    }

    /// kubectl as `admin`.
    pub fn kubectl(&self) -> Result<Command> {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig("admin")?)
            .current_dir(root())
            .stdin(Stdio::null());
        Ok(command)
    }
}

/// A cluster that lives as long as this value.
pub struct Cluster {
    /// How to reach it.
    pub info: Info,
    child: Child,
}

impl Cluster {
    /// Starts it and waits until it answers. `log` receives what the supervisor says.
    pub async fn start(binary: &Path, plan: &Plan, log: &Path) -> Result<Self> {
        let sink = File::create(log).with_context(|| format!("create {}", log.display()))?;
        let mut child = process::child(binary)
            .args(plan.arguments())
            .stdout(Stdio::piped())
            .stderr(sink)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let stdout = child.stdout.take().context("the cluster has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        match timeout(READY_LIMIT, lines.next_line()).await {
            Ok(Ok(Some(line))) => {
                let info = serde_json::from_str(&line).with_context(|| format!("the cluster said {line:?}"))?;
                Ok(Self { info, child })
            }
            Ok(Ok(None)) => {
                let status = child.wait().await?;
                bail!("the cluster did not start ({status}); {}", process::tail(log))
            }
            Ok(Err(error)) => Err(error).context("read what the cluster says"),
            Err(_) => bail!(
                "the cluster is not ready after {}; {}",
                say::time(READY_LIMIT),
                process::tail(log)
            ),
        }
    }

    /// Ends it and its folder.
    pub async fn stop(mut self) -> Result<Duration> {
        process::stop(&mut self.child, "the cluster", STOP_LIMIT).await
    }
}

/// Starts a cluster that outlives us. What it says goes to `said`, where [`Info`] is its first line.
pub fn start_detached(binary: &Path, plan: &Plan, said: &Path, log: &Path) -> Result<Info> {
    let output = File::create(said).with_context(|| format!("create {}", said.display()))?;
    let errors = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let mut child = Command::new(binary)
        .args(plan.arguments())
        .process_group(0) // Ctrl-C at this terminal is not for it
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("start {}", binary.display()))?;
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        if let Some(info) = read_info(said) {
            return Ok(info);
        }
        if let Some(status) = child.try_wait().context("wait for the cluster")? {
            bail!("the cluster did not start ({status}); {}", process::tail(log));
        }
        if Instant::now() > deadline {
            child.kill().context("kill the cluster")?;
            bail!(
                "the cluster is not ready after {}; {}",
                say::time(READY_LIMIT),
                process::tail(log)
            );
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Reads what [`start_detached`] left; nothing while the line is not complete.
pub fn read_info(said: &Path) -> Option<Info> {
    let text = fs::read_to_string(said).ok()?;
    serde_json::from_str(text.split_once('\n')?.0).ok()
}
