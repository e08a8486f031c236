//! Words for people.

use std::fmt;

/// How many names an Event or an annotation lists before it only counts.
pub const NAMED: usize = 8;

/// All of them.
#[must_use]
pub fn joined(texts: &[String]) -> String {
    texts.join("; ")
}

/// The first few, and how many more there are.
#[must_use]
pub fn some_of(names: &[impl fmt::Display]) -> String {
    let mut text = names
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let more = names.len().saturating_sub(NAMED);
    if more > 0 {
        text = format!("{text} and {more} more");
    }
    text
}
