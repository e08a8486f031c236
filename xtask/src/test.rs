//! `cargo xtask test`: everything that can fail, in one command.

mod attempt;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use self::attempt::Attempt;
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

    if !options.arguments.is_empty() && reaches(IN_CLUSTER, &options.arguments)? {
        image::for_tests()?;
    }
    let images = image::folder()?;
    let environment = [
        (devcluster::OVERRIDE, &*devcluster),
        (helm::VARIABLE, &*helm.helm),
        (image::FOLDER, &*images),
    ];
    let rust = |cargo, arguments: &[String], threads| RustTests {
        cargo,
        arguments: arguments.to_vec(),
        threads,
        environment: &environment,
    };

    say::step("Rust: unit tests, integration tests on a real API server");
    let others = ["--", "--skip", CROWD, "--skip", IN_CLUSTER].map(str::to_owned);
    let arguments = if options.arguments.is_empty() {
        &others[..]
    } else {
        &options.arguments
    };
    // Integration tests wait for the cluster most of the time: one for each core would take three
    // times as long.
    summary.run_rust("cargo test --workspace", &rust(&["--workspace"], arguments, 8))?;

    if options.arguments.is_empty() {
        const IT: &[&str] = &["--package", "windlass", "--test", "it"];
        say::step("A thousand workloads at once, while nothing else runs");
        summary.run_rust("a thousand workloads at once", &rust(IT, &[CROWD.to_owned()], 1))?;

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
        summary.run_rust("installed with helm", &rust(IT, &[IN_CLUSTER.to_owned()], 1))?;

        chart::static_checks(&mut summary, &helm)?;
        say::step("Traces, which are not in the default build");
        let with_traces = ["--package", "windlass", "--features", "otel", "--lib", "--test", "it"];
        summary.run_rust("traces", &rust(&with_traces, &["traces::".to_owned()], 2))?;

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

    /// Runs Rust tests. Those that fail among all the others run once more, two at a time at most: three
    /// clusters on two cores are slow enough to make a deadline pass. What passed only then is said, by
    /// name: it is a test to be mended, but no reason to refuse a change.
    fn run_rust(&mut self, name: &str, tests: &RustTests<'_>) -> Result<()> {
        let started = Instant::now();
        let first = Attempt::run(name, tests.first())?;
        let again = first.worth_another();
        if again.is_empty() {
            self.add(name, started.elapsed(), first.succeeded());
            return Ok(());
        }
        self.add(&format!("{name} (but for {})", again.len()), started.elapsed(), true);
        let names = again.join(", ");
        say::step(format_args!("Once more: {names}"));
        let started = Instant::now();
        let passed = Attempt::run(name, tests.again(&again))?.proves(&again);
        let outcome = if passed {
            format!("UNSTEADY, passed only when run once more: {names}")
        } else {
            format!("failed twice: {names}")
        };
        self.add(&outcome, started.elapsed(), passed);
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

/// Tests that one `cargo test` runs.
struct RustTests<'run> {
    /// What cargo compiles.
    cargo: &'run [&'run str],
    /// What narrows them down, and goes to the test runner.
    arguments: Vec<String>,
    threads: usize,
    /// Where they find the programs that they run.
    environment: &'run [(&'run str, &'run Path)],
}

impl RustTests<'_> {
    fn first(&self) -> Command {
        let mut command = self.command();
        command.args(&self.arguments);
        // One means that others would be in its way, whatever somebody prefers for the rest.
        if self.threads == 1 || std::env::var_os("RUST_TEST_THREADS").is_none() {
            command.env("RUST_TEST_THREADS", self.threads.to_string());
        }
        command
    }

    fn again(&self, names: &[String]) -> Command {
        let mut command = self.command();
        // None of them is in the documentation, whose examples would be compiled.
        if !self.cargo.contains(&"--test") {
            command.arg("--tests");
        }
        let threads = self.threads.min(2).to_string();
        command.args(["--", "--exact", "--test-threads", &threads]).args(names);
        command
    }

    fn command(&self) -> Command {
        let mut command = workspace::cargo();
        command
            .args(["test", "--no-fail-fast"])
            .args(self.cargo)
            .envs(self.environment.iter().copied());
        command
    }
}
