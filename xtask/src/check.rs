//! `cargo xtask check`: what one runs before each commit.

use anyhow::Result;

use crate::{
    lint,
    machine::{self, Tool},
    say,
    test::{
        UNIT_TESTS, ours,
        summary::{Stopwatch, Summary},
    },
    workspace,
};

/// Histories of each simulation. `cargo xtask test` plays many more.
const SIMULATIONS: &str = "100";

/// Cases of each property that does not ask for a number of its own.
const CASES: &str = "32";

/// Runs everything that is quick; fails when one step fails, after all have run.
pub fn run() -> Result<()> {
    machine::require(&[Tool::Rustfmt, Tool::Clippy])?;
    let mut summary = Summary::default();

    say::step("Format and lints");
    lint::format(&mut summary)?;
    lint::default_clippy(&mut summary)?;

    say::step("Unit tests and properties, with few histories");
    let stopwatch = Stopwatch::start();
    let windlass = workspace::build_tests(UNIT_TESTS);
    summary.add("tests compiled", stopwatch.took(), windlass.is_ok());
    match windlass {
        Ok(windlass) => {
            let mut tests = workspace::cargo();
            tests.args(["test", "--quiet", "--no-fail-fast"]).args(UNIT_TESTS);
            tests.env("WINDLASS_SIMULATIONS", SIMULATIONS);
            tests.env("PROPTEST_CASES", CASES);
            summary.run("unit tests", &tests)?;

            say::step("Generated files");
            let mut generate = ours(&["generate", "--check", "--windlass"]);
            generate.arg(windlass);
            summary.run("cargo xtask generate --check", &generate)?;
        }
        Err(error) => say::note(format_args!("{error:#}")),
    }
    summary.print()
}
