//! Label selectors, checked before the API server sees one: a typing mistake would otherwise show only
//! as a watch that never begins.

#[cfg(test)]
mod tests;

/// Gives the selector back if it is one
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>).
pub(super) fn selector(text: &str) -> Option<String> {
    let text = text.trim();
    requirements(text)?
        .into_iter()
        .all(is_requirement)
        .then(|| text.to_owned())
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

fn is_requirement(text: &str) -> bool {
    let text = text.trim();
    if let Some((head, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let mut words = head.split_whitespace();
        let key = words.next().is_some_and(is_key);
        return key
            && matches!(words.next(), Some("in" | "notin"))
            && words.next().is_none()
            && values.split(',').map(str::trim).all(is_value);
    }
    for operator in ["!=", "==", "="] {
        if let Some((key, value)) = text.split_once(operator) {
            return is_key(key.trim()) && is_value(value.trim());
        }
    }
    is_key(text.strip_prefix('!').unwrap_or(text).trim())
}

/// `NAME` or `PREFIX/NAME`.
fn is_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let is_prefix = |text: &str| {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-.".contains(&c);
        !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed)
    };
    prefix.is_none_or(is_prefix) && !name.is_empty() && is_value(name)
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
