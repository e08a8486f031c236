//! Objects as they are watched: digested while they are decoded, and nothing else kept.
//!
//! A `ConfigMap` of 1 MiB costs 32 bytes a key here. Values are hashed as the decoder passes by; no
//! copy of one is made that outlives the call.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use kube::api::{ApiResource, DynamicObject};
use kube::core::{DynamicResourceScope, ObjectMeta, Resource};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::core::annotation;
use crate::core::content::{Contents, ValueDigest};
use crate::core::kind::{KindId, Object};
use crate::core::name::{Key, Name, Namespace, SourceKind, SourceRef, Uid, Version, WorkloadRef};
use crate::core::optin;
use crate::core::reference;
use crate::core::template::Fingerprint;
use crate::core::time::Second;
use crate::core::workload::{Source, Workload};

#[cfg(test)]
mod tests;

/// Where the Deployment controller counts the templates that it rolled out.
pub const REVISION: &str = "deployment.kubernetes.io/revision";

/// The metadata that we read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireMeta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    #[serde(deserialize_with = "ours")]
    annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "content_written")]
    managed_fields: Option<Second>,
}

impl WireMeta {
    fn version(&self) -> Version {
        self.resource_version
            .as_deref()
            .and_then(Version::parse)
            .unwrap_or_default()
    }

    /// What kube's watcher needs of an object.
    fn object_meta(&self) -> ObjectMeta {
        ObjectMeta {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            resource_version: self.resource_version.clone(),
            ..ObjectMeta::default()
        }
    }

    fn namespace(&self) -> Namespace {
        Namespace::from(self.namespace.as_deref().unwrap_or_default())
    }

    fn name(&self) -> Name {
        Name::from(self.name.as_deref().unwrap_or_default())
    }

    fn uid(&self) -> Uid {
        Uid::from(self.uid.as_deref().unwrap_or_default())
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }
}

/// Keeps our own annotations and the revision; others can be a quarter of a megabyte.
fn ours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Ours;
    impl<'de> Visitor<'de> for Ours {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("annotations")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut kept = BTreeMap::new();
            while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                if name.starts_with(annotation::PREFIX) || name == REVISION {
                    kept.insert(name.into_owned(), map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(kept)
        }
    }
    deserializer.deserialize_any(Ours)
}

/// The latest time at which any field manager wrote `data` or `binaryData`.
fn content_written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Second>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        #[serde(default)]
        time: Option<String>,
        #[serde(default, rename = "fieldsV1")]
        fields: WritesContent,
    }
    let entries = Option::<Vec<Entry>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(entries
        .iter()
        .filter(|entry| entry.fields.0)
        .filter_map(|entry| Second::parse(entry.time.as_deref()?))
        .max())
}

/// Whether a set of managed fields has content among them.
#[derive(Default)]
struct WritesContent(bool);

impl<'de> Deserialize<'de> for WritesContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = WritesContent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("managed fields")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(WritesContent(false))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = false;
                while let Some(field) = map.next_key::<Cow<'de, str>>()? {
                    found |= field == "f:data" || field == "f:binaryData";
                    map.next_value::<IgnoredAny>()?;
                }
                Ok(WritesContent(found))
            }
        }
        deserializer.deserialize_any(Fields)
    }
}

// ---- sources ------------------------------------------------------------------------------------

/// A `ConfigMap` as it is watched.
#[derive(Clone, Debug)]
pub struct WatchedSource {
    meta: ObjectMeta,
    /// What is kept of it.
    pub source: Source,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSource {
    metadata: WireMeta,
    #[serde(default)]
    data: Values<Text>,
    #[serde(default)]
    binary_data: Values<Base64>,
}

impl<'de> Deserialize<'de> for WatchedSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WireSource {
            metadata,
            data,
            binary_data,
        } = WireSource::deserialize(deserializer)?;
        let mut entries = data.0;
        entries.extend(binary_data.0);
        let source = Source {
            reference: SourceRef {
                namespace: metadata.namespace(),
                kind: SourceKind::ConfigMap,
                name: metadata.name(),
            },
            uid: metadata.uid(),
            version: metadata.version(),
            ignored: metadata.annotation(annotation::IGNORE) == Some("true"),
            contents: Contents::new(entries),
            changed_at: metadata.managed_fields,
        };
        Ok(Self {
            meta: metadata.object_meta(),
            source,
        })
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

struct Values<E>(Vec<(Key, ValueDigest)>, std::marker::PhantomData<E>);

impl<E> Default for Values<E> {
    fn default() -> Self {
        Self(Vec::new(), std::marker::PhantomData)
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
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    let Hashed(digest, _) = map.next_value::<Hashed<E>>()?;
                    entries.push((Key::from(&*key), digest));
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

// ---- workloads ----------------------------------------------------------------------------------

/// A workload as it is watched: the parts that its row in the table of kinds is asked about.
#[derive(Clone, Debug)]
pub struct WatchedWorkload {
    meta: ObjectMeta,
    wire: WireMeta,
    spec: Value,
    status: Value,
}

#[derive(Deserialize)]
struct WireWorkload {
    metadata: WireMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl<'de> Deserialize<'de> for WatchedWorkload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WireWorkload { metadata, spec, status } = WireWorkload::deserialize(deserializer)?;
        Ok(Self {
            meta: metadata.object_meta(),
            wire: metadata,
            spec,
            status,
        })
    }
}

impl WatchedWorkload {
    /// Which workload it is.
    #[must_use]
    pub fn reference(&self, kind: KindId) -> WorkloadRef {
        WorkloadRef {
            namespace: self.wire.namespace(),
            kind,
            name: self.wire.name(),
        }
    }

    /// What the rules need of it.
    #[must_use]
    pub fn workload(&self, kind: KindId) -> Workload {
        let row = kind.row();
        let template = row
            .template
            .iter()
            .skip(1)
            .try_fold(&self.spec, |value, field| value.get(field))
            .unwrap_or(&Value::Null);
        let witness = template
            .get("metadata")
            .and_then(|metadata| metadata.get("annotations"))
            .and_then(|annotations| annotations.get(annotation::CONFIG_DIGEST))
            .and_then(Value::as_str);
        let object = Object {
            generation: self.wire.generation.unwrap_or(0),
            revision: self.wire.annotation(REVISION),
            spec: &self.spec,
            status: &self.status,
        };
        let namespace = self.wire.namespace();
        Workload {
            uid: self.wire.uid(),
            version: self.wire.version(),
            opt_in: optin::read(|name| self.wire.annotation(name), &namespace),
            observed: self.wire.annotation(annotation::OBSERVED).map(Into::into),
            witness: witness.map(Into::into),
            uses: reference::discover(template).into(),
            fingerprint: Fingerprint::of(template),
            evidence: row.evidence(&object),
            reference: WorkloadRef {
                namespace,
                kind,
                name: self.wire.name(),
            },
        }
    }
}

macro_rules! resource {
    ($type:ident) => {
        impl Resource for $type {
            type DynamicType = ApiResource;
            type Scope = DynamicResourceScope;

            fn kind(row: &ApiResource) -> Cow<'_, str> {
                DynamicObject::kind(row)
            }

            fn group(row: &ApiResource) -> Cow<'_, str> {
                DynamicObject::group(row)
            }

            fn version(row: &ApiResource) -> Cow<'_, str> {
                DynamicObject::version(row)
            }

            fn plural(row: &ApiResource) -> Cow<'_, str> {
                DynamicObject::plural(row)
            }

            fn meta(&self) -> &ObjectMeta {
                &self.meta
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.meta
            }
        }
    };
}

resource!(WatchedSource);
resource!(WatchedWorkload);

/// How kube addresses a kind of workload.
#[must_use]
pub fn workload_resource(kind: KindId) -> ApiResource {
    let row = kind.row();
    resource(row.group, row.version, row.kind, row.plural)
}

/// How kube addresses any kind.
#[must_use]
pub fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version,
        kind: kind.into(),
        plural: plural.into(),
    }
}
