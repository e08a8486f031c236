//! Sources: a `ConfigMap` whole, a Secret by its metadata until somebody uses it.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use sha2::{Digest as _, Sha256};
use windlass_core::annotation;
use windlass_core::content::{Contents, Entries, ValueDigest};
use windlass_core::types::name::{SourceKind, SourceRef};
use windlass_core::types::time::Second;
use windlass_core::workload::opt_in::allowed_namespaces;
use windlass_core::workload::{Source, SourceAnnotations};

use super::{WireMeta, WireMetadata};

/// A `ConfigMap` as it is watched.
#[derive(Clone, Debug)]
pub struct WatchedConfigMap {
    pub(super) meta: ObjectMeta,
    /// What is kept of it.
    pub source: Source,
}

/// A Secret as it is watched: no more than its metadata is ever asked for.
#[derive(Clone, Debug)]
pub struct WatchedSecret {
    pub(super) meta: ObjectMeta,
    /// What is kept of it; it has no contents.
    pub source: Source,
}

/// A Secret that was read because a workload uses it.
#[derive(Clone, Debug)]
pub struct ReadSecret(pub Source);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireConfigMap {
    metadata: WireMeta,
    #[serde(default)]
    data: Values<Text>,
    #[serde(default)]
    binary_data: Values<Base64>,
    #[serde(default)]
    immutable: Option<bool>,
}

#[derive(Deserialize)]
struct WireSecret {
    metadata: WireMeta,
    #[serde(default)]
    data: Values<Base64>,
    #[serde(default)]
    immutable: Option<bool>,
}

impl<'de> Deserialize<'de> for WatchedConfigMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WireConfigMap {
            metadata,
            data,
            binary_data,
            immutable,
        } = WireConfigMap::deserialize(deserializer)?;
        let mut entries = data.0;
        entries.append(&binary_data.0);
        Ok(Self {
            meta: metadata.object_meta(),
            source: metadata.source(SourceKind::ConfigMap, entries.into(), immutable == Some(true)),
        })
    }
}

impl<'de> Deserialize<'de> for WatchedSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WireMetadata { metadata } = WireMetadata::deserialize(deserializer)?;
        Ok(Self {
            meta: metadata.object_meta(),
            source: metadata.source(SourceKind::Secret, Contents::default(), false),
        })
    }
}

impl<'de> Deserialize<'de> for ReadSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WireSecret {
            metadata,
            data,
            immutable,
        } = WireSecret::deserialize(deserializer)?;
        Ok(Self(metadata.source(
            SourceKind::Secret,
            data.0.into(),
            immutable == Some(true),
        )))
    }
}

/// What the API server sends of an object.
pub trait IntoSource {
    /// What of it is kept.
    fn into_source(self) -> Source;
}

impl IntoSource for WatchedConfigMap {
    fn into_source(self) -> Source {
        self.source
    }
}

impl IntoSource for WatchedSecret {
    fn into_source(self) -> Source {
        self.source
    }
}

impl WireMeta {
    fn source(&self, kind: SourceKind, contents: Contents, immutable: bool) -> Source {
        let created = self.creation_timestamp.as_deref().and_then(Second::parse);
        let is = |name: &str| self.annotation(name) == Some("true");
        Source {
            reference: SourceRef {
                namespace: self.namespace(),
                kind,
                name: self.name(),
            },
            uid: self.uid(),
            version: self.version(),
            annotations: SourceAnnotations {
                ignored: is(annotation::IGNORE),
                ignored_by_reloader: is(annotation::reloader::IGNORE),
                matched: is(annotation::reloader::MATCH),
                allow_from: allowed_namespaces(self.annotation(annotation::ALLOW_FROM).unwrap_or_default()),
                immutable: created.filter(|_| immutable),
                after_immutable: None,
            }
            .boxed(),
            contents,
            written: self.managed_fields,
        }
    }
}

/// How a value is written in JSON.
trait Encoding {
    fn digest(text: &str) -> ValueDigest;
}

struct Text;
struct Base64;

impl Encoding for Text {
    fn digest(text: &str) -> ValueDigest {
        ValueDigest::new(Sha256::digest(text).into())
    }
}

impl Encoding for Base64 {
    /// Of the bytes, so that a key that moves from `data` to `binaryData` unchanged is no change.
    fn digest(text: &str) -> ValueDigest {
        match base64::engine::general_purpose::STANDARD.decode(text) {
            Ok(bytes) => ValueDigest::new(Sha256::digest(bytes).into()),
            // The API server does not let this through; whatever it is, it is told apart.
            Err(_) => Text::digest(text),
        }
    }
}

struct Values<E>(Entries, std::marker::PhantomData<E>);

impl<E> Default for Values<E> {
    fn default() -> Self {
        Self(Entries::default(), std::marker::PhantomData)
    }
}

impl<'de, E: Encoding> Deserialize<'de> for Values<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<E>(std::marker::PhantomData<E>);
        impl<'de, E: Encoding> Visitor<'de> for All<E> {
            type Value = Values<E>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of values")
            }

            fn visit_unit<Err>(self) -> Result<Self::Value, Err> {
                Ok(Values::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Entries::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    let Hashed(digest, _) = map.next_value::<Hashed<E>>()?;
                    entries.push(&key, digest);
                }
                Ok(Values(entries, std::marker::PhantomData))
            }
        }
        deserializer.deserialize_any(All(std::marker::PhantomData))
    }
}

/// One value, hashed in place.
struct Hashed<E>(ValueDigest, std::marker::PhantomData<E>);

impl<'de, E: Encoding> Deserialize<'de> for Hashed<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One<E>(std::marker::PhantomData<E>);
        impl<E: Encoding> Visitor<'_> for One<E> {
            type Value = Hashed<E>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<Err>(self, text: &str) -> Result<Self::Value, Err> {
                Ok(Hashed(E::digest(text), std::marker::PhantomData))
            }

            fn visit_unit<Err>(self) -> Result<Self::Value, Err> {
                Ok(Hashed(E::digest(""), std::marker::PhantomData))
            }
        }
        deserializer.deserialize_any(One(std::marker::PhantomData))
    }
}
