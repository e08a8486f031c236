//! Gauges: what follows from the index as it is now.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use windlass_core::reason::{REASONS, Reason, STATES, State};
use windlass_core::workload::kind::KindId;

use super::waits::{is_hold, is_wait};
use crate::index::Index;
use crate::ops::Metrics;

/// Of one kind: how many workloads stand where, and of all: how many are held by what.
pub fn update_kind(metrics: &Metrics, index: &Index, kind: KindId) {
    for state in STATES {
        metrics.workloads(kind_label(kind), state.as_str(), index.count(kind, *state));
    }
    for reason in REASONS.iter().filter(|reason| is_hold(**reason)) {
        metrics.workloads_held(reason.as_str(), index.count_reason(*reason));
    }
}

/// Of every kind.
pub fn update_all_kinds(metrics: &Metrics, index: &Index) {
    for kind in index.counted_kinds() {
        update_kind(metrics, index, kind);
    }
}

/// Sets how old the oldest change is that some workload does not run, by the reason for which it waits.
pub fn update_ages(metrics: &Metrics, index: &Index, now: Timestamp) {
    let mut by_reason: HashMap<Reason, Timestamp> = HashMap::new();
    for (since, status) in index
        .workloads()
        .filter_map(|(_, entry)| Some((entry.stale_since()?, entry.status())))
    {
        if let Some((state, reason)) = status
            && state != State::Observed
        {
            debug_assert!(is_wait(reason), "no age is shown for {}", reason.as_str());
            let oldest = by_reason.entry(reason).or_insert(since);
            *oldest = since.min(*oldest);
        }
    }
    let age = |since: Option<Timestamp>| since.map_or(Duration::ZERO, |since| self::since(since, now));
    for reason in REASONS.iter().filter(|reason| is_wait(**reason)) {
        metrics.oldest_unapplied_change_age(reason.as_str(), age(by_reason.get(reason).copied()));
    }
}

/// The word of a kind in labels.
#[must_use]
pub fn kind_label(kind: KindId) -> &'static str {
    kind.row().kind
}

/// How long ago that was.
#[must_use]
pub fn since(from: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(from)).unwrap_or_default()
}
