//! From the object of the API to a snapshot: the keys that a mount would show.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::core::DynamicObject;
use serde_json::Value;

use crate::{Snapshot, flags::SourceKind, snapshot::Entry};

/// An object at one version.
pub(super) struct Object {
    pub(super) version: String,
    pub(super) snapshot: Snapshot,
}

impl Object {
    /// `None` when it is not such an object.
    pub(super) fn new(kind: SourceKind, object: DynamicObject) -> Option<Self> {
        let mut snapshot = Snapshot::default();
        let plain = match kind {
            SourceKind::ConfigMap => Some("data"),
            SourceKind::Secret => None,
        };
        let encoded = match kind {
            SourceKind::ConfigMap => "binaryData",
            SourceKind::Secret => "data",
        };
        for (key, value) in entries(&object.data, plain) {
            let content = value.as_str()?.into();
            snapshot.insert(key.as_str().into(), Entry::Content(content));
        }
        for (key, value) in entries(&object.data, Some(encoded)) {
            let content = STANDARD.decode(value.as_str()?).ok()?.into();
            snapshot.insert(key.as_str().into(), Entry::Content(content));
        }
        Some(Self {
            version: object.metadata.resource_version?,
            snapshot,
        })
    }
}

fn entries<'a>(object: &'a Value, field: Option<&str>) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let map = field.and_then(|field| object.get(field)).and_then(Value::as_object);
    map.into_iter().flatten()
}

/// Whether a version comes after another one. Versions are numbers that grow in a cluster; should a server
/// have others, each is taken as it comes.
pub(super) fn is_newer(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version > than,
        _ => version != than,
    }
}
