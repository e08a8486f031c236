//! What a source holds, reduced to digests while it is being read.

use super::name::Key;
pub use super::value::ValueDigest;

/// The keys of a source, sorted, with the digest of each value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(Box<[(Key, ValueDigest)]>);

impl Contents {
    /// Takes keys in any order; of a key that stands twice the last one counts.
    #[must_use]
    pub fn new(mut entries: Vec<(Key, ValueDigest)>) -> Self {
        entries.reverse();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.dedup_by(|a, b| a.0 == b.0);
        Self(entries.into_boxed_slice())
    }

    /// The digest of a key's value; `None` when there is no such key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&ValueDigest> {
        let at = self.0.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok()?;
        self.0.get(at).map(|(_, digest)| digest)
    }

    /// All keys in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &ValueDigest)> {
        self.0.iter().map(|(key, digest)| (key, digest))
    }

    /// The keys, to have each replaced by an equal one.
    pub fn keys_mut(&mut self) -> impl Iterator<Item = &mut Key> {
        self.0.iter_mut().map(|(key, _)| key)
    }

    /// The keys in which two states differ: changed, added or gone, in order.
    #[must_use]
    pub fn differing<'a>(&'a self, other: &'a Self) -> Vec<&'a Key> {
        let mut keys: Vec<&Key> = self
            .iter()
            .filter(|(key, digest)| other.get(key.as_str()) != Some(digest))
            .map(|(key, _)| key)
            .chain(
                other
                    .iter()
                    .filter(|(key, _)| self.get(key.as_str()).is_none())
                    .map(|(key, _)| key),
            )
            .collect();
        keys.sort_unstable();
        keys
    }
}
