//! What a source holds, reduced to digests while it is being read.

pub mod baseline;
pub mod cause;
pub mod content_time;
pub mod digest;
pub mod value;

use std::cmp::Ordering;
use std::fmt;

pub use crate::content::value::ValueDigest;
use crate::types::name::Key;

/// A digest, and where its key ends among the texts.
const RECORD: usize = 32 + END;
const END: usize = size_of::<u32>();

/// Room is made for a quarter more, not for twice as much: an object of 1 MiB can have 75,000 keys.
const GROWTH: usize = 4;

/// The keys of a source, sorted, with the digest of each value.
///
/// In one piece, because there are tens of thousands of these: a record for each key, the keys' texts one after
/// the other, and how many there are. Empty, if there are none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contents(Box<[u8]>);

/// Keys with digests, in the order in which they come. Of a key that comes twice the last one counts.
#[derive(Default)]
pub struct Entries {
    records: Vec<u8>,
    texts: String,
    /// Whether each key is greater than the one before.
    unsorted: bool,
}

impl Entries {
    /// One more.
    pub fn push(&mut self, key: &str, digest: ValueDigest) {
        self.unsorted |= self.len() > 0 && self.key(self.len() - 1).is_none_or(|last| last >= key);
        if self.records.capacity() - self.records.len() < RECORD {
            let more = (self.len() / GROWTH).max(1) * RECORD;
            self.records.reserve_exact(more);
        }
        self.texts.push_str(key);
        self.records.extend_from_slice(digest.bytes());
        self.records.extend_from_slice(&number(self.texts.len()));
    }

    /// The others after these.
    pub fn append(&mut self, others: &Self) {
        for at in 0..others.len() {
            if let (Some(key), Some(digest)) = (others.key(at), others.part().digest(at)) {
                self.push(key, digest);
            }
        }
    }

    fn len(&self) -> usize {
        self.records.len() / RECORD
    }

    fn part(&self) -> RecordSlice<'_> {
        RecordSlice {
            records: &self.records,
            texts: self.texts.as_bytes(),
        }
    }

    fn key(&self, at: usize) -> Option<&str> {
        self.part().key(at)
    }

    fn sorted(&self) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        // Stable: of equal ones the last stays the last.
        order.sort_by_key(|at| self.key(*at));
        let mut sorted = Self::default();
        for (at, next) in order.iter().zip(order.iter().skip(1).map(Some).chain([None])) {
            let again = next.is_some_and(|next| self.key(*next) == self.key(*at));
            if let (Some(key), Some(digest), false) = (self.key(*at), self.part().digest(*at), again) {
                sorted.push(key, digest);
            }
        }
        sorted
    }
}

impl<'a> Extend<(&'a str, ValueDigest)> for Entries {
    fn extend<T: IntoIterator<Item = (&'a str, ValueDigest)>>(&mut self, entries: T) {
        for (key, digest) in entries {
            self.push(key, digest);
        }
    }
}

impl<'a> FromIterator<(&'a str, ValueDigest)> for Contents {
    fn from_iter<T: IntoIterator<Item = (&'a str, ValueDigest)>>(entries: T) -> Self {
        let mut all = Entries::default();
        all.extend(entries);
        Self::from(all)
    }
}

impl From<Entries> for Contents {
    fn from(entries: Entries) -> Self {
        let entries = if entries.unsorted { entries.sorted() } else { entries };
        let count = entries.len();
        if count == 0 {
            return Self::default();
        }
        let mut bytes = entries.records;
        bytes.reserve_exact(entries.texts.len() + END);
        bytes.extend_from_slice(entries.texts.as_bytes());
        bytes.extend_from_slice(&number(count));
        Self(bytes.into_boxed_slice())
    }
}

fn number(size: usize) -> [u8; END] {
    u32::try_from(size)
        .expect("an object is far smaller than 4 GiB")
        .to_le_bytes()
}

/// Records and the texts that belong to them.
#[derive(Clone, Copy)]
struct RecordSlice<'a> {
    records: &'a [u8],
    texts: &'a [u8],
}

impl<'a> RecordSlice<'a> {
    fn record(self, at: usize) -> Option<(&'a [u8; 32], &'a [u8; END])> {
        let (digest, rest) = self.records.get(at * RECORD..)?.split_first_chunk()?;
        Some((digest, rest.first_chunk()?))
    }

    fn digest(self, at: usize) -> Option<ValueDigest> {
        self.record(at).map(|(digest, _)| ValueDigest::new(*digest))
    }

    fn end(self, at: usize) -> Option<usize> {
        let (_, end) = self.record(at)?;
        usize::try_from(u32::from_le_bytes(*end)).ok()
    }

    fn key(self, at: usize) -> Option<&'a str> {
        let begin = match at.checked_sub(1) {
            Some(before) => self.end(before)?,
            None => 0,
        };
        std::str::from_utf8(self.texts.get(begin..self.end(at)?)?).ok()
    }
}

impl Contents {
    fn len(&self) -> usize {
        let count = self.0.last_chunk().copied().map(u32::from_le_bytes);
        count.and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
    }

    fn part(&self) -> RecordSlice<'_> {
        let (records, rest) = self.0.split_at_checked(self.len() * RECORD).unwrap_or_default();
        let texts = rest.split_last_chunk::<END>().map(|(texts, _)| texts);
        RecordSlice {
            records,
            texts: texts.unwrap_or_default(),
        }
    }

    /// The digest of a key's value; `None` when there is no such key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<ValueDigest> {
        let part = self.part();
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match part.key(middle)?.cmp(key) {
                Ordering::Equal => return part.digest(middle),
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
            }
        }
        None
    }

    /// All keys in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, ValueDigest)> {
        let part = self.part();
        (0..self.len()).map(move |at| {
            let entry = part.key(at).zip(part.digest(at));
            entry.expect("there are as many as it says")
        })
    }

    /// The keys in which two states differ: changed, added or gone, in order.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<Key> {
        let (mut these, mut others) = (self.iter().peekable(), other.iter().peekable());
        let mut keys = Vec::new();
        loop {
            let order = match (these.peek(), others.peek()) {
                (None, None) => return keys,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((one, _)), Some((other, _))) => one.cmp(other),
            };
            let this = these.next_if(|_| order != Ordering::Greater);
            let other = others.next_if(|_| order != Ordering::Less);
            if this != other
                && let Some((key, _)) = this.or(other)
            {
                keys.push(Key::from(key));
            }
        }
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(key, _)| key)).finish()
    }
}

#[cfg(test)]
mod tests;
