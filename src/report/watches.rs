//! Metrics of what the watches meet.

use windlass_core::types::name::SourceKind;

use crate::k8s::error::ApiError;
use crate::k8s::watch::Trouble;
use crate::ops::{Metrics, WatchRestart};
use crate::watch::observer::WatchObserver;

impl WatchObserver for Metrics {
    fn changed(&self, kind: SourceKind) {
        self.change(kind.word());
    }

    fn troubled(&self, resource: &'static str, trouble: &Trouble) {
        self.watch_restart(resource, counted_as(trouble));
        if matches!(trouble, Trouble::Forbidden(_)) {
            self.error("Forbidden");
        }
    }

    fn failed(&self, error: &ApiError) {
        self.error(error.word());
    }
}

fn counted_as(trouble: &Trouble) -> WatchRestart {
    match trouble {
        Trouble::Forbidden(_) => WatchRestart::Forbidden,
        Trouble::NotServed => WatchRestart::NotServed,
        Trouble::Expired => WatchRestart::Expired,
        Trouble::NoStreamingLists => WatchRestart::NoStreamingList,
        Trouble::Undecodable => WatchRestart::Undecodable,
        Trouble::Interrupted(_) => WatchRestart::Unavailable,
    }
}
