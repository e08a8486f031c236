//! Keyed digests: equal for equal content, and of no use to anybody without the key.
//!
//! An annotation is read by many more people than a Secret is. A plain hash there would let any of
//! them test guesses of a short password, and compare what two workloads are given. So everything
//! that is written is an HMAC-SHA-256 under a key derived for that one workload.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::cause::WholeDigest;
use crate::content::Contents;
use crate::types::name::{SourceRef, Uid};
use crate::workload::key_strategy::KeyStrategy;
use crate::workload::reference::{ConsumedKeys, Use};

#[cfg(test)]
mod tests;

/// Bytes of a random key.
pub const KEY_BYTES: usize = 32;

/// A random key with the short name that baselines call it by.
#[derive(Clone)]
pub struct RingKey {
    id: Box<str>,
    bytes: [u8; KEY_BYTES],
}

impl fmt::Debug for RingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingKey({}, {} bytes)", self.id, self.bytes.len())
    }
}

/// All keys that a baseline may have been made with. New ones are made with the newest.
#[derive(Clone, Debug)]
pub struct KeyRing {
    newest: RingKey,
    older: Vec<RingKey>,
}

impl KeyRing {
    /// From `(id, bytes)`, the newest being the one with the greatest id. `None` if there is none.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = (Box<str>, [u8; KEY_BYTES])>) -> Option<Self> {
        let mut older: Vec<RingKey> = keys.into_iter().map(|(id, bytes)| RingKey { id, bytes }).collect();
        older.sort_by(|a, b| a.id.cmp(&b.id));
        let newest = older.pop()?;
        Some(Self { newest, older })
    }

    /// The same, able to read what was made with the keys of another ring, and never to write with them.
    #[must_use]
    pub fn with_older(mut self, other: Self) -> Self {
        self.older.extend(other.older);
        self.older.push(other.newest);
        self
    }

    /// The key that new baselines are made with.
    #[must_use]
    pub fn newest(&self) -> &RingKey {
        &self.newest
    }

    /// A key by its id; `None` if it is lost.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&RingKey> {
        std::iter::once(&self.newest)
            .chain(&self.older)
            .find(|key| &*key.id == id)
    }
}

impl RingKey {
    /// The name that baselines call it by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The digest of a whole source, by which all workloads call one and the same change.
    #[must_use]
    pub fn whole(&self, source: &SourceRef, contents: &Contents) -> WholeDigest {
        let mut mac = Encoder::new(&self.bytes, b"windlass cause key v1");
        mac.byte(0);
        let Digest(digest) = WorkloadKey(mac.finish()).digest(source, &ConsumedKeys::Whole, &|_| true, Some(contents));
        std::array::from_fn(|i| digest.get(i).copied().unwrap_or_default())
    }

    /// The key of one workload: digests of two workloads cannot be compared.
    #[must_use]
    pub fn for_workload(&self, uid: &Uid) -> WorkloadKey {
        let mut mac = Encoder::new(&self.bytes, b"windlass workload key v1");
        mac.text(&uid.to_string());
        WorkloadKey(mac.finish())
    }
}

/// 128 bits of a keyed digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 16]);

/// 24 bits: tells two selections of keys of one source apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeTag(pub [u8; 3]);

/// 8 bits of a key's name, to see that a key is gone, and 16 bits of its content, to name a changed key to
/// people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint(pub [u8; 3]);

impl Hint {
    /// What its first byte is for a key of that name. Names of keys are no secret.
    #[must_use]
    pub fn name_tag(key: &str) -> u8 {
        // FNV-1a, folded (<http://www.isthe.com/chongo/tech/comp/fnv/>).
        let bytes = key.bytes();
        let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        hash.to_le_bytes().iter().fold(0, |tag, byte| tag ^ byte)
    }

    /// What tells of the name.
    #[must_use]
    pub fn tag(self) -> u8 {
        let Self([tag, ..]) = self;
        tag
    }
}

/// Makes the digests of one workload.
pub struct WorkloadKey([u8; 32]);

impl WorkloadKey {
    /// The digest of what a workload takes from one source. `None`: the source does not exist.
    #[must_use]
    pub fn source(&self, source: &SourceRef, used: &Use, contents: Option<&Contents>) -> Digest {
        self.digest(source, &used.consumed, &|key| used.counts(key), contents)
    }

    fn digest(
        &self,
        source: &SourceRef,
        consumed: &ConsumedKeys,
        counts: &dyn Fn(&str) -> bool,
        contents: Option<&Contents>,
    ) -> Digest {
        let mut mac = Encoder::new(&self.0, b"source");
        mac.source(source);
        let Some(contents) = contents else {
            mac.byte(0);
            return Digest(cut(&mac.finish()));
        };
        mac.byte(1);
        match consumed {
            ConsumedKeys::Whole => {
                for (key, value) in contents.iter().filter(|(key, _)| counts(key)) {
                    mac.text(key);
                    mac.byte(1);
                    mac.bytes(value.bytes());
                }
            }
            ConsumedKeys::Keys(keys) => {
                for key in keys {
                    mac.text(key.as_str());
                    match contents.get(key.as_str()) {
                        Some(value) => {
                            mac.byte(1);
                            mac.bytes(value.bytes());
                        }
                        None => mac.byte(0),
                    }
                }
            }
        }
        Digest(cut(&mac.finish()))
    }

    /// The tag of which keys of a source count.
    #[must_use]
    pub fn shape(&self, source: &SourceRef, found: &Use) -> ShapeTag {
        let mut mac = Encoder::new(&self.0, b"shape");
        mac.source(source);
        match &found.consumed {
            ConsumedKeys::Whole => mac.byte(1),
            ConsumedKeys::Keys(keys) => {
                mac.byte(0);
                for key in keys {
                    mac.text(key.as_str());
                }
            }
        }
        if let Some(sorted) = found.key_subset() {
            mac.byte(2);
            sorted.encode(|piece| mac.text(piece));
        }
        if found.key_strategy == KeyStrategy::InPlace {
            mac.text("in place");
        }
        ShapeTag(cut(&mac.finish()))
    }

    /// What a source and its selection of keys are called where there is no room for the name.
    #[must_use]
    pub fn label(&self, source: &SourceRef, tag: ShapeTag) -> [u8; 4] {
        let mut mac = Encoder::new(&self.0, b"label");
        mac.source(source);
        mac.bytes(&tag.0);
        cut(&mac.finish())
    }

    /// A name for a mark of another controller.
    #[must_use]
    pub fn mark(&self, print: &[u8; 8]) -> [u8; 4] {
        let mut mac = Encoder::new(&self.0, b"mark");
        mac.bytes(print);
        cut(&mac.finish())
    }

    /// One tag over all sources and selections, in order.
    #[must_use]
    pub fn whole_shape<'a>(&self, sources: impl Iterator<Item = (&'a SourceRef, ShapeTag)>) -> [u8; 6] {
        let mut mac = Encoder::new(&self.0, b"whole shape");
        for (source, ShapeTag(tag)) in sources {
            mac.source(source);
            mac.bytes(&tag);
        }
        cut(&mac.finish())
    }

    /// The hint of one key's content.
    #[must_use]
    pub fn hint(&self, source: &SourceRef, key: &str, value: &crate::content::ValueDigest) -> Hint {
        let mut mac = Encoder::new(&self.0, b"hint");
        mac.source(source);
        mac.text(key);
        mac.bytes(value.bytes());
        let [first, second] = cut(&mac.finish());
        Hint([Hint::name_tag(key), first, second])
    }

    /// One digest over all sources, in order.
    #[must_use]
    pub fn combined<'a>(&self, sources: impl Iterator<Item = (&'a SourceRef, ShapeTag, Digest)>) -> Digest {
        let mut mac = Encoder::new(&self.0, b"workload");
        for (source, ShapeTag(tag), Digest(digest)) in sources {
            mac.source(source);
            mac.bytes(&tag);
            mac.bytes(&digest);
        }
        Digest(cut(&mac.finish()))
    }
}

/// Length-prefixed, so that no two different inputs are encoded alike.
struct Encoder(Hmac<Sha256>);

impl Encoder {
    fn new(key: &[u8; 32], purpose: &[u8]) -> Self {
        let mut encoder = Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"));
        encoder.bytes(purpose);
        encoder
    }

    fn byte(&mut self, byte: u8) {
        self.0.update(&[byte]);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn source(&mut self, source: &SourceRef) {
        self.text(source.kind.as_str());
        self.text(source.namespace.as_str());
        self.text(source.name.as_str());
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }
}

fn cut<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default())
}

/// The part of a digest that a baseline keeps.
#[must_use]
pub fn digest_prefix(template_digest: &str) -> Option<[u8; 6]> {
    use base64::Engine as _;
    let (_, digest) = template_digest.split_once('.')?;
    let digest = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(digest).ok()?;
    digest.get(..6)?.try_into().ok()
}
