//! Child processes that never outlive us, and how much they use.

use std::{
    fs,
    io::Read,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// Arguments of the hidden command that turns into another program.
#[derive(Args)]
pub struct ChildOptions {
    /// Process id of the one that must be alive.
    #[arg(long)]
    parent: i32,
    program: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Asks the kernel to end this process with its parent, then becomes the program: the request
/// survives `execve`. Nothing else takes a child along when the parent is killed with SIGKILL.
pub fn become_child(options: &ChildOptions) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM)).context("ask for the parent-death signal")?;
    // The parent may have died before the line above.
    if getppid().map(Pid::as_raw_nonzero).map(i32::from) != Some(options.parent) {
        bail!("the parent process {} is gone", options.parent);
    }
    let error = std::process::Command::new(&options.program)
        .args(&options.arguments)
        .exec();
    Err(error).with_context(|| format!("run {}", options.program.display()))
}

/// The file that we run from, even when a build has put another one in its place.
pub const OURSELVES: &str = "/proc/self/exe";

/// A command for `program` that ends with us and that Ctrl-C at the terminal does not reach: we
/// stop our children ourselves, in order.
///
/// Must be spawned on the main thread: the kernel counts the thread as the parent.
pub fn child(program: &Path) -> Command {
    let mut command = Command::new(OURSELVES);
    command
        .args(["child", "--parent", &std::process::id().to_string()])
        .arg(program)
        .process_group(0)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// SIGTERM, and SIGKILL when that does not help in time. Returns how long it took.
pub async fn stop(child: &mut Child, name: &str, patience: Duration) -> Result<Duration> {
    let started = Instant::now();
    if let Some(pid) = child.id() {
        signal(pid, Signal::TERM).with_context(|| format!("stop {name}"))?;
    }
    let Ok(status) = timeout(patience, child.wait()).await else {
        child.kill().await.with_context(|| format!("kill {name}"))?;
        bail!(
            "{name} did not stop within {} and was killed",
            crate::say::time(patience)
        );
    };
    let status = status.with_context(|| format!("wait for {name}"))?;
    if !status.success() {
        bail!("{name} stopped with {status}");
    }
    Ok(started.elapsed())
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .context("not a process id")?;
    kill_process(pid, signal).with_context(|| format!("signal process {pid:?}"))
}

/// Resolves when the person at the terminal, or CI, wants us to end.
pub async fn interrupted() -> Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => { result.context("listen for Ctrl-C")?; Ok("Ctrl-C") }
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = hangup.recv() => Ok("SIGHUP"),
    }
}

/// The last lines of a log file, for an error message.
pub fn tail(path: &Path) -> String {
    const BYTES: u64 = 3000;
    let read = || -> std::io::Result<String> {
        use std::io::{Seek, SeekFrom};
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    match read() {
        Ok(text) if text.is_empty() => format!("({} is empty)", path.display()),
        Ok(text) => format!("last lines of {}:\n{text}", path.display()),
        Err(error) => format!("(cannot read {}: {error})", path.display()),
    }
}
