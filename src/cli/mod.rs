//! The command line: one file a command.
//!
//! Everything that a person or a manifest can get wrong is found here, before anything starts, and
//! told in one line with exit code 2. What comes out has types that cannot hold a wrong value.
//!
//! The flags of a command are the fields of its configuration (`config.rs`, `agent/config.rs`); clap
//! reads them from the command line, else from the environment, else takes the default.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

#[cfg(feature = "agent")]
mod agent;
#[cfg(feature = "controller")]
mod controller;
#[cfg(feature = "controller")]
mod crds;
#[cfg(feature = "controller")]
mod metrics_reference;
mod process;
#[cfg(all(test, feature = "controller", feature = "agent"))]
mod tests;
mod usage;
mod version;

use self::usage::{Usage, UsageError};
use crate::flags::Conflict;
use crate::ops::VERSION;

// As a constant and not as a doc comment, where the name of a kind needs marks that help would show.
const ABOUT: &str = "\
Rolls out workloads when the configuration they use changes.

When a ConfigMap or Secret changes, Windlass rolls out every workload that uses it and opts in, once.";

#[derive(Debug, Parser)]
#[command(
    name = "windlass",
    about = ABOUT,
    disable_help_subcommand = true,
    max_term_width = 100,
    arg_required_else_help = false
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

/// The commands. Each has a file of its name, with its help, its examples and what it does.
#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "agent")]
    Agent(Box<agent::Agent>),
    #[cfg(feature = "controller")]
    Controller(Box<controller::Controller>),
    #[cfg(feature = "controller")]
    Crds(crds::Crds),
    #[cfg(feature = "controller")]
    MetricsReference(metrics_reference::MetricsReference),
    Version(version::Version),
}

/// What a command is besides its flags.
trait Run {
    /// Checks the flags with each other.
    fn check(&mut self) -> Result<(), Conflict> {
        Ok(())
    }

    fn run(self) -> ExitCode;
}

impl Command {
    fn check(&mut self) -> Result<(), Conflict> {
        match self {
            #[cfg(feature = "agent")]
            Self::Agent(command) => command.check(),
            #[cfg(feature = "controller")]
            Self::Controller(command) => command.check(),
            #[cfg(feature = "controller")]
            Self::Crds(command) => command.check(),
            #[cfg(feature = "controller")]
            Self::MetricsReference(command) => command.check(),
            Self::Version(command) => command.check(),
        }
    }

    fn run(self) -> ExitCode {
        match self {
            #[cfg(feature = "agent")]
            Self::Agent(command) => command.run(),
            #[cfg(feature = "controller")]
            Self::Controller(command) => command.run(),
            #[cfg(feature = "controller")]
            Self::Crds(command) => command.run(),
            #[cfg(feature = "controller")]
            Self::MetricsReference(command) => command.run(),
            Self::Version(command) => command.run(),
        }
    }
}

/// Why no command runs.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// Help or the version was asked for: this text.
    Print(String),
    Wrong(UsageError),
}

/// Runs the program: exit code 0 when done, 1 after an error, 2 after a wrong argument.
#[must_use]
pub fn run() -> ExitCode {
    match parse(env::args_os()) {
        Ok(command) => command.run(),
        Err(Stop::Print(text)) => process::print(&text),
        Err(Stop::Wrong(error)) => {
            process::complain(&error.to_string());
            ExitCode::from(2)
        }
    }
}

/// Reads the command line, program name first.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Stop> {
    let args: Vec<OsString> = args.into_iter().collect();
    let known = known();
    let usage = Usage::new(&known, &args);
    let parsed = known
        .clone()
        .try_get_matches_from(&args)
        .and_then(|matches| Args::from_arg_matches(&matches));
    match parsed {
        Ok(Args { mut command }) => match command.check() {
            Ok(()) => Ok(command),
            Err(conflict) => Err(Stop::Wrong(usage.conflict(&conflict))),
        },
        Err(error) => Err(match error.kind() {
            ErrorKind::DisplayVersion => Stop::Print(version::text()),
            ErrorKind::DisplayHelp => Stop::Print(error.render().to_string()),
            _ => Stop::Wrong(usage.error(&error)),
        }),
    }
}

/// The commands and flags, with what all flags have in common.
fn known() -> clap::Command {
    let commands = Args::command().version(VERSION);
    commands.mut_subcommands(|command| command.mut_args(common))
}

fn common(arg: Arg) -> Arg {
    // "-1" is a bad value and not an unknown flag. A variable may hold a secret, which help must not show.
    let mut arg = arg.allow_negative_numbers(true).hide_env_values(true);
    if arg.get_value_names().is_some_and(|names| names == ["BOOL"]) {
        arg = arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true);
    }
    if arg.get_default_values() == [OsStr::new("")] {
        arg = arg.hide_default_value(true);
    }
    // An empty variable counts as not set: charts like to set all of them.
    let empty = arg
        .get_env()
        .and_then(env::var_os)
        .is_some_and(|value| value.is_empty());
    if empty { arg.env(None::<&'static str>) } else { arg }
}
