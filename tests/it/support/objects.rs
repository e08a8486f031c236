//! Objects of the API: their manifests, their names, and who writes them.

use kube::api::{PatchParams, PostParams};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Who a write is made as.
pub struct By(&'static str);

/// Writes as this field manager.
pub fn by(manager: &'static str) -> By {
    By(manager)
}

impl By {
    pub fn patch(self) -> PatchParams {
        PatchParams {
            field_manager: Some(self.0.to_owned()),
            ..PatchParams::default()
        }
    }

    pub fn apply(self) -> PatchParams {
        PatchParams::apply(self.0).force()
    }

    pub fn post(self) -> PostParams {
        PostParams {
            field_manager: Some(self.0.to_owned()),
            ..PostParams::default()
        }
    }
}

/// A typed object from its manifest.
pub fn from<K: DeserializeOwned>(manifest: Value) -> K {
    serde_json::from_value(manifest).expect("a valid manifest")
}

pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("API objects are JSON")
}

pub(super) fn unique(prefix: &str) -> String {
    use std::hash::{BuildHasher, RandomState};
    // Seeded by the system anew in each call; no crate is needed for a name.
    format!("{prefix}-{:010x}", RandomState::new().hash_one(prefix) >> 24)
}
