//! Words for people.

use std::fmt;

/// How many names an Event or an annotation lists before it only counts.
pub const NAMED: usize = 8;

/// On one line, with single blanks, and without what a terminal acts on or what turns the direction of text
/// around: a log line or an Event could be made to look like another one.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !is_invisible(*c)));
    }
    line
}

/// Whether a character takes no room, so that a text with it reads as another one.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

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
