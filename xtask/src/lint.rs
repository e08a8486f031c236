//! `cargo xtask lint`: what can be said about the code without running it.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{
    machine::{self, Tool},
    say,
    test::{Stopwatch, Summary, go},
    tools,
    workspace::{self, root},
};

/// Runs every check; fails when one fails, after all have run.
pub fn run() -> Result<()> {
    machine::require(&[Tool::Rustfmt, Tool::Clippy, Tool::Go])?;
    let mut summary = Summary::default();

    say::step("Rust: format and lints");
    summary.run("cargo fmt --check", &cargo(&["fmt", "--all", "--check"]))?;
    summary.run(
        "cargo clippy",
        &cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ]),
    )?;

    // The features that are not built together with all others.
    let agent = ["--package", "windlass", "--no-default-features", "--features", "agent"];
    summary.run(
        "cargo clippy, the agent alone",
        &cargo(
            &[
                &["clippy", "--all-targets", "--quiet"],
                &agent[..],
                &["--", "--deny", "warnings"],
            ]
            .concat(),
        ),
    )?;
    without_kubernetes(&mut summary, &agent)?;

    say::step("Go: format and vet (the first time as slow as building the embedded Kubernetes)");
    gofmt(&mut summary)?;
    summary.run("go vet", &go(&["vet"]))?;

    say::step("Workflows");
    summary.run("actionlint", &actionlint())?;

    say::step("Dependencies: licences, bans, sources");
    let mut deny = Command::new(tools::DENY.install()?);
    // Advisories are fetched from the network and change under our feet: a run of their own.
    deny.args(["check", "licenses", "bans", "sources"]).current_dir(root());
    summary.run("cargo deny", &deny)?;
    summary.print()
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = workspace::cargo();
    command.args(arguments);
    command
}

/// The agent is in every pod: a Kubernetes client would be most of it.
fn without_kubernetes(summary: &mut Summary, agent: &[&str]) -> Result<()> {
    // The rules bring times and schedules along; the linker leaves out what the agent does not call.
    const TOO_MUCH: &[&str] = &["kube", "kube-client", "k8s-openapi", "schemars", "rustls"];
    let stopwatch = Stopwatch::start();
    let output = cargo(&[&["tree", "--edges", "normal", "--prefix", "none"], agent].concat())
        .output()
        .context("run cargo tree")?;
    let tree = String::from_utf8_lossy(&output.stdout);
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let found: Vec<&str> = names.filter(|name| TOO_MUCH.contains(name)).collect();
    for name in &found {
        say::note(format_args!("the agent alone depends on {name}"));
    }
    let passed = output.status.success() && found.is_empty();
    summary.add("the agent without Kubernetes", stopwatch.took(), passed);
    Ok(())
}

/// By Go's module proxy, like all that is written in Go here; compiled once, in half a minute.
fn actionlint() -> Command {
    let mut command = Command::new("go");
    command
        .args(["run", "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"])
        // What else is installed (shellcheck, pyflakes) would make one machine stricter than another.
        .args(["-shellcheck=", "-pyflakes="])
        .current_dir(root());
    command
}

/// `gofmt -l` names the files and ends with 0 all the same.
fn gofmt(summary: &mut Summary) -> Result<()> {
    let stopwatch = Stopwatch::start();
    let output = Command::new("gofmt")
        .args(["-l", "tests/cluster"])
        .current_dir(root())
        .output()
        .context("run gofmt, which comes with Go")?;
    let names = String::from_utf8_lossy(&output.stdout);
    for name in names.lines() {
        say::note(format_args!("not formatted: {name} (gofmt -w {name})"));
    }
    summary.add("gofmt", stopwatch.took(), output.status.success() && names.is_empty());
    Ok(())
}
