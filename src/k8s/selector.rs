//! Label selectors as people write them, read before the API server sees one: a typing mistake would otherwise
//! show only as a watch that never begins.
//!
//! kube's `Selector` prints this syntax and reads none of it.

use kube::core::{Expression, Selector};

#[cfg(test)]
mod tests;

/// Reads a selector
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>).
pub fn parse(text: &str) -> Option<Selector> {
    requirements(text)?.into_iter().map(requirement).collect()
}

/// Split at the commas that are not within parentheses.
fn requirements(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut from, mut inside) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '(' if !inside => inside = true,
            ')' if inside => inside = false,
            '(' | ')' => return None,
            ',' if !inside => {
                parts.push(text.get(from..at)?);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(from..)?);
    (!inside).then_some(parts)
}

fn requirement(text: &str) -> Option<Expression> {
    let text = text.trim();
    if let Some((head, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let words: Vec<&str> = head.split_whitespace().collect();
        let &[name, operator] = words.as_slice() else {
            return None;
        };
        let key = key(name)?;
        let values = values.split(',').map(value).collect::<Option<_>>()?;
        return match operator {
            "in" => Some(Expression::In(key, values)),
            "notin" => Some(Expression::NotIn(key, values)),
            _ => None,
        };
    }
    if let Some((left, right)) = text.split_once("!=") {
        return Some(Expression::NotEqual(key(left)?, value(right)?));
    }
    if let Some((left, right)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Expression::Equal(key(left)?, value(right)?));
    }
    match text.strip_prefix('!') {
        Some(name) => Some(Expression::DoesNotExist(key(name)?)),
        None => Some(Expression::Exists(key(text)?)),
    }
}

/// `NAME` or `PREFIX/NAME`.
fn key(text: &str) -> Option<String> {
    let text = text.trim();
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let is_prefix = |text: &str| {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-.".contains(&c);
        !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed)
    };
    let good = prefix.is_none_or(is_prefix) && !name.is_empty() && is_value(name);
    good.then(|| text.to_owned())
}

fn value(text: &str) -> Option<String> {
    let text = text.trim();
    is_value(text).then(|| text.to_owned())
}

/// Empty, or up to 63 letters, digits, `-`, `_` and `.`, a letter or a digit at both ends.
fn is_value(text: &str) -> bool {
    let edge = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    text.is_empty()
        || (text.len() <= 63
            && text.bytes().all(allowed)
            && edge(text.bytes().next())
            && edge(text.bytes().next_back()))
}
