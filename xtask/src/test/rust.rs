//! Rust tests that one `cargo test` runs.

use std::{path::Path, process::Command, thread};

use crate::workspace;

/// Scenarios of the whole program wait for the cluster most of the time. On two cores 67 of them took 160 s with
/// 8 at a time, 139 s with 12 and 123 s with 16.
const SCENARIOS_PER_CORE: usize = 8;
const FEWEST: usize = 8;
const MOST: usize = 32;

/// How many scenarios run at a time on this machine.
pub fn scenarios_at_a_time() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    (cores * SCENARIOS_PER_CORE).clamp(FEWEST, MOST)
}

/// What is compiled, which of its tests run, and with how many threads.
pub struct RustTests<'run> {
    /// What cargo compiles.
    pub cargo: &'run [&'run str],
    /// What narrows them down, and goes to the test runner.
    pub arguments: Vec<String>,
    pub threads: usize,
    /// Where they find the programs that they run.
    pub environment: &'run [(&'run str, &'run Path)],
}

impl RustTests<'_> {
    /// All of them.
    pub fn first(&self) -> Command {
        let mut command = self.command();
        command.args(&self.arguments);
        // One means that others would be in its way, whatever somebody prefers for the rest.
        if self.threads == 1 || std::env::var_os("RUST_TEST_THREADS").is_none() {
            command.env("RUST_TEST_THREADS", self.threads.to_string());
        }
        command
    }

    /// Only those with these names.
    pub fn again(&self, names: &[String]) -> Command {
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
