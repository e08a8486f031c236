//! Which connections are open, and which one is closed when there are too many.
//!
//! A probe sends its request at once and is answered within milliseconds. So what has been open the longest
//! without being answered is closed first, and of the address that has the most: a flood closes its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::task::AbortHandle;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    /// The request is not complete: waits for the client.
    Reading,
    /// The answer is being made.
    Answering,
    /// The answer is being sent: waits for the client.
    Writing,
}

/// The stage of one connection, told by its task.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<AtomicU8>);

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(Stage::Reading as u8)))
    }
}

impl Progress {
    pub(super) fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Relaxed);
    }

    /// Whether it waits for the client, not for us.
    fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) != Stage::Answering as u8
    }
}

/// The open connections, the oldest first.
#[derive(Debug)]
pub(super) struct Connections {
    open: Vec<Connection>,
    limit: usize,
    limit_per_address: usize,
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    progress: Progress,
    task: AbortHandle,
}

impl Connections {
    pub(super) fn new(limit: usize, limit_per_address: usize) -> Self {
        Self {
            open: Vec::with_capacity(limit),
            limit,
            limit_per_address,
        }
    }

    /// Notes a new connection.
    pub(super) fn add(&mut self, address: IpAddr, progress: Progress, task: AbortHandle) {
        self.open.push(Connection {
            address,
            progress,
            task,
        });
    }

    /// Forgets those whose task has ended.
    pub(super) fn forget_closed(&mut self) {
        self.open.retain(|connection| !connection.task.is_finished());
    }

    /// Closes a connection if another one from this address would be too many.
    pub(super) fn make_room(&mut self, address: IpAddr) {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for connection in &self.open {
            *counts.entry(connection.address).or_default() += 1;
        }
        let count = |address: &IpAddr| counts.get(address).copied().unwrap_or(0);
        let closed = if count(&address) >= self.limit_per_address {
            self.oldest(|connection| connection.address == address)
        } else if self.open.len() >= self.limit {
            let most = counts.values().copied().max().unwrap_or(0);
            self.oldest(|connection| count(&connection.address) == most)
        } else {
            None
        };
        if let Some(closed) = closed {
            self.open.remove(closed).task.abort();
        }
    }

    /// The oldest idle one of these; the oldest of all of them when none is idle.
    fn oldest(&self, of: impl Fn(&Connection) -> bool) -> Option<usize> {
        let idle = |connection: &Connection| of(connection) && connection.progress.is_idle();
        let found = self.open.iter().position(idle);
        found.or_else(|| self.open.iter().position(of))
    }
}
