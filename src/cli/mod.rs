//! The command line: raw arguments, then a validated configuration, then the command itself.
//!
//! Everything that a person or a manifest can get wrong is found here, before anything starts, and
//! told in one line with exit code 2. What comes out has types that cannot hold a wrong value.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use tokio::runtime::Builder;

#[cfg(feature = "agent")]
use crate::agent::AgentConfig;
#[cfg(feature = "controller")]
use crate::controller::ControllerConfig;
use crate::ops::logging::{self, LogFormat, LogLevel};

#[cfg(feature = "agent")]
mod agent;
mod args;
#[cfg(feature = "controller")]
mod config;
#[cfg(feature = "controller")]
mod selector;
mod setting;

/// What the arguments ask for.
#[derive(Debug)]
enum Command {
    #[cfg(feature = "controller")]
    Controller(Box<ControllerConfig>),
    #[cfg(feature = "agent")]
    Agent(Box<AgentConfig>),
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
        #[cfg(feature = "controller")]
        Ok(Command::Controller(config)) => {
            let (format, level) = (config.log_format, config.log_level.clone());
            ended(
                format,
                start(format, &level, controller_runtime(), crate::controller::run(*config)),
            )
        }
        #[cfg(feature = "agent")]
        Ok(Command::Agent(config)) => {
            let (format, level) = (config.log_format, config.log_level.clone());
            ended(
                format,
                start(format, &level, agent_runtime(), crate::agent::run(*config)),
            )
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
        #[cfg(feature = "agent")]
        args::Parsed::Agent(raw) => Command::Agent(Box::new(AgentConfig::new(*raw, env)?)),
        #[cfg(feature = "controller")]
        args::Parsed::Controller(raw) => Command::Controller(Box::new(ControllerConfig::new(*raw, env)?)),
    })
}

/// One thread is enough, and faster than several: the API server's time is all that counts, and with two
/// workers a change pays for waking the other one.
#[cfg(feature = "controller")]
fn controller_runtime() -> Builder {
    Builder::new_current_thread()
}

/// Files are read on one more thread, which is given back when nothing is to be read: memory counts.
#[cfg(feature = "agent")]
fn agent_runtime() -> Builder {
    let mut builder = Builder::new_current_thread();
    builder.max_blocking_threads(2).thread_stack_size(256 * 1024);
    builder
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

fn ended(format: LogFormat, result: anyhow::Result<()>) -> ExitCode {
    result.map_or_else(|error| failed(format, &error), |()| ExitCode::SUCCESS)
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

#[cfg(all(test, feature = "controller"))]
mod tests;
