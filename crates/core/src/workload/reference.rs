//! Which sources and keys a pod template uses, and through which channel.
//!
//! Follows the kubelet's reading of a pod: `EnvVarSource`, `EnvFromSource`, `ConfigMapVolumeSource`,
//! `SecretVolumeSource` and `ProjectedVolumeSource` of the core/v1 API
//! (<https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>). What no
//! container reads does not count: a volume that nobody mounts, a pull secret.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::key_strategy::{FixedKeys, KeyStrategy, KeySubset};
use crate::types::name::{Key, Name, Namespace, SourceKind, SourceRef};

#[cfg(test)]
mod tests;

/// How content reaches a container, which decides when it can change there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// `env`, `envFrom`: fixed when the container starts.
    Env,
    /// A mounted volume: follows the kubelet.
    Mount,
    /// A `subPath` of a volume: fixed when the container starts.
    SubPath,
    /// Read by an init container that has ended.
    Init,
    /// Named by annotation or policy: how it is read is not known.
    Named,
}

/// A set of channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Channels(u8);

impl Channels {
    /// These and one more.
    #[must_use]
    pub fn with(mut self, channel: Channel) -> Self {
        self.insert(channel);
        self
    }

    /// Adds one.
    pub fn insert(&mut self, channel: Channel) {
        self.0 |= 1 << channel as u8;
    }

    /// Whether the channel is in the set.
    #[must_use]
    pub fn contains(self, channel: Channel) -> bool {
        self.0 & (1 << channel as u8) != 0
    }
}

/// Which keys of a source a workload reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConsumedKeys {
    /// All, those to come included.
    Whole,
    /// These, sorted.
    Keys(Box<[Key]>),
}

impl ConsumedKeys {
    /// Whether the key is read.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Keys(keys) => has(keys, key),
        }
    }
}

fn has(sorted: &[Key], key: &str) -> bool {
    sorted.binary_search_by(|known| known.as_str().cmp(key)).is_ok()
}

/// All that a workload takes from one source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Use {
    /// The source's namespace, where it is another one than the workload's own.
    pub namespace: Option<Namespace>,
    /// `ConfigMap` or Secret.
    pub kind: SourceKind,
    /// The source's name.
    pub name: Name,
    /// The keys that enter the digest.
    pub consumed: ConsumedKeys,
    /// Whether a pod cannot start without the source.
    pub required: bool,
    /// Keys without which a pod cannot start, sorted.
    pub required_keys: Box<[Key]>,
    /// Every channel through which any of the keys is read.
    pub channels: Channels,
    /// What a change of the keys does.
    pub key_strategy: KeyStrategy,
    /// What few uses have.
    pub extras: Option<Box<UseExtras>>,
}

/// What few uses have: kept apart, because there are thousands of the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UseExtras {
    /// Some keys are fixed while others, or the same ones, are mounted as well.
    FixedKeys(FixedKeys),
    /// Of all keys, those to come included, only the ones that rules sort into this class count.
    Subset(KeySubset),
}

impl Use {
    /// Whether the key counts.
    #[must_use]
    pub fn counts(&self, key: &str) -> bool {
        self.key_subset().is_none_or(|sorted| sorted.contains(key)) && self.consumed.contains(key)
    }

    /// How rules sort its keys, where it has but one class of them.
    #[must_use]
    pub fn key_subset(&self) -> Option<&KeySubset> {
        match self.extras.as_deref() {
            Some(UseExtras::Subset(sorted)) => Some(sorted),
            Some(UseExtras::FixedKeys(_)) | None => None,
        }
    }

    /// Which of its keys do not follow the kubelet.
    #[must_use]
    pub fn fixed(&self) -> FixedKeys {
        match self.extras.as_deref() {
            Some(UseExtras::FixedKeys(fixed)) => fixed.clone(),
            Some(UseExtras::Subset(_)) | None if self.channels == Channels::default().with(Channel::Mount) => {
                FixedKeys::None
            }
            Some(UseExtras::Subset(_)) | None => FixedKeys::All,
        }
    }

    /// Which source that is for a workload in the namespace `own`.
    #[must_use]
    pub fn source(&self, own: &Namespace) -> SourceRef {
        SourceRef {
            namespace: self.namespace.as_ref().unwrap_or(own).clone(),
            kind: self.kind,
            name: self.name.clone(),
        }
    }

    /// Whether that is this source.
    #[must_use]
    pub fn is_of(&self, own: &Namespace, source: &SourceRef) -> bool {
        self.kind == source.kind
            && self.name == source.name
            && *self.namespace.as_ref().unwrap_or(own) == source.namespace
    }
}

/// Uses while they are being put together, one entry a source.
#[derive(Debug, Default)]
pub struct Uses(BTreeMap<(Option<Namespace>, SourceKind, Name), Draft>);

#[derive(Debug, Default)]
struct Draft {
    whole: bool,
    keys: BTreeSet<Key>,
    required: bool,
    required_keys: BTreeSet<Key>,
    channels: Channels,
    all_fixed: bool,
    fixed: BTreeSet<Key>,
}

impl Draft {
    fn all(&mut self, channel: Channel) {
        self.whole = true;
        self.channels.insert(channel);
        self.all_fixed |= channel != Channel::Mount;
    }

    fn one(&mut self, key: &str, channel: Channel) {
        self.keys.insert(Key::from(key));
        self.channels.insert(channel);
        if channel != Channel::Mount {
            self.fixed.insert(Key::from(key));
        }
    }

    fn extras(&self) -> Option<Box<UseExtras>> {
        let mixed = self.channels.contains(Channel::Mount) && self.channels != Channels::default().with(Channel::Mount);
        let all = self.all_fixed || (!self.whole && self.keys.iter().all(|key| self.fixed.contains(key.as_str())));
        mixed.then(|| {
            Box::new(UseExtras::FixedKeys(if all {
                FixedKeys::All
            } else {
                FixedKeys::Keys(self.fixed.iter().cloned().collect())
            }))
        })
    }
}

impl Uses {
    /// Adds a source that an annotation names: all its keys count, and a pod starts without it.
    pub fn name_whole(&mut self, namespace: Option<Namespace>, kind: SourceKind, name: Name) {
        self.0.entry((namespace, kind, name)).or_default().all(Channel::Named);
    }

    /// Adds what is known of a source already.
    pub fn add(&mut self, found: &Use) {
        let key = (found.namespace.clone(), found.kind, found.name.clone());
        let draft = self.0.entry(key).or_default();
        match &found.consumed {
            ConsumedKeys::Whole => draft.whole = true,
            ConsumedKeys::Keys(keys) => draft.keys.extend(keys.iter().cloned()),
        }
        match (found.fixed(), &found.consumed) {
            (FixedKeys::All, ConsumedKeys::Keys(keys)) => draft.fixed.extend(keys.iter().cloned()),
            (FixedKeys::All, ConsumedKeys::Whole) => draft.all_fixed = true,
            (FixedKeys::None, _) => {}
            (FixedKeys::Keys(keys), _) => draft.fixed.extend(keys),
        }
        draft.required |= found.required;
        draft.required_keys.extend(found.required_keys.iter().cloned());
        draft.channels.0 |= found.channels.0;
    }

    /// The uses in order of namespace, own first, kind and name.
    #[must_use]
    pub fn finish(self) -> Box<[Use]> {
        self.0
            .into_iter()
            .map(|((namespace, kind, name), draft)| Use {
                namespace,
                kind,
                name,
                key_strategy: KeyStrategy::default(),
                extras: draft.extras(),
                consumed: if draft.whole {
                    ConsumedKeys::Whole
                } else {
                    ConsumedKeys::Keys(draft.keys.into_iter().collect())
                },
                required: draft.required,
                required_keys: draft.required_keys.into_iter().collect(),
                channels: draft.channels,
            })
            .collect()
    }
}

/// Everything that a pod template reads, in order of kind and name.
///
/// Takes any JSON: what is not shaped like a pod template uses nothing.
#[must_use]
pub fn discover(template: &Value) -> Box<[Use]> {
    let mut uses = Uses::default();
    let Some(spec) = template.get("spec") else {
        return uses.finish();
    };
    let volumes: BTreeMap<&str, &Value> = items(spec, "volumes")
        .filter_map(|volume| Some((text(volume, "name")?, volume)))
        .collect();
    for container in items(spec, "containers") {
        walk_container(container, None, &volumes, &mut uses);
    }
    for container in items(spec, "initContainers") {
        // A native sidecar is an init container that goes on running.
        let sidecar = text(container, "restartPolicy") == Some("Always");
        let channel = (!sidecar).then_some(Channel::Init);
        walk_container(container, channel, &volumes, &mut uses);
    }
    uses.finish()
}

/// `ended`: the channel to report instead of the one found, for a container that runs once.
fn walk_container(container: &Value, ended: Option<Channel>, volumes: &BTreeMap<&str, &Value>, uses: &mut Uses) {
    for var in items(container, "env") {
        let Some(from) = var.get("valueFrom") else { continue };
        for (field, kind) in [
            ("configMapKeyRef", SourceKind::ConfigMap),
            ("secretKeyRef", SourceKind::Secret),
        ] {
            let Some(reference) = from.get(field) else { continue };
            if let (Some(draft), Some(key)) = (uses.draft(kind, text(reference, "name")), text(reference, "key")) {
                let required = !flag(reference, "optional");
                draft.required |= required;
                if required {
                    draft.required_keys.insert(Key::from(key));
                }
                draft.one(key, ended.unwrap_or(Channel::Env));
            }
        }
    }
    for source in items(container, "envFrom") {
        for (field, kind) in [
            ("configMapRef", SourceKind::ConfigMap),
            ("secretRef", SourceKind::Secret),
        ] {
            let Some(reference) = source.get(field) else { continue };
            if let Some(draft) = uses.draft(kind, text(reference, "name")) {
                draft.required |= !flag(reference, "optional");
                draft.all(ended.unwrap_or(Channel::Env));
            }
        }
    }
    for mount in items(container, "volumeMounts") {
        let Some(volume) = text(mount, "name").and_then(|name| volumes.get(name)) else {
            continue;
        };
        let path = MountedPath::of(mount);
        let channel = ended.unwrap_or(match path {
            MountedPath::All => Channel::Mount,
            MountedPath::Unknown | MountedPath::Under(_) => Channel::SubPath,
        });
        walk_volume(volume, &path, channel, uses);
    }
}

/// Which part of a volume a mount shows.
enum MountedPath<'a> {
    All,
    /// `subPath`: this file or folder of the volume.
    Under(&'a str),
    /// `subPathExpr` with a variable: known only to the kubelet, so anything may be meant.
    Unknown,
}

impl<'a> MountedPath<'a> {
    fn of(mount: &'a Value) -> Self {
        let literal = text(mount, "subPath").filter(|path| !path.is_empty());
        let expression = text(mount, "subPathExpr").filter(|path| !path.is_empty());
        match literal.or(expression) {
            Some(path) if literal.is_none() && path.contains("$(") => Self::Unknown,
            Some(path) => Self::Under(path),
            None => Self::All,
        }
    }

    fn shows(&self, path: &str) -> bool {
        match self {
            Self::All | Self::Unknown => true,
            Self::Under(part) => {
                let mut path = steps(path);
                steps(part).all(|step| path.next() == Some(step))
            }
        }
    }

    /// The file at the volume's root that is all that it shows. `None`: it shows more.
    fn file(&self) -> Option<String> {
        match self {
            Self::All | Self::Unknown => None,
            Self::Under(part) => Some(steps(part).collect::<Vec<_>>().join("/")).filter(|file| !file.is_empty()),
        }
    }
}

/// A path as the kubelet goes it: it joins paths, so that `./app.conf`, `app.conf/` and `app.conf` are one.
/// `..data` is its own link to all files of the volume.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|step| !matches!(*step, "" | "." | "..data"))
}

fn walk_volume(volume: &Value, path: &MountedPath, channel: Channel, uses: &mut Uses) {
    if let Some(source) = volume.get("configMap") {
        walk_files(SourceKind::ConfigMap, text(source, "name"), source, path, channel, uses);
    }
    if let Some(source) = volume.get("secret") {
        walk_files(
            SourceKind::Secret,
            text(source, "secretName"),
            source,
            path,
            channel,
            uses,
        );
    }
    let Some(projected) = volume.get("projected") else {
        return;
    };
    for source in items(projected, "sources") {
        for (field, kind) in [("configMap", SourceKind::ConfigMap), ("secret", SourceKind::Secret)] {
            if let Some(source) = source.get(field) {
                walk_files(kind, text(source, "name"), source, path, channel, uses);
            }
        }
    }
}

/// The files that a volume makes of one source: one a key, or one an item.
fn walk_files(
    kind: SourceKind,
    name: Option<&str>,
    source: &Value,
    path: &MountedPath,
    channel: Channel,
    uses: &mut Uses,
) {
    let Some(draft) = uses.draft(kind, name) else { return };
    let required = !flag(source, "optional");
    draft.required |= required;
    draft.channels.insert(channel);
    let mut listed = items(source, "items").peekable();
    if listed.peek().is_none() {
        // Without items a key is a file of its own name at the volume's root.
        match path.file() {
            Some(key) => draft.one(&key, channel),
            None => draft.all(channel),
        }
        return;
    }
    for item in listed {
        let (Some(key), Some(file)) = (text(item, "key"), text(item, "path")) else {
            continue;
        };
        // The kubelet sets the whole volume up or none of it, so a missing item stops the pod even
        // when no mount shows it.
        if required {
            draft.required_keys.insert(Key::from(key));
        }
        if path.shows(file) {
            draft.one(key, channel);
        }
    }
}

impl Uses {
    /// `None` for a reference without a name, which old API versions allowed and no kubelet follows.
    fn draft(&mut self, kind: SourceKind, name: Option<&str>) -> Option<&mut Draft> {
        let name = name.filter(|name| !name.is_empty())?;
        Some(self.0.entry((None, kind, Name::from(name))).or_default())
    }
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

fn flag(value: &Value, field: &str) -> bool {
    value.get(field).and_then(Value::as_bool).unwrap_or(false)
}
