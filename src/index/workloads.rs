//! Workloads coming, changing and going, and the way back from a source to its users.

use std::ops::Bound;

use jiff::Timestamp;
use windlass_core::content::baseline::Baseline;
use windlass_core::types::name::{SourceRef, Uid, WorkloadRef};
use windlass_core::workload::Workload;

use super::{FetchRequest, Index, Observation, WatchId};
use crate::index::entry::WorkloadEntry;

impl Index {
    /// A workload as it is now. Gives whether it has to be decided (again).
    pub fn apply_workload(&mut self, watch: WatchId, mut workload: Workload, how: Observation, now: Timestamp) -> bool {
        if !self.has_workloads_of(&workload.reference.namespace) {
            return false;
        }
        self.texts.share_namespace(&mut workload.reference.namespace);
        let generation = self.watch(watch).map_or(0, |watch| watch.generation);
        let reference = workload.reference.clone();
        self.delegate(&mut workload);
        let selected = self.select(&mut workload);
        if matches!(workload.opt_in, Ok(None)) {
            self.forget(&reference);
            return false;
        }
        if let Ok(Some(opt_in)) = &mut workload.opt_in {
            self.intern_opt_in(opt_in);
        }
        let Some((reference, mut entry)) = self.workloads.remove_entry(&reference) else {
            return self.insert_new(workload, selected, generation);
        };
        workload.reference.clone_from(&reference);
        if entry.workload().uid != workload.uid {
            // Another object of the same name: nothing of the old one holds for it.
            let unlinked = self.unlink(&entry);
            let new = self.insert_new(workload, selected, generation);
            self.drop_unused(&unlinked);
            return new;
        }
        entry.note_listed(generation);
        if entry.workload().version > workload.version {
            self.workloads.insert(reference, entry);
            return false;
        }
        let asked = workload.opt_in.as_ref().ok().cloned().flatten();
        let governing = self.resolve_policy(&workload, asked.or_else(|| entry.own_opt_in().cloned()), selected);
        if self.settings.observe_only || governing.observes() {
            workload.observed = entry.last_baseline().cloned();
        }
        // Most events leave the uses as they are, and a source may have a thousand users.
        let same_uses = entry.workload().uses == workload.uses;
        if same_uses {
            workload.uses.clone_from(&entry.workload().uses);
        } else {
            self.share_texts_of_uses(&reference.namespace, &mut workload.uses);
        }
        let same_links = same_uses && entry.opt_in() == governing.opt_in.as_ref();
        let unlinked = if same_links { Vec::new() } else { self.unlink(&entry) };
        let consequence = entry.update(workload, governing, how, self.settings, now);
        if !same_links {
            self.link(&reference, &entry);
        }
        self.workloads.insert(reference, entry);
        self.drop_unused(&unlinked);
        consequence
    }

    fn insert_new(&mut self, mut workload: Workload, selected: bool, generation: u32) -> bool {
        let reference = workload.reference.clone();
        self.share_texts_of_uses(&reference.namespace, &mut workload.uses);
        let asked = workload.opt_in.as_ref().ok().cloned().flatten();
        let governing = self.resolve_policy(&workload, asked, selected);
        let entry = Box::new(WorkloadEntry::new(workload, governing, generation, self.settings));
        self.link(&reference, &entry);
        self.workloads.insert(reference, entry);
        true
    }

    /// Lets a change go that the replica which writes has dealt with: the baseline is newer than all of it,
    /// and does not say that anything waits. What was seen while standing by is kept otherwise.
    pub fn forget_dealt_with(&mut self, reference: &WorkloadRef) {
        let Some(entry) = self.workloads.get_mut(reference) else {
            return;
        };
        let baseline = entry.workload().observed.as_deref().map(Baseline::parse);
        let (Some(Ok(baseline)), Some(change)) = (baseline, entry.pending_change()) else {
            return;
        };
        let covered = change.keys.iter().all(|(source, _)| {
            let source = self.sources.get(source);
            source.is_some_and(|it| !it.is_gone() && it.content_version() <= baseline.horizon)
        });
        if covered && baseline.stale.is_none() && baseline.uid == entry.workload().uid {
            entry.settle_change();
        }
    }

    /// A workload is gone, or asks for nothing any more.
    pub fn forget(&mut self, reference: &WorkloadRef) {
        self.end_delegation(reference);
        let behind = self.later_waves(reference);
        if let Some(entry) = self.workloads.remove(reference) {
            self.policies.news |= entry.is_governed();
            let unlinked = self.unlink(&entry);
            self.drop_unused(&unlinked);
            // Whoever waits for it would wait for ever.
            let held = self.note_failure(reference);
            self.called.extend(behind.into_iter().chain(held));
        }
    }

    /// As [`Index::forget`], for one that is known to be gone by its uid.
    pub fn forget_exactly(&mut self, reference: &WorkloadRef, uid: &Uid) {
        if self
            .workloads
            .get(reference)
            .is_some_and(|entry| entry.workload().uid == *uid)
        {
            self.forget(reference);
        }
    }

    pub(crate) fn link(&mut self, reference: &WorkloadRef, entry: &WorkloadEntry) {
        for used in entry.uses() {
            let source = used.source(&reference.namespace);
            if self.sources.get(&source).is_some_and(|known| known.is_unread()) {
                self.wanted.push(FetchRequest::Source(source.clone()));
            }
            // Most sources have one user, and a vector begins with room for four.
            self.used_by
                .entry(source)
                .or_insert_with(|| Vec::with_capacity(1))
                .push(reference.clone());
        }
        let mut linked = Vec::new();
        for (_, namespace) in entry.pattern_places() {
            // Patterns of both kinds of sources, or several of one, are one link.
            if !linked.contains(&namespace) {
                self.by_pattern
                    .entry(namespace.clone())
                    .or_default()
                    .push(reference.clone());
                linked.push(namespace);
            }
        }
    }

    /// Gives the sources that it ceases to use, unless it is linked to them again.
    pub(crate) fn unlink(&mut self, entry: &WorkloadEntry) -> Vec<SourceRef> {
        let reference = &entry.workload().reference;
        let mut unlinked = Vec::new();
        for used in entry.uses() {
            let source = used.source(&reference.namespace);
            if let Some(users) = self.used_by.get_mut(&source) {
                users.retain(|user| user != reference);
                if users.is_empty() {
                    self.used_by.remove(&source);
                    unlinked.push(source);
                }
            }
        }
        for (kind, namespace) in entry.pattern_places() {
            let named = self.sources_of(kind, &namespace);
            let named = named.filter(|(source, known)| known.is_kept() && self.names_by_pattern(entry, source));
            unlinked.extend(named.map(|(source, _)| source.clone()));
            if let Some(users) = self.by_pattern.get_mut(&namespace) {
                users.retain(|user| user != reference);
                if users.is_empty() {
                    self.by_pattern.remove(&namespace);
                    self.forget_numbers(&namespace);
                }
            }
        }
        unlinked
    }

    #[must_use]
    pub fn workload(&self, reference: &WorkloadRef) -> Option<&WorkloadEntry> {
        self.workloads.get(reference).map(|entry| &**entry)
    }

    /// One workload, to note something on it.
    pub fn workload_mut(&mut self, reference: &WorkloadRef) -> Option<&mut WorkloadEntry> {
        self.workloads.get_mut(reference).map(|entry| &mut **entry)
    }

    pub fn workloads(&self) -> impl Iterator<Item = (&WorkloadRef, &WorkloadEntry)> {
        self.workloads.iter().map(|(reference, entry)| (reference, &**entry))
    }

    /// The first workloads after this one, at most so many, in order.
    pub fn workloads_after(&self, last: Option<&WorkloadRef>, limit: usize) -> Vec<WorkloadRef> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let following = self.workloads.range::<WorkloadRef, _>((from, Bound::Unbounded));
        following.take(limit).map(|(reference, _)| reference.clone()).collect()
    }

    /// All workloads, to note something on them.
    pub fn workloads_mut(&mut self) -> impl Iterator<Item = &mut WorkloadEntry> {
        self.workloads.values_mut().map(|entry| &mut **entry)
    }
}
