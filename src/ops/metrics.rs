//! The metrics: their registry, and what is served of them. What exists is in [`catalogue`].
//!
//! Every series whose labels are known is there from the start with the value 0, so that a rate or
//! an alert does not miss the first occurrence. The reference for people, `docs/metrics.md`, is made of it.

use std::sync::{Arc, OnceLock};

use prometheus::{Registry, TextEncoder};

pub mod catalogue;
mod instrument;
mod label;
mod reference;
#[cfg(test)]
mod tests;

use self::catalogue::Instruments;

pub use self::label::{
    AgentResult, ApiCode, EventLimit, InPlaceResult, NotificationResult, RestartResult, Sink, Verb, WatchRestart,
};
pub use self::reference::{Values, reference};

/// The label values that the rest of the program uses, for the zeros at the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vocabulary<'a> {
    /// Kinds of workloads, such as `Deployment`.
    pub workload_kinds: &'a [&'static str],
    /// Kinds of sources, such as `ConfigMap`.
    pub source_kinds: &'a [&'static str],
    /// States that a workload can be in, such as `Current`.
    pub states: &'a [&'static str],
    /// Reasons to hold a workload, such as `RolledBack`.
    pub held_reasons: &'a [&'static str],
    /// Reasons for which a workload can be not current, such as `Rolling`.
    pub stale_reasons: &'a [&'static str],
    /// Reasons of errors, such as `Forbidden`.
    pub error_reasons: &'a [&'static str],
    /// Resources that are watched, such as `configmaps`.
    pub watched: &'a [&'static str],
    /// Requests that are made, such as `(Verb::Patch, "deployments")`.
    pub requests: &'a [(Verb, &'static str)],
}

/// All metrics of the process, in a registry of their own. A clone is one reference count.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    all: Instruments,
    at_scrape: OnceLock<AtScrape>,
}

/// Sets gauges that are only read when somebody asks for them.
type AtScrape = Box<dyn Fn(&Metrics) + Send + Sync>;

impl Metrics {
    /// Registers every metric and sets the series of the known label values to 0.
    ///
    /// # Panics
    /// Never: names are constants of the catalogue, and tests build them.
    #[must_use]
    pub fn new(vocabulary: &Vocabulary<'_>) -> Self {
        let registry = Registry::new();
        let all = Instruments::register(&registry, vocabulary).expect("names, labels and buckets are valid constants");
        #[cfg(target_os = "linux")]
        {
            let process = prometheus::process_collector::ProcessCollector::for_self();
            let registered = registry.register(Box::new(process));
            registered.expect("names of the process's metrics are none of ours");
        }
        let metrics = Self(Arc::new(Inner {
            registry,
            all,
            at_scrape: OnceLock::new(),
        }));
        metrics.begin(vocabulary);
        metrics
    }

    /// Calls `read` before each scrape, to set the gauges that follow from other state. The first call counts.
    pub fn at_scrape(&self, read: impl Fn(&Self) + Send + Sync + 'static) {
        let _ = self.0.at_scrape.set(Box::new(read));
    }

    /// Everything in the Prometheus text format, version 0.0.4.
    ///
    /// # Panics
    /// Never: the encoder refuses only families without a name or a series, and gathering drops those.
    #[must_use]
    pub fn encode(&self) -> String {
        if let Some(read) = self.0.at_scrape.get() {
            read(self);
        }
        TextEncoder::new()
            .encode_to_string(&self.0.registry.gather())
            .expect("a gathered family has a name and a series")
    }
}
