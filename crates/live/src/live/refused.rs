//! Why a version of a key was not taken.

use std::sync::Arc;

use super::parse::{ParseError, Position};
use crate::snapshot::Unreadable;

/// Why a version of a key was not taken. Names the key and, where the format can say, the position; the
/// content of a secret source is never quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {key}{}: {problem}", .position.map(|at| format!(", {at}")).unwrap_or_default())]
pub struct Refused {
    /// The key.
    pub key: Arc<str>,
    /// Where in its content.
    pub position: Option<Position>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a version of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There is no such key.
    #[error("is missing")]
    Missing,
    /// There is one, and it cannot be read.
    #[error("{0}")]
    Unreadable(Unreadable),
    /// It is not of the format, or not of the type.
    #[error("{0}")]
    Syntax(String),
    /// A validator refused it.
    #[error("{0}")]
    Invalid(String),
    /// The parser or a validator panicked.
    #[error("the parser or a validator panicked")]
    Panicked,
}

impl Problem {
    /// One word out of a fixed list, for the label of a metric.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable(_) => "unreadable",
            Self::Syntax(_) => "syntax",
            Self::Invalid(_) => "invalid",
            Self::Panicked => "panicked",
        }
    }
}

impl Refused {
    pub(super) fn new(key: &Arc<str>, problem: Problem) -> Self {
        Self {
            key: Arc::clone(key),
            position: None,
            problem,
        }
    }

    pub(super) fn syntax(key: &Arc<str>, error: ParseError, secret: bool) -> Self {
        let message = if secret {
            "does not have the expected form (secret, not shown)".to_owned()
        } else {
            error.message
        };
        Self {
            key: Arc::clone(key),
            position: error.position,
            problem: Problem::Syntax(message),
        }
    }

    pub(super) fn invalid(key: &Arc<str>, message: String, secret: bool) -> Self {
        let message = if secret {
            "failed validation (secret, not shown)".to_owned()
        } else {
            message
        };
        Self::new(key, Problem::Invalid(message))
    }
}
