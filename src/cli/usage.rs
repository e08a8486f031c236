//! What is wrong with the arguments or the environment, in one line that names the flag or the variable and what it
//! accepts. clap's own text has several lines, with usage and hints.

use std::env;
use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use crate::flags::{Conflict, SecretNotAccepted};

/// The arguments or the environment are wrong. Always one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct UsageError(String);

/// What was given, and what could have been.
pub(super) struct Usage<'a> {
    known: &'a Command,
    /// The command that was named.
    named: Option<&'a Command>,
    args: &'a [OsString],
}

impl<'a> Usage<'a> {
    pub(super) fn new(known: &'a Command, args: &'a [OsString]) -> Self {
        let named = args.get(1).and_then(|name| known.find_subcommand(name));
        Self { known, named, args }
    }

    /// Flags that do not fit together.
    pub(super) fn conflict(&self, conflict: &Conflict) -> UsageError {
        let Conflict { flag, why, accepts } = conflict;
        let arg = self.flag(flag);
        let origin = arg.map_or_else(|| format!("--{flag}"), |arg| self.origin(arg));
        let accepts = accepts.map_or_else(|| accepted(arg), ToOwned::to_owned);
        UsageError(format!("{origin}: {why}; accepts {accepts}"))
    }

    /// clap's error.
    pub(super) fn error(&self, error: &clap::Error) -> UsageError {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.as_str(),
            // A list comes sorted by likeness, the best at the end.
            Some(ContextValue::Strings(texts)) => texts.last().map_or("", String::as_str),
            _ => "",
        };
        let suggestion = |kind| match text(kind) {
            "" => String::new(),
            near => format!("; did you mean {near}?"),
        };
        // clap writes "--settle <DURATION>".
        let arg = text(ContextKind::InvalidArg);
        let name = arg.split([' ', '=', '[']).next().unwrap_or_default();
        let flag = name.strip_prefix("--").and_then(|name| self.flag(name));
        let accepts = accepted(flag);
        let value = text(ContextKind::InvalidValue);
        UsageError(match error.kind() {
            ErrorKind::UnknownArgument if name.starts_with('-') => format!(
                "unknown flag {name}{}; windlass {}--help lists all",
                suggestion(ContextKind::SuggestedArg),
                self.named
                    .map_or_else(String::new, |command| format!("{} ", command.get_name()))
            ),
            ErrorKind::UnknownArgument => {
                format!("unexpected argument {arg:?}; windlass --help shows what is accepted")
            }
            ErrorKind::InvalidSubcommand => format!(
                "unknown command {:?}{}; accepted: {}",
                text(ContextKind::InvalidSubcommand),
                suggestion(ContextKind::SuggestedSubcommand),
                self.commands()
            ),
            ErrorKind::MissingSubcommand => format!("a command is missing; accepted: {}", self.commands()),
            ErrorKind::MissingRequiredArgument => format!("{name} is missing; accepts {accepts}"),
            ErrorKind::ArgumentConflict => format!("{name}: given more than once"),
            ErrorKind::InvalidValue | ErrorKind::TooManyValues | ErrorKind::NoEquals if value.is_empty() => {
                format!("{name}: its value is missing; accepts {accepts}")
            }
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
                let origin = flag.map_or_else(|| name.to_owned(), |flag| self.origin(flag));
                if error
                    .source()
                    .is_some_and(<dyn std::error::Error>::is::<SecretNotAccepted>)
                {
                    format!("{origin}: its value, not shown here, is not valid; accepts {accepts}")
                } else {
                    // In quotes and escaped, so that whatever it holds stays on one line.
                    format!("{origin}: {value:?} is not valid; accepts {accepts}")
                }
            }
            ErrorKind::InvalidUtf8 => match self.variable_without_text() {
                Some(flag) => format!(
                    "{}: its value is not text; accepts {}",
                    self.origin(flag),
                    accepted(Some(flag))
                ),
                None => "an argument is not text".to_owned(),
            },
            // What is left has no case of its own: clap's first line without its prefix.
            _ => {
                let full = error.to_string();
                let first = full.lines().next().unwrap_or_default();
                first.trim_start_matches("error: ").to_owned()
            }
        })
    }

    fn flag(&self, name: &str) -> Option<&'a Arg> {
        self.named?.get_arguments().find(|arg| arg.get_long() == Some(name))
    }

    /// The flag or the variable that the value came from.
    fn origin(&self, arg: &Arg) -> String {
        let flag = format!("--{}", arg.get_long().unwrap_or_default());
        if self.is_given(arg) {
            return flag;
        }
        let variable = arg.get_env().filter(|name| env::var_os(name).is_some());
        variable.map_or(flag, |name| name.to_string_lossy().into_owned())
    }

    /// Whether the flag is on the command line, which wins over the environment.
    fn is_given(&self, arg: &Arg) -> bool {
        let name = arg.get_long().unwrap_or_default();
        let is_flag = |word: &OsString| {
            let word = word.to_string_lossy();
            let rest = word.strip_prefix("--").and_then(|word| word.strip_prefix(name));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        self.args.iter().any(is_flag)
    }

    fn variable_without_text(&self) -> Option<&'a Arg> {
        let without_text = |arg: &&Arg| {
            let value = arg.get_env().and_then(env::var_os);
            !self.is_given(arg) && value.is_some_and(|value| value.to_str().is_none())
        };
        self.named?.get_arguments().find(without_text)
    }

    /// The names of all commands.
    fn commands(&self) -> String {
        let shown = self.known.get_subcommands().filter(|command| !command.is_hide_set());
        let names: Vec<&str> = shown.map(Command::get_name).collect();
        match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            _ => names.concat(),
        }
    }
}

/// What a flag accepts, from the paragraph of its help that begins so.
pub(super) fn accepted(flag: Option<&Arg>) -> String {
    let help = flag.and_then(Arg::get_long_help).map(ToString::to_string);
    let help = help.unwrap_or_default();
    let accepts = help
        .split("\n\n")
        .find_map(|paragraph| paragraph.strip_prefix("Accepts "));
    let accepts = accepts.map(|text| text.strip_suffix('.').unwrap_or(text));
    accepts.unwrap_or("no other value").to_owned()
}
