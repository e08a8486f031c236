//! A fingerprint of a pod template, to notice that somebody else changed it.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::annotation;
use crate::compat::marks::{NamedSources, is_mark};

#[cfg(test)]
mod tests;

/// Tells two pod templates apart, our own annotations left out, so that a restart of ours does not
/// look like somebody else's change.
///
/// Good only within one process and only as a hint: a new version of Kubernetes may add a defaulted
/// field to every template without anything being rolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Of a pod template. The order of fields does not matter.
    #[must_use]
    pub fn of(template: &Value, marks: MarkHandling<'_>) -> Self {
        let mut hash = Sha256::new();
        walk(template, &mut Vec::new(), marks, &mut hash);
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        Self(short)
    }
}

/// Whether the marks of Reloader and Wave count.
#[derive(Clone, Copy, Debug)]
pub enum MarkHandling<'a> {
    /// As anything else does.
    Count,
    /// We stand in for them: their marks, of these sources, come and go with our own patches.
    LeftOut(NamedSources<'a>),
}

const ANNOTATIONS: [&str; 2] = ["metadata", "annotations"];

/// Whether a field is left out.
fn is_left_out(path: &[&str], name: &str, field: &Value, marks: MarkHandling<'_>) -> bool {
    if path == ANNOTATIONS {
        return is_ours(name, marks);
    }
    // None at all and only such are the same to everybody else.
    if path == ["metadata"] && name == "annotations" {
        let fields = field.as_object();
        return fields.is_none_or(|fields| fields.keys().all(|name| is_ours(name, marks)));
    }
    // Templates of custom resources may have no metadata before we write into it.
    if path.is_empty() && name == "metadata" {
        let fields = field.as_object();
        let left_out = |(name, field): (&String, _)| is_left_out(&["metadata"], name, field, marks);
        return fields.is_none_or(|fields| fields.iter().all(left_out));
    }
    let MarkHandling::LeftOut(named) = marks else {
        return false;
    };
    match path {
        ["spec"] => name == "schedulerName",
        ["spec", "containers" | "initContainers", "[]"] if name == "env" => {
            let items = field.as_array();
            items.is_none_or(|items| items.iter().all(|item| named.is_mark(item)))
        }
        _ => false,
    }
}

fn is_ours(annotation: &str, marks: MarkHandling<'_>) -> bool {
    annotation.starts_with(annotation::PREFIX) || (matches!(marks, MarkHandling::LeftOut(_)) && is_mark(annotation))
}

fn walk<'a>(value: &'a Value, path: &mut Vec<&'a str>, marks: MarkHandling<'_>, hash: &mut Sha256) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            for (name, field) in sorted {
                if is_left_out(path, name, field, marks) {
                    continue;
                }
                chunk(hash, b'k', name.as_bytes());
                path.push(name);
                walk(field, path, marks, hash);
                path.pop();
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            path.push("[]");
            let named = match marks {
                MarkHandling::LeftOut(named) if path.ends_with(&["env", "[]"]) => Some(named),
                MarkHandling::LeftOut(_) | MarkHandling::Count => None,
            };
            for item in items {
                if !named.is_some_and(|named| named.is_mark(item)) {
                    walk(item, path, marks, hash);
                }
            }
            path.pop();
            hash.update(b"]");
        }
        Value::String(text) => chunk(hash, b's', text.as_bytes()),
        Value::Number(number) => chunk(hash, b'n', number.to_string().as_bytes()),
        Value::Bool(true) => hash.update(b"t"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Null => hash.update(b"0"),
    }
}

fn chunk(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
