//! What is watched, gathered and decided with. Nothing of it writes, and nothing here makes a key, a registry of
//! metrics or a place in an election: whoever only wants to know what would be decided needs no more.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use windlass_core::content::digest::KeyRing;
use windlass_core::decide::DecisionSettings;

use crate::clock::Clock;
use crate::index::Index;

/// What every decision shares.
pub struct Reader {
    /// What is known of the cluster. Locked for the length of one decision, microseconds.
    pub index: Mutex<Index>,
    /// What holds for all.
    pub settings: DecisionSettings,
    /// The digest keys.
    pub ring: KeyRing,
    /// The way to the API server.
    pub client: Client,
    /// How long one request may take.
    pub timeout: Duration,
    pub clock: Clock,
}

impl Reader {
    pub fn index(&self) -> MutexGuard<'_, Index> {
        // A panic under the lock would have ended the process; what it left is whole.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
