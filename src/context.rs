//! What every task of the controller shares that writes.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_core::rollout_slots::RolloutSlots;

use crate::election::WriteGate;
use crate::reader::Reader;

/// What every write shares.
pub struct Context {
    /// What decisions are made with. Whoever writes may read as well: see [`Deref`].
    pub reader: Arc<Reader>,
    /// How many workloads roll at a time. Locked for the length of a question.
    pub rollout_slots: Mutex<RolloutSlots>,
    /// Whether we may write.
    pub write_gate: WriteGate,
}

impl Context {
    pub fn rollout_slots(&self) -> MutexGuard<'_, RolloutSlots> {
        self.rollout_slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Context {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}
