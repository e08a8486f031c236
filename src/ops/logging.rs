//! Logs: one line per event on standard error, as text or as JSON.

use std::error::Error;
use std::fmt;
use std::io;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, Targets, filter_fn};
use tracing_subscriber::fmt::{MakeWriter, layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[cfg(test)]
mod tests;

/// kube logs a whole response body under this target, at WARN, when it cannot decode it. The body
/// may be a Secret, so nothing under the target is ever logged, whatever level was asked for.
///
/// Its watcher repeats every failure at every try, with all that the server said; what is wrong with
/// a watch is said by us, once.
const NEVER_LOGGED: [&str; 2] = ["kube_client::client", "kube_runtime::watcher"];

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, target, message, fields.
    #[default]
    Text,
    /// For machines: one JSON object per line, fields at its top level, time in RFC 3339.
    Json,
}

impl FromStr for LogFormat {
    type Err = LogFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogFormatError),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not text or json")]
pub struct LogFormatError;

/// What is logged: a level, and levels of single targets, such as `info,kube=debug`.
///
/// A target stands for all that begin with it, as the paths of modules do; the longest that fits
/// counts. The format is a small part of what `tracing` filters know, without regular expressions
/// and the memory that they take.
#[derive(Clone, PartialEq)]
pub struct LogLevel {
    text: String,
    targets: Targets,
    /// The most verbose of all, so that less important events cost next to nothing.
    most: LevelFilter,
}

/// Which part of a log level cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a log level")]
pub struct LogLevelError(String);

impl FromStr for LogLevel {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A bare word that is no level must not pass: `Targets` would take `inof` for a target and
        // log everything of it, and nothing else.
        let mut targets = Targets::new();
        let mut most = LevelFilter::OFF;
        for part in text.split(',').map(str::trim) {
            let bad = || LogLevelError(part.to_owned());
            let level = match part.split_once('=') {
                None => {
                    let level = level(part).ok_or_else(bad)?;
                    targets = targets.with_default(level);
                    level
                }
                Some((target, word)) if is_target(target) => {
                    let level = level(word).ok_or_else(bad)?;
                    targets = targets.with_target(target, level);
                    level
                }
                Some(_) => return Err(bad()),
            };
            most = most.max(level);
        }
        Ok(Self {
            text: text.to_owned(),
            targets,
            most,
        })
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevel").field(&self.text).finish()
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn level(word: &str) -> Option<LevelFilter> {
    match word {
        "off" => Some(LevelFilter::OFF),
        "error" => Some(LevelFilter::ERROR),
        "warn" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

fn is_target(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_:-.".contains(c))
}

/// Starts logging to standard error, for the rest of the process.
///
/// # Errors
/// When logging was started before.
pub fn init(format: LogFormat, level: &LogLevel) -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(subscriber(format, level, io::stderr).try_init()?)
}

fn subscriber<W>(format: LogFormat, level: &LogLevel, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let registry = tracing_subscriber::registry().with(filter(level));
    let lines = layer().with_writer(writer).with_ansi(false);
    match format {
        LogFormat::Text => Box::new(registry.with(lines)),
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true).with_span_list(false))),
    }
}

fn filter(level: &LogLevel) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + use<>> {
    let targets = level.targets.clone();
    filter_fn(move |metadata| {
        let never = NEVER_LOGGED.iter().any(|target| metadata.target().starts_with(target));
        !never && targets.would_enable(metadata.target(), metadata.level())
    })
    .with_max_level_hint(level.most)
}
