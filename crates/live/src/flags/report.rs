//! What flags have to say when nobody asks.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// One flag or key with what is wrong with it. The value of a secret flag is not quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {message}")]
pub struct FlagProblem {
    /// The flag, or the key that is none.
    pub name: String,
    /// What is wrong, in one line.
    pub message: String,
}

/// Why the keys of a source were not taken: all that is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct FlagsError {
    /// At least one, in the order in which the flags were registered.
    pub problems: Vec<FlagProblem>,
}

/// Something that happened after the start and that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// A version was not taken: every dynamic flag stays as it was.
    Refused(FlagsError),
    /// A key could not be read; its flag stays as it was.
    Unreadable(FlagProblem),
    /// The key of a static flag is not a good value: as things are, the process would not start again.
    /// The other flags go on.
    WouldNotStart(FlagProblem),
    /// A static flag has another value now, which takes effect when the process is started again.
    NeedsRestart {
        /// The flag.
        flag: String,
    },
    /// Keys that are no flags.
    UnknownKeys {
        /// In the order of their names.
        keys: Vec<String>,
    },
    /// Notifiers of a flag panicked. All the others were told.
    NotifierPanicked {
        /// The flag.
        flag: String,
        /// How many.
        count: usize,
    },
}

impl Report {
    /// One word out of a fixed list, for the label of a metric.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Unreadable(_) => "unreadable",
            Self::WouldNotStart(_) => "would-not-start",
            Self::NeedsRestart { .. } => "needs-restart",
            Self::UnknownKeys { .. } => "unknown-keys",
            Self::NotifierPanicked { .. } => "notifier-panicked",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(formatter, "flags unchanged: {error}"),
            Self::Unreadable(problem) => write!(formatter, "flag unchanged: {problem}"),
            Self::WouldNotStart(problem) => write!(formatter, "would fail to start with this content: {problem}"),
            Self::NeedsRestart { flag } => write!(formatter, "{flag} changed; restart required"),
            Self::UnknownKeys { keys } => write!(formatter, "unknown keys: {}", keys.join(", ")),
            Self::NotifierPanicked { flag, count } => {
                write!(formatter, "{count} notifiers of {flag} panicked")
            }
        }
    }
}

/// Who is told.
#[derive(Clone)]
pub(super) struct Reporter(Arc<dyn Fn(&Report) + Send + Sync>);

impl Reporter {
    pub(super) fn new(function: impl Fn(&Report) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    pub(super) fn tell(&self, report: &Report) {
        // One that panics would end the following of all flags.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.0)(report)));
    }
}

impl Default for Reporter {
    /// A line on standard error: an application that says nothing else should not be left in silence.
    fn default() -> Self {
        Self::new(|report| eprintln!("windlass-live: {report}"))
    }
}
