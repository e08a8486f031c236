//! `cargo xtask test`: everything that can fail, in one command.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    devcluster, generate,
    machine::{self, Tool},
    say, workspace,
};

/// What to run.
#[derive(Args)]
pub struct Options {
    /// Arguments for `cargo test`, for example `-- --test it adoption`; only these tests run then.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds what the tests need and runs them; fails when one fails, after all have run.
pub fn run(options: &Options) -> Result<()> {
    machine::require(&[Tool::Go])?;
    let mut summary = Summary::default();

    let started = Instant::now();
    let devcluster = devcluster::build()?;
    summary.add("embedded Kubernetes built", started.elapsed(), true);

    say::step("Rust: unit tests, integration tests on a real API server");
    let mut command = workspace::cargo();
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(&options.arguments);
    command.env(devcluster::OVERRIDE, &devcluster);
    summary.run("cargo test --workspace", command)?;

    if options.arguments.is_empty() {
        say::step("Generated files");
        let started = Instant::now();
        let outcome = generate::run(&generate::Options { check: true });
        if let Err(error) = &outcome {
            say::note(format_args!("{error:#}"));
        }
        summary.add("cargo xtask generate --check", started.elapsed(), outcome.is_ok());

        say::step("Go: the embedded cluster");
        for arguments in [&["vet"][..], &["test", "-vet=off"][..]] {
            summary.run(&format!("go {} (tests/cluster)", arguments.join(" ")), go(arguments))?;
        }
    }
    summary.print()
}

/// A `go` command over the module of the embedded cluster.
pub fn go(arguments: &[&str]) -> Command {
    let mut command = Command::new("go");
    command
        .args(arguments)
        .args(devcluster::GO_BUILD_FLAGS)
        .arg("./...")
        .current_dir(workspace::root().join("tests/cluster"));
    command
}

/// What was run, how long it took, how it ended.
#[derive(Default)]
pub struct Summary(Vec<(String, Duration, bool)>);

impl Summary {
    /// Runs a command and goes on when it fails: one run shows all that is wrong.
    pub fn run(&mut self, name: &str, mut command: Command) -> Result<()> {
        let started = Instant::now();
        let status = command
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("run {name}"))?;
        self.add(name, started.elapsed(), status.success());
        Ok(())
    }

    /// Adds something that was done by other means.
    pub fn add(&mut self, name: &str, time: Duration, passed: bool) {
        self.0.push((name.to_owned(), time, passed));
    }

    /// Shows the list; fails when something in it did.
    pub fn print(&self) -> Result<()> {
        say::step("Summary");
        for (name, time, passed) in &self.0 {
            println!(
                "  {} {name:<40} {:>12}",
                if *passed { "✔" } else { "✘" },
                say::time(*time)
            );
        }
        let failed = self.0.iter().filter(|(.., passed)| !passed).count();
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.0.len());
        }
        Ok(())
    }
}
