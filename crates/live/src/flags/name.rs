//! The name of a flag, and the keys that stand for it.

use std::{fmt, sync::Arc};

/// Longest key of a `ConfigMap`.
const LONGEST: usize = 253;

/// The name of a flag, which is a key of a `ConfigMap` as well.
///
/// `-` and `_` are the same: `max-connections` is also found under `max_connections`, and the other way
/// round. On the command line it has `--` before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name(Arc<str>);

/// Why a text cannot be the name of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is no text.
    #[error("is empty")]
    Empty,
    /// Keys have at most 253 characters.
    #[error("has more than {LONGEST} characters, the limit of a ConfigMap key")]
    TooLong,
    /// Keys have no other characters.
    #[error("contains {0:?}; a ConfigMap key has only letters, digits, '-', '_' and '.'")]
    Character(char),
    /// On the command line `--` and the name would not be told apart.
    #[error("does not start with a letter or digit")]
    Begin,
}

impl Name {
    pub(super) fn new(text: &str) -> Result<Self, NameError> {
        let foreign = |character: &char| !(character.is_ascii_alphanumeric() || "-_.".contains(*character));
        match text.chars().next() {
            None => Err(NameError::Empty),
            Some(_) if text.len() > LONGEST => Err(NameError::TooLong),
            Some(first) => match text.chars().find(foreign) {
                Some(character) => Err(NameError::Character(character)),
                // This also leaves out "..", with which no key begins.
                None if !first.is_ascii_alphanumeric() => Err(NameError::Begin),
                None => Ok(Self(Arc::from(text))),
            },
        }
    }

    /// The keys that stand for it: as registered, and all in `-`, and all in `_`.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys = vec![self.0.to_string(), self.0.replace('_', "-"), self.0.replace('-', "_")];
        keys.sort();
        keys.dedup();
        keys
    }

    pub(super) fn is_written(&self, text: &str) -> bool {
        self.keys().iter().any(|key| key == text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
