//! `--name value`, `--name=value`, and `--name` of a flag that can stand alone.

use std::collections::VecDeque;

use super::slot::{Slot, Value};

/// Why a command line was not understood. The value of a secret flag is not quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandLineError {
    /// No flag has this name.
    #[error("unknown flag --{name}")]
    Unknown {
        /// As it was written, without the dashes.
        name: String,
    },
    /// The flag needs a value and has none.
    #[error("--{name} needs a value: {kind}")]
    NoValue {
        /// The flag.
        name: String,
        /// What its value is.
        kind: String,
    },
    /// A flag was given twice.
    #[error("--{name} is set twice")]
    Twice {
        /// The flag.
        name: String,
    },
    /// The value is not of the flag's kind, or a validator refused it.
    #[error("--{name}: {message}")]
    Value {
        /// The flag.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// `--help` or `-h` is there: show [`FlagSet::help`](super::FlagSet::help).
    #[error("help requested")]
    Help,
}

/// Takes the flags out of a command line without the program's name; returns what is left. All or none
/// of the values are taken.
pub(super) fn take(
    slots: &mut [Slot],
    arguments: impl IntoIterator<Item = String>,
) -> Result<Vec<String>, CommandLineError> {
    let mut arguments: VecDeque<String> = arguments.into_iter().collect();
    let mut given = Vec::<(usize, Value)>::new();
    let mut rest = Vec::new();
    while let Some(argument) = arguments.pop_front() {
        if argument == "--" {
            rest.extend(arguments);
            break;
        }
        if argument == "-h" || argument == "--help" {
            return Err(CommandLineError::Help);
        }
        let Some(flag) = argument.strip_prefix("--") else {
            rest.push(argument);
            continue;
        };
        let (written, inline) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        let (index, slot) = slots
            .iter()
            .enumerate()
            .find(|(_, slot)| slot.name.is_written(written))
            .ok_or_else(|| CommandLineError::Unknown {
                name: written.to_owned(),
            })?;
        let name = slot.name.to_string();
        if given.iter().any(|(other, _)| *other == index) {
            return Err(CommandLineError::Twice { name });
        }
        let text = match (inline, slot.typed.alone()) {
            (Some(text), _) => text,
            (None, Some(alone)) => alone.to_owned(),
            (None, None) => arguments.pop_front().ok_or_else(|| CommandLineError::NoValue {
                name: name.clone(),
                kind: slot.typed.kind(),
            })?,
        };
        let value = slot
            .parse(&text)
            .map_err(|message| CommandLineError::Value { name, message })?;
        given.push((index, value));
    }
    for (index, value) in given {
        if let Some(slot) = slots.get_mut(index) {
            slot.given = Some(value);
        }
    }
    Ok(rest)
}
