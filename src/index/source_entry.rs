//! What is known of a source: its content, and what the watch told of it last.

use std::num::NonZeroU32;

use jiff::Timestamp;
use windlass_core::content::Contents;
use windlass_core::content::content_time::ContentTime;
use windlass_core::types::name::Version;
use windlass_core::types::time::Second;
use windlass_core::workload::Source;

use super::{Observation, WatchId};

#[cfg(test)]
mod tests;

/// A source with what is known of its content. There are thousands: what few have is boxed.
#[derive(Debug)]
pub(crate) struct SourceEntry {
    source: Source,
    /// Of a Secret that is used: the newest that the watch brought; its content may still be of an older
    /// version.
    seen: Option<Box<LastObservation>>,
    /// It was tried to read its content, in vain.
    failure: Option<Box<ReadFailure>>,
    content_version: Version,
    unseen: Option<UnseenVersion>,
    /// The list that it was seen in last.
    list_generation: u32,
    /// Content that nobody uses is not kept: a `ConfigMap` can have tens of thousands of keys.
    read: bool,
    /// Gone, and kept for what it held: should it come back the same, nothing happened.
    gone: bool,
}

/// Whether the content is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentState<'a> {
    Read,
    /// Nobody uses it, or it is being read.
    Unread,
    /// It was tried; why it failed.
    Unreadable(&'a str),
}

/// Why content could not be read. A type, because a box of it is half as large as a `Box<str>`.
#[derive(Debug)]
struct ReadFailure {
    why: Box<str>,
}

impl SourceEntry {
    /// One whose content is not known.
    pub(super) fn unread(source: Source, seen: Option<LastObservation>, list_generation: u32) -> Self {
        Self {
            source,
            seen: seen.map(Box::new),
            failure: None,
            content_version: Version::default(),
            unseen: None,
            list_generation,
            read: false,
            gone: false,
        }
    }

    /// One that came with its content. `unseen_since`: from when on nobody saw what it held.
    pub(super) fn read(source: Source, unseen_since: Option<Second>, list_generation: u32) -> Self {
        let version = source.version;
        Self {
            content_version: version,
            unseen: unseen_since.map(|since| UnseenVersion::new(version, since)),
            read: true,
            ..Self::unread(source, None, list_generation)
        }
    }

    /// As the cluster shows it; its content only if that was read.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Gone, as far as its content goes: a Secret that is back counts as gone until it is read.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Gone, and not seen to be back.
    pub(crate) fn is_over(&self) -> bool {
        self.gone && self.seen_version() <= self.source.version
    }

    /// There, and nobody read it.
    pub(crate) fn is_unread(&self) -> bool {
        !self.gone && self.content() == ContentState::Unread
    }

    /// More of it is kept than that it is there.
    pub(crate) fn is_kept(&self) -> bool {
        self.gone || self.content() != ContentState::Unread
    }

    /// Some content of it is known.
    pub(crate) fn is_read(&self) -> bool {
        self.read
    }

    pub(crate) fn content(&self) -> ContentState<'_> {
        match &self.failure {
            _ if self.read => ContentState::Read,
            Some(failure) => ContentState::Unreadable(&failure.why),
            None => ContentState::Unread,
        }
    }

    /// The version at which its content came to be what it is.
    pub(crate) fn content_version(&self) -> Version {
        self.content_version
    }

    /// Where its newest version came in a list and was not verified: from when on nobody saw what it held.
    pub(crate) fn unseen_since(&self, verified: Version) -> Option<Second> {
        let unseen = self.unseen.filter(|unseen| unseen.version > verified)?;
        Some(unseen.since())
    }

    /// Whether that list showed it, or an event since.
    pub(crate) fn is_listed(&self, list_generation: u32) -> bool {
        self.list_generation == list_generation
    }

    /// The newest version that the watch told of.
    pub(super) fn seen_version(&self) -> Version {
        self.seen.as_ref().map_or(self.source.version, |seen| seen.version)
    }

    /// The watch told of a newer version than the content that is known.
    pub(super) fn is_behind(&self) -> bool {
        self.source.version < self.seen_version()
    }

    /// Whether it is there, and this is another version of the same object.
    pub(super) fn is_same_object(&self, source: &Source) -> bool {
        !self.gone && self.source.uid == source.uid
    }

    /// The last that the watch told of it. Nobody looked at the content of what nobody used.
    pub(super) fn last_seen(&self, watch: WatchId) -> LastObservation {
        let unread = LastObservation {
            version: self.source.version,
            how: Observation::Listed,
            watch,
            unseen_since: NEVER_SEEN,
            changed_at: self.source.written.at(),
            last_event: None,
            skipped: None,
        };
        self.seen.as_deref().copied().unwrap_or(unread)
    }

    /// A list or an event showed it.
    pub(super) fn note_listed(&mut self, list_generation: u32) {
        self.list_generation = list_generation;
    }

    /// The watch told of a version whose content has to be read.
    pub(super) fn note_version(&mut self, seen: LastObservation, now: Timestamp) {
        // What was seen first decides how the content that is read next came about.
        let pending = !self.read && !self.gone;
        let first = if pending { self.last_seen(seen.watch) } else { seen };
        let unread = self.seen.as_deref().filter(|_| !pending && self.is_behind());
        let skipped = unread.map(|last| last.skipped_since(now));
        self.seen = Some(Box::new(LastObservation {
            how: first.how,
            unseen_since: first.unseen_since.or(seen.unseen_since),
            skipped,
            ..seen
        }));
    }

    /// Its content could not be read. What is known of an older version stays good for deciding until it can be
    /// read again. Gives whether nothing is known.
    pub(super) fn note_unreadable(&mut self, why: &str) -> bool {
        if !self.read {
            self.failure = Some(Box::new(ReadFailure { why: why.into() }));
        }
        !self.read
    }

    /// It is there as `source` says, and nobody uses it. Gives whether it was gone.
    pub(super) fn note_unused(&mut self, source: Source) -> bool {
        self.source = source;
        self.forget_content();
        std::mem::replace(&mut self.gone, false)
    }

    /// Nobody uses it any more.
    pub(super) fn drop_content(&mut self) {
        self.source.contents = Contents::default();
        self.forget_content();
    }

    fn forget_content(&mut self) {
        self.read = false;
        self.failure = None;
        self.seen = None;
    }

    /// It is there with its content. Gives what was known before, and whether it was gone.
    pub(super) fn note_content(&mut self, mut source: Source, seen: LastObservation, now: Timestamp) -> (Source, bool) {
        source.follow(&self.source, Second::from(now));
        if let Some(last) = self.seen.as_deref_mut()
            && last.version <= source.version
        {
            *last = seen;
        }
        self.read = true;
        self.failure = None;
        let before = std::mem::replace(&mut self.source, source);
        (before, std::mem::replace(&mut self.gone, false))
    }

    /// When the content was written that was noted last. `is_new`: it may be other content than before.
    /// `unseen_since`: from when on nobody saw what it held.
    pub(super) fn date_content(&mut self, written: ContentTime, is_new: bool, unseen_since: Option<Second>) {
        let version = self.source.version;
        self.source.written = written;
        if is_new {
            self.content_version = version;
        }
        if let Some(since) = unseen_since {
            self.unseen = Some(UnseenVersion::new(version, since));
        }
    }

    /// It is gone. `version`: the version of its deletion, if an event told it.
    pub(super) fn note_gone(&mut self, version: Option<Version>) {
        self.gone = true;
        if let Some(version) = version {
            self.source.version = version;
            self.content_version = version;
        }
        if let Some(last) = &mut self.seen {
            // What was told of it will not be read any more.
            last.version = self.source.version;
        }
    }
}

/// From the beginning of time on nobody saw what the source held.
pub(super) const NEVER_SEEN: Option<Second> = Some(Second::new(0));

/// The last that the watch told of a source.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastObservation {
    pub(super) version: Version,
    pub(super) how: Observation,
    pub(super) watch: WatchId,
    /// Where it came in a list: from when on nobody saw what it held.
    pub(super) unseen_since: Option<Second>,
    /// When it was written, if that is known.
    pub(super) changed_at: Option<Second>,
    /// When the watch had brought something before.
    pub(super) last_event: Option<Second>,
    /// A Secret's versions came faster than they could be read: when the first was written whose content
    /// nobody will ever know.
    pub(super) skipped: Option<Second>,
}

impl LastObservation {
    /// Since when content may have been there that nobody will ever know, if this version is not read. It was
    /// written after what the watch had brought before.
    pub(super) fn skipped_since(&self, now: Timestamp) -> Second {
        let written = self.changed_at.max(self.last_event);
        self.skipped.or(written).unwrap_or(Second::from(now))
    }
}

/// A version that came in a list.
#[derive(Clone, Copy, Debug)]
struct UnseenVersion {
    version: Version,
    /// Seconds since 1970, plus one, so that an `Option` takes no more room: zero is the beginning of time.
    since: NonZeroU32,
}

impl UnseenVersion {
    fn new(version: Version, since: Second) -> Self {
        let seconds = u32::try_from(since.unix().max(0)).unwrap_or(u32::MAX);
        let since = NonZeroU32::MIN.saturating_add(seconds);
        Self { version, since }
    }

    fn since(self) -> Second {
        Second::new(i64::from(self.since.get()) - 1)
    }
}
