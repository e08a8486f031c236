//! `cargo xtask bench`: the controller and a bare watch-and-patch loop side by side, from the outside.
//!
//! | file | step |
//! |---|---|
//! | [`options`] | what the command line may say |
//! | [`set`], [`sizes`] | what is in the cluster and how much is done to it |
//! | [`layout`] | names, and who uses what |
//! | [`manifests`] | the objects |
//! | [`seed`] | fills the cluster |
//! | [`floor`] | the bare loop, a process of its own |
//! | [`start`] | starts both and waits for the adoption |
//! | [`measure`] | makes a change and takes the time until it has had its effect |
//! | [`phases`] | what is counted while one of the two is measured |
//! | [`rounds`], [`fan_out`] | the order of all measurements |
//! | [`figures`] | what was measured |
//! | [`usage`] | memory and CPU of a process |
//! | [`audit`] | requests, counted by the API server |
//! | [`rows`] | ratios and targets |
//! | [`table`], [`report`] | what people read, JSON |
//! | [`in_place`] | all of that for changes in running pods, on a real kubelet |

mod audit;
mod fan_out;
mod figures;
mod floor;
mod in_place;
mod layout;
mod manifests;
mod measure;
mod options;
mod phases;
mod report;
mod rounds;
mod rows;
mod seed;
mod set;
mod sizes;
mod start;
mod statistics;
mod table;
mod usage;

use std::{fs, os::unix::process::CommandExt, path::Path};

use anyhow::{Context, Result, anyhow, bail};
pub use floor::Options as FloorOptions;
pub use options::Options;
use set::Set;
use sizes::Sizes;
use start::Site;

use crate::{
    client,
    devcluster::{self, Cluster, Plan},
    machine::{self, Tool},
    process, say,
    workspace::{self, Profile, scratch},
};

/// Where everything is that gets measured.
const NAMESPACE: &str = "bench";
/// The controller's own.
const SYSTEM_NAMESPACE: &str = "windlass-system";

/// Builds, measures, reports. The exit code says whether it could be measured, never how fast it was.
pub fn run(options: &Options) -> Result<()> {
    let sizes = Sizes::new(options)?;
    machine::require(match sizes.set {
        Set::InPlace => &[Tool::Go, Tool::Node][..],
        Set::Default | Set::Mixed | Set::FanOut => &[Tool::Go],
    })?;
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
            report = measure_all(&sizes, &windlass, &devcluster) => report,
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

async fn measure_all(sizes: &Sizes, windlass: &Path, devcluster: &Path) -> Result<report::Report> {
    let folder = scratch()?.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    if sizes.set == Set::InPlace {
        let measured = in_place::measure(sizes, windlass, devcluster, &folder).await?;
        return Ok(report::Report::in_place(sizes, measured));
    }
    let log = |name: &str| folder.join(name);

    say::step(if sizes.rollouts {
        "Starting Kubernetes with its controllers and fake nodes"
    } else {
        "Starting the API server alone: nothing rolls, what is measured is the controller and the API server"
    });
    let mut plan = Plan {
        dir: folder.join("cluster"),
        users: vec!["windlass", "floor", "seed"],
        ..Plan::default()
    };
    if sizes.rollouts {
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

    seed::fill(&client, sizes).await?;
    let site = Site {
        sizes,
        client: &client,
        info: &info,
        windlass,
        folder: &folder,
    };
    let outcome = match sizes.set {
        Set::Default | Set::Mixed => rounds::run(&site).await,
        Set::FanOut => fan_out::run(&site).await,
        Set::InPlace => bail!("pods of the set in-place are measured elsewhere"),
    };
    let report = match outcome {
        Ok(figures) => {
            say::step("Counting requests in the audit log");
            let requests = audit::count(&info.audit_log, &figures.phases.windows)?;
            Ok(report::Report::new(sizes, &info.version, &figures, requests))
        }
        Err(error) => Err(error),
    };
    cluster.stop().await?;
    report
}

fn write(path: &Path, content: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    fs::write(path, content).with_context(|| format!("write {}", path.display()))?;
    say::note(format_args!("written: {}", path.display()));
    Ok(())
}
