//! The controller under test: the real binary, in a process of its own.

mod admin;

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::wait::{await_condition, await_condition_within};

/// The promise of a clean stop.
const STOP: Duration = Duration::from_secs(10);

/// A command line of the binary under test, with nothing of the caller's environment that could
/// configure it.
pub fn windlass() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command
        .env_remove("KUBECONFIG")
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WINDLASS_") {
            command.env_remove(name);
        }
    }
    command
}

/// A running `windlass controller`. It dies with the last clone.
#[derive(Clone)]
pub struct Controller {
    process: Arc<Process>,
    address: SocketAddr,
}

struct Process {
    child: Mutex<Child>,
    log: PathBuf,
}

impl Controller {
    /// Starts the controller and waits until its admin server listens, which says nothing about
    /// the API server. Everything it prints goes to `log`.
    pub async fn start(kubeconfig: &Path, flags: &[String], log: PathBuf) -> Self {
        let output = File::create(&log).expect("a log file");
        let child = windlass()
            .arg("controller")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--admin-address", "127.0.0.1:0", "--log-format", "json"])
            .args(flags)
            .stdout(output.try_clone().expect("a second handle of the log file"))
            .stderr(output)
            .spawn()
            .expect("the controller starts");
        let process = Arc::new(Process {
            child: Mutex::new(child),
            log,
        });
        let address = await_condition("the admin server to listen", async || {
            let status = process.child().try_wait()?;
            assert!(
                status.is_none(),
                "the controller ended at once: {}\n{}",
                status.unwrap_or_default(),
                process.log()
            );
            listening(&process.log()).context("no log line \"admin server listening\"")
        })
        .await;
        Self { process, address }
    }

    /// Where its admin server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The most memory that it ever had resident, in KiB.
    pub fn peak(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.child().id());
        let status = fs::read_to_string(status).expect("Linux, and it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
        peak.expect("the kernel tells")
    }

    /// All that it has printed so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Asks it to stop and expects that it does so cleanly and in time.
    pub async fn stop(&self) {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert_eq!(
            status.code(),
            Some(0),
            "after SIGTERM the controller ended with {status}"
        );
    }

    /// Ends it as a crash would.
    pub async fn kill(&self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// Makes it miss what happens next, until [`Controller::resume`].
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on. All that it missed arrives at once, in an order of its own.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether the process is still there.
    pub fn runs(&self) -> bool {
        self.process.child().try_wait().expect("a child of ours").is_none()
    }

    /// The code that it has ended with.
    pub fn exit_code(&self) -> Option<i32> {
        let status = self.process.child().try_wait().expect("a child of ours");
        status.and_then(|status| status.code())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.child()), signal).expect("a child of ours");
    }

    async fn ended(&self) -> ExitStatus {
        await_condition_within(STOP, "the controller to end", async || {
            self.process.child().try_wait()?.context("it still runs")
        })
        .await
    }
}

impl Process {
    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child();
        // It may have ended long ago; then both say so, and that is fine.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn listening(log: &str) -> Option<SocketAddr> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|line| {
            let field = |name: &str| line.get(name).or_else(|| line.get("fields")?.get(name))?.as_str();
            (field("message")? == "admin server listening")
                .then(|| field("address"))?
                .and_then(|it| it.parse().ok())
        })
}
