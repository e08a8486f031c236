//! What every task of the controller shares that writes.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_core::governor::Governor;

use crate::election::Leading;
use crate::reader::Reader;

/// What every write shares.
pub struct Context {
    /// What decisions are made with. Whoever writes may read as well: see [`Deref`].
    pub reader: Arc<Reader>,
    /// How many workloads roll at a time. Locked for the length of a question.
    pub governor: Mutex<Governor>,
    /// Whether we may write.
    pub leading: Leading,
}

impl Context {
    /// The governor.
    pub fn governor(&self) -> MutexGuard<'_, Governor> {
        self.governor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Context {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}
