//! `cargo xtask lint`: what can be said about the code without running it.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{
    machine::{self, Tool},
    say,
    test::{
        go,
        summary::{Stopwatch, Summary},
    },
    tools,
    workspace::{self, root},
};

/// The sidecar, by itself.
const AGENT: &[&str] = &["--package", "windlass", "--no-default-features", "--features", "agent"];

/// Code that a set of features leaves out is not looked at, so each set has a run of its own.
const FEATURE_SETS: &[(&str, &[&str])] = &[
    ("cargo clippy", &["--workspace", "--all-targets"]),
    (
        "cargo clippy, with traces",
        &["--workspace", "--all-targets", "--features", "windlass/otel"],
    ),
    (
        "cargo clippy, the controller alone",
        &[
            "--workspace",
            "--all-targets",
            "--no-default-features",
            "--features",
            "windlass/controller",
        ],
    ),
    (
        "cargo clippy, the agent alone",
        &[
            "--package",
            "windlass",
            "--all-targets",
            "--no-default-features",
            "--features",
            "agent",
        ],
    ),
    // Its tests turn all features on, so the first line has those.
    (
        "cargo clippy, windlass-live bare",
        &["--package", "windlass-live", "--lib", "--no-default-features"],
    ),
];

/// Runs every check; fails when one fails, after all have run.
pub fn run() -> Result<()> {
    machine::require(&[Tool::Rustfmt, Tool::Clippy, Tool::Go])?;
    let mut summary = Summary::default();

    say::step("Rust: format and lints");
    format(&mut summary)?;
    for (name, features) in FEATURE_SETS {
        summary.run(name, &clippy(features))?;
    }
    without_kubernetes(&mut summary)?;

    say::step("Rust: documentation");
    let features = ["doc", "--workspace", "--features", "windlass/otel"];
    let mut doc = cargo(&[&features[..], &["--no-deps", "--document-private-items", "--quiet"]].concat());
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    summary.run("cargo doc", &doc)?;

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

/// Whether the code is formatted.
pub fn format(summary: &mut Summary) -> Result<()> {
    summary.run("cargo fmt --check", &cargo(&["fmt", "--all", "--check"]))
}

/// The lints that `cargo xtask check` waits for: those of the default features.
pub fn default_clippy(summary: &mut Summary) -> Result<()> {
    let (name, features) = FEATURE_SETS.first().expect("a constant that is not empty");
    summary.run(name, &clippy(features))
}

fn clippy(features: &[&str]) -> Command {
    cargo(&[&["clippy", "--quiet"], features, &["--", "--deny", "warnings"]].concat())
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = workspace::cargo();
    command.args(arguments);
    command
}

/// The agent is in every pod: a Kubernetes client would be most of it.
fn without_kubernetes(summary: &mut Summary) -> Result<()> {
    // The rules bring times and schedules along; the linker leaves out what the agent does not call.
    const TOO_MUCH: &[&str] = &["kube", "kube-client", "k8s-openapi", "schemars", "rustls"];
    let stopwatch = Stopwatch::start();
    let output = cargo(&[&["tree", "--edges", "normal", "--prefix", "none"], AGENT].concat())
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
