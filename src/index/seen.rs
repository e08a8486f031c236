//! What is known of a source: its content, and what the watch told of it last.

use jiff::Timestamp;
use windlass_core::types::name::Version;
use windlass_core::types::time::Second;
use windlass_core::workload::Source;

use super::{Observation, WatchId};

#[derive(Debug)]
pub(crate) struct SourceEntry {
    pub(crate) source: Source,
    /// Gone, and kept for what it held: should it come back the same, nothing happened.
    pub(crate) gone: bool,
    pub(crate) content: ContentState,
    /// Of a Secret that is used: the newest that the watch brought; its content may still be of an older
    /// version.
    pub(super) seen: Option<Box<LastObservation>>,
    pub(crate) content_version: Version,
    pub(crate) unseen: Option<UnseenVersion>,
    pub(crate) generation: u32,
}

impl SourceEntry {
    /// Gone, and not seen to be back: a Secret that is back counts as gone until it is read.
    pub(crate) fn is_over(&self) -> bool {
        self.gone && self.seen_version() <= self.source.version
    }

    /// There, and nobody read it.
    pub(crate) fn is_unread(&self) -> bool {
        !self.gone && self.content == ContentState::Unread
    }

    /// More of it is kept than that it is there.
    pub(crate) fn is_kept(&self) -> bool {
        self.gone || self.content != ContentState::Unread
    }

    pub(super) fn seen_version(&self) -> Version {
        self.seen.as_ref().map_or(self.source.version, |seen| seen.version)
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
}

/// From the beginning of time on nobody saw what the source held.
pub(super) const NEVER_SEEN: Option<Second> = Some(Second::new(0));

/// Whether the content is known. Content that nobody uses is not kept: a `ConfigMap` can have tens of
/// thousands of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContentState {
    Read,
    /// Nobody uses it, or it is being read.
    Unread,
    /// It was tried; why it failed.
    Unreadable(Box<str>),
}

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
pub(crate) struct UnseenVersion {
    pub(crate) since: Second,
    pub(crate) version: Version,
}
