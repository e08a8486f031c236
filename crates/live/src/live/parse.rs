//! From bytes to a type: JSON, YAML and TOML, each by its feature, and what a parser of one's own returns.

use std::fmt;

/// Where in a text something is wrong: both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters or bytes as the format's parser counts.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)
    }
}

/// Why content was not understood. The message may quote it: of a secret source only the position is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Where, if the format can say.
    pub position: Option<Position>,
    /// What, in one line, without the position.
    pub message: String,
}

impl ParseError {
    /// An error without a position.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            position: None,
            message: message.into(),
        }
    }

    /// The same at a position.
    #[must_use]
    pub fn at(self, line: usize, column: usize) -> Self {
        Self {
            position: Some(Position { line, column }),
            ..self
        }
    }
}

impl From<std::str::Utf8Error> for ParseError {
    fn from(error: std::str::Utf8Error) -> Self {
        Self::new(format!("is not UTF-8 after byte {}", error.valid_up_to()))
    }
}

/// The text as it is, without one line end at its end.
///
/// # Errors
///
/// It is not UTF-8.
pub fn text(bytes: &[u8]) -> Result<String, ParseError> {
    Ok(without_line_end(str::from_utf8(bytes)?).to_owned())
}

/// What editors and `--from-file` leave at the end of a file is not meant.
pub(crate) fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// JSON.
///
/// # Errors
///
/// It is not JSON, or not of this type.
#[cfg(feature = "json")]
pub fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ParseError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let (line, column) = (error.line(), error.column());
        // The position is told once, by whoever shows this.
        let message = text
            .strip_suffix(&format!(" at line {line} column {column}"))
            .unwrap_or(&text);
        let error = ParseError::new(message);
        if line == 0 { error } else { error.at(line, column) }
    })
}

/// YAML, one document.
///
/// # Errors
///
/// It is not YAML, or not of this type.
#[cfg(feature = "yaml")]
pub fn yaml<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ParseError> {
    serde_saphyr::from_str(str::from_utf8(bytes)?).map_err(|error| {
        let error = error.without_snippet();
        let message = error.to_string().lines().next().unwrap_or_default().to_owned();
        match error.location() {
            Some(at) => ParseError::new(message).at(as_size(at.line()), as_size(at.column())),
            None => ParseError::new(message),
        }
    })
}

#[cfg(feature = "yaml")]
fn as_size<N: TryInto<usize>>(number: N) -> usize {
    number.try_into().unwrap_or(usize::MAX)
}

/// TOML.
///
/// # Errors
///
/// It is not TOML, or not of this type.
#[cfg(feature = "toml")]
pub fn toml<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ParseError> {
    let text = str::from_utf8(bytes)?;
    toml::from_str(text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        let before = error.span().and_then(|span| text.get(..span.start));
        match before {
            Some(before) => {
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
                ParseError::new(message).at(line, column)
            }
            None => ParseError::new(message),
        }
    })
}
