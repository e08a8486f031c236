//! Sources coming, changing and going, and whom that concerns.

use jiff::Timestamp;
use windlass_core::content::Contents;
use windlass_core::content::content_time::ContentTime;
use windlass_core::types::name::{Key, SourceKind, SourceRef, Version, WorkloadRef};
use windlass_core::types::time::Second;
use windlass_core::workload::Source;

use super::source_entry::{ContentState, LastObservation, NEVER_SEEN, SourceEntry};
use super::{FetchRequest, Index, Observation, WatchId, WatchedKind};

/// How a source came to be what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    New,
    Changed,
    /// After it was gone, with what it held before.
    Back,
    /// To be looked at again without having changed: written in a while in which nobody watched and
    /// the same as before, or beginning or ceasing to count.
    UnseenVersion,
    Gone,
}

impl Index {
    pub(crate) fn is_ignored(&self, source: &Source) -> bool {
        source.is_ignored(self.settings.annotation_options.compat.reloader)
    }

    /// A source as a watch shows it: a `ConfigMap` whole, a Secret without its contents. The contents of a
    /// `ConfigMap` that nobody uses are dropped. Gives the workloads that have to be decided again.
    pub fn apply_source(
        &mut self,
        watch: WatchId,
        source: Source,
        how: Observation,
        now: Timestamp,
    ) -> Vec<WorkloadRef> {
        if !self.has_sources_of(&source.reference.namespace) {
            return Vec::new();
        }
        let seen = LastObservation {
            version: source.version,
            how,
            watch,
            unseen_since: self.unseen_since(watch, &source.reference, how),
            changed_at: source.written.at(),
            last_event: self.watch(watch).and_then(|state| state.last),
            skipped: None,
        };
        if how == Observation::Watched {
            self.note_life(watch, now);
        }
        if !self.is_needed(&source) {
            return self.apply_unused(source, watch, now);
        }
        match source.reference.kind {
            SourceKind::ConfigMap => {
                let known = self.sources.get(&source.reference);
                let unread = known.is_some_and(|entry| !entry.is_read());
                // What it held before is not known: it is as if it had come in a list.
                let (how, unseen_since) = if unread {
                    (Observation::Listed, NEVER_SEEN)
                } else {
                    (seen.how, seen.unseen_since)
                };
                let seen = LastObservation {
                    how,
                    unseen_since,
                    ..seen
                };
                self.apply_whole(source, seen, now)
            }
            SourceKind::Secret => self.apply_metadata(source, seen, now),
        }
    }

    fn unseen_since(&self, watch: WatchId, source: &SourceRef, how: Observation) -> Option<Second> {
        if how == Observation::Watched {
            return None;
        }
        let known = self.is_read(source);
        // What a list shows for the first time later on was not watched at all until now.
        let last = self.watch(watch).and_then(|state| state.last);
        last.filter(|_| known || !self.started()).or(NEVER_SEEN)
    }

    /// A source's content, read for those who use it.
    pub fn apply_read(&mut self, source: Source, now: Timestamp) -> Vec<WorkloadRef> {
        let kind = source.reference.kind;
        let Some(watch) = self.watch_of(WatchedKind::Sources(kind), &source.reference.namespace) else {
            return Vec::new();
        };
        let Some(entry) = self.sources.get(&source.reference) else {
            return Vec::new();
        };
        // An answer from before it went.
        if entry.is_gone() && source.version < entry.seen_version() {
            return Vec::new();
        }
        // The watch brought it meanwhile, and brings what comes later.
        let brought = entry.is_read() || source.version < entry.seen_version();
        if kind == SourceKind::ConfigMap && brought {
            return Vec::new();
        }
        let last = entry.last_seen(watch);
        if !self.is_needed(&source) {
            return self.apply_unused(source, last.watch, now);
        }
        // What is read is newer than what was told: that was never read.
        let told = (source.version > last.version && last.version > entry.source().version).then_some(last);
        let seen = LastObservation {
            version: source.version,
            skipped: told.map(|told| told.skipped_since(now)).or(last.skipped),
            ..last
        };
        self.apply_whole(source, seen, now)
    }

    /// A source's content could not be read. Gives the workloads that wait for it.
    pub fn note_unreadable(&mut self, source: &SourceRef, why: &str) -> Vec<WorkloadRef> {
        let Some(entry) = self.sources.get_mut(source) else {
            return Vec::new();
        };
        if !entry.note_unreadable(why) {
            return Vec::new();
        }
        self.users(source).cloned().collect()
    }

    /// Whether a source's content is used and not known, or not of the newest version that was seen.
    #[must_use]
    pub fn needs_reading(&self, source: &SourceRef) -> bool {
        self.sources.get(source).is_some_and(|entry| {
            (!entry.is_gone() && !entry.is_read() && self.is_needed(entry.source())) || entry.is_behind()
        })
    }

    /// Whether any content of a source is known.
    #[must_use]
    pub fn is_read(&self, source: &SourceRef) -> bool {
        self.sources.get(source).is_some_and(|entry| entry.is_read())
    }

    /// What nobody asks for is not kept, and what others have as well is theirs.
    fn keep_little(&mut self, source: &mut Source) {
        if !self.settings.annotation_options.cross_namespace {
            source.disregard_consent();
        }
        self.share_texts_of_source(source);
    }

    /// A Secret that is used, without its contents: they have to be read.
    fn apply_metadata(&mut self, mut source: Source, seen: LastObservation, now: Timestamp) -> Vec<WorkloadRef> {
        self.keep_little(&mut source);
        let generation = self.generation_of(seen.watch);
        let reference = source.reference.clone();
        let Some(entry) = self.sources.get_mut(&reference) else {
            // Its first content is of version 0: older than whatever will be read.
            let unread = Source {
                version: Version::default(),
                contents: Contents::default(),
                ..source
            };
            self.insert_unread(unread, Some(seen), generation);
            self.wanted.push(FetchRequest::Source(reference));
            return Vec::new();
        };
        entry.note_listed(generation);
        if entry.is_same_object(&source) && source.version <= entry.seen_version() {
            return Vec::new();
        }
        entry.note_version(seen, now);
        self.wanted.push(FetchRequest::Source(reference));
        Vec::new()
    }

    /// A source that nobody uses: whoever comes to use it reads what is there then.
    fn apply_unused(&mut self, source: Source, watch: WatchId, now: Timestamp) -> Vec<WorkloadRef> {
        let mut source = Source {
            contents: Contents::default(),
            ..source
        };
        self.keep_little(&mut source);
        let generation = self.generation_of(watch);
        let reference = source.reference.clone();
        let known = self.sources.get(&reference).map(|entry| entry.source());
        let withdrawn = known.is_some_and(|known| !known.has_annotations_of(&source) && self.is_needed(known));
        let Some(entry) = self.sources.get_mut(&reference) else {
            self.insert_unread(source, None, generation);
            return Vec::new();
        };
        entry.note_listed(generation);
        if entry.is_same_object(&source) && source.version < entry.seen_version() {
            return Vec::new();
        }
        if entry.note_unused(source) {
            *self.present_sources.entry(reference.kind).or_default() += 1;
        }
        if withdrawn {
            // Those that it does not allow any more are told.
            return self.touch(&reference, &[], Second::from(now), now, Arrival::UnseenVersion);
        }
        Vec::new()
    }

    fn insert_unread(&mut self, source: Source, seen: Option<LastObservation>, generation: u32) {
        let reference = source.reference.clone();
        let entry = SourceEntry::unread(source, seen, generation);
        *self.present_sources.entry(reference.kind).or_default() += 1;
        self.sources.insert(reference, Box::new(entry));
    }

    fn generation_of(&self, watch: WatchId) -> u32 {
        self.watch(watch).map_or(0, |state| state.generation)
    }

    /// Some workload ceased to use these: what nobody uses any more is not kept.
    pub(crate) fn drop_unused(&mut self, sources: &[SourceRef]) {
        for reference in sources {
            let Some(known) = self.sources.get(reference) else {
                continue;
            };
            if known.is_over() {
                if self.users(reference).next().is_none() {
                    self.sources.remove(reference);
                }
                continue;
            }
            // Should its content be on its way, it is dropped when it comes.
            let is_unread = known.content() == ContentState::Unread;
            if known.is_gone() || is_unread || known.is_behind() || self.is_needed(known.source()) {
                continue;
            }
            if let Some(entry) = self.sources.get_mut(reference) {
                entry.drop_content();
            }
        }
    }

    fn apply_whole(&mut self, mut source: Source, seen: LastObservation, now: Timestamp) -> Vec<WorkloadRef> {
        let how = seen.how;
        self.keep_little(&mut source);
        let Some(state) = self.watch(seen.watch) else {
            return Vec::new();
        };
        let generation = state.generation;
        let reference = source.reference.clone();
        let version = source.version;
        let by = Second::from(now);
        let unseen_since = seen.unseen_since.into_iter().chain(seen.skipped).min();
        let recorded = source.written.at().unwrap_or(by);
        let skipped_since = |since: Second| seen.skipped.map_or(since, |skipped| skipped.min(since));
        let Some(entry) = self.sources.get_mut(&reference) else {
            source.written = if how == Observation::Watched && !self.settings.selected_sources {
                source.written.created(by)
            } else {
                source.written.found(by)
            };
            let entry = SourceEntry::read(source, unseen_since, generation);
            return self.first_see(reference, entry, how, skipped_since(recorded), now);
        };
        entry.note_listed(generation);
        let first_read = !entry.is_read();
        if !first_read && entry.is_same_object(&source) && version <= entry.source().version {
            return Vec::new();
        }
        let (before, came_back) = entry.note_content(source, seen, now);
        let source = entry.source();
        let same = before.contents == source.contents && before.is_ignored(false) == source.is_ignored(false);
        // Of what nobody knew no key is known to have changed.
        let compared =
            (!first_read || how == Observation::Watched).then(|| before.contents.differing(&source.contents));
        let keys = compared.unwrap_or_default();
        let toggled = !before.has_annotations_of(source);
        let skipped = seen.skipped.is_some();
        let written = match how {
            _ if first_read => source.written.found(by),
            Observation::Watched if skipped => source.written.unknown(by),
            _ => rewritten(&before, source, how, same, by),
        };
        let since = if written.at() == Some(recorded) || first_read {
            recorded
        } else {
            // Some time between the last event and this one.
            before.written.at().max(seen.last_event).unwrap_or(by).min(by)
        };
        let since = skipped_since(since);
        let is_new = !same || how == Observation::Listed || first_read || skipped;
        entry.date_content(written, is_new, unseen_since);
        if came_back {
            *self.present_sources.entry(reference.kind).or_default() += 1;
        }
        if first_read {
            let arrival = if how == Observation::Watched {
                Arrival::New
            } else {
                Arrival::UnseenVersion
            };
            return self.touch(&reference, &keys, since, now, arrival);
        }
        // What is ignored does not change for anybody; beginning or ceasing to count is no change either.
        let counted = self
            .sources
            .get(&reference)
            .is_some_and(|entry| !self.is_ignored(entry.source()) && !self.is_ignored(&before));
        if !counted || (toggled && same) {
            return if toggled {
                self.touch(&reference, &keys, since, now, Arrival::UnseenVersion)
            } else {
                Vec::new()
            };
        }
        let arrival = match (came_back, same, how) {
            (true, true, Observation::Watched) => Arrival::Back,
            (true, false, _) => Arrival::New,
            (false, false, _) => Arrival::Changed,
            (false, true, Observation::Watched) if !skipped => return Vec::new(),
            (false, true, Observation::Watched) | (_, true, Observation::Listed) => Arrival::UnseenVersion,
        };
        self.touch(&reference, &keys, since, now, arrival)
    }

    /// One that was not known before, with its content.
    fn first_see(
        &mut self,
        reference: SourceRef,
        entry: SourceEntry,
        how: Observation,
        since: Second,
        now: Timestamp,
    ) -> Vec<WorkloadRef> {
        // Nothing is decided before the first list is complete, and then everything is.
        let told = how == Observation::Watched || self.started();
        let keys = entry.source().contents.iter().filter(|_| told);
        let keys: Vec<Key> = keys.map(|(key, _)| Key::from(key)).collect();
        self.sources.insert(reference.clone(), Box::new(entry));
        *self.present_sources.entry(reference.kind).or_default() += 1;
        if !told {
            return Vec::new();
        }
        // Seen only by a label that it now has: it was there before.
        let arrival = if self.settings.selected_sources {
            Arrival::UnseenVersion
        } else {
            Arrival::New
        };
        self.touch(&reference, &keys, since, now, arrival)
    }

    /// A source is gone. `version`: the version of its deletion, if an event told it.
    pub fn remove_source(
        &mut self,
        watch: WatchId,
        reference: &SourceRef,
        version: Option<Version>,
        now: Timestamp,
    ) -> Vec<WorkloadRef> {
        if version.is_some() {
            self.note_life(watch, now);
        }
        let selected = self.settings.selected_sources;
        let Some(entry) = self.sources.get_mut(reference) else {
            return Vec::new();
        };
        if entry.is_gone() || version.is_some_and(|version| version < entry.seen_version()) {
            return Vec::new();
        }
        entry.note_gone(version);
        self.note_absent(reference.kind);
        let keys: Vec<Key> = self
            .sources
            .get(reference)
            .map(|entry| entry.source().contents.iter().map(|(key, _)| Key::from(key)).collect())
            .unwrap_or_default();
        // It may only have lost the label that it is watched by.
        let arrival = if selected {
            Arrival::UnseenVersion
        } else {
            Arrival::Gone
        };
        let effect = self.touch(reference, &keys, Second::from(now), now, arrival);
        if effect.is_empty() {
            self.sources.remove(reference);
        }
        effect
    }

    /// Forgets a source that does not belong to the index any more.
    pub(crate) fn drop_source(&mut self, reference: &SourceRef) {
        if self.sources.remove(reference).is_some_and(|entry| !entry.is_gone()) {
            self.note_absent(reference.kind);
        }
    }

    fn note_absent(&mut self, kind: SourceKind) {
        if let Some(count) = self.present_sources.get_mut(&kind) {
            *count = count.saturating_sub(1);
        }
    }

    /// Whether its content is needed: by a workload of its own namespace, or of one that it allows.
    fn is_needed(&self, source: &Source) -> bool {
        self.users(&source.reference)
            .any(|workload| self.may_use(&workload.namespace, source))
    }

    /// All who use a source, by reference, by name or by pattern.
    pub(crate) fn users<'a>(&'a self, source: &'a SourceRef) -> impl Iterator<Item = &'a WorkloadRef> {
        let direct = self.used_by.get(source).into_iter().flatten();
        let by_pattern = self.by_pattern.get(&source.namespace).into_iter().flatten();
        let matching = by_pattern.filter(|workload| {
            let entry = self.workloads.get(*workload);
            entry.is_some_and(|entry| self.names_by_pattern(entry, source))
        });
        direct.chain(matching)
    }

    /// The first of these sources that another workload of that namespace and kind uses as well, with
    /// the version at which its content came to be what it is.
    #[must_use]
    pub fn shared(&self, workload: &WorkloadRef, sources: &[SourceRef]) -> Option<(SourceRef, Version)> {
        sources.iter().find_map(|source| {
            let alike = |user: &&WorkloadRef| user.namespace == workload.namespace && user.kind == workload.kind;
            let entry = self.sources.get(source)?;
            self.users(source).filter(alike).nth(1)?;
            Some((source.clone(), entry.content_version()))
        })
    }

    /// Notes the change on every workload that it concerns, and names them.
    fn touch(
        &mut self,
        reference: &SourceRef,
        keys: &[Key],
        since: Second,
        now: Timestamp,
        arrival: Arrival,
    ) -> Vec<WorkloadRef> {
        let marked = self
            .sources
            .get(reference)
            .is_some_and(|entry| entry.source().is_matched());
        let direct = self.used_by.get(reference).map_or(&[][..], Vec::as_slice);
        let by_pattern = self.by_pattern.get(&reference.namespace).map_or(&[][..], Vec::as_slice);
        let mut effect = Vec::with_capacity(direct.len());
        for (workload, is_direct) in direct
            .iter()
            .map(|it| (it, true))
            .chain(by_pattern.iter().map(|it| (it, false)))
        {
            let Some(entry) = self.workloads.get(workload) else {
                continue;
            };
            let own = &entry.workload().reference.namespace;
            let used = entry.uses().iter().find(|used| used.is_of(own, reference)).cloned();
            // One that uses it directly comes once, by that.
            if !is_direct && used.is_some() {
                continue;
            }
            let patterned = self.names_by_pattern(entry, reference);
            let meant = self.source_scope(entry, reference, used.is_some(), marked);
            let counts = meant.is_some() && self.is_shared_with(own, reference);
            // Beginning and ceasing to count concern those, too, for whom it does not count now.
            let concerned = arrival == Arrival::UnseenVersion
                || (counts
                    && (patterned
                        || used.as_ref().is_some_and(|used| {
                            arrival != Arrival::Changed || keys.iter().any(|key| used.counts(key.as_str()))
                        })));
            if !concerned || (used.is_none() && !patterned) {
                continue;
            }
            effect.push(workload.clone());
            // While a required source is away no pod can start, so none can have read anything else.
            let required = used.as_ref().is_some_and(|used| used.required);
            let harmless = match arrival {
                Arrival::Gone => required,
                Arrival::Back => required || patterned,
                Arrival::UnseenVersion => true,
                Arrival::New | Arrival::Changed => false,
            };
            if let Some(entry) = self.workloads.get_mut(workload) {
                entry.request_decision();
                if harmless {
                    continue;
                }
                let counted = keys
                    .iter()
                    .filter(|key| patterned || used.as_ref().is_some_and(|used| used.counts(key.as_str())));
                entry.note_change(reference, counted, since, now);
            }
        }
        effect
    }
}

/// When a source was written that was known before, and is `same` or not.
fn rewritten(before: &Source, source: &Source, how: Observation, same: bool, by: Second) -> ContentTime {
    let written = source.written;
    match how {
        // Another object of that name: until it came there was none.
        Observation::Watched if before.uid != source.uid => written.created(by),
        // Only its labels moved, whatever its managed fields say.
        Observation::Watched if same => written.kept(before.written),
        Observation::Watched => written.changed(before.written, by),
        Observation::Listed if same => written.kept_unseen(before.written, by),
        Observation::Listed => {
            let mut keys = before.contents.iter().map(|(key, _)| key);
            let removed = keys.any(|key| source.contents.get(key).is_none());
            written.changed_unseen(before.written, removed, by)
        }
    }
}
