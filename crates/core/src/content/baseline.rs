//! The baseline: what a workload's pods are known to run, kept on the workload itself.
//!
//! One compact JSON value in [`OBSERVED`](crate::annotation::OBSERVED), below 1 KiB. It has no
//! content and no plain digest of any, so reading it tells nothing about a Secret.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cause::{ChangedSource, WholeDigest};
use super::digest::{Digest, Hint, ShapeTag, WorkloadKey};
use crate::compat::marks::MarkLabel;
use crate::types::name::{Name, Namespace, SourceKind, SourceRef, Uid, Version};
use crate::types::time::Second;
use crate::workload::key_strategy::KeyStrategy;

#[cfg(test)]
pub(crate) mod tests;

/// The format that is written. Readers know the one before, too, once there is one.
const FORMAT: u32 = 1;

/// The most that the annotation may take on each workload and each of its `ReplicaSet`s.
pub const MAX_BYTES: usize = 1024;

/// How many restart times are kept: enough to see that a workload restarts too often.
pub const RESTARTS_KEPT: usize = 10;

/// Bytes of each digest beside one over all. With fewer than these a change might be missed that comes together
/// with that of another source.
const PART_BYTES: std::ops::RangeInclusive<usize> = 4..=6;

/// Bytes that are left for what is added to a baseline later on.
const ROOM: usize = 160;

/// How many immutable sources are kept.
const IMMUTABLE_KEPT: usize = 32;

/// How many marks of other controllers are kept.
const MARKS_KEPT: usize = 12;

/// What the pods of one workload are known to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// The installation that wrote it.
    pub installation: Box<str>,
    /// The id of the key that its digests are made with.
    pub key: Box<str>,
    /// The workload that it was written for.
    pub uid: Uid,
    /// When it was written, by our clock.
    pub at: Timestamp,
    /// The newest version among its sources: a source of a later version was written since.
    pub horizon: Version,
    /// The latest time that the managed fields of its sources had. A later one is of a later write.
    pub written: Option<Second>,
    /// The revision of the workload that it was set for; 0 before the first.
    pub revision: u64,
    /// Which sources and keys it covers, as one tag.
    pub shape: [u8; 6],
    pub recorded: RecordedDigests,
    /// Since when some pods are known not to run the content that is wanted.
    pub stale: Option<Timestamp>,
    /// The digests are of the present content, but the pods are not known to run it, and why.
    pub held: Option<Uncertainty>,
    /// Our last restarts, in seconds since 1970, the newest last.
    pub restarts: Vec<i64>,
    /// The beginning of the digest that our last restart left on the template: as long as pods may
    /// still run an older one.
    pub template_digest: Option<[u8; 6]>,
    /// How many of our restarts its owner took back.
    pub reverts: u32,
    /// How many restarts in a row were put off because it restarted too often.
    pub flaps: u32,
    /// When files of running pods were last left to the kubelet.
    pub in_place: Option<Timestamp>,
    /// The time of the last manual override that was answered.
    pub last_override: Option<Timestamp>,
    /// Its last restart failed, and a person said that the others may go on all the same.
    pub excused: bool,
    /// What a person took it back from, if the rollout was undone: sources as they are called above, and
    /// which content of each.
    pub undone: BTreeMap<String, WholeDigest>,
    /// Marks of other controllers that were seen, the last ones last: one of them that comes back is no news.
    pub marks: Vec<MarkLabel>,
    /// Sources of which a kubelet may have an immutable object, by label: it goes on serving that.
    pub immutable: Vec<[u8; 4]>,
}

/// Why a baseline does not vouch for the pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Uncertainty {
    /// Somebody undid the rollout that would have made them current.
    Undone,
    /// Nothing tells what they were started with.
    Unproven,
    /// Its owner takes our restarts back.
    Reverted,
    /// An immutable source was replaced by another of its name: a kubelet may go on serving the old one.
    Replaced,
}

/// The digests of a baseline, in the most telling form that there is room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedDigests {
    /// Each source by name.
    Named(BTreeMap<String, Entry>),
    /// Each source by label: change and reshaping can be told, names cannot.
    Packed(Vec<([u8; 4], [u8; 6])>),
    /// One digest over all, and the beginnings of those of each, in order, by which those that differ can be told.
    /// Empty where there is no room.
    Combined(Digest, Box<[u8]>),
}

/// One source of a baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which of its keys count.
    pub tag: ShapeTag,
    /// Their content.
    pub digest: Digest,
    /// A hint for each key; empty when there are too many.
    pub hints: Vec<Hint>,
}

/// A source as it is now, for comparing and recording.
pub struct PresentSource<'a> {
    pub source: &'a SourceRef,
    /// What a change of it does.
    pub key_strategy: KeyStrategy,
    /// Which of its keys count.
    pub tag: ShapeTag,
    /// Their content.
    pub digest: Digest,
    /// A hint for each key that exists and counts; empty when there are too many.
    pub hints: Vec<Hint>,
}

/// How the present differs from a baseline.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Positions in the present list of the sources whose content differs.
    pub changed: Vec<usize>,
    /// Positions of those that did not count before.
    pub added: Vec<usize>,
    /// Positions of those of which other keys counted before, or the same ones for something else: what
    /// they held then is not known.
    pub reclassified: Vec<usize>,
    /// Whether some source or key begins or ceases to count.
    pub shape_changed: bool,
    /// Whether a source or key that is on record does not count any more, as far as that can be told.
    pub removed: bool,
}

/// What a baseline knows of a source as it is used now.
enum KnownContent {
    /// Whether its content is the same.
    Content(bool),
    /// It has been used before, but with other keys.
    OtherKeys,
    Nothing,
}

impl Baseline {
    /// Compares, source by source. `None` when the form kept cannot answer.
    #[must_use]
    pub fn compare(
        &self,
        key: &WorkloadKey,
        namespace: &Namespace,
        present: &[PresentSource<'_>],
    ) -> Option<Difference> {
        let shape = key.whole_shape(present.iter().map(|p| (p.source, p.tag)));
        let reshaped = shape != self.shape;
        let mut difference = Difference {
            shape_changed: reshaped,
            removed: reshaped && self.recorded.has_others(key, namespace, present),
            ..Difference::default()
        };
        // Compared once: it takes all of them.
        let combined = match &self.recorded {
            RecordedDigests::Combined(..) if reshaped => return None,
            RecordedDigests::Combined(all, _) => {
                *all == key.combined(present.iter().map(|p| (p.source, p.tag, p.digest)))
            }
            RecordedDigests::Named(_) | RecordedDigests::Packed(_) => false,
        };
        for (at, p) in present.iter().enumerate() {
            let known = match &self.recorded {
                RecordedDigests::Named(entries) => {
                    match entries.get(&short_name(p.source, p.key_strategy, namespace)) {
                        Some(entry) if entry.tag == p.tag => KnownContent::Content(entry.digest == p.digest),
                        Some(_) => KnownContent::OtherKeys,
                        None if entries.contains_key(&short_name(p.source, p.key_strategy.other(), namespace)) => {
                            KnownContent::OtherKeys
                        }
                        None => KnownContent::Nothing,
                    }
                }
                RecordedDigests::Packed(entries) => {
                    let label = key.label(p.source, p.tag);
                    let entry = entries.iter().find(|(known, _)| *known == label);
                    // Other keys of a known source, or a source that is new: this form cannot tell.
                    entry.map_or(KnownContent::OtherKeys, |(_, short)| {
                        KnownContent::Content(p.digest.0.starts_with(short))
                    })
                }
                RecordedDigests::Combined(_, parts) => {
                    // Should they differ, some of them changed; without parts it is not known which.
                    let part = part_width(parts, present.len()).and_then(|width| parts.chunks(width).nth(at));
                    KnownContent::Content(combined || part.is_some_and(|part| p.digest.0.starts_with(part)))
                }
            };
            match known {
                KnownContent::Content(true) => {}
                KnownContent::Content(false) => difference.changed.push(at),
                KnownContent::OtherKeys => difference.reclassified.push(at),
                KnownContent::Nothing => difference.added.push(at),
            }
        }
        let differ = matches!(self.recorded, RecordedDigests::Combined(..)) && !combined;
        if differ && difference.changed.is_empty() {
            // The beginnings are the same by chance.
            difference.changed = (0..present.len()).collect();
        }
        Some(difference)
    }

    /// Whether it tells of so many sources which of them changed.
    #[must_use]
    pub fn tells_apart(&self, count: usize) -> bool {
        match &self.recorded {
            RecordedDigests::Named(_) | RecordedDigests::Packed(_) => true,
            RecordedDigests::Combined(_, parts) => part_width(parts, count).is_some(),
        }
    }

    /// The hints kept for a source, to name its changed keys. Empty: not known.
    #[must_use]
    pub fn hints(&self, source: &SourceRef, key_strategy: KeyStrategy, namespace: &Namespace) -> &[Hint] {
        match &self.recorded {
            RecordedDigests::Named(entries) => entries
                .get(&short_name(source, key_strategy, namespace))
                .map_or(&[], |entry| &entry.hints),
            RecordedDigests::Packed(_) | RecordedDigests::Combined(..) => &[],
        }
    }

    /// Replaces the digests by the present ones. [`Baseline::print`] then chooses the form.
    pub fn record(&mut self, key: &WorkloadKey, namespace: &Namespace, present: &[PresentSource<'_>]) {
        self.shape = key.whole_shape(present.iter().map(|p| (p.source, p.tag)));
        let named = present
            .iter()
            .map(|p| {
                let entry = Entry {
                    tag: p.tag,
                    digest: p.digest,
                    hints: p.hints.clone(),
                };
                (short_name(p.source, p.key_strategy, namespace), entry)
            })
            .collect();
        self.recorded = RecordedDigests::Named(named);
        if self.print().len() <= MAX_BYTES {
            return;
        }
        if let RecordedDigests::Named(entries) = &mut self.recorded {
            for entry in entries.values_mut() {
                entry.hints.clear();
            }
        }
        if self.print().len() <= MAX_BYTES {
            return;
        }
        let packed = present
            .iter()
            .map(|p| {
                (
                    key.label(p.source, p.tag),
                    std::array::from_fn(|i| p.digest.0.get(i).copied().unwrap_or(0)),
                )
            })
            .collect();
        self.recorded = RecordedDigests::Packed(packed);
        if self.print().len() <= MAX_BYTES {
            return;
        }
        let all = key.combined(present.iter().map(|p| (p.source, p.tag, p.digest)));
        for width in PART_BYTES.rev().chain([0]) {
            let parts = present.iter().flat_map(|p| p.digest.0.iter().take(width)).copied();
            self.recorded = RecordedDigests::Combined(all, parts.collect());
            if width == 0 || self.print().len() + ROOM <= MAX_BYTES {
                return;
            }
        }
    }

    /// Adds a restart of ours.
    pub fn push_restart(&mut self, at: Timestamp) {
        self.restarts.push(at.as_second());
        let surplus = self.restarts.len().saturating_sub(RESTARTS_KEPT);
        self.restarts.drain(..surplus);
    }

    /// Adds what its rollout was undone from, as far as there is room.
    pub fn undo<'a>(&mut self, namespace: &Namespace, sources: impl Iterator<Item = (&'a SourceRef, WholeDigest)>) {
        for (source, digest) in sources {
            let name = short_name(source, KeyStrategy::Restart, namespace);
            self.undone.insert(name.clone(), digest);
            if self.print().len() > MAX_BYTES {
                self.undone.remove(&name);
                return;
            }
        }
    }

    /// Adds marks of other controllers that are there now; of many the last ones are kept.
    pub fn note_marks(&mut self, marks: impl Iterator<Item = MarkLabel>) {
        for mark in marks {
            if !self.marks.contains(&mark) {
                self.marks.push(mark);
            }
        }
        let surplus = self.marks.len().saturating_sub(MARKS_KEPT);
        self.marks.drain(..surplus);
    }

    /// Adds a source of which a kubelet may have an immutable object, as far as there is room.
    pub fn note_immutable(&mut self, label: [u8; 4]) {
        if self.immutable.len() < IMMUTABLE_KEPT && !self.immutable.contains(&label) {
            self.immutable.push(label);
        }
    }

    /// What its rollout was undone from, for a workload of that namespace.
    pub fn undone_from(&self, namespace: &Namespace) -> impl Iterator<Item = ChangedSource> {
        self.undone.iter().filter_map(|(name, digest)| {
            Some(ChangedSource {
                source: source_of(name, namespace)?,
                digest: *digest,
            })
        })
    }

    /// The annotation's value.
    #[must_use]
    pub fn print(&self) -> String {
        let Self {
            installation,
            key,
            uid,
            at,
            horizon,
            written,
            revision,
            shape,
            recorded,
            stale,
            held,
            restarts,
            template_digest: mark,
            reverts,
            flaps,
            in_place,
            last_override: answered,
            excused,
            undone,
            marks,
            immutable,
        } = self;
        let (mut src, mut packed, mut all, mut parts) = (None, None, None, String::new());
        match recorded {
            RecordedDigests::Named(entries) => {
                src = Some(
                    entries
                        .iter()
                        .map(|(name, entry)| (name.clone(), entry.print()))
                        .collect(),
                );
            }
            RecordedDigests::Packed(entries) => {
                let bytes: Vec<u8> = entries
                    .iter()
                    .flat_map(|(label, short)| label.iter().chain(short))
                    .copied()
                    .collect();
                packed = Some(BASE64.encode(bytes));
            }
            RecordedDigests::Combined(Digest(digest), each) => {
                all = Some(BASE64.encode(digest));
                parts = BASE64.encode(each);
            }
        }
        let wire = Wire {
            v: FORMAT,
            installation: installation.to_string(),
            key: key.to_string(),
            uid: uid.to_string(),
            at: millis(*at),
            rv: horizon.number(),
            written: written.map(Second::unix),
            rev: *revision,
            shape: BASE64.encode(shape),
            src,
            packed,
            all,
            parts,
            stale: stale.map(millis),
            held: *held,
            restarts: restarts.clone(),
            mark: mark.map(|mark| BASE64.encode(mark)),
            reverts: *reverts,
            flaps: *flaps,
            in_place: in_place.map(millis),
            answered: answered.map(millis),
            excused: *excused,
            undone: undone
                .iter()
                .map(|(name, digest)| (name.clone(), BASE64.encode(digest)))
                .collect(),
            marks: BASE64.encode(marks.concat()),
            immutable: BASE64.encode(immutable.concat()),
        };
        serde_json::to_string(&wire).expect("strings, numbers and maps of strings always have a JSON form")
    }

    /// Reads an annotation's value.
    ///
    /// # Errors
    /// What is wrong with it; the value itself is not repeated.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let wire: Wire = serde_json::from_str(text).map_err(|_| BaselineError::Malformed)?;
        if wire.v != FORMAT {
            return Err(BaselineError::Format(wire.v));
        }
        let recorded = match (wire.src, wire.packed, wire.all) {
            (Some(src), None, None) => RecordedDigests::Named(
                src.into_iter()
                    .map(|(name, entry)| Some((name, Entry::parse(&entry)?)))
                    .collect::<Option<_>>()
                    .ok_or(BaselineError::Malformed)?,
            ),
            (None, Some(packed), None) => RecordedDigests::Packed(unpack(&packed).ok_or(BaselineError::Malformed)?),
            (None, None, Some(all)) => {
                let parts = BASE64.decode(&wire.parts).map_err(|_| BaselineError::Malformed)?;
                RecordedDigests::Combined(Digest(decode(&all).ok_or(BaselineError::Malformed)?), parts.into())
            }
            _ => return Err(BaselineError::Malformed),
        };
        Ok(Self {
            installation: wire.installation.into(),
            key: wire.key.into(),
            uid: Uid::from(wire.uid.as_str()),
            at: wire.at,
            horizon: Version::new(wire.rv),
            written: wire.written.map(Second::new),
            revision: wire.rev,
            shape: decode(&wire.shape).ok_or(BaselineError::Malformed)?,
            recorded,
            stale: wire.stale,
            held: wire.held,
            restarts: wire.restarts,
            template_digest: wire.mark.as_deref().and_then(decode),
            reverts: wire.reverts,
            flaps: wire.flaps,
            in_place: wire.in_place,
            last_override: wire.answered,
            excused: wire.excused,
            undone: wire
                .undone
                .into_iter()
                .map(|(name, digest)| Some((name, decode(&digest)?)))
                .collect::<Option<_>>()
                .ok_or(BaselineError::Malformed)?,
            marks: labels(&wire.marks).ok_or(BaselineError::Malformed)?,
            immutable: labels(&wire.immutable).ok_or(BaselineError::Malformed)?,
        })
    }
}

impl RecordedDigests {
    /// Whether there is something besides what counts at present.
    fn has_others(&self, key: &WorkloadKey, namespace: &Namespace, present: &[PresentSource<'_>]) -> bool {
        match self {
            Self::Named(entries) => {
                let known = |p: &PresentSource<'_>| short_name(p.source, p.key_strategy, namespace);
                let known: BTreeSet<String> = present.iter().map(known).collect();
                entries.keys().any(|name| !known.contains(name))
            }
            Self::Packed(entries) => {
                let known: BTreeSet<[u8; 4]> = present.iter().map(|p| key.label(p.source, p.tag)).collect();
                entries.iter().any(|(label, _)| !known.contains(label))
            }
            Self::Combined(..) => true,
        }
    }
}

/// Why a baseline says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// Not what we write.
    #[error("not a baseline written by Windlass")]
    Malformed,
    /// Written by a later Windlass.
    #[error("written in format {0}, which this version does not support")]
    Format(u32),
}

impl Entry {
    /// `TAG.DIGEST` or `TAG.DIGEST.HINTS`, each base64url.
    fn print(&self) -> String {
        let mut text = format!("{}.{}", BASE64.encode(self.tag.0), BASE64.encode(self.digest.0));
        if !self.hints.is_empty() {
            let bytes: Vec<u8> = self.hints.iter().flat_map(|hint| hint.0).collect();
            text.push('.');
            text.push_str(&BASE64.encode(bytes));
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let tag = ShapeTag(decode(parts.next()?)?);
        let digest = Digest(decode(parts.next()?)?);
        let hints = match parts.next() {
            None => Vec::new(),
            Some(hints) => BASE64
                .decode(hints)
                .ok()?
                .chunks_exact(3)
                .filter_map(|hint| hint.try_into().ok().map(Hint))
                .collect(),
        };
        parts.next().is_none().then_some(Self { tag, digest, hints })
    }
}

/// The name of a source in a baseline: short where it can be.
fn short_name(source: &SourceRef, key_strategy: KeyStrategy, own: &Namespace) -> String {
    // No object's name ends like that.
    let mark = match key_strategy {
        KeyStrategy::Restart => "",
        KeyStrategy::InPlace => "/",
    };
    if source.namespace == *own {
        format!("{}/{}{mark}", source.kind.as_str(), source.name)
    } else {
        format!("{}/{}/{}{mark}", source.kind.as_str(), source.namespace, source.name)
    }
}

/// The source of that short name; that of a class that restarts.
fn source_of(name: &str, own: &Namespace) -> Option<SourceRef> {
    let mut parts = name.split('/');
    let kind = SourceKind::parse(parts.next()?)?;
    let (first, second) = (parts.next()?, parts.next());
    let (namespace, name) = match second {
        Some(name) => (Namespace::from(first), name),
        None => (own.clone(), first),
    };
    parts.next().is_none().then(|| SourceRef {
        namespace,
        kind,
        name: Name::from(name),
    })
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

/// How much there is of each of so many digests; `None`: nothing that tells them apart.
fn part_width(parts: &[u8], count: usize) -> Option<usize> {
    let width = parts.len().checked_div(count)?;
    (PART_BYTES.contains(&width) && width * count == parts.len()).then_some(width)
}

/// Texts of four bytes each, one after the other.
fn labels(text: &str) -> Option<Vec<[u8; 4]>> {
    let bytes = BASE64.decode(text).ok()?;
    let labels = bytes.chunks(4).map(|label| label.try_into().ok());
    labels.collect()
}

fn unpack(text: &str) -> Option<Vec<([u8; 4], [u8; 6])>> {
    let bytes = BASE64.decode(text).ok()?;
    bytes
        .chunks(10)
        .map(|chunk| {
            let (label, short) = chunk.split_at_checked(4)?;
            Some((label.try_into().ok()?, short.try_into().ok()?))
        })
        .collect()
}

fn millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// The JSON, field by field. Names are short because every workload carries them.
#[derive(Serialize, Deserialize)]
struct Wire {
    v: u32,
    #[serde(rename = "in")]
    installation: String,
    key: String,
    uid: String,
    at: Timestamp,
    rv: u64,
    #[serde(default, rename = "wt", skip_serializing_if = "Option::is_none")]
    written: Option<i64>,
    rev: u64,
    shape: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    src: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    all: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    parts: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stale: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Uncertainty>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    restarts: Vec<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    reverts: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    flaps: u32,
    #[serde(default, rename = "files", skip_serializing_if = "Option::is_none")]
    in_place: Option<Timestamp>,
    #[serde(default, rename = "lever", skip_serializing_if = "Option::is_none")]
    answered: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_false")]
    excused: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    undone: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    marks: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    immutable: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands over a reference.
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands over a reference.
fn is_zero(number: &u32) -> bool {
    *number == 0
}
