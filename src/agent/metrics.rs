//! The agent's metrics. Labels are words of this file, and the numbers of volumes in the order of the
//! flags: no path and no key becomes one.

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use windlass_core::agent_protocol::challenge::VolumeState;

use crate::ops::{REVISION, VERSION};

#[cfg(test)]
mod tests;

windlass_core::words! {
    /// What became of a validation.
    pub(super) enum Validation {
        Accepted = "accepted",
        Refused = "refused",
        /// The validator itself did not run or did not end.
        Failed = "failed",
    }
}

windlass_core::words! {
    /// What became of a notice.
    pub(super) enum Notification {
        Told = "told",
        Failed = "failed",
        /// Nobody was there to be told.
        Absent = "absent",
    }
}

/// All metrics of the agent. A clone is one reference count.
#[derive(Clone)]
pub(super) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    swaps: IntCounterVec,
    validations: IntCounterVec,
    notifications: IntCounterVec,
    state: IntGaugeVec,
    applied: IntGaugeVec,
}

impl Metrics {
    /// Every series is there from the start, with 0.
    pub(super) fn new(volumes: usize) -> Self {
        let registry = Registry::new();
        let r = &registry;
        let build_info = gauges(
            r,
            "build_info",
            "Version and revision of the running build; always 1.",
            &["version", "revision"],
        );
        build_info.with_label_values(&[VERSION, REVISION]).set(1);
        let inner = Inner {
            swaps: counters(r, "swaps_total", "New versions of a volume's files.", &["volume"]),
            validations: counters(r, "validations_total", "Validations by result.", &["result"]),
            notifications: counters(
                r,
                "notifications_total",
                "Attempts to notify the application, by result.",
                &["result"],
            ),
            state: gauges(
                r,
                "state",
                "1 for the present state of the volume, otherwise 0.",
                &["volume", "state"],
            ),
            applied: gauges(
                r,
                "last_applied_timestamp_seconds",
                "Unix time in seconds at which the volume was last Applied; 0: never.",
                &["volume"],
            ),
            registry,
        };
        for number in 0..volumes {
            let label = number.to_string();
            let _ = inner.swaps.with_label_values(&[&label]);
            let _ = inner.applied.with_label_values(&[&label]);
        }
        for result in Validation::ALL {
            let _ = inner.validations.with_label_values(&[result.as_str()]);
        }
        for result in Notification::ALL {
            let _ = inner.notifications.with_label_values(&[result.as_str()]);
        }
        let metrics = Self(Arc::new(inner));
        for number in 0..volumes {
            metrics.state(number, VolumeState::Pending);
        }
        metrics
    }

    pub(super) fn swap(&self, volume: usize) {
        self.0.swaps.with_label_values(&[&volume.to_string()]).inc();
    }

    pub(super) fn validation(&self, result: Validation) {
        self.0.validations.with_label_values(&[result.as_str()]).inc();
    }

    pub(super) fn notification(&self, result: Notification) {
        self.0.notifications.with_label_values(&[result.as_str()]).inc();
    }

    pub(super) fn state(&self, volume: usize, state: VolumeState) {
        let label = volume.to_string();
        for known in VolumeState::ALL {
            let gauge = self.0.state.with_label_values(&[&*label, known.as_str()]);
            gauge.set(i64::from(known == state));
        }
    }

    pub(super) fn applied(&self, volume: usize, at: i64) {
        self.0.applied.with_label_values(&[&volume.to_string()]).set(at);
    }

    /// Everything in the Prometheus text format, version 0.0.4.
    pub(super) fn encode(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.0.registry.gather())
            .expect("gathering gives no family without a name or a series")
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("windlass_agent")
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, known(IntCounterVec::new(opts(name, help), labels)))
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(registry, known(IntGaugeVec::new(opts(name, help), labels)))
}

fn known<T>(metric: prometheus::Result<T>) -> T {
    metric.expect("names and labels are valid constants")
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> C {
    known(registry.register(Box::new(metric.clone())));
    metric
}
