//! `windlass controller` as a child process, seen from the outside.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Child,
    time::{sleep, timeout},
};

use crate::{process, say};

/// Often enough for a figure of a start in tenths of a second, seldom enough not to disturb it.
const POLL: Duration = Duration::from_millis(10);
/// What `windlass controller` promises after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A running controller.
pub struct Controller {
    child: Child,
    admin: SocketAddr,
    started: Instant,
    log: PathBuf,
}

impl Controller {
    /// Starts it as the user of `kubeconfig`; its log is written to `log` anew.
    pub async fn start(binary: &Path, kubeconfig: &Path, log: &Path, arguments: &[&str]) -> Result<Self> {
        let admin = free_address().await?;
        let sink = File::create(log).with_context(|| format!("create {}", log.display()))?;
        let mut command = process::child(binary);
        for (name, _) in std::env::vars_os() {
            // What we measure and show must not depend on the shell we were called from.
            if name.to_string_lossy().starts_with("WINDLASS_") || name == "KUBECONFIG" {
                command.env_remove(name);
            }
        }
        let started = Instant::now();
        let child = command
            .arg("controller")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--admin-address", &admin.to_string()])
            .args(arguments)
            .stdout(sink.try_clone().context("share the log file")?)
            .stderr(sink)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        Ok(Self {
            child,
            admin,
            started,
            log: log.to_owned(),
        })
    }

    /// Waits for `/readyz` and returns the time since the start.
    pub async fn ready(&mut self, limit: Duration) -> Result<Duration> {
        loop {
            if let Some(status) = self.child.try_wait().context("look at the controller")? {
                bail!("the controller ended ({status}); {}", process::tail(&self.log));
            }
            if matches!(timeout(Duration::from_secs(1), self.is_ready()).await, Ok(Ok(true))) {
                return Ok(self.started.elapsed());
            }
            if self.started.elapsed() > limit {
                bail!(
                    "the controller is not ready after {}; {}",
                    say::time(limit),
                    process::tail(&self.log)
                );
            }
            sleep(POLL).await;
        }
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the controller has ended")
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// SIGTERM; fails when it does not end with 0 in time.
    pub async fn stop(mut self) -> Result<Duration> {
        let stopped = process::stop(&mut self.child, "the controller", STOP_LIMIT).await;
        stopped.map_err(|error| anyhow!("{error:#}; {}", process::tail(&self.log)))
    }

    async fn is_ready(&self) -> Result<bool> {
        let mut stream = TcpStream::connect(self.admin).await?;
        stream
            .write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await?;
        Ok(answer.get(9..12) == Some(b"200"))
    }
}

/// A port that is free now; the controller reports if it was taken in between.
async fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("find a free port")?;
    Ok(listener.local_addr()?)
}
