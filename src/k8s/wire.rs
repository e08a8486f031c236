//! Objects as they are watched: digested while they are decoded, and nothing else kept.
//!
//! A `ConfigMap` of 1 MiB costs each key's name and 36 bytes here, a Secret that nobody uses its name. Values are
//! hashed as the decoder passes by; no copy of one is made that outlives the call.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use kube::api::{ApiResource, DynamicObject};
use kube::core::{DynamicResourceScope, ObjectMeta, Resource};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use windlass_core::annotation;
use windlass_core::content::content_time::ContentTime;
use windlass_core::types::labels::Labels;
use windlass_core::types::name::{Name, Namespace, SourceKind, Uid, Version};
use windlass_core::types::time::Second;
use windlass_core::workload::kind::KindId;

use super::lenient::{self, Field, read_from_fields};

mod json;
mod policy;
mod source;
#[cfg(test)]
mod tests;
mod workload;

pub(super) use self::json::Json;
pub use self::policy::{PolicyMetadata, WatchedPolicy, since};
pub use self::source::{IntoSource, ReadSecret, WatchedConfigMap, WatchedSecret};
pub(super) use self::workload::{BASELINE_BYTES, TEMPLATE_DIGEST_BYTES};
pub use self::workload::{Delegation, Role, WatchedWorkload};

/// The metadata that we read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireMeta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<String>,
    #[serde(deserialize_with = "lenient::or_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "ours")]
    annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "content_written")]
    managed_fields: ContentTime,
    #[serde(deserialize_with = "lenient::or_default")]
    owner_references: Vec<Field<WireOwner>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WireOwner {
    kind: Field<String>,
    name: Field<String>,
    controller: Field<bool>,
}

read_from_fields!(WireOwner);

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

    fn labels(&self) -> Labels {
        let labels = self.labels.iter();
        labels.map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }
}

/// Keeps the annotations that some rule reads; others can be a quarter of a megabyte.
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
                if annotation::is_read(&name) {
                    let value: Field<String> = map.next_value()?;
                    value.take().map(|value| kept.insert(name.into_owned(), value));
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(kept)
        }
    }
    deserializer.deserialize_any(Ours)
}

/// The latest time of a field manager of `data` or `binaryData`, and of any field manager.
fn content_written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ContentTime, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        #[serde(default)]
        time: Option<String>,
        #[serde(default, rename = "fieldsV1")]
        fields: WritesContent,
    }
    let entries = Option::<Vec<Entry>>::deserialize(deserializer)?.unwrap_or_default();
    let latest = |which: &dyn Fn(&Entry) -> bool| {
        let entries = entries.iter().filter(|entry| which(entry));
        entries.filter_map(|entry| Second::parse(entry.time.as_deref()?)).max()
    };
    Ok(ContentTime::recorded(
        latest(&|entry| entry.fields.0),
        latest(&|_| true),
    ))
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

#[derive(Deserialize)]
struct WireMetadata {
    metadata: WireMeta,
}

/// An object of which only its name and labels matter: a namespace, a definition of custom resources.
#[derive(Clone, Debug)]
pub struct WatchedMetadata {
    meta: ObjectMeta,
    labels: Labels,
}

impl<'de> Deserialize<'de> for WatchedMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WireMetadata { metadata } = WireMetadata::deserialize(deserializer)?;
        Ok(Self {
            meta: metadata.object_meta(),
            labels: metadata.labels(),
        })
    }
}

impl WatchedMetadata {
    #[must_use]
    pub fn name(&self) -> &str {
        self.meta.name.as_deref().unwrap_or_default()
    }

    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
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

resource!(WatchedConfigMap);
resource!(WatchedSecret);
resource!(WatchedMetadata);
resource!(WatchedPolicy);
resource!(WatchedWorkload);

/// How kube addresses a kind of source.
#[must_use]
pub fn source_resource(kind: SourceKind) -> ApiResource {
    match kind {
        SourceKind::ConfigMap => resource("", "v1", "ConfigMap", "configmaps"),
        SourceKind::Secret => resource("", "v1", "Secret", "secrets"),
    }
}

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
