//! What became of each volume: written by those who handle them, read by those who answer.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use windlass_core::agent_protocol::challenge::VolumeState;
use windlass_live::Volume;

use super::files::Fingerprint;
use super::metrics::Metrics;

/// The state of all volumes, in the order of the flags.
pub struct VolumeStatuses {
    slots: Vec<(PathBuf, Mutex<Slot>)>,
    metrics: Metrics,
}

#[derive(Default)]
struct Slot {
    volume: Option<Volume>,
    status: VolumeStatus,
}

/// What became of the files that were handled last.
#[derive(Clone)]
pub(super) struct VolumeStatus {
    /// Which files they were. `None`: none were handled yet.
    pub(super) files: Option<Fingerprint>,
    pub(super) state: VolumeState,
    pub(super) message: Option<String>,
}

impl Default for VolumeStatus {
    fn default() -> Self {
        Self {
            files: None,
            state: VolumeState::Pending,
            message: Some("not read yet".to_owned()),
        }
    }
}

impl VolumeStatuses {
    pub(super) fn new(paths: &[PathBuf], metrics: Metrics) -> Self {
        Self {
            slots: paths.iter().map(|path| (path.clone(), Mutex::default())).collect(),
            metrics,
        }
    }

    pub(super) fn path(&self, number: usize) -> &Path {
        self.slots.get(number).map_or(Path::new(""), |(path, _)| path)
    }

    /// The volume could be read for the first time.
    pub(super) fn opened(&self, number: usize, volume: Volume) {
        if let Some(mut slot) = self.slot(number) {
            slot.volume = Some(volume);
        }
    }

    /// Whether every volume could be read once.
    pub(super) fn all_read(&self) -> bool {
        let mut numbers = 0..self.slots.len();
        numbers.all(|number| self.slot(number).is_some_and(|slot| slot.volume.is_some()))
    }

    pub(super) fn set(&self, number: usize, status: VolumeStatus) {
        self.metrics.state(number, status.state);
        if let Some(mut slot) = self.slot(number) {
            slot.status = status;
        }
    }

    pub(super) fn status(&self, number: usize) -> VolumeStatus {
        self.slot(number).map(|slot| slot.status.clone()).unwrap_or_default()
    }

    /// Each path, with its volume if that could be read yet.
    pub(super) fn all(&self) -> Vec<(&Path, Option<Volume>)> {
        let slots = self.slots.iter();
        slots.map(|(path, slot)| (&**path, lock(slot).volume.clone())).collect()
    }

    fn slot(&self, number: usize) -> Option<MutexGuard<'_, Slot>> {
        self.slots.get(number).map(|(_, slot)| lock(slot))
    }
}

/// Nothing that holds the lock can panic halfway.
fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
