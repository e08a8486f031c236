//! Metrics of what the watches meet.

use windlass_core::types::name::SourceKind;

use crate::k8s::error::ApiError;
use crate::k8s::watch::WatchError;
use crate::ops::{Metrics, WatchRestart};
use crate::watch::observer::WatchObserver;

impl WatchObserver for Metrics {
    fn changed(&self, kind: SourceKind) {
        self.change(kind.as_str());
    }

    fn troubled(&self, resource: &'static str, trouble: &WatchError) {
        self.watch_restart(resource, counted_as(trouble));
        if matches!(trouble, WatchError::Forbidden(_)) {
            self.error("Forbidden");
        }
    }

    fn failed(&self, error: &ApiError) {
        self.error(error.as_str());
    }
}

fn counted_as(trouble: &WatchError) -> WatchRestart {
    match trouble {
        WatchError::Forbidden(_) => WatchRestart::Forbidden,
        WatchError::NotServed => WatchRestart::NotServed,
        WatchError::Expired => WatchRestart::Expired,
        WatchError::NoStreamingLists => WatchRestart::NoStreamingList,
        WatchError::Undecodable => WatchRestart::Undecodable,
        WatchError::Interrupted(_) => WatchRestart::Unavailable,
    }
}
