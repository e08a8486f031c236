//! Workloads: the parts that their row in the table of kinds is asked about.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use kube::core::ObjectMeta;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use windlass_core::annotation::{self, Annotation};
use windlass_core::compat::marks::{ControllerMarks, NamedSources};
use windlass_core::content::baseline;
use windlass_core::content::cause;
use windlass_core::policy::manual_override::ManualOverrides;
use windlass_core::types::name::{Name, Version, WorkloadRef};
use windlass_core::types::time::Second;
use windlass_core::workload::asked;
use windlass_core::workload::kind::{KindId, RolloutProgress, RolloutStatus, WorkloadObject};
use windlass_core::workload::opt_in::{self, AnnotationOptions, Annotations, OptIn, OptInResult, Selection};
use windlass_core::workload::reference;
use windlass_core::workload::template::{self, Fingerprint};
use windlass_core::workload::{Delegate, OptInIfSelected, Workload, WorkloadExtras};

use super::WireMeta;
use super::json::Json;
use crate::k8s::lenient::Field;

/// The longest text that may be a baseline. Ours are shorter; room is left for those of a later version.
pub(in crate::k8s) const BASELINE_BYTES: usize = 4 * baseline::MAX_BYTES;

/// The longest text on a template that may be a digest of ours: a key's id, a dot, and 22 letters.
pub(in crate::k8s) const TEMPLATE_DIGEST_BYTES: usize = 128;

const OWNER_CHARS: usize = 320;

/// A workload as it is watched: the parts that its row in the table of kinds is asked about.
#[derive(Clone, Debug)]
pub struct WatchedWorkload {
    pub(super) meta: ObjectMeta,
    wire: WireMeta,
    /// All of it that is not metadata.
    fields: serde_json::Map<String, Value>,
}

impl<'de> Deserialize<'de> for WatchedWorkload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = WatchedWorkload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut wire = WireMeta::default();
                let mut fields = serde_json::Map::new();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    match &*name {
                        "metadata" => wire = map.next_value()?,
                        "kind" | "apiVersion" => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        _ => {
                            let Json(field) = map.next_value()?;
                            fields.insert(name.into_owned(), field);
                        }
                    }
                }
                Ok(WatchedWorkload {
                    meta: wire.object_meta(),
                    wire,
                    fields,
                })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// What a watched object is to the rules.
#[derive(Debug)]
pub enum Role {
    Workload(Box<Workload>),
    /// An object that has no pod template, but runs the pods of another one's.
    Delegation(Box<Delegation>),
}

/// An Argo Rollout with a `workloadRef`.
#[derive(Clone, Debug)]
pub struct Delegation {
    pub by: Delegate,
    pub version: Version,
    /// Who has the template.
    pub target: WorkloadRef,
    /// What its annotations ask for.
    pub opt_in: OptInResult,
    /// How far it has come.
    pub rollout_status: RolloutStatus,
}

impl WatchedWorkload {
    #[must_use]
    pub fn reference(&self, kind: KindId) -> WorkloadRef {
        WorkloadRef {
            namespace: self.wire.namespace(),
            kind,
            name: self.wire.name(),
        }
    }

    fn field(&self, path: &[&str]) -> &Value {
        let (first, rest) = match path {
            [first, rest @ ..] => (self.fields.get(*first), rest),
            [] => (None, path),
        };
        first
            .and_then(|first| rest.iter().try_fold(first, |value, field| value.get(field)))
            .unwrap_or(&Value::Null)
    }

    /// What the rules need of it.
    #[must_use]
    pub fn role(&self, kind: KindId, reading: AnnotationOptions) -> Role {
        let row = kind.row();
        let named = row
            .delegate
            .map(|reference| self.field(reference.path))
            .filter(|it| it.is_object());
        match named.and_then(|named| self.delegation(kind, named, reading)) {
            Some(delegation) => Role::Delegation(Box::new(delegation)),
            None => Role::Workload(Box::new(self.workload(kind, reading))),
        }
    }

    /// `None` when the other object is of no kind that we serve.
    fn delegation(&self, kind: KindId, named: &Value, reading: AnnotationOptions) -> Option<Delegation> {
        let text = |field: &str| named.get(field).and_then(Value::as_str);
        let group = text("apiVersion")?.split_once('/').map_or("", |(group, _)| group);
        let target = KindId::named(text("kind")?).filter(|it| it.row().group == group)?;
        let reference = self.reference(kind);
        Some(Delegation {
            target: WorkloadRef {
                namespace: reference.namespace.clone(),
                kind: target,
                name: Name::from(text("name")?),
            },
            opt_in: self.asked(kind, &Value::Null, reading),
            rollout_status: self.rollout_status(kind),
            version: self.wire.version(),
            by: Delegate {
                uid: self.wire.uid(),
                reference,
            },
        })
    }

    fn rollout_status(&self, kind: KindId) -> RolloutStatus {
        let row = kind.row();
        let generation = self.wire.generation.unwrap_or(0);
        row.rollout_status(&WorkloadObject {
            generation,
            revision: row.revision(|name| self.wire.annotation(name), generation),
            spec: self.field(&["spec"]),
            status: self.field(&["status"]),
        })
    }

    fn asked(&self, kind: KindId, template: &Value, reading: AnnotationOptions) -> OptInResult {
        let annotations = Annotations {
            workload: &|name| self.wire.annotation(name),
            template: &|name| template_annotation(template, name),
        };
        match asked::read(&annotations, kind, &self.wire.namespace(), reading) {
            Ok(opt_in) => Ok(opt_in.map(Arc::new)),
            Err(invalid) => Err(Box::new(invalid)),
        }
    }

    fn if_selected(&self, template: &Value, reading: AnnotationOptions) -> Option<Box<OptInIfSelected>> {
        let says_something = Annotation::settings().any(|setting| self.wire.annotation(setting.key()).is_some());
        let annotations = Annotations {
            workload: &|name| self.wire.annotation(name),
            template: &|name| template_annotation(template, name),
        };
        says_something.then(|| {
            let read = opt_in::if_selected(&annotations, &self.wire.namespace(), reading);
            Box::new(read.map(Arc::new).map_err(Box::new))
        })
    }

    /// As a workload with a pod template of its own.
    #[must_use]
    pub fn workload(&self, kind: KindId, reading: AnnotationOptions) -> Workload {
        let template = self.field(kind.row().template);
        let stands_in = reading.compat.reloader || reading.compat.wave;
        let rollout_status = self.rollout_status(kind);
        let paused_at = self
            .wire
            .annotation(annotation::reloader::PAUSED_AT)
            .filter(|_| reading.compat.reloader)
            // Whatever else is written there was written long ago.
            .map(|text| Second::parse(text).unwrap_or(Second::new(0)));
        let mut opt_in = self.asked(kind, template, reading);
        if matches!(opt_in, Ok(None)) && paused_at.is_some() && rollout_status.paused {
            // Nobody asks for anything any more, but it was left paused.
            let nothing = OptIn {
                configmaps: Selection::nothing(),
                secrets: Selection::nothing(),
                ..OptIn::default()
            };
            opt_in = Ok(Some(Arc::new(nothing)));
        }
        let asks_itself = !matches!(opt_in, Ok(None));
        let uses = reference::discover(template);
        let named = NamedSources {
            uses: &uses,
            opt_in: opt_in.as_ref().ok().and_then(Option::as_deref),
        };
        let fingerprint = Fingerprint::of(
            template,
            if stands_in {
                template::MarkHandling::LeftOut(named)
            } else {
                template::MarkHandling::Count
            },
        );
        let marks = stands_in
            .then(|| ControllerMarks::of(template, |name| self.wire.annotation(name), named))
            .flatten();
        let mut owners = self.wire.owner_references.iter().filter_map(Field::get);
        let owner = owners.find(|owner| owner.controller.get() == Some(&true));
        Workload {
            uid: self.wire.uid(),
            version: self.wire.version(),
            observed: self.wire.annotation(annotation::OBSERVED).map(observed),
            template_digest: template_annotation(template, annotation::CONFIG_DIGEST)
                .filter(|text| text.len() <= TEMPLATE_DIGEST_BYTES)
                .map(Into::into),
            uses: uses.into(),
            fingerprint,
            rollout_status,
            extras: WorkloadExtras {
                owner: owner.map(|owner| short(&format!("{} {}", owner.kind.text(), owner.name.text()))),
                marks,
                paused_at,
                delegate: None,
                labels: Some(self.wire.labels()),
                hands_off: self.wire.annotation(annotation::ENABLED) == Some("false"),
                opt_in_if_selected: if asks_itself {
                    None
                } else {
                    self.if_selected(template, reading)
                },
                manual_overrides: ManualOverrides::from_annotations(|name| self.wire.annotation(name)),
                cause: template_annotation(template, annotation::CAUSE)
                    .filter(|_| rollout_status.progress != RolloutProgress::Complete)
                    .and_then(|text| cause::parse(text, &self.wire.namespace())),
            }
            .boxed(),
            reference: self.reference(kind),
            opt_in,
        }
    }
}

/// A baseline that somebody else wrote may be of any length. One that is too long to be ours is as good as any
/// other that cannot be read, and not kept.
fn observed(text: &str) -> Arc<str> {
    let readable = text.len() <= BASELINE_BYTES;
    Arc::from(if readable { text } else { "" })
}

/// A kind and a name as long as they may be; in the metadata of another object neither is checked.
fn short(owner: &str) -> Box<str> {
    owner.chars().take(OWNER_CHARS).collect::<String>().into()
}

fn template_annotation<'a>(template: &'a Value, name: &str) -> Option<&'a str> {
    template.get("metadata")?.get("annotations")?.get(name)?.as_str()
}
