//! How a command runs and ends: its runtime, its exit code, what it says last.

use std::io::{self, Write as _};
use std::process::ExitCode;

use tokio::runtime::Builder;
use windlass_core::types::text::one_line;

use crate::ops::logging::{self, LogFormat, LogLevel};

/// Prints to standard output.
pub(super) fn print(text: &str) -> ExitCode {
    // Whoever closed the pipe early has read what it wanted.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Runs until the work is done, with logs.
pub(super) fn run(
    format: LogFormat,
    level: &LogLevel,
    runtime: Builder,
    work: impl Future<Output = anyhow::Result<()>>,
) -> ExitCode {
    match start(format, level, runtime, work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(format, &error),
    }
}

fn start(
    format: LogFormat,
    level: &LogLevel,
    mut runtime: Builder,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    logging::init(format, level).map_err(anyhow::Error::from_boxed)?;
    let runtime = runtime.enable_all().build()?;
    let result = runtime.block_on(work);
    // What hangs on a thread of its own, such as a name lookup, must not hold up the end.
    runtime.shutdown_background();
    result
}

fn failed(format: LogFormat, error: &anyhow::Error) -> ExitCode {
    let error = one_line(&format!("{error:#}"));
    match format {
        // A reader that expects JSON gets JSON to the last line.
        LogFormat::Json => tracing::error!(%error, "windlass failed"),
        LogFormat::Text => complain(&error),
    }
    ExitCode::FAILURE
}

/// Says what is wrong, on one line: line breaks from deep inside an error would look like several.
pub(super) fn complain(text: &str) {
    // With standard error closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "windlass: {}", one_line(text));
}
