//! All keys of a source at one moment.

use std::{
    collections::{BTreeMap, btree_map},
    ffi::OsString,
    sync::Arc,
};

use crate::Content;

/// All keys of a source as they were at one moment: of one version, never half old and half new.
///
/// A key is the name of a file in the volume, or a key of the `ConfigMap` or Secret. With `items` whose
/// `path` has folders it is the whole path, such as `conf.d/a.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    entries: BTreeMap<Arc<str>, Entry>,
    nameless: Vec<OsString>,
}

/// What was found under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Its bytes.
    Content(Content),
    /// Something that could not be read. This is not the same as a key that is gone: what was read
    /// before stays good.
    Unreadable(Unreadable),
}

/// Why a key could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A symlink whose target does not exist.
    #[error("is a broken link")]
    Dangling,
    /// The process may not read it.
    #[error("cannot be read: permission denied")]
    Denied,
    /// It is a socket, a pipe, a device, or a link to a folder.
    #[error("is not a file")]
    NotAFile,
    /// A link that leads out of the volume, where those are not followed: see
    /// [`VolumeBuilder::contained`](crate::VolumeBuilder::contained).
    #[error("is a link to outside the volume")]
    Outside,
    /// It has more bytes than [`VolumeBuilder::max_size`](crate::VolumeBuilder::max_size).
    #[error("is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Any other answer of the operating system.
    #[error("cannot be read (operating system error {errno})")]
    System {
        /// The number, as in `errno(3)`.
        errno: i32,
    },
}

impl Unreadable {
    /// One word out of a fixed list, for the label of a metric.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Dangling => "dangling",
            Self::Denied => "denied",
            Self::NotAFile => "not-a-file",
            Self::Outside => "outside",
            Self::TooLarge { .. } => "too-large",
            Self::System { .. } => "system",
        }
    }
}

impl Snapshot {
    /// The content of a key; `None` when there is no such key, or when it could not be read.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Content> {
        match self.entries.get(key)? {
            Entry::Content(content) => Some(content),
            Entry::Unreadable(_) => None,
        }
    }

    /// What was found under a key; `None` when there is no such key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Every key with what was found there, in the order of their names.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.entries.iter())
    }

    /// Number of keys, those that could not be read included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names in the directory that are not UTF-8, at most 16 of them. No key of a `ConfigMap` looks like
    /// that, and nobody could ask for it by a `&str`: such a file is left out, and named here.
    #[must_use]
    pub fn nameless(&self) -> &[OsString] {
        &self.nameless
    }

    pub(crate) fn insert(&mut self, key: Arc<str>, entry: Entry) {
        self.entries.insert(key, entry);
    }

    /// Bounded: a directory full of such names is somebody's accident, and the first ones tell it.
    pub(crate) fn insert_nameless(&mut self, name: OsString) {
        const SHOWN: usize = 16;
        if self.nameless.len() < SHOWN {
            self.nameless.push(name);
            self.nameless.sort();
        }
    }
}

impl<K: Into<Arc<str>>, C: Into<Content>> FromIterator<(K, C)> for Snapshot {
    fn from_iter<I: IntoIterator<Item = (K, C)>>(pairs: I) -> Self {
        let mut snapshot = Self::default();
        for (key, content) in pairs {
            snapshot.insert(key.into(), Entry::Content(content.into()));
        }
        snapshot
    }
}

/// The keys of a [`Snapshot`] in the order of their names.
#[derive(Clone, Debug)]
pub struct Iter<'a>(btree_map::Iter<'a, Arc<str>, Entry>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a Entry);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, entry)| (&**key, entry))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<'a> IntoIterator for &'a Snapshot {
    type Item = (&'a str, &'a Entry);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
