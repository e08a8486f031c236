//! How long each scenario took, for those who want the tests to be faster.

use std::{env, fs::OpenOptions, io::Write as _, thread, time::Instant};

/// The file for the times; `cargo xtask test` sets it.
const FILE: &str = "WINDLASS_TEST_TIMES";

/// Writes the time down when it is dropped, also when the scenario fails.
pub struct Stopwatch {
    name: String,
    started: Instant,
}

impl Stopwatch {
    /// From now on, for the scenario that the present thread runs. The test runner names threads by tests.
    pub fn start() -> Self {
        Self {
            name: thread::current().name().unwrap_or("main").to_owned(),
            started: Instant::now(),
        }
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        let Some(file) = env::var_os(FILE) else { return };
        let line = format!("{} {}\n", self.started.elapsed().as_millis(), self.name);
        // One write for each line: other scenarios append at the same time.
        let written = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&file)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            println!("no time in {}: {error}", file.display());
        }
    }
}
