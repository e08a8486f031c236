//! Who is told of what the watches meet, to count it.

use windlass_core::types::name::SourceKind;

use crate::k8s::error::ApiError;
use crate::k8s::watch::WatchError;

/// Counts what the watches meet.
pub trait WatchObserver: Send + Sync {
    /// What a source holds that is used changed.
    fn changed(&self, kind: SourceKind);

    /// Something is wrong with a watch of this resource.
    fn troubled(&self, resource: &'static str, trouble: &WatchError);

    /// A request failed.
    fn failed(&self, error: &ApiError);
}

/// For whoever counts nothing.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "a command that only reads has no metrics"))]
pub struct Uncounted;

impl WatchObserver for Uncounted {
    fn changed(&self, _: SourceKind) {}

    fn troubled(&self, _: &'static str, _: &WatchError) {}

    fn failed(&self, _: &ApiError) {}
}
