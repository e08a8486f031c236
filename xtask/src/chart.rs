//! `cargo xtask chart`: everything that can be wrong with the Helm chart.

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::{
    devcluster,
    helm::{self, Programs},
    machine::{self, Tool},
    say,
    test::summary::{Stopwatch, Summary},
    workspace::{self, root},
};

/// The tests of `tests/it` that render the chart.
const TESTS: &str = "chart";

/// Runs all tests of the chart; fails when one fails, after all have run.
pub fn run() -> Result<()> {
    machine::require(&[Tool::Go])?;
    let mut summary = Summary::default();
    let stopwatch = Stopwatch::start();
    let devcluster = devcluster::build()?;
    let programs = helm::build()?;
    summary.add("built what it needs", stopwatch.took(), true);
    static_checks(&mut summary, &programs)?;
    say::step("Rendered, on a real API server");
    let mut command = workspace::cargo();
    command
        .args(["test", "--workspace", "--test", "it", TESTS])
        .env(devcluster::OVERRIDE, &devcluster)
        .env(helm::VARIABLE, &programs.helm);
    summary.run("the chart on a real API server", &command)?;
    summary.print()
}

/// What needs no API server: lint, and the unit tests of all switches.
pub fn static_checks(summary: &mut Summary, programs: &Programs) -> Result<()> {
    let chart = root().join("charts/windlass");
    summary.run("helm lint", &command(&programs.helm, &["lint", "--strict"], &chart))?;
    summary.run("helm unittest", &command(&programs.unittest, &["--strict"], &chart))
}

fn command(program: &Path, arguments: &[&str], chart: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(chart).current_dir(root());
    command
}
