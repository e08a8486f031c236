//! `cargo xtask bench`: the controller and a bare watch-and-patch loop side by side, from the outside.
//!
//! | file | step |
//! |---|---|
//! | [`seed`] | fills the cluster |
//! | [`floor`] | the bare loop, a process of its own |
//! | [`measure`] | makes a change and takes the time until it has had its effect |
//! | [`rounds`] | the order of all measurements |
//! | [`usage`] | memory and CPU of a process |
//! | [`audit`] | requests, counted by the API server |
//! | [`report`] | ratios, targets, table, JSON |

mod audit;
mod floor;
mod measure;
mod report;
mod rounds;
mod seed;
mod usage;

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
pub use floor::Options as FloorOptions;

use crate::{
    client,
    controller::Controller,
    devcluster::{self, Cluster, Plan},
    machine::{self, Tool},
    process, say,
    workspace::{self, Profile, scratch},
};

/// Where everything is that gets measured.
const NAMESPACE: &str = "bench";
/// The controller's own.
const SYSTEM_NAMESPACE: &str = "windlass-system";
/// Enough for 5,000 adoptions on a slow machine.
const START_LIMIT: Duration = Duration::from_mins(3);
/// A workload that restarts more often within ten minutes is taken for one that flaps, and held.
const CHANGES_PER_DEPLOYMENT: usize = 5;

/// Sizes and places.
#[derive(Args, Clone)]
pub struct Options {
    /// ConfigMaps of 1 KiB; at least two per Deployment.
    #[arg(long, default_value_t = 10_000)]
    configmaps: usize,
    /// Deployments that opt in.
    #[arg(long, default_value_t = 5_000)]
    deployments: usize,
    /// Deployments that the floor works on, with two more ConfigMaps each.
    #[arg(long, default_value_t = 500)]
    floor_deployments: usize,
    /// Rounds; in each the floor and Windlass take turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Changes at once, per round.
    #[arg(long, default_value_t = 200)]
    burst: usize,
    /// Changes one after the other, per round.
    #[arg(long, default_value_t = 100, value_name = "N")]
    one_at_a_time: usize,
    /// Seconds without any change before the first one that is measured on its own, per round.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    idle: u64,
    /// Seconds without any change in which requests and memory are looked at; longer than 90, so
    /// that pooled connections close and the first change afterwards needs a new one.
    #[arg(long, default_value_t = 100, value_name = "SECONDS")]
    quiet: u64,
    /// Run the controller manager, the scheduler and fake nodes too, so that each change becomes a real rollout.
    #[arg(long)]
    rollouts: bool,
    /// Where the figures go as JSON.
    #[arg(long, value_name = "PATH", default_value = ".windlass/bench.json")]
    json: PathBuf,
    /// Also write the table to this file.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Measure this binary instead of a fresh release build.
    #[arg(long, value_name = "PATH")]
    windlass: Option<PathBuf>,
}

impl Options {
    fn check(&self) -> Result<()> {
        for (name, value) in [
            ("deployments", self.deployments),
            ("floor-deployments", self.floor_deployments),
            ("rounds", self.rounds),
            ("burst", self.burst),
            ("one-at-a-time", self.one_at_a_time),
        ] {
            ensure!(value > 0, "--{name} must be at least 1");
        }
        ensure!(
            self.configmaps >= 2 * self.deployments,
            "--configmaps must be at least twice --deployments, which is {}",
            2 * self.deployments
        );
        for (name, size) in [
            ("deployments", self.deployments),
            ("floor-deployments", self.floor_deployments),
        ] {
            ensure!(
                self.burst <= size,
                "--burst {} needs as many --{name}: each changes once in a burst",
                self.burst
            );
        }
        let changes = self.rounds * (self.one_at_a_time + self.burst + 1) + rounds::WARM_UP + 1;
        ensure!(
            changes <= CHANGES_PER_DEPLOYMENT * self.deployments,
            "{changes} changes over {} Deployments are more than {CHANGES_PER_DEPLOYMENT} each, which Windlass \
             rightly takes for flapping; give it more --deployments",
            self.deployments
        );
        Ok(())
    }
}

/// Builds, measures, reports. The exit code says whether it could be measured, never how fast it was.
pub fn run(options: &Options) -> Result<()> {
    options.check()?;
    machine::require(&[Tool::Go])?;
    if cfg!(debug_assertions) {
        return continue_in_release();
    }
    let windlass = if let Some(path) = &options.windlass {
        path.clone()
    } else {
        say::step("Building the release binary of Windlass (2 minutes the first time)");
        workspace::build("windlass", Profile::Release)?
    };
    let devcluster = devcluster::build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = measure_all(options, &windlass, &devcluster) => report,
            signal = process::interrupted() => Err(anyhow!("interrupted by {}", signal?)),
        }
    })?;
    let table = report.table();
    say::step("Figures");
    println!("\n{table}");
    write(
        &workspace::root().join(&options.json),
        &serde_json::to_string_pretty(&report)?,
    )?;
    if let Some(path) = &options.out {
        write(path, &table)?;
    }
    Ok(())
}

/// The bare loop of [`floor`].
pub fn run_floor(options: &FloorOptions) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(floor::run(options))
}

/// The floor is a part of this binary: unoptimised it would be slow and flatter Windlass.
fn continue_in_release() -> Result<()> {
    say::step("Building the bench itself with optimisation (2 minutes the first time)");
    let ourselves = workspace::build("xtask", Profile::Release)?;
    let error = std::process::Command::new(&ourselves)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(error).with_context(|| format!("run {}", ourselves.display()))
}

async fn measure_all(options: &Options, windlass: &Path, devcluster: &Path) -> Result<report::Report> {
    let folder = scratch()?.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let log = |name: &str| folder.join(name);

    say::step(if options.rollouts {
        "Starting Kubernetes with its controllers and fake nodes"
    } else {
        "Starting the API server alone: nothing rolls, what is measured is the controller and the API server"
    });
    let mut plan = Plan {
        dir: folder.join("cluster"),
        users: vec!["windlass", "floor", "seed"],
        ..Plan::default()
    };
    if options.rollouts {
        plan.fake_nodes = 4;
        // Its default of 20 requests per second would take minutes for thousands of pods.
        plan.extra = ["--kube-api-qps=500", "--kube-api-burst=1000"]
            .iter()
            .flat_map(|flag| ["--controller-manager-arg".to_owned(), (*flag).to_owned()])
            .collect();
    } else {
        plan.components = vec!["etcd", "kube-apiserver"];
    }
    let cluster = Cluster::start(devcluster, &plan, &log("cluster.log")).await?;
    let info = cluster.info.clone();
    let client = client::connect(info.kubeconfig("seed")?).await?;

    seed::fill(&client, options).await?;
    let outcome = rounds::run(options, &client, &info, windlass, &folder).await;
    let report = match outcome {
        Ok(figures) => {
            say::step("Counting requests in the audit log");
            let requests = audit::count(&info.audit_log, &figures.windows)?;
            Ok(report::Report::new(options, &info.version, &figures, requests))
        }
        Err(error) => Err(error),
    };
    cluster.stop().await?;
    report
}

/// The controller with the flags under which it is measured.
async fn start_controller(windlass: &Path, kubeconfig: &Path, log: &Path) -> Result<Controller> {
    let mut arguments = vec!["--settle", "0s", "--lease-namespace", SYSTEM_NAMESPACE];
    // Without rollouts no slot of a budget would ever become free again.
    if has_flag(windlass, "--max-parallel")? {
        arguments.extend(["--max-parallel", "0"]);
    }
    Controller::start(windlass, kubeconfig, log, &arguments).await
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

fn write(path: &Path, content: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    fs::write(path, content).with_context(|| format!("write {}", path.display()))?;
    say::note(format_args!("written: {}", path.display()));
    Ok(())
}
