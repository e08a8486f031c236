//! What is known of the cluster: small values, fed by watch events, and nothing else.
//!
//! A map of sources, a map of workloads, and the way back from a source to the workloads that use
//! it. Applying an event says which workloads have to be decided again. An older version never
//! replaces a newer one, and a list is a comparison, not a new beginning.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::entry::WorkloadEntry;
use crate::core::decide::View;
use crate::core::name::{Key, Name, Namespace, SourceKind, SourceRef, Uid, Version, WorkloadRef};
use crate::core::reason::{Reason, State};
use crate::core::reference::{Use, Uses};
use crate::core::time::Second;
use crate::core::workload::{Source, Workload};

#[cfg(test)]
mod tests;

/// Everything.
#[derive(Default)]
pub struct Index {
    // Boxed, because the free room of a map is as large as what is in it.
    sources: BTreeMap<SourceRef, Box<SourceEntry>>,
    workloads: HashMap<WorkloadRef, Box<WorkloadEntry>>,
    used_by: HashMap<SourceRef, Vec<WorkloadRef>>,
    /// Workloads that name sources by pattern, by namespace.
    by_pattern: HashMap<Namespace, Vec<WorkloadRef>>,
    source_watches: Vec<WatchState>,
    workload_watches: Vec<WatchState>,
    tally: HashMap<(crate::core::kind::KindId, State), usize>,
    held: HashMap<Reason, usize>,
    present_sources: usize,
    /// Baselines are kept here and nowhere else, because nothing is written.
    observe_only: bool,
    /// Thousands of objects share a few namespaces; each name is kept once.
    namespaces: HashSet<Namespace>,
}

/// One of the watches that feed the index.
#[derive(Clone, Debug)]
struct WatchState {
    /// `None`: all namespaces.
    scope: Option<Namespace>,
    generation: u32,
    synced: bool,
    listing: bool,
    /// When it last brought something: from here on, what a new list shows was not watched.
    last: Option<Second>,
}

/// Which watch of its kind an event came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchId(usize);

/// How an object was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// In a list: what happened before it is not known.
    Listed,
    /// As one event among all.
    Watched,
}

#[derive(Debug)]
struct SourceEntry {
    source: Source,
    /// Gone, and kept for what it held: should it come back the same, nothing happened.
    gone: bool,
    content_version: Version,
    unseen: Option<Unseen>,
    generation: u32,
}

/// A version that came in a list.
#[derive(Clone, Copy, Debug)]
struct Unseen {
    since: Second,
    version: Version,
}

impl Index {
    /// An empty one. `observe_only`: nothing will be written, so baselines are kept here.
    #[must_use]
    pub fn new(observe_only: bool) -> Self {
        Self {
            observe_only,
            ..Self::default()
        }
    }

    fn intern(&mut self, namespace: &mut Namespace) {
        if let Some(known) = self.namespaces.get(namespace.as_str()) {
            namespace.clone_from(known);
        } else {
            self.namespaces.insert(namespace.clone());
        }
    }

    // ---- watches --------------------------------------------------------------------------------

    /// Announces a watch of sources. `last_watched`: up to when a Windlass watched before.
    pub fn add_source_watch(&mut self, scope: Option<Namespace>, last_watched: Option<Second>) -> WatchId {
        add_watch(&mut self.source_watches, scope, last_watched)
    }

    /// Announces a watch of workloads.
    pub fn add_workload_watch(&mut self, scope: Option<Namespace>) -> WatchId {
        add_watch(&mut self.workload_watches, scope, None)
    }

    /// A list of sources begins.
    pub fn source_list_start(&mut self, watch: WatchId) {
        list_start(&mut self.source_watches, watch);
    }

    /// A list of workloads begins.
    pub fn workload_list_start(&mut self, watch: WatchId) {
        list_start(&mut self.workload_watches, watch);
    }

    /// How many watches there are.
    #[must_use]
    pub fn watch_count(&self) -> usize {
        self.source_watches.len() + self.workload_watches.len()
    }

    /// Whether every watch has finished its first list.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.source_watches
            .iter()
            .chain(&self.workload_watches)
            .all(|watch| watch.synced)
    }

    /// A list of sources is complete: what it did not name is gone.
    pub fn source_list_end(&mut self, watch: WatchId, now: Timestamp) -> Vec<WorkloadRef> {
        let Some((scope, generation)) = list_end(&mut self.source_watches, watch, now) else {
            return Vec::new();
        };
        let gone: Vec<SourceRef> = self
            .sources
            .iter()
            .filter(|(reference, entry)| {
                !entry.gone && entry.generation != generation && in_scope(scope.as_ref(), &reference.namespace)
            })
            .map(|(reference, _)| reference.clone())
            .collect();
        gone.iter()
            .flat_map(|reference| self.remove_source(watch, reference, None, now))
            .collect()
    }

    /// A list of workloads is complete: what it did not name is gone.
    pub fn workload_list_end(&mut self, watch: WatchId, now: Timestamp) {
        let Some((scope, generation)) = list_end(&mut self.workload_watches, watch, now) else {
            return;
        };
        let gone: Vec<WorkloadRef> = self
            .workloads
            .iter()
            .filter(|(reference, entry)| {
                entry.generation != generation && in_scope(scope.as_ref(), &reference.namespace)
            })
            .map(|(reference, _)| reference.clone())
            .collect();
        for reference in gone {
            self.forget(&reference);
        }
    }

    // ---- sources --------------------------------------------------------------------------------

    /// A source as it is now. Gives the workloads that have to be decided again.
    pub fn apply_source(&mut self, watch: WatchId, mut source: Source, how: How, now: Timestamp) -> Vec<WorkloadRef> {
        self.intern(&mut source.reference.namespace);
        let Some(state) = self.source_watches.get_mut(watch.0) else {
            return Vec::new();
        };
        let (generation, last) = (state.generation, state.last);
        if how == How::Watched {
            state.last = Some(Second::from(now));
        }
        let unseen = |version| {
            (how == How::Listed).then(|| Unseen {
                since: last.unwrap_or(Second::new(0)),
                version,
            })
        };
        let reference = source.reference.clone();
        let version = source.version;
        let Some(entry) = self.sources.get_mut(&reference) else {
            let since = source.changed_at.unwrap_or_else(|| Second::from(now));
            let keys: Vec<Key> = source.contents.iter().map(|(key, _)| key.clone()).collect();
            self.sources.insert(
                reference.clone(),
                Box::new(SourceEntry {
                    source,
                    gone: false,
                    content_version: version,
                    unseen: unseen(version),
                    generation,
                }),
            );
            self.present_sources += 1;
            return match how {
                // Nothing is decided before the first list is complete, and then everything is.
                How::Listed if !self.synced() => Vec::new(),
                How::Listed | How::Watched => self.touch(&reference, &keys, since, now, Arrival::New),
            };
        };
        entry.generation = generation;
        if !entry.gone && entry.source.uid == source.uid && version <= entry.source.version {
            return Vec::new();
        }
        let came_back = entry.gone;
        let same = entry.source.contents == source.contents && entry.source.ignored == source.ignored;
        // What is ignored does not change for anybody; beginning or ceasing to count is no change either.
        let counted = !entry.source.ignored && !source.ignored;
        let toggled = entry.source.ignored != source.ignored;
        let keys: Vec<Key> = entry
            .source
            .contents
            .differing(&source.contents)
            .into_iter()
            .cloned()
            .collect();
        let since = source.changed_at.unwrap_or_else(|| Second::from(now));
        let changed_at = entry.source.changed_at;
        entry.source = source;
        entry.gone = false;
        if same && how == How::Watched {
            // Only its labels moved, whatever its managed fields say.
            entry.source.changed_at = changed_at;
        } else {
            entry.content_version = version;
        }
        if let Some(unseen) = unseen(version) {
            entry.unseen = Some(unseen);
        }
        if came_back {
            self.present_sources += 1;
        }
        if !counted {
            return if toggled {
                self.touch(&reference, &keys, since, now, Arrival::Unseen)
            } else {
                Vec::new()
            };
        }
        let arrival = match (came_back, same, how) {
            (true, true, How::Watched) => Arrival::Back,
            (true, false, _) => Arrival::New,
            (false, false, _) => Arrival::Changed,
            (false, true, How::Watched) => return Vec::new(),
            (_, true, How::Listed) => Arrival::Unseen,
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
        if let (Some(state), Some(_)) = (self.source_watches.get_mut(watch.0), version) {
            state.last = Some(Second::from(now));
        }
        let Some(entry) = self.sources.get_mut(reference) else {
            return Vec::new();
        };
        if entry.gone || version.is_some_and(|version| version < entry.source.version) {
            return Vec::new();
        }
        entry.gone = true;
        if let Some(version) = version {
            entry.source.version = version;
            entry.content_version = version;
        }
        self.present_sources -= 1;
        let keys: Vec<Key> = entry.source.contents.iter().map(|(key, _)| key.clone()).collect();
        let touched = self.touch(reference, &keys, Second::from(now), now, Arrival::Gone);
        if touched.is_empty() {
            self.sources.remove(reference);
        }
        touched
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
        let mut touched = Vec::new();
        let direct = self.used_by.get(reference).into_iter().flatten();
        let patterned = self.by_pattern.get(&reference.namespace).into_iter().flatten();
        for workload in direct.chain(patterned) {
            let Some(entry) = self.workloads.get_mut(workload) else {
                continue;
            };
            let used = entry
                .uses
                .iter()
                .find(|used| used.kind == reference.kind && used.name == reference.name)
                .cloned();
            let used = used.as_ref();
            let patterned = entry.matches_pattern(reference);
            let concerned = patterned
                || used.is_some_and(|used| {
                    arrival != Arrival::Changed || keys.iter().any(|key| used.consumed.contains(key))
                });
            if !concerned || touched.contains(workload) {
                continue;
            }
            touched.push(workload.clone());
            // While a required source is away no pod can start, so none can have read anything else.
            let required = used.is_some_and(|used| used.required);
            let harmless = match arrival {
                Arrival::Gone => required,
                Arrival::Back => required || patterned,
                Arrival::Unseen => true,
                Arrival::New | Arrival::Changed => false,
            };
            if !harmless {
                let counted = keys
                    .iter()
                    .filter(|key| patterned || used.is_some_and(|used| used.consumed.contains(key)));
                entry.note_change(reference, counted, since, now);
            }
        }
        touched
    }

    // ---- workloads ------------------------------------------------------------------------------

    /// A workload as it is now. Gives whether it has to be decided (again).
    pub fn apply_workload(&mut self, watch: WatchId, mut workload: Workload, how: How) -> bool {
        self.intern(&mut workload.reference.namespace);
        let generation = self.workload_watches.get(watch.0).map_or(0, |watch| watch.generation);
        let reference = workload.reference.clone();
        if matches!(workload.opt_in, Ok(None)) {
            self.forget(&reference);
            return false;
        }
        if self.observe_only
            && let Some(entry) = self
                .workloads
                .get(&reference)
                .filter(|entry| entry.workload.uid == workload.uid)
        {
            workload.observed.clone_from(&entry.remembered);
        }
        let Some(mut entry) = self.workloads.remove(&reference) else {
            return self.insert_new(workload, generation);
        };
        if entry.workload.uid != workload.uid {
            // Another object of the same name: nothing of the old one holds for it.
            self.unlink(&entry);
            self.recount(entry.status, None, &reference);
            return self.insert_new(workload, generation);
        }
        entry.generation = generation;
        if entry.workload.version > workload.version {
            self.workloads.insert(reference, entry);
            return false;
        }
        // Most events leave the uses as they are, and a source may have a thousand users.
        let consequence = if entry.workload.uses == workload.uses && entry.workload.opt_in == workload.opt_in {
            entry.update(workload, how)
        } else {
            self.unlink(&entry);
            let consequence = entry.update(workload, how);
            self.link(&reference, &entry);
            consequence
        };
        self.workloads.insert(reference, entry);
        consequence
    }

    fn insert_new(&mut self, workload: Workload, generation: u32) -> bool {
        let reference = workload.reference.clone();
        let entry = Box::new(WorkloadEntry::new(workload, generation));
        self.link(&reference, &entry);
        self.workloads.insert(reference, entry);
        true
    }

    /// A workload is gone, or asks for nothing any more.
    pub fn forget(&mut self, reference: &WorkloadRef) {
        if let Some(entry) = self.workloads.remove(reference) {
            self.unlink(&entry);
            self.recount(entry.status, None, reference);
        }
    }

    /// As [`Index::forget`], for one that is known to be gone by its uid.
    pub fn forget_exactly(&mut self, reference: &WorkloadRef, uid: &Uid) {
        if self
            .workloads
            .get(reference)
            .is_some_and(|entry| entry.workload.uid == *uid)
        {
            self.forget(reference);
        }
    }

    fn link(&mut self, reference: &WorkloadRef, entry: &WorkloadEntry) {
        for used in &*entry.uses {
            let source = entry.source(used);
            // Most sources have one user, and a vector begins with room for four.
            self.used_by
                .entry(source)
                .or_insert_with(|| Vec::with_capacity(1))
                .push(reference.clone());
        }
        if entry.has_patterns() {
            self.by_pattern
                .entry(reference.namespace.clone())
                .or_default()
                .push(reference.clone());
        }
    }

    fn unlink(&mut self, entry: &WorkloadEntry) {
        let reference = &entry.workload.reference;
        for used in &*entry.uses {
            let source = entry.source(used);
            if let Some(users) = self.used_by.get_mut(&source) {
                users.retain(|user| user != reference);
                if users.is_empty() {
                    self.used_by.remove(&source);
                    if self.sources.get(&source).is_some_and(|entry| entry.gone) {
                        self.sources.remove(&source);
                    }
                }
            }
        }
        if entry.has_patterns()
            && let Some(users) = self.by_pattern.get_mut(&reference.namespace)
        {
            users.retain(|user| user != reference);
            if users.is_empty() {
                self.by_pattern.remove(&reference.namespace);
            }
        }
    }

    /// One workload.
    #[must_use]
    pub fn workload(&self, reference: &WorkloadRef) -> Option<&WorkloadEntry> {
        self.workloads.get(reference).map(|entry| &**entry)
    }

    /// One workload, to note something on it.
    pub fn workload_mut(&mut self, reference: &WorkloadRef) -> Option<&mut WorkloadEntry> {
        self.workloads.get_mut(reference).map(|entry| &mut **entry)
    }

    /// All workloads.
    pub fn workloads(&self) -> impl Iterator<Item = (&WorkloadRef, &WorkloadEntry)> {
        self.workloads.iter().map(|(reference, entry)| (reference, &**entry))
    }

    /// All workloads, to note something on them.
    pub fn workloads_mut(&mut self) -> impl Iterator<Item = &mut WorkloadEntry> {
        self.workloads.values_mut().map(|entry| &mut **entry)
    }

    /// How many sources there are.
    #[must_use]
    pub fn source_count(&self) -> usize {
        self.present_sources
    }

    /// What counts for a workload now, patterns spelled out, sorted.
    #[must_use]
    pub fn uses(&self, entry: &WorkloadEntry) -> Vec<(SourceRef, Use)> {
        let named = |used: &Use| (entry.source(used), used.clone());
        if !entry.has_patterns() {
            return entry.uses.iter().map(named).collect();
        }
        let mut uses = Uses::default();
        entry.uses.iter().for_each(|used| uses.add(used));
        let first = SourceRef {
            namespace: entry.workload.reference.namespace.clone(),
            kind: SourceKind::ConfigMap,
            name: Name::from(""),
        };
        let here = self
            .sources
            .range(first.clone()..)
            .take_while(|(reference, _)| reference.namespace == first.namespace && reference.kind == first.kind);
        for (reference, source) in here {
            if !source.gone && entry.matches_pattern(reference) {
                uses.name_whole(reference.kind, reference.name.clone());
            }
        }
        uses.finish().iter().map(named).collect()
    }

    /// The sources of a workload as they are now; those marked to be ignored do not count.
    #[must_use]
    pub fn views<'a>(&'a self, uses: &'a [(SourceRef, Use)], verified: Version) -> Vec<View<'a>> {
        uses.iter()
            .filter_map(|(reference, used)| {
                let entry = self.sources.get(reference);
                let source = entry.filter(|entry| !entry.gone).map(|entry| &entry.source);
                if source.is_some_and(|source| source.ignored) {
                    return None;
                }
                Some(View {
                    reference,
                    used,
                    source,
                    content_version: entry.map(|entry| entry.content_version).unwrap_or_default(),
                    unseen_since: entry
                        .and_then(|entry| entry.unseen)
                        .filter(|unseen| unseen.version > verified)
                        .map(|unseen| unseen.since),
                })
            })
            .collect()
    }

    // ---- counting -------------------------------------------------------------------------------

    /// Notes where a workload stands.
    pub fn set_status(&mut self, reference: &WorkloadRef, status: (State, Reason)) {
        let Some(entry) = self.workloads.get_mut(reference) else {
            return;
        };
        let before = entry.status.replace(status);
        self.recount(before, Some(status), reference);
    }

    fn recount(&mut self, before: Option<(State, Reason)>, after: Option<(State, Reason)>, reference: &WorkloadRef) {
        if let Some((state, reason)) = before {
            if let Some(count) = self.tally.get_mut(&(reference.kind, state)) {
                *count = count.saturating_sub(1);
            }
            if let Some(count) = self.held.get_mut(&reason) {
                *count = count.saturating_sub(1);
            }
        }
        if let Some((state, reason)) = after {
            *self.tally.entry((reference.kind, state)).or_default() += 1;
            *self.held.entry(reason).or_default() += 1;
        }
    }

    /// How many workloads of a kind are in a state.
    #[must_use]
    pub fn count(&self, kind: crate::core::kind::KindId, state: State) -> usize {
        self.tally.get(&(kind, state)).copied().unwrap_or(0)
    }

    /// How many workloads stand where they stand for this reason.
    #[must_use]
    pub fn count_reason(&self, reason: Reason) -> usize {
        self.held.get(&reason).copied().unwrap_or(0)
    }
}

/// How a source came to be what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    New,
    Changed,
    /// After it was gone, with what it held before.
    Back,
    /// To be looked at again without having changed: written in a while in which nobody watched and
    /// the same as before, or beginning or ceasing to count.
    Unseen,
    Gone,
}

fn add_watch(watches: &mut Vec<WatchState>, scope: Option<Namespace>, last: Option<Second>) -> WatchId {
    watches.push(WatchState {
        scope,
        generation: 0,
        synced: false,
        listing: false,
        last,
    });
    WatchId(watches.len() - 1)
}

fn list_start(watches: &mut [WatchState], watch: WatchId) {
    if let Some(state) = watches.get_mut(watch.0) {
        // A list may begin again in the middle of one: what the first half named is marked anew.
        state.generation = state.generation.wrapping_add(1);
        state.listing = true;
    }
}

fn list_end(watches: &mut [WatchState], watch: WatchId, now: Timestamp) -> Option<(Option<Namespace>, u32)> {
    let state = watches.get_mut(watch.0).filter(|state| state.listing)?;
    state.listing = false;
    state.synced = true;
    state.last = Some(Second::from(now));
    Some((state.scope.clone(), state.generation))
}

fn in_scope(scope: Option<&Namespace>, namespace: &Namespace) -> bool {
    scope.is_none_or(|scope| scope == namespace)
}
