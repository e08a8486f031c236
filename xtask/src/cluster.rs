//! `cargo xtask cluster`: a Kubernetes that stays until it is told to go.

use std::{fs, path::PathBuf, process::Stdio};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::{
    devcluster::{self, Info, Plan},
    machine::{self, Tool},
    say,
    workspace::scratch,
};

/// What to do with it.
#[derive(Subcommand)]
pub enum Command {
    /// Start it, or say where it is (5 seconds, once it is built).
    Up,
    /// End it; everything in it is gone.
    Down,
    /// Say whether it runs and how to reach it.
    Status,
}

/// Runs one of them.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Up => describe(&up()?),
        Command::Down => return down(),
        Command::Status => match State::read()? {
            State::Running(info) => describe(&info),
            State::Stale => say::note("no cluster runs; the last one ended without `cargo xtask cluster down`"),
            State::Absent => say::note("no cluster runs; `cargo xtask cluster up` starts one"),
        },
    }
    Ok(())
}

/// The cluster, started if need be.
pub fn up() -> Result<Info> {
    if let State::Running(info) = State::read()? {
        say::step("The cluster is already running");
        return Ok(info);
    }
    machine::require(&[Tool::Go])?;
    let binary = devcluster::build()?;
    say::step("Starting a cluster that stays (about 5 seconds)");
    let plan = Plan {
        dir: folder()?,
        fake_nodes: 1,
        users: vec!["windlass"],
        ..Plan::default()
    };
    devcluster::start_detached(&binary, &plan, &said()?, &scratch()?.join("cluster.log"))
}

/// Ends the cluster that stays, if there is one.
fn down() -> Result<()> {
    match State::read()? {
        State::Running(info) => {
            say::step("Stopping the cluster");
            // The binary that it runs from: the one in the checkout may have been rebuilt since.
            let binary = format!("/proc/{}/exe", info.pid);
            let status = std::process::Command::new(binary)
                .arg("down")
                .arg("--dir")
                .arg(&info.dir)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .context("run devcluster down")?;
            if !status.success() {
                bail!(
                    "the cluster could not be stopped ({status}); its supervisor is process {}",
                    info.pid
                );
            }
            say::note("stopped");
        }
        State::Stale => say::note("the last cluster had ended already; its files are removed"),
        State::Absent => say::note("no cluster runs"),
    }
    for path in [folder()?, said()?] {
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// How to go on by hand.
pub fn describe(info: &Info) {
    say::note(format_args!("Kubernetes {} answers at {}", info.version, info.server));
    say::note("this shell reaches it after:");
    if let Ok(path) = info.kubeconfig("admin") {
        println!("export KUBECONFIG={}", path.display());
    }
    say::note(format_args!(
        "and a kubectl of its version is at {}",
        info.kubectl.display()
    ));
    say::note("`cargo xtask cluster down` ends it");
}

enum State {
    Running(Info),
    /// Files of a cluster whose supervisor is gone.
    Stale,
    Absent,
}

impl State {
    fn read() -> Result<Self> {
        let said = said()?;
        if !said.exists() {
            return Ok(Self::Absent);
        }
        Ok(match devcluster::read_info(&said) {
            Some(info) if runs(&info) => Self::Running(info),
            _ => Self::Stale,
        })
    }
}

/// Whether that process is still the supervisor: process ids are used again.
fn runs(info: &Info) -> bool {
    fs::read_to_string(format!("/proc/{}/cmdline", info.pid)).is_ok_and(|line| {
        let words: Vec<&str> = line.split('\0').collect();
        words.contains(&"up") && words.contains(&info.dir.display().to_string().as_str())
    })
}

fn folder() -> Result<PathBuf> {
    Ok(scratch()?.join("cluster"))
}

fn said() -> Result<PathBuf> {
    Ok(scratch()?.join("cluster.json"))
}
