//! Names as types, so that a namespace can never be taken for a name or a key for a value.

use std::fmt;
use std::sync::Arc;

pub use super::uid::Uid;

macro_rules! text {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text!(
    /// A namespace's name. Shared, because each of ten thousand objects repeats it.
    Namespace(Arc<str>)
);
text!(
    /// An object's name within its namespace.
    Name(Arc<str>)
);
text!(
    /// A key of a source: `data` and `binaryData` are one key space. Shared, because many workloads name
    /// the same.
    Key(Arc<str>)
);

/// An object's `metadata.resourceVersion`.
///
/// Kubernetes has them ordered within a cluster's store, across kinds too, which is what lets two
/// writes be put in order however late their events arrive
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// A version by its number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// Reads a version. `None` when the server's versions are no numbers, which no Kubernetes does.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

crate::words! {
    /// What kind of object a source is, in Kubernetes' words.
    pub enum SourceKind {
        /// `v1/ConfigMap`.
        ConfigMap = "ConfigMap",
        /// `v1/Secret`.
        Secret = "Secret",
    }
}

impl SourceKind {
    /// The kind of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One source in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceRef {
    /// The namespace first: sources of one namespace are neighbours in a sorted map.
    pub namespace: Namespace,
    /// `ConfigMap` or Secret.
    pub kind: SourceKind,
    pub name: Name,
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// One workload in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadRef {
    pub namespace: Namespace,
    /// Its kind's row in the table of kinds.
    pub kind: crate::workload::kind::KindId,
    pub name: Name,
}
