//! The digest keys: random bytes in a Secret of our own namespace, one key an entry.
//!
//! Lost keys restart nothing, but then nothing tells what changed meanwhile; so the Secret is made
//! once and never deleted by us. An operator rotates by adding an entry with a greater name.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use kube::Client;
use kube::api::{DynamicObject, GetParams, PostParams};
use kube::core::{Request, Resource as _};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::error::{ApiError, send};
use super::lean::resource;
use crate::core::digest::{KEY_BYTES, KeyRing};

#[cfg(test)]
mod tests;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The API server did not let us.
    #[error("Secret {namespace}/{name} with the digest keys: {source}")]
    Api {
        /// Where.
        namespace: String,
        /// Which.
        name: String,
        /// Why.
        source: ApiError,
    },
    /// Somebody put something else there.
    #[error(
        "Secret {namespace}/{name} holds no usable digest key: each entry's name is at most 16 letters, \
         digits or '-', its value {KEY_BYTES} bytes; correct it, or delete it to have a new one made"
    )]
    Malformed {
        /// Where.
        namespace: String,
        /// Which.
        name: String,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes for a digest key")]
    Random,
}

#[derive(Deserialize)]
struct WireSecret {
    #[serde(default)]
    data: BTreeMap<String, String>,
}

/// Reads the keys; makes the Secret with one when there is none.
///
/// # Errors
/// See [`KeyError`]. Of these only `Api` with `Unavailable` is worth another try soon.
pub async fn load_or_create(
    client: &Client,
    namespace: &str,
    name: &str,
    now: Timestamp,
    timeout: Duration,
) -> Result<KeyRing, KeyError> {
    let api = |source| KeyError::Api {
        namespace: namespace.into(),
        name: name.into(),
        source,
    };
    let url = DynamicObject::url_path(&resource("", "v1", "Secret", "secrets"), Some(namespace));
    let requests = Request::new(url);
    // Another replica may be making it at this moment: then ours is refused and theirs is read.
    for _ in 0..3 {
        let get = requests
            .get(name, &GetParams::default())
            .map_err(|_| api(ApiError::Unexpected("no such request")))?;
        match send::<WireSecret>(client, get, timeout).await {
            Ok(secret) => {
                return parse(&secret.data).ok_or_else(|| KeyError::Malformed {
                    namespace: namespace.into(),
                    name: name.into(),
                });
            }
            Err(ApiError::NotFound) => {}
            Err(error) => return Err(api(error)),
        }
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|_| KeyError::Random)?;
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "windlass.dev/digest-keys",
            "metadata": { "name": name, "labels": { "app.kubernetes.io/managed-by": "windlass" } },
            "data": { format!("k{:010}", now.as_second().max(0)): BASE64.encode(key) },
        });
        let body = serde_json::to_vec(&body).map_err(|_| api(ApiError::Unexpected("no JSON form")))?;
        let create = requests
            .create(&PostParams::default(), body)
            .map_err(|_| api(ApiError::Unexpected("no such request")))?;
        match send::<IgnoredAny>(client, create, timeout).await {
            Ok(_) | Err(ApiError::Conflict) => {}
            Err(error) => return Err(api(error)),
        }
    }
    Err(api(ApiError::Unavailable(
        "it is made and deleted again and again".into(),
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
