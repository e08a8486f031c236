//! One run of `cargo test`: what it says of each test.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

#[cfg(test)]
mod tests;

/// More than these are no accident.
const FEW: usize = 12;

/// How it ended, by its status and by the lines of the test runner.
#[derive(Default)]
pub struct Attempt {
    succeeded: bool,
    passed: BTreeSet<String>,
    failed: Vec<String>,
    programs_begun: usize,
    programs_ended: usize,
    failures_told: usize,
}

impl Attempt {
    /// Runs the command to its end, and writes what it prints into the log, or shows it.
    pub fn run(name: &str, mut command: Command, mut log: Option<File>) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("run {name}"))?;
        let mut attempt = Self::default();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines() {
                let line = line.context("read the output of the tests")?;
                match &mut log {
                    Some(log) => writeln!(log, "{line}").context("write the log of the tests")?,
                    None => println!("{line}"),
                }
                attempt.read(&line);
            }
        }
        attempt.succeeded = child.wait().with_context(|| format!("wait for {name}"))?.success();
        Ok(attempt)
    }

    fn read(&mut self, line: &str) {
        if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|it| it.rsplit_once(" ... ")) {
            match outcome {
                "ok" => drop(self.passed.insert(name.to_owned())),
                "FAILED" => self.failed.push(name.to_owned()),
                _ => {}
            }
        } else if line.starts_with("running ") && line.trim_end_matches('s').ends_with(" test") {
            self.programs_begun += 1;
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.programs_ended += 1;
            let failures = result.split("; ").find_map(|part| part.strip_suffix(" failed"));
            self.failures_told += failures.and_then(|it| it.parse::<usize>().ok()).unwrap_or_default();
        }
    }

    /// Nothing failed.
    pub fn succeeded(&self) -> bool {
        self.succeeded
    }

    /// The tests that failed, if these few are all that is wrong. Otherwise none: a second run of them would
    /// hide the rest, a program that crashed or that does not compile among it.
    pub fn worth_another(&self) -> Vec<String> {
        let failed: BTreeSet<&String> = self.failed.iter().collect();
        // A test of the documentation is named by its file and line, and waits for nothing.
        let accounted = self.failures_told == self.failed.len()
            && self.programs_begun == self.programs_ended
            && !failed.iter().any(|name| name.contains(".rs - "));
        if self.succeeded || !accounted || failed.len() > FEW {
            return Vec::new();
        }
        failed.into_iter().cloned().collect()
    }

    /// Whether each of these has run, and passed.
    pub fn proves(&self, names: &[String]) -> bool {
        self.succeeded && names.iter().all(|name| self.passed.contains(name))
    }
}
