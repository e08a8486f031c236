//! What the flags of all commands have in common: how their values are read.
//!
//! A flag is one field of a configuration. Its name, help, default, environment variable and parser are the
//! attributes of that field, and are nowhere else. A parser need not say what it accepts: an error takes that
//! from the paragraph of the help that begins with "Accepts" (`cli/usage.rs`).

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use windlass_core::types::duration;

/// A value that may be left out. An empty text means none, so that a wrapper can pass a variable that is empty.
///
/// The alias hides the `Option` from clap's derive, which would take it for a flag without a value otherwise.
pub type Optional<T> = Option<T>;

/// Values in one text, separated by commas. The alias hides the `Vec`, which would mean a flag to repeat.
#[cfg(feature = "controller")]
pub type List<T> = Vec<T>;

/// The value is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not accepted")]
pub struct NotAccepted;

/// The value is not accepted, and may be a secret, so that no error may repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not accepted")]
pub struct SecretNotAccepted;

/// Flags that are good by themselves, but not together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The flag to name, without its dashes.
    pub flag: &'static str,
    /// What is wrong with it.
    pub why: String,
    /// What is accepted instead. `None`: what the flag's help says.
    pub accepts: Option<&'static str>,
}

impl Conflict {
    /// A conflict of which the flag's help says what is accepted.
    pub fn new(flag: &'static str, why: impl Into<String>) -> Self {
        Self {
            flag,
            why: why.into(),
            accepts: None,
        }
    }
}

/// Reads an empty text as none, and any other with `read`.
pub fn optional<T>(
    read: impl Fn(&str) -> Option<T> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<Option<T>, NotAccepted> + Clone + Send + Sync + 'static {
    move |text| match text {
        "" => Ok(None),
        text => read(text).map(Some).ok_or(NotAccepted),
    }
}

/// Reads entries between commas, each with `read`. A blank text has none.
#[cfg(feature = "controller")]
pub fn list<T: Ord>(
    read: impl Fn(&str) -> Option<T> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<Vec<T>, NotAccepted> + Clone + Send + Sync + 'static {
    move |text| {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let entries = text.split(',').map(str::trim).map(&read);
        let mut entries = entries.collect::<Option<Vec<T>>>().ok_or(NotAccepted)?;
        entries.sort_unstable();
        entries.dedup();
        Ok(entries)
    }
}

/// Reads a duration within these limits.
pub fn duration(
    limits: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, NotAccepted> + Clone + Send + Sync + 'static {
    move |text| {
        duration::parse(text)
            .filter(|duration| limits.contains(duration))
            .ok_or(NotAccepted)
    }
}

/// Reads a whole number within these limits.
pub fn number<T: FromStr + PartialOrd + Clone + Send + Sync + 'static>(
    limits: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, NotAccepted> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok();
        number.filter(|number| limits.contains(number)).ok_or(NotAccepted)
    }
}

/// Reads a path. It may hold any bytes, and only opening it tells whether it is good.
pub fn path() -> impl TypedValueParser<Value = Option<PathBuf>> {
    OsStringValueParser::new().map(|path| (!path.is_empty()).then(|| path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Option<String> {
        (!text.is_empty() && text != "bad").then(|| text.to_owned())
    }

    #[cfg(feature = "controller")]
    #[test]
    fn a_list_is_sorted_without_repetition_and_may_be_empty() {
        let read = list(word);
        for (text, expected) in [
            ("", &[][..]),
            (" ", &[]),
            ("b,a", &["a", "b"]),
            (" a , b ,a", &["a", "b"]),
        ] {
            assert_eq!(read(text).expect(text), expected, "{text}");
        }
        for text in ["a,", ",a", "a,,b", "a,bad", ","] {
            assert_eq!(read(text), Err(NotAccepted), "{text}");
        }
    }

    #[test]
    fn an_optional_value_is_none_when_empty_and_checked_otherwise() {
        let read = optional(word);
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("a"), Ok(Some("a".to_owned())));
        assert_eq!(read("bad"), Err(NotAccepted));
    }

    #[test]
    fn a_duration_keeps_to_its_limits() {
        let read = duration(Duration::from_secs(1)..=Duration::from_hours(1));
        assert_eq!(read("60m"), Ok(Duration::from_hours(1)));
        for text in ["999ms", "1h1ns", "2", "-2s", "", "soon"] {
            assert_eq!(read(text), Err(NotAccepted), "{text}");
        }
    }
}
