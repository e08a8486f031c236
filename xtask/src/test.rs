//! `cargo xtask test`: everything that can fail, in one command.
//!
//! | file | does |
//! |---|---|
//! | [`rust`] | the `cargo test` commands |
//! | [`attempt`] | reads what the test runner says |
//! | [`summary`] | runs steps, in two lanes, and shows what each took |
//! | [`slowest`] | the scenarios that take longest |
//!
//! Scenarios mostly wait for a cluster. What mostly computes runs beside them, with a lower priority.

mod attempt;
mod rust;
mod slowest;
pub mod summary;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use clap::Args;

use self::rust::{RustTests, scenarios_at_a_time};
use self::summary::{Stopwatch, Summary};
use crate::{
    applications, chart, devcluster, helm, image,
    machine::{self, Tool},
    process::OURSELVES,
    say, workspace,
};

/// A test that takes the machine for itself: others would miss their deadlines beside it.
const CROWD: &str = "crowd::";

/// Tests of the chart installed from the images, which take a cluster of two kinds of nodes for themselves.
const IN_CLUSTER: &str = "in_cluster::";

// Always with `--workspace`: with one package alone cargo chooses other features of the crates that the
// packages share, and compiles nearly all of them once more.

/// Scenarios, and the tests of the library on a real API server.
const SCENARIOS: &[&str] = &["--workspace", "--test", "it"];

/// All other test programs; a test compares with what cargo knows. Examples are only compiled.
pub const UNIT_TESTS: &[&str] = &[
    "--workspace",
    "--lib",
    "--bins",
    "--examples",
    "--test",
    "agent",
    "--test",
    "architecture",
];

/// Examples in the documentation.
const DOCUMENTATION: &[&str] = &["--workspace", "--doc"];

/// Traces are not in the default build.
const TRACES: &[&str] = &["--workspace", "--features", "windlass/otel", "--lib", "--test", "it"];

/// What to run.
#[derive(Args)]
pub struct Options {
    /// Show this many of the slowest scenarios.
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    slowest: usize,
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

    let stopwatch = Stopwatch::start();
    let devcluster = devcluster::build()?;
    summary.add("embedded Kubernetes built", stopwatch.took(), true);
    let stopwatch = Stopwatch::start();
    let helm = helm::build()?;
    summary.add("helm built", stopwatch.took(), true);
    // Those of the tests that need them fail by themselves, and say so.
    if let Err(error) = applications::fetch() {
        say::note(format_args!("no applications to run in pods: {error:#}"));
    }

    let images = image::folder()?;
    let times = slowest::file()?;
    let environment = [
        (devcluster::OVERRIDE, &*devcluster),
        (helm::VARIABLE, &*helm.helm),
        (image::FOLDER, &*images),
        (slowest::VARIABLE, &*times),
    ];
    let suite = Suite {
        environment: &environment,
        helm: &helm,
    };
    if options.arguments.is_empty() {
        suite.run(&mut summary)?;
    } else {
        let stopwatch = Stopwatch::start();
        let in_cluster = reaches(IN_CLUSTER, &options.arguments)?;
        summary.add("Rust tests compiled and listed", stopwatch.took(), true);
        if in_cluster {
            image::for_tests()?;
        }
        let tests = suite.tests(&["--workspace"], &[], scenarios_at_a_time());
        let arguments = options.arguments.clone();
        summary.run_rust("cargo test --workspace", &RustTests { arguments, ..tests })?;
    }
    slowest::print(&times, options.slowest)?;
    summary.print()
}

/// All tests, and where they find the programs that they run.
struct Suite<'run> {
    environment: &'run [(&'run str, &'run Path)],
    helm: &'run helm::Programs,
}

impl Suite<'_> {
    fn tests<'run>(&'run self, cargo: &'run [&'run str], arguments: &[&str], threads: usize) -> RustTests<'run> {
        RustTests {
            cargo,
            arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
            threads,
            environment: self.environment,
        }
    }

    fn run(&self, summary: &mut Summary) -> Result<()> {
        say::step("Compiling the Rust tests");
        let stopwatch = Stopwatch::start();
        // Tests that do not compile fail in their own steps, too.
        let windlass = workspace::build_tests(&["--workspace"]);
        if let Err(error) = &windlass {
            say::note(format_args!("{error:#}"));
        }
        summary.add("Rust tests compiled", stopwatch.took(), windlass.is_ok());

        let scenarios = scenarios_at_a_time();
        say::step(format_args!(
            "Scenarios on a real API server, {scenarios} at a time; what computes runs beside them"
        ));
        summary.run_beside(
            |front| {
                let others = ["--", "--skip", CROWD, "--skip", IN_CLUSTER];
                front.run_rust("scenarios", &self.tests(SCENARIOS, &others, scenarios))
            },
            |side| {
                side.run_rust("unit tests", &self.tests(UNIT_TESTS, &[], 8))?;
                let images = ours(&["test-images"]);
                side.run("cargo xtask image, controller and agent", &images)?;
                side.run_rust("examples in documentation", &self.tests(DOCUMENTATION, &[], 8))?;
                chart::static_checks(side, self.helm)?;
                if let Ok(windlass) = &windlass {
                    let mut generate = ours(&["generate", "--check", "--windlass"]);
                    generate.arg(windlass);
                    side.run("cargo xtask generate --check", &generate)?;
                }
                side.run("go vet (tests/cluster)", &go(&["vet"]))
            },
        )?;

        say::step("A thousand workloads at once, while nothing else runs");
        summary.run_rust("a thousand workloads at once", &self.tests(SCENARIOS, &[CROWD], 1))?;

        say::step("Installed with helm from the images, on a real node; what computes runs beside it");
        summary.run_beside(
            |front| front.run_rust("installed with helm", &self.tests(SCENARIOS, &[IN_CLUSTER], 1)),
            |side| side.run("go test -vet=off (tests/cluster)", &go(&["test", "-vet=off"])),
        )?;

        // Last and alone: this build puts another `windlass` where scenarios find theirs, and any other cargo puts
        // the usual one back.
        say::step("Traces");
        summary.run_rust("traces", &self.tests(TRACES, &["traces::"], 2))
    }
}

/// Another command of ours.
pub fn ours(arguments: &[&str]) -> Command {
    let mut command = Command::new(OURSELVES);
    command.args(arguments);
    command
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
