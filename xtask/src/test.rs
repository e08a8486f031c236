//! `cargo xtask test`: everything that can fail, in one command.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    applications, chart, devcluster, generate, helm, image,
    machine::{self, Tool},
    say, workspace,
};

/// A test that takes the machine for itself: others would miss their deadlines beside it.
const CROWD: &str = "crowd::";

/// Tests of the chart installed from the images, which take a cluster of two kinds of nodes for themselves.
const IN_CLUSTER: &str = "in_cluster::";

/// What to run.
#[derive(Args)]
pub struct Options {
    /// Arguments for `cargo test`, for example `-- --test it adoption`; only these tests run then.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds what the tests need and runs them; fails when one fails, after all have run.
pub fn run(options: &Options) -> Result<()> {
    // Who names tests may have chosen those that need no root.
    let tools = if options.arguments.is_empty() {
        &[Tool::Go, Tool::Node, Tool::Applications, Tool::Buildah][..]
    } else {
        &[Tool::Go]
    };
    machine::require(tools)?;
    let mut summary = Summary::default();

    let started = Instant::now();
    let devcluster = devcluster::build()?;
    summary.add("embedded Kubernetes built", started.elapsed(), true);
    let started = Instant::now();
    let helm = helm::build()?;
    summary.add("helm built", started.elapsed(), true);
    // Those of the tests that need them fail by themselves, and say so.
    if let Err(error) = applications::fetch() {
        say::note(format_args!("no applications to run in pods: {error:#}"));
    }

    say::step("Rust: unit tests, integration tests on a real API server");
    let mut command = workspace::cargo();
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(&options.arguments);
    command
        .env(devcluster::OVERRIDE, &devcluster)
        .env(helm::VARIABLE, &helm.helm)
        .env(image::FOLDER, image::folder()?);
    if !options.arguments.is_empty() && reaches(IN_CLUSTER, &options.arguments)? {
        image::for_tests()?;
    }
    // Integration tests wait for the cluster most of the time: one for each core would take three
    // times as long.
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        command.env("RUST_TEST_THREADS", "8");
    }
    if options.arguments.is_empty() {
        command.args(["--", "--skip", CROWD, "--skip", IN_CLUSTER]);
    }
    summary.run_rust(command, &devcluster, &helm.helm)?;

    if options.arguments.is_empty() {
        say::step("A thousand workloads at once, while nothing else runs");
        let mut command = workspace::cargo();
        command
            .args(["test", "--package", "windlass", "--test", "it", CROWD])
            .env("RUST_TEST_THREADS", "1")
            .env(devcluster::OVERRIDE, &devcluster);
        summary.run("a thousand workloads at once", command)?;

        let started = Instant::now();
        let images = image::for_tests();
        if let Err(error) = &images {
            say::note(format_args!("{error:#}"));
        }
        summary.add(
            "cargo xtask image, controller and agent",
            started.elapsed(),
            images.is_ok(),
        );
        say::step("Installed with helm from the images, on a real node");
        let mut command = workspace::cargo();
        command
            .args(["test", "--package", "windlass", "--test", "it", IN_CLUSTER])
            .env("RUST_TEST_THREADS", "1")
            .env(image::FOLDER, image::folder()?)
            .env(helm::VARIABLE, &helm.helm)
            .env(devcluster::OVERRIDE, &devcluster);
        summary.run("installed with helm", command)?;

        chart::static_checks(&mut summary, &helm)?;
        say::step("Traces, which are not in the default build");
        let mut command = workspace::cargo();
        command
            .args([
                "test",
                "--package",
                "windlass",
                "--features",
                "otel",
                "--lib",
                "--test",
                "it",
                "traces::",
            ])
            .env(devcluster::OVERRIDE, &devcluster);
        summary.run("traces", command)?;

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

/// Whether a test of this module is among those that run with these arguments. The tests themselves tell:
/// a filter may be any part of a name.
fn reaches(module: &str, arguments: &[String]) -> Result<bool> {
    let mut command = workspace::cargo();
    command.args(["test", "--workspace"]).args(arguments);
    if !arguments.iter().any(|it| it == "--") {
        command.arg("--");
    }
    command.arg("--list").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().context("list the tests")?;
    let listed = String::from_utf8_lossy(&output.stdout);
    // Should they not compile, the run that follows says so.
    Ok(listed.lines().any(|line| line.starts_with(module)))
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

    /// Runs the Rust tests. Those on the real API server that fail among all the others run once more
    /// by themselves: three clusters on two cores are slow enough to make a deadline pass. What passed
    /// only then is said, by name: it is a test to be mended, but no reason to refuse a change.
    fn run_rust(&mut self, mut command: Command, devcluster: &Path, helm: &Path) -> Result<()> {
        let name = "cargo test --workspace";
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("run {name}"))?;
        let mut failed = Failed::default();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines() {
                let line = line.context("read the output of the tests")?;
                println!("{line}");
                failed.read(&line);
            }
        }
        let passed = child.wait().with_context(|| format!("wait for {name}"))?.success();
        let again = failed.worth_another_run();
        if passed || again.is_empty() {
            self.add(name, started.elapsed(), passed);
            return Ok(());
        }
        self.add(&format!("{name} (but for {})", again.len()), started.elapsed(), true);
        say::step(format_args!("Once more, two at a time: {}", again.join(", ")));
        let mut command = workspace::cargo();
        command
            .args([
                "test",
                "--workspace",
                "--no-fail-fast",
                "--test",
                "it",
                "--test",
                "agent",
                "--",
                "--exact",
                "--test-threads",
                "2",
            ])
            .args(&again)
            .env(devcluster::OVERRIDE, devcluster)
            .env(helm::VARIABLE, helm)
            .env(image::FOLDER, image::folder()?);
        self.run(&format!("UNSTEADY, passed only alone: {}", again.join(", ")), command)
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

/// The tests that failed, by the lines of the test runner.
#[derive(Default)]
struct Failed {
    names: Vec<String>,
    elsewhere: bool,
}

impl Failed {
    fn read(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|line| line.strip_suffix(" ... FAILED"))
        {
            // Unit tests live in modules called tests, or play simulations; doc tests have a file's name.
            let unit = ["tests::", "simulation::", ".rs"];
            self.elsewhere |= unit.iter().any(|part| name.contains(part));
            self.names.push(name.to_owned());
        }
    }

    /// Empty when something failed that has no excuse: unit tests do not depend on the machine.
    fn worth_another_run(self) -> Vec<String> {
        const FEW: usize = 12;
        if self.elsewhere || self.names.len() > FEW {
            return Vec::new();
        }
        self.names
    }
}
