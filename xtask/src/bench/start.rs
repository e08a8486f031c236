//! The floor and Windlass as processes: started, ready, everything adopted.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use kube::Client;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::timeout,
};

use super::{NAMESPACE, SYSTEM_NAMESPACE, figures::Pair, layout::Subject, sizes::Sizes};
use crate::{
    controller::Controller,
    devcluster::Info,
    kinds::{Kind, WorkloadRef},
    process, say,
    workloads::Observer,
};

/// Enough for 5,000 adoptions on a slow machine.
const START_LIMIT: Duration = Duration::from_mins(3);

/// Where it is measured, and what.
pub struct Site<'a> {
    pub sizes: &'a Sizes,
    pub client: &'a Client,
    pub info: &'a Info,
    /// The binary.
    pub windlass: &'a Path,
    /// For logs.
    pub folder: &'a Path,
}

/// Both at work.
pub struct Running {
    pub floor: Child,
    pub controller: Controller,
    pub ready: Pair<Duration>,
    /// From the controller's start until the last workload had its baseline.
    pub adopted: Duration,
    /// When the controller was started.
    pub from: Timestamp,
}

impl Site<'_> {
    /// Watches every kind that Windlass rolls.
    pub async fn observe(&self) -> Result<Observer> {
        let kinds: Vec<Kind> = self.sizes.rolled().into_iter().map(|(kind, _)| kind).collect();
        Observer::start(self.client, NAMESPACE, &kinds).await
    }

    /// Starts both and waits until Windlass has adopted everything.
    pub async fn start(&self, observer: &Observer) -> Result<Running> {
        say::step("Starting the floor and Windlass");
        let (floor, floor_ready) = self.start_floor().await?;
        let from = Timestamp::now();
        let (controller, windlass_ready) = self.start_controller().await?;
        say::note(format_args!(
            "floor ready after {}, Windlass after {}",
            say::time(floor_ready),
            say::time(windlass_ready)
        ));
        let adopted = self.adoption(observer, controller.started()).await?;
        Ok(Running {
            floor,
            controller,
            ready: Pair {
                floor: floor_ready,
                windlass: windlass_ready,
            },
            adopted,
            from,
        })
    }

    /// The controller with the flags under which it is measured, and the time until it was ready.
    pub async fn start_controller(&self) -> Result<(Controller, Duration)> {
        let mut arguments = vec!["--settle", "0s", "--lease-namespace", SYSTEM_NAMESPACE];
        // Without rollouts no slot of a budget would ever become free again.
        if has_flag(self.windlass, "--max-parallel")? {
            arguments.extend(["--max-parallel", "0"]);
        }
        // The same few are changed again and again.
        if has_flag(self.windlass, "--flap-limit")? {
            arguments.extend(["--flap-limit", "0"]);
        }
        let kubeconfig = self.info.kubeconfig("windlass")?;
        let log = self.folder.join("controller.log");
        let mut controller = Controller::start(self.windlass, kubeconfig, &log, &arguments).await?;
        let ready = controller.ready(START_LIMIT).await?;
        Ok((controller, ready))
    }

    /// Starts the floor in a process of its own and waits for its first list.
    async fn start_floor(&self) -> Result<(Child, Duration)> {
        let log = self.folder.join("floor.log");
        let sink = std::fs::File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let started = Instant::now();
        let mut child = process::child(Path::new(process::OURSELVES))
            .args(["bench-floor", "--kubeconfig"])
            .arg(self.info.kubeconfig("floor")?)
            .args(["--deployments", &self.sizes.floor_deployments.to_string()])
            .stdout(Stdio::piped())
            .stderr(sink)
            .spawn()
            .context("start the floor")?;
        let stdout = child.stdout.take().context("the floor has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        match timeout(START_LIMIT, lines.next_line()).await {
            Ok(Ok(Some(_))) => {}
            _ => bail!("the floor is not ready; {}", process::tail(&log)),
        }
        let ready = started.elapsed();
        // A closed pipe would end it when it lists again.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok((child, ready))
    }

    /// CronJobs are not waited for: nothing is ever written to them.
    async fn adoption(&self, observer: &Observer, started: Instant) -> Result<Duration> {
        let rolled = self.sizes.rolled();
        let workloads: Vec<WorkloadRef> = Subject::Windlass.workloads(&rolled).collect();
        let what = "all opted-in workloads are adopted";
        let last = observer
            .wait_for_each(START_LIMIT, what, &workloads, |all, workload| {
                all.get(workload)?.adopted
            })
            .await?;
        let adopted = last.saturating_duration_since(started);
        let counts: Vec<String> = rolled
            .iter()
            .map(|(kind, count)| format!("{count} {}s", kind.word()))
            .collect();
        say::note(format_args!(
            "{} adopted after {}",
            counts.join(", "),
            say::time(adopted)
        ));
        Ok(adopted)
    }
}

fn has_flag(windlass: &Path, flag: &str) -> Result<bool> {
    let output = std::process::Command::new(windlass)
        .args(["controller", "--help"])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {}", windlass.display()))?;
    if !output.status.success() {
        bail!("{} controller --help failed ({})", windlass.display(), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).contains(flag))
}
