//! What every task of the controller shares.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use windlass_core::content::digest::KeyRing;
use windlass_core::decide::Settings;
use windlass_core::governor::Governor;

use crate::clock::Clock;
use crate::election::Leading;
use crate::index::Index;

/// What every decision shares.
pub struct Context {
    /// What is known of the cluster. Locked for the length of one decision, microseconds.
    pub index: Mutex<Index>,
    /// What holds for all.
    pub settings: Settings,
    /// How many workloads roll at a time. Locked for the length of a question.
    pub governor: Mutex<Governor>,
    /// The digest keys.
    pub ring: KeyRing,
    /// The way to the API server.
    pub client: Client,
    /// How long one request may take.
    pub timeout: Duration,
    /// Our clock.
    pub clock: Clock,
    /// Whether we may write.
    pub leading: Leading,
}

impl Context {
    /// The index.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        // A panic under the lock would have ended the process; what it left is whole.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The governor.
    pub fn governor(&self) -> MutexGuard<'_, Governor> {
        self.governor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
