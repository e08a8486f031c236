//! What several tests of this layer begin with.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use windlass_core::content::digest::KeyRing;
use windlass_core::decide::{Presence, Settings};
use windlass_core::governor::Governor;

use super::clock::Clock;
use super::index::Index;
use crate::context::Context;
use crate::election::Leading;
use crate::ops::{Metrics, Vocabulary};
use crate::reader::Reader;

/// A process that leads alone, and lets 20 roll at a time.
pub fn context(index: Index, client: Client) -> Context {
    Context {
        reader: Arc::new(reader(index, client)),
        governor: std::sync::Mutex::new(Governor::new(20)),
        leading: Leading::alone(),
    }
}

/// What a decision needs, with one key.
pub fn reader(index: Index, client: Client) -> Reader {
    Reader {
        index: std::sync::Mutex::new(index),
        settings: Settings {
            installation: "ops/windlass".into(),
            presence: Presence::default(),
        },
        ring: KeyRing::new([("k1".into(), [1; 32])]).expect("one key"),
        client,
        timeout: Duration::from_secs(5),
        clock: Clock::start(),
    }
}

/// Metrics about one kind of each.
pub fn metrics() -> Metrics {
    Metrics::new(&Vocabulary {
        workload_kinds: &["Deployment"],
        source_kinds: &["ConfigMap"],
        states: &[],
        held_reasons: &[],
        stale_reasons: &[],
        error_reasons: &[],
        watched: &["clusterrolloutpolicies"],
        requests: &[],
    })
}
