//! Which watches feed the index, and what follows when one of their lists is complete.

use jiff::Timestamp;
use windlass_core::types::name::{Namespace, SourceKind, SourceRef, WorkloadRef};
use windlass_core::types::time::Second;
use windlass_core::workload::kind::KindId;

use super::Index;

/// What a watch brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchedKind {
    Sources(SourceKind),
    Workloads(KindId),
    /// Policies, of the cluster or of namespaces.
    Policies {
        of_cluster: bool,
    },
    /// The labels of namespaces.
    Namespaces,
}

/// One of the watches that feed the index.
#[derive(Clone, Debug)]
pub(crate) struct WatchState {
    kind: WatchedKind,
    /// `None`: all namespaces.
    scope: Option<Namespace>,
    pub(crate) generation: u32,
    synced: bool,
    listing: bool,
    /// The generation of the last list that was complete.
    completed: u32,
    ended: bool,
    /// When it last brought something: from here on, what a new list shows was not watched.
    pub(crate) last: Option<Second>,
}

/// Which watch an event came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchId(usize);

impl Index {
    /// Announces a watch. `last_watched`: up to when a Windlass watched before.
    pub fn add_watch(&mut self, feeds: WatchedKind, scope: Option<Namespace>, last_watched: Option<Second>) -> WatchId {
        self.watches.push(WatchState {
            kind: feeds,
            scope,
            generation: 0,
            synced: false,
            listing: false,
            completed: 0,
            ended: false,
            last: last_watched,
        });
        WatchId(self.watches.len() - 1)
    }

    /// A watch that will bring nothing any more: its kind is not served. What it brought is gone.
    pub fn end_watch(&mut self, watch: WatchId) {
        let Some(state) = self.watches.get_mut(watch.0) else {
            return;
        };
        state.ended = true;
        state.generation = state.generation.wrapping_add(1);
        let (feeds, scope, generation) = (state.kind, state.scope.clone(), state.generation);
        if let WatchedKind::Workloads(kind) = feeds {
            self.drop_unlisted(kind, scope.as_ref(), generation);
        }
        self.note_start();
    }

    /// Nobody waits for the first list of this watch any more: there is no right to it. Should it come, it counts.
    pub fn wait_no_more_for(&mut self, watch: WatchId) {
        if let Some(state) = self.watches.get_mut(watch.0) {
            state.synced = true;
        }
        self.note_start();
    }

    /// The watch that brings this, if there is one.
    #[must_use]
    pub fn watch_of(&self, feeds: WatchedKind, namespace: &Namespace) -> Option<WatchId> {
        self.watches
            .iter()
            .position(|watch| watch.kind == feeds && !watch.ended && in_scope(watch.scope.as_ref(), namespace))
            .map(WatchId)
    }

    pub(crate) fn watch(&self, watch: WatchId) -> Option<&WatchState> {
        self.watches.get(watch.0)
    }

    /// It brought something.
    pub(crate) fn note_life(&mut self, watch: WatchId, now: Timestamp) {
        if let Some(state) = self.watches.get_mut(watch.0) {
            state.last = Some(Second::from(now));
        }
    }

    /// Whether every watch has finished its first list. Later ones do not undo that.
    #[must_use]
    pub fn started(&self) -> bool {
        self.started
    }

    /// Whether every watch of policies and of namespaces has finished its first list.
    #[must_use]
    pub fn has_policies(&self) -> bool {
        let about = |watch: &&WatchState| matches!(watch.kind, WatchedKind::Policies { .. } | WatchedKind::Namespaces);
        self.watches
            .iter()
            .filter(about)
            .all(|watch| watch.synced || watch.ended)
    }

    /// Whether every watch of workloads has finished its first list, and so it is known which sources are
    /// used.
    #[must_use]
    pub fn has_workloads(&self) -> bool {
        self.watches
            .iter()
            .filter(|watch| matches!(watch.kind, WatchedKind::Workloads(_)))
            .all(|watch| watch.synced || watch.ended)
    }

    /// How many lists each watch of sources has begun.
    #[must_use]
    pub fn source_lists_begun(&self) -> Vec<(WatchId, u32)> {
        self.watches
            .iter()
            .enumerate()
            .filter(|(_, watch)| matches!(watch.kind, WatchedKind::Sources(_)) && !watch.ended)
            .map(|(at, watch)| (WatchId(at), watch.generation))
            .collect()
    }

    /// Whether each of them has completed one that began later.
    #[must_use]
    pub fn have_listed_since(&self, begun: &[(WatchId, u32)]) -> bool {
        begun
            .iter()
            .all(|(watch, generation)| self.watch(*watch).is_none_or(|watch| watch.completed > *generation))
    }

    fn note_start(&mut self) {
        self.started |= self.watches.iter().all(|watch| watch.synced || watch.ended);
    }

    /// A list begins.
    pub fn list_start(&mut self, watch: WatchId) {
        if let Some(state) = self.watches.get_mut(watch.0) {
            // A list may begin again in the middle of one: what the first half named is marked anew.
            state.generation = state.generation.wrapping_add(1);
            state.listing = true;
        }
    }

    /// A list is complete: what it did not name is gone. Gives the workloads that have to be decided.
    pub fn list_end(&mut self, watch: WatchId, now: Timestamp) -> Vec<WorkloadRef> {
        let Some(state) = self.watches.get_mut(watch.0).filter(|state| state.listing) else {
            return Vec::new();
        };
        state.listing = false;
        state.synced = true;
        state.completed = state.generation;
        state.last = Some(Second::from(now));
        let (feeds, scope, generation) = (state.kind, state.scope.clone(), state.generation);
        let effect = match feeds {
            WatchedKind::Sources(kind) => {
                let gone: Vec<SourceRef> = self
                    .sources
                    .iter()
                    .filter(|(source, entry)| {
                        source.kind == kind
                            && !entry.is_gone()
                            && !entry.is_listed(generation)
                            && in_scope(scope.as_ref(), &source.namespace)
                    })
                    .map(|(source, _)| source.clone())
                    .collect();
                gone.iter()
                    .flat_map(|source| self.remove_source(watch, source, None, now))
                    .collect()
            }
            WatchedKind::Workloads(kind) => {
                self.drop_unlisted(kind, scope.as_ref(), generation);
                Vec::new()
            }
            // Whoever watches these compares the lists itself.
            WatchedKind::Policies { .. } | WatchedKind::Namespaces => Vec::new(),
        };
        self.note_start();
        effect
    }

    fn drop_unlisted(&mut self, kind: KindId, scope: Option<&Namespace>, generation: u32) {
        let gone: Vec<WorkloadRef> = self
            .workloads
            .iter()
            .map(|(workload, entry)| (workload, entry.list_generation()))
            .chain(
                self.delegations
                    .values()
                    .map(|it| (&it.delegation.by.reference, it.generation)),
            )
            .filter(|(workload, seen)| {
                workload.kind == kind && *seen != generation && in_scope(scope, &workload.namespace)
            })
            .map(|(workload, _)| workload.clone())
            .collect();
        for workload in gone {
            self.forget(&workload);
        }
    }
}

fn in_scope(scope: Option<&Namespace>, namespace: &Namespace) -> bool {
    scope.is_none_or(|scope| scope == namespace)
}
