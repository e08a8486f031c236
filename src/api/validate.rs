//! Checks of single values: the same bounds for the API server's schema and for Windlass.
//!
//! The installed schema may be an older or a later one, and a policy may be older than the schema. So
//! Windlass checks again what the schema checks, and the error names the field and what it accepts.

use jiff::SignedDuration;
use serde_json::Value;
use windlass_core::types::duration;

use super::Duration;
use super::schema::between;

/// What is wrong with a policy: the field, and what it accepts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.{field}: {why}")]
pub struct Invalid {
    field: String,
    why: String,
}

impl Invalid {
    pub(super) fn new(field: impl Into<String>, why: impl ToString) -> Self {
        Self {
            field: field.into(),
            why: why.to_string(),
        }
    }
}

/// The bounds of a duration, both of them accepted.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    least: &'static str,
    most: &'static str,
}

impl Bounds {
    pub(super) const fn new(least: &'static str, most: &'static str) -> Self {
        Self { least, most }
    }

    /// The rule of the schema.
    pub(super) fn schema(self, field: &str) -> Value {
        between(field, self.least, self.most)
    }

    /// The value of the field at that path.
    pub(super) fn check(self, path: &str, given: Duration) -> Result<SignedDuration, Invalid> {
        let Self { least, most } = self;
        let bound = |text| duration::parse(text).unwrap_or_default();
        let refused = || Invalid::new(path, format!("{given}; accepted: from {least} to {most}"));
        if !(bound(least)..=bound(most)).contains(&given.get()) {
            return Err(refused());
        }
        SignedDuration::try_from(given.get()).map_err(|_| refused())
    }

    /// The same for a field that may be unset.
    pub(super) fn check_given(self, path: &str, given: Option<Duration>) -> Result<Option<SignedDuration>, Invalid> {
        given.map(|given| self.check(path, given)).transpose()
    }
}

/// Whether a number is within its bounds, both of them accepted.
pub(super) fn within(least: u32, most: u32, path: &str, given: u32) -> Result<usize, Invalid> {
    let refused = || Invalid::new(path, format!("{given}; accepted: from {least} to {most}"));
    if !(least..=most).contains(&given) {
        return Err(refused());
    }
    usize::try_from(given).map_err(|_| refused())
}

/// Whether a list is no longer than its bound.
pub(super) fn at_most(limit: usize, given: usize, field: &str, what: &str) -> Result<(), Invalid> {
    if given <= limit {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        format!("{given} {what}; accepted: at most {limit}"),
    ))
}
