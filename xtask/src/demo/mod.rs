//! `cargo xtask demo`: the promise of Windlass, shown on a real API server and checked.
//!
//! This file starts and ends things, [`stage`] is what the steps have at hand, [`story`] tells them.

mod greeter;
mod stage;
mod story;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use clap::Args;

use crate::{
    cluster,
    controller::Controller,
    devcluster::{self, Cluster, Info, Plan},
    machine::{self, Tool},
    process, say,
    workspace::{self, Profile, scratch},
};

/// How to show it.
#[derive(Args)]
pub struct Options {
    /// Leave the cluster up afterwards (the one of `cargo xtask cluster`) and say how to reach it.
    #[arg(long)]
    keep: bool,
    /// Show this binary instead of building one.
    #[arg(long, value_name = "PATH")]
    windlass: Option<PathBuf>,
    /// Show the example of `windlass-live` instead, in a pod on a real kubelet; needs root and containerd.
    #[arg(long, conflicts_with = "keep")]
    greeter: bool,
}

/// Builds, shows, ends.
pub fn run(options: &Options) -> Result<()> {
    machine::require(if options.greeter {
        &[Tool::Go, Tool::Node]
    } else {
        &[Tool::Go]
    })?;
    let windlass = if let Some(path) = &options.windlass {
        path.clone()
    } else {
        say::step("Building Windlass (up to 2 minutes the first time)");
        // The dev profile: compiled in half the time, and what is shown does not depend on it.
        workspace::build("windlass", Profile::Dev)?
    };
    let devcluster = devcluster::build()?;

    let kept = if options.keep { Some(cluster::up()?) } else { None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut session = Session::new(kept.clone())?;
        let (outcome, logs) = tokio::select! {
            result = session.play(&windlass, &devcluster, options.greeter) => {
                let logs = if result.is_ok() { Logs::Remove } else { Logs::Keep };
                (result, logs)
            }
            signal = process::interrupted() => (Err(anyhow!("interrupted by {}", signal?)), Logs::Remove),
        };
        let ended = session.end(logs).await;
        outcome.and(ended)
    })?;
    if let Some(info) = kept {
        say::step("The cluster and the examples stay, as asked");
        cluster::describe(&info);
        say::note(format_args!(
            "go on with: {} controller --kubeconfig {} --lease-namespace {}",
            windlass.display(),
            info.kubeconfig("windlass")?.display(),
            story::SYSTEM_NAMESPACE,
        ));
    }
    Ok(())
}

/// What has to be ended, whatever happens in between.
struct Session {
    kept: Option<Info>,
    cluster: Option<Cluster>,
    controller: Option<Controller>,
    folder: PathBuf,
}

impl Session {
    fn new(kept: Option<Info>) -> Result<Self> {
        sweep()?;
        let folder = scratch()?.join(format!("{FOLDER_PREFIX}{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Self {
            kept,
            cluster: None,
            controller: None,
            folder,
        })
    }

    async fn play(&mut self, windlass: &Path, devcluster: &Path, greeter: bool) -> Result<()> {
        let info = if let Some(info) = &self.kept {
            info.clone()
        } else {
            say::step("Starting Kubernetes (about 5 seconds)");
            let plan = Plan {
                dir: self.folder.join("cluster"),
                fake_nodes: u32::from(!greeter),
                users: vec!["windlass"],
                extra: if greeter { vec!["--node".to_owned()] } else { Vec::new() },
                ..Plan::default()
            };
            let cluster = Cluster::start(devcluster, &plan, &self.folder.join("cluster.log")).await?;
            self.cluster.insert(cluster).info.clone()
        };
        say::note(format_args!("Kubernetes {} answers at {}", info.version, info.server));
        if greeter {
            return greeter::tell(&info, devcluster, windlass, &self.folder, &mut self.controller).await;
        }
        story::tell(
            &info,
            windlass,
            &self.folder.join("controller.log"),
            &mut self.controller,
        )
        .await
    }

    async fn end(self, logs: Logs) -> Result<()> {
        let Self {
            kept: _,
            cluster,
            controller,
            folder,
        } = self;
        say::step("Stopping what was started");
        let mut outcome = Ok(());
        if let Some(controller) = controller {
            outcome = outcome.and(controller.stop().await.map(drop));
        }
        if let Some(cluster) = cluster {
            outcome = outcome.and(cluster.stop().await.map(drop));
        }
        if matches!(logs, Logs::Remove) && outcome.is_ok() {
            fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
            say::note("done, nothing is left behind");
        } else {
            say::note(format_args!("logs are in {} until the next demo", folder.display()));
        }
        outcome
    }
}

/// Whether they could help somebody.
enum Logs {
    Keep,
    Remove,
}

const FOLDER_PREFIX: &str = "demo-";

/// Removes what demos that failed left behind, once they are over.
fn sweep() -> Result<()> {
    for entry in fs::read_dir(scratch()?)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(FOLDER_PREFIX) else {
            continue;
        };
        if !Path::new("/proc").join(pid).exists() {
            // Two demos that begin at once may both be at it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}
