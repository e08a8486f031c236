//! The digest keys: random bytes in a Secret of our own namespace, one key an entry.
//!
//! Lost keys restart nothing, but then nothing tells what changed meanwhile; so the Secret is made
//! once and never deleted by us. An operator rotates by adding an entry with a greater name.
//!
//! Where Secrets do not count, the keys are in a `ConfigMap`: they protect no more than the content of
//! `ConfigMap`s then, and no right on Secrets is needed.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use kube::Client;
use kube::api::{DynamicObject, PostParams};
use kube::core::{Request, Resource as _};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use windlass_core::content::digest::{KEY_BYTES, KeyRing};
use windlass_core::types::name::SourceKind;

use super::error::{ApiError, send};
use super::read;
use super::wire::source_resource;

#[cfg(test)]
mod tests;

/// Where the keys are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyStore(pub SourceKind);

impl KeyStore {
    /// The field whose values are base64.
    fn field(self) -> &'static str {
        match self.0 {
            SourceKind::ConfigMap => "binaryData",
            SourceKind::Secret => "data",
        }
    }

    fn object(self, name: &str, id: &str, key: &[u8; KEY_BYTES]) -> Value {
        let mut object = json!({
            "apiVersion": "v1",
            "kind": self.0.as_str(),
            "metadata": { "name": name, "labels": { "app.kubernetes.io/managed-by": "windlass" } },
            self.field(): { id: BASE64.encode(key) },
        });
        if self.0 == SourceKind::Secret {
            object["type"] = "windlass.dev/digest-keys".into();
        }
        object
    }
}

impl std::fmt::Display for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The API server did not let us.
    #[error("{kept_in} {namespace}/{name} with the digest keys: {source}")]
    Api {
        /// What kind of object it is.
        kept_in: KeyStore,
        namespace: String,
        name: String,
        source: ApiError,
    },
    /// Somebody put something else there.
    #[error(
        "{kept_in} {namespace}/{name} has no usable digest key: each entry's name is at most 16 letters, \
         digits or '-', its value {KEY_BYTES} bytes; correct it, or delete it to have a new one made"
    )]
    Malformed {
        /// What kind of object it is.
        kept_in: KeyStore,
        namespace: String,
        name: String,
    },
    /// The operating system gave no random bytes.
    #[error("cannot get random bytes for a digest key")]
    Random,
}

/// Of a Secret `data`, of a `ConfigMap` `binaryData`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireKeys {
    #[serde(default, alias = "binaryData")]
    data: BTreeMap<String, String>,
}

/// The keys to write with, and those of a time in which Secrets did not count, to read with.
///
/// # Errors
/// As [`load_or_create`].
pub async fn load(
    client: &Client,
    kept_in: KeyStore,
    namespace: &str,
    name: &str,
    now: Timestamp,
    timeout: Duration,
) -> Result<KeyRing, KeyError> {
    let ring = load_or_create(client, kept_in, namespace, name, now, timeout).await?;
    if kept_in.0 == SourceKind::ConfigMap {
        return Ok(ring);
    }
    let url = DynamicObject::url_path(&source_resource(SourceKind::ConfigMap), Some(namespace));
    // There rarely is one, and without it the baselines of that time say nothing: no reason to wait.
    let earlier = read::get::<WireKeys>(client, &Request::new(url), name, timeout).await;
    Ok(match earlier.ok().and_then(|keys| parse(&keys.data)) {
        Some(earlier) => ring.with_older(earlier),
        None => ring,
    })
}

/// Reads the keys. `None`: nobody has made any yet.
///
/// # Errors
/// See [`KeyError`].
pub async fn find(
    client: &Client,
    kept_in: KeyStore,
    namespace: &str,
    name: &str,
    timeout: Duration,
) -> Result<Option<KeyRing>, KeyError> {
    let url = DynamicObject::url_path(&source_resource(kept_in.0), Some(namespace));
    match read::get::<WireKeys>(client, &Request::new(url), name, timeout).await {
        Ok(keys) => parse(&keys.data).map(Some).ok_or_else(|| KeyError::Malformed {
            kept_in,
            namespace: namespace.into(),
            name: name.into(),
        }),
        Err(ApiError::NotFound) => Ok(None),
        Err(source) => Err(KeyError::Api {
            kept_in,
            namespace: namespace.into(),
            name: name.into(),
            source,
        }),
    }
}

/// Reads the keys; makes the object with one when there is none.
///
/// # Errors
/// See [`KeyError`]. Of these only `Api` with `Unavailable` is worth another try soon.
pub async fn load_or_create(
    client: &Client,
    kept_in: KeyStore,
    namespace: &str,
    name: &str,
    now: Timestamp,
    timeout: Duration,
) -> Result<KeyRing, KeyError> {
    let api = |source| KeyError::Api {
        kept_in,
        namespace: namespace.into(),
        name: name.into(),
        source,
    };
    let url = DynamicObject::url_path(&source_resource(kept_in.0), Some(namespace));
    let requests = Request::new(url);
    // Another replica may be making it at this moment: then ours is refused and theirs is read.
    for _ in 0..3 {
        if let Some(ring) = find(client, kept_in, namespace, name, timeout).await? {
            return Ok(ring);
        }
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|_| KeyError::Random)?;
        let id = format!("k{:010}", now.as_second().max(0));
        let body = kept_in.object(name, &id, &key);
        let body = serde_json::to_vec(&body).map_err(|_| api(ApiError::Unexpected("cannot encode it as JSON")))?;
        let create = requests
            .create(&PostParams::default(), body)
            .map_err(|_| api(ApiError::Unexpected("invalid request")))?;
        match send::<IgnoredAny>(client, create, timeout).await {
            Ok(_) | Err(ApiError::Conflict) => {}
            Err(error) => return Err(api(error)),
        }
    }
    Err(api(ApiError::Unavailable(
        "the object keeps being created and deleted".into(),
    )))
}

fn parse(data: &BTreeMap<String, String>) -> Option<KeyRing> {
    let keys = data
        .iter()
        .map(|(id, value)| {
            let named = id.len() <= 16 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            let bytes: [u8; KEY_BYTES] = BASE64.decode(value).ok()?.try_into().ok()?;
            named.then(|| (id.as_str().into(), bytes))
        })
        .collect::<Option<Vec<_>>>()?;
    KeyRing::new(keys)
}
