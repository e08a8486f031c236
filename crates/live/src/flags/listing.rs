//! What people see of flags.

use std::fmt;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::{
    Kind, View,
    slot::{Slot, Value},
    timestamp,
};

/// A flag as people see it. Values of secret ones are `***`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether it follows its key.
    pub kind: Kind,
    /// What its value is, such as `duration`.
    #[serde(rename = "type")]
    pub value_type: String,
    /// Its value.
    pub value: String,
    /// Its default.
    pub default: String,
    /// Where the value is from.
    pub source: Origin,
    /// When it changed last, in UTC as in RFC 3339; unset if it did not since the start.
    pub last_change: Option<String>,
    /// What is wrong with its key at present.
    pub last_error: Option<String>,
    /// What it will be after a restart, if that is something else.
    pub after_restart: Option<String>,
    /// Whether its value is masked.
    pub secret: bool,
    /// What it is for.
    pub help: String,
}

/// Where the value of a flag is from. In JSON it is the text that people see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The program.
    #[default]
    Default,
    /// The command line.
    CommandLine,
    /// A key of the source.
    Key(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::CommandLine => formatter.write_str("command line"),
            Self::Key(key) => write!(formatter, "key {key}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is known of a flag besides its value.
#[derive(Clone, Default)]
pub(super) struct Record {
    pub(super) origin: Origin,
    pub(super) changed: Option<SystemTime>,
    pub(super) error: Option<String>,
    /// What its key says, where it takes a restart to become true.
    pub(super) pending: Option<Value>,
}

pub(super) fn list(slots: &[Slot], view: &View, records: &[Record]) -> Vec<Listed> {
    let flags = slots.iter().zip(&view.0.0).zip(records);
    flags
        .map(|((slot, value), record)| {
            let Record {
                origin,
                changed,
                error,
                pending,
            } = record.clone();
            Listed {
                name: slot.name.to_string(),
                kind: slot.kind,
                value_type: slot.typed.kind(),
                value: slot.show(value),
                default: slot.show(&slot.default),
                source: origin,
                last_change: changed.map(timestamp::rfc3339),
                last_error: error,
                after_restart: pending.map(|value| slot.show(&value)),
                secret: slot.secret,
                help: slot.help.clone(),
            }
        })
        .collect()
}
