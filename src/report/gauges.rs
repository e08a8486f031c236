//! Gauges that follow from the index: read when somebody scrapes, so that no decision pays for them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use windlass_core::reason::{Reason, State};
use windlass_core::types::name::{SourceKind, WorkloadRef};
use windlass_core::workload::kind::KindId;

use crate::context::Context;
use crate::index::Index;
use crate::ops::Metrics;
use crate::queue::Queue;

#[cfg(test)]
mod tests;

/// Sets the gauges of the index and of the queue at each scrape.
pub fn follow(metrics: &Metrics, context: &Arc<Context>, queue: &Arc<Queue<WorkloadRef>>) {
    // What the metrics hold must not keep alive what counts in them.
    let (context, queue) = (Arc::downgrade(context), Arc::downgrade(queue));
    let counted = Mutex::default();
    metrics.at_scrape(move |metrics| {
        if let (Some(context), Some(queue)) = (Weak::upgrade(&context), Weak::upgrade(&queue)) {
            let now = context.clock.now();
            let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
            set(metrics, &context.index(), &mut counted, now);
            metrics.workqueue_depth(queue.depth());
        }
    });
}

/// Sets all gauges of the index in one pass over its workloads. `counted` are the kinds that ever had one: their
/// series go back to zero.
fn set(metrics: &Metrics, index: &Index, counted: &mut BTreeSet<KindId>, now: Timestamp) {
    let mut of_state: HashMap<(KindId, State), usize> = HashMap::new();
    let mut of_reason: HashMap<Reason, usize> = HashMap::new();
    let mut oldest: HashMap<Reason, Timestamp> = HashMap::new();
    for (workload, entry) in index.workloads() {
        let Some((state, reason)) = entry.status() else {
            continue;
        };
        *of_state.entry((workload.kind, state)).or_default() += 1;
        *of_reason.entry(reason).or_default() += 1;
        if let Some(since) = entry.stale_since()
            && state != State::Observed
        {
            debug_assert!(reason.is_wait(), "no age is shown for {}", reason.as_str());
            let oldest = oldest.entry(reason).or_insert(since);
            *oldest = since.min(*oldest);
        }
    }
    counted.extend(of_state.keys().map(|(kind, _)| *kind));
    for kind in counted.iter() {
        for state in State::ALL {
            let count = of_state.get(&(*kind, state)).copied().unwrap_or(0);
            metrics.workloads(kind_label(*kind), state.as_str(), count);
        }
    }
    for reason in Reason::ALL.into_iter().filter(|reason| reason.is_hold()) {
        metrics.workloads_held(reason.as_str(), of_reason.get(&reason).copied().unwrap_or(0));
    }
    for reason in Reason::ALL.into_iter().filter(|reason| reason.is_wait()) {
        let age = oldest.get(&reason).map_or(Duration::ZERO, |from| since(*from, now));
        metrics.oldest_unapplied_change_age(reason.as_str(), age);
    }
    for kind in SourceKind::ALL {
        metrics.sources(kind.as_str(), index.source_count(kind));
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
