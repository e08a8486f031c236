//! A fingerprint of a pod template, to notice that somebody else changed it.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::annotation;

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
    pub fn of(template: &Value) -> Self {
        let mut hash = Sha256::new();
        walk(template, &mut Vec::new(), &mut hash);
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        Self(short)
    }
}

fn walk<'a>(value: &'a Value, path: &mut Vec<&'a str>, hash: &mut Sha256) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            for (name, field) in sorted {
                let ours = path.as_slice() == ["metadata", "annotations"] && name.starts_with(annotation::PREFIX);
                // No annotations and only ours are the same to everybody else.
                let empty = name == "annotations" && path.as_slice() == ["metadata"] && only_ours(field);
                if ours || empty {
                    continue;
                }
                chunk(hash, b'k', name.as_bytes());
                path.push(name);
                walk(field, path, hash);
                path.pop();
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            path.push("[]");
            for item in items {
                walk(item, path, hash);
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

fn only_ours(annotations: &Value) -> bool {
    annotations
        .as_object()
        .is_none_or(|fields| fields.keys().all(|name| name.starts_with(annotation::PREFIX)))
}

fn chunk(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
