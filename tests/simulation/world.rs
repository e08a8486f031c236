//! The cluster with its clock and its whims, shared by everybody who lives in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use windlass_core::types::name::SourceRef;

use super::checks::Checks;
use super::cluster::{Cluster, Millis, Seen};

/// How badly requests and watches go, in percent and milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Requests that are turned away.
    pub refused: u64,
    /// Requests that are carried out and never answered.
    pub lost: u64,
    /// The longest that a request takes either way.
    pub latency: u64,
    /// The longest that an event takes.
    pub lag: u64,
}

impl Faults {
    pub const NONE: Self = Self {
        refused: 0,
        lost: 0,
        latency: 3,
        lag: 10,
    };
}

pub struct State {
    pub cluster: Cluster,
    pub checks: Checks,
    pub faults: Faults,
    /// Requests that were made.
    pub requests: u64,
    /// A source whose content is in the answer that is given.
    pub read: Option<(SourceRef, Seen)>,
}

/// Everything, and those who wait for it to change.
pub struct World {
    state: Mutex<State>,
    start: Instant,
    changed: Notify,
    changes: AtomicU64,
}

/// Waits for changes. A channel of tokio's would wake its receivers in an order of its own.
pub struct Changes {
    world: Arc<World>,
    seen: u64,
}

impl Changes {
    /// Until something has changed since the last call.
    pub async fn changed(&mut self) {
        // All of it is on one thread: nothing changes between the look and the wait.
        while !self.is_behind() {
            self.world.changed.notified().await;
        }
        self.mark_unchanged();
    }

    fn is_behind(&self) -> bool {
        self.world.changes.load(Ordering::Relaxed) != self.seen
    }

    fn mark_unchanged(&mut self) {
        self.seen = self.world.changes.load(Ordering::Relaxed);
    }
}

impl World {
    pub fn new(cluster: Cluster, checks: Checks, faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                cluster,
                checks,
                faults,
                requests: 0,
                read: None,
            }),
            start: Instant::now(),
            changed: Notify::new(),
            changes: AtomicU64::new(0),
        })
    }

    pub fn now(&self) -> Millis {
        u64::try_from(self.start.elapsed().as_millis()).expect("some days")
    }

    /// Does something at this moment. Others look only when they are told.
    pub fn look<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cluster.now = self.now();
        what(&mut state)
    }

    /// Does something that others may be waiting for.
    pub fn act<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        let done = self.look(what);
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
        done
    }

    pub fn changes(self: &Arc<Self>) -> Changes {
        Changes {
            world: self.clone(),
            seen: self.changes.load(Ordering::Relaxed),
        }
    }

    /// Runs the cluster's own controllers.
    pub async fn run(self: Arc<Self>) {
        let mut changes = self.changes();
        loop {
            let before = self.look(|state| state.cluster.version);
            let due = self.look(|state| {
                let now = state.cluster.now;
                state.cluster.step(now)
            });
            if self.look(|state| state.cluster.version) != before {
                self.act(|_| ());
                changes.mark_unchanged();
            }
            let wait = due.map(|due| Duration::from_millis(due.saturating_sub(self.now()).max(1)));
            match wait {
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, changes.changed()).await;
                }
                None => {
                    changes.changed().await;
                }
            }
        }
    }
}
