//! What several tests of this layer begin with.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use windlass_core::content::digest::KeyRing;
use windlass_core::decide::{DecisionSettings, PresencePolicy};
use windlass_core::rollout_slots::RolloutSlots;

use super::clock::Clock;
use super::index::Index;
use crate::context::Context;
use crate::election::WriteGate;
use crate::ops::{Metrics, Vocabulary};
use crate::reader::Reader;

/// A process that leads alone, and lets 20 roll at a time.
pub fn context(index: Index, client: Client) -> Context {
    Context {
        reader: Arc::new(reader(index, client)),
        rollout_slots: std::sync::Mutex::new(RolloutSlots::new(20)),
        write_gate: WriteGate::alone(),
    }
}

/// What a decision needs, with one key.
pub fn reader(index: Index, client: Client) -> Reader {
    Reader {
        index: std::sync::Mutex::new(index),
        settings: DecisionSettings {
            installation: "ops/windlass".into(),
            presence: PresencePolicy::default(),
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
