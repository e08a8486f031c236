//! What Windlass looks at: namespaces, and kinds of sources, workloads and policies.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use kube::core::Selector;
use windlass_core::types::name::Namespace;
use windlass_core::workload::kind::KindId;

use crate::flags::{NotAccepted, list};
use crate::k8s::names::{is_label, is_subdomain};

/// What is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// Namespaces to work in, sorted, each once. Empty: all.
    pub namespaces: Vec<Namespace>,
    /// Namespaces to leave alone, sorted, each once.
    pub exclude_namespaces: Vec<Namespace>,
    /// Labels of the namespaces to work in, as a label selector. `None`: whatever they bear.
    pub namespace_selector: Option<Selector>,
    /// Whether policies of the cluster hold.
    pub cluster_policies: ClusterPolicies,
    /// Kinds of sources whose changes count.
    pub sources: SourceKinds,
    /// Kinds of workloads to work on.
    pub workload_kinds: Vec<WorkloadKind>,
}

/// Whether `ClusterRolloutPolicy` objects hold for the workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterPolicies {
    /// They do. Nothing is restarted before they have been read.
    Required,
    /// They do if they may be read: with `--namespaces`, where nobody said whether there is a right to.
    IfPermitted,
    /// They do not, and are not asked for.
    Ignored,
}

impl FromStr for ClusterPolicies {
    type Err = NotAccepted;

    fn from_str(text: &str) -> Result<Self, NotAccepted> {
        match text {
            "" => Ok(Self::IfPermitted),
            "true" => Ok(Self::Required),
            "false" => Ok(Self::Ignored),
            _ => Err(NotAccepted),
        }
    }
}

/// Kinds of sources whose changes count; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceKinds {
    /// `ConfigMap`s.
    pub configmaps: bool,
    /// Secrets. Without them no request on any is made but for our own digest key.
    pub secrets: bool,
}

impl FromStr for SourceKinds {
    type Err = NotAccepted;

    fn from_str(text: &str) -> Result<Self, NotAccepted> {
        let words = list(|word| ["configmaps", "secrets"].into_iter().find(|known| *known == word))(text)?;
        let sources = Self {
            configmaps: words.contains(&"configmaps"),
            secrets: words.contains(&"secrets"),
        };
        if words.is_empty() {
            Err(NotAccepted)
        } else {
            Ok(sources)
        }
    }
}

/// A kind of workloads to work on.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkloadKind {
    /// One that we know.
    BuiltIn(KindId),
    /// One that an operator described.
    Custom(CustomKind),
}

/// A kind by `GROUP/VERSION/KIND=.PATH`.
#[derive(Clone, Debug)]
pub struct CustomKind {
    /// API group; empty: the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kubernetes' word for it.
    pub kind: String,
    /// Field names from the object's root down to the pod template.
    pub template: Vec<String>,
    /// Its row for the plural that the API server gave it: a row is made once.
    row: Arc<Mutex<Option<(String, KindId)>>>,
}

impl CustomKind {
    /// A description.
    #[must_use]
    pub fn new(group: &str, version: &str, kind: &str, template: Vec<String>) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            template,
            row: Arc::default(),
        }
    }

    fn identity(&self) -> (&str, &str, &str, &[String]) {
        let Self {
            group,
            version,
            kind,
            template,
            row: _,
        } = self;
        (group, version, kind, template)
    }
}

/// `GROUP/VERSION/KIND=.PATH`, of the core group `VERSION/KIND=.PATH`.
impl FromStr for CustomKind {
    type Err = NotAccepted;

    fn from_str(text: &str) -> Result<Self, NotAccepted> {
        let read = || {
            let (name, path) = text.trim().split_once('=')?;
            let parts: Vec<&str> = name.split('/').collect();
            let (group, version, kind) = match parts.as_slice() {
                [version, kind] => ("", *version, *kind),
                [group, version, kind] if is_subdomain(group, 0) => (*group, *version, *kind),
                _ => return None,
            };
            let is_word = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
            let fields: Vec<String> = path.strip_prefix('.')?.split('.').map(str::to_owned).collect();
            let built_in = KindId::named(kind).is_some_and(|known| known.row().group == group);
            let good = is_label(version) && is_word(kind) && !built_in && fields.iter().all(|field| is_word(field));
            good.then(|| Self::new(group, version, kind, fields))
        };
        read().ok_or(NotAccepted)
    }
}

impl PartialEq for CustomKind {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl WorkloadKind {
    /// Its row in the table of kinds, once its plural is known.
    #[must_use]
    pub fn row(&self, plural: &str) -> KindId {
        let described = match self {
            Self::BuiltIn(kind) => return *kind,
            Self::Custom(described) => described,
        };
        let mut row = described.row.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, kind)) = &*row
            && known == plural
        {
            return *kind;
        }
        let CustomKind {
            group,
            version,
            kind,
            template,
            row: _,
        } = described;
        let kind = KindId::described(group, version, kind, plural, template);
        *row = Some((plural.to_owned(), kind));
        kind
    }

    /// Its API group, if that is one of custom resources.
    #[must_use]
    pub fn custom_group(&self) -> Option<String> {
        let group = match self {
            Self::BuiltIn(kind) => kind.row().group,
            Self::Custom(described) => &described.group,
        };
        group.contains('.').then(|| group.to_owned())
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(kind) => f.write_str(kind.row().kind),
            Self::Custom(described) => f.write_str(&described.kind),
        }
    }
}
