//! The command line: raw arguments, then a validated configuration, then the command itself.
//!
//! Everything that a person or a manifest can get wrong is found here, before anything starts, and
//! told in one line with exit code 2. What comes out has types that cannot hold a wrong value.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::controller::ControllerConfig;
use crate::ops::logging::{self, LogFormat};

mod args;
mod config;
mod selector;

/// What the arguments ask for.
#[derive(Debug)]
enum Command {
    Controller(Box<ControllerConfig>),
    /// Help, version or definitions, for standard output.
    Print(String),
}

/// The arguments or the environment are wrong. Always one line, which names the flag or the
/// variable and what it accepts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct UsageError(String);

/// Runs the program: exit code 0 when done, 1 after an error, 2 after a wrong argument.
#[must_use]
pub fn run() -> ExitCode {
    match parse(env::args_os(), &|name| env::var_os(name)) {
        Ok(Command::Print(text)) => {
            // Whoever closed the pipe early has read what it wanted.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Command::Controller(config)) => {
            let format = config.log_format;
            controller(*config).map_or_else(|error| failed(format, &error), |()| ExitCode::SUCCESS)
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(2)
        }
    }
}

fn parse(
    args: impl IntoIterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Command, UsageError> {
    Ok(match args::parse(args)? {
        args::Parsed::Print(text) => Command::Print(text),
        args::Parsed::Controller(raw) => Command::Controller(Box::new(ControllerConfig::new(*raw, env)?)),
    })
}

fn controller(config: ControllerConfig) -> anyhow::Result<()> {
    logging::init(config.log_format, &config.log_level).map_err(anyhow::Error::from_boxed)?;
    // One thread is enough, and faster than several: the API server's time is all that counts, and
    // with two workers a change pays for waking the other one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(crate::controller::run(config));
    // A name lookup that hangs on a thread of its own must not hold up the end.
    runtime.shutdown_background();
    result
}

fn failed(format: LogFormat, error: &anyhow::Error) -> ExitCode {
    let error = one_line(&format!("{error:#}"));
    match format {
        // A reader that expects JSON gets JSON to the last line.
        LogFormat::Json => tracing::error!(%error, "windlass ended"),
        LogFormat::Text => complain(&error),
    }
    ExitCode::FAILURE
}

fn complain(text: &str) {
    // With standard error closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "windlass: {}", one_line(text));
}

/// Line breaks from deep inside an error would tear one message into several log lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
