//! The words that labels of metrics have here, for zeros at the start and for the reference.

use std::sync::Arc;

use windlass_core::reason::{Reason, Resolution, State};
use windlass_core::workload::kind::KindId;

use crate::k8s::client::{self, CallResult};
use crate::ops::metrics;
use crate::ops::metrics::Values;
use crate::ops::{ApiCode, Metrics, Verb, Vocabulary};
use crate::report::gauges;
use crate::watch::policies;

#[cfg(test)]
mod tests;

/// What is watched besides sources, workloads and policies.
const WATCHED_BESIDES: [&str; 2] = ["namespaces", "customresourcedefinitions"];

/// All metrics, at zero.
pub fn metrics() -> Metrics {
    with(Metrics::new)
}

/// The generated parts of `docs/metrics.md`.
#[must_use]
pub fn metrics_reference() -> String {
    let ended_by = |ends: Resolution| Values {
        values: words(|reason| reason.resolution() == Some(ends)),
        meaning: ends.meaning(),
    };
    let held = Resolution::ALL.map(ended_by);
    with(|vocabulary| metrics::reference(vocabulary, &held))
}

fn words(of: impl Fn(Reason) -> bool) -> Vec<&'static str> {
    let reasons = Reason::ALL.into_iter().filter(|reason| of(*reason));
    reasons.map(Reason::as_str).collect()
}

fn with<T>(make: impl FnOnce(&Vocabulary<'_>) -> T) -> T {
    let states: Vec<&str> = State::ALL.map(State::as_str).into();
    let plurals: Vec<&str> = KindId::built_in().map(|kind| kind.row().plural).collect();
    let sources = ["configmaps", "secrets"];
    let opened: Vec<&str> = sources
        .iter()
        .chain(&plurals)
        .chain(&policies::PLURALS)
        .copied()
        .collect();
    let watched: Vec<&str> = opened.iter().chain(&WATCHED_BESIDES).copied().collect();
    let requests: Vec<(Verb, &str)> = opened
        .iter()
        .map(|plural| (Verb::Watch, *plural))
        .chain(plurals.iter().map(|plural| (Verb::Patch, *plural)))
        .chain([
            (Verb::Get, "configmaps"),
            (Verb::Get, "secrets"),
            (Verb::Create, "events"),
            (Verb::Patch, "events"),
            (Verb::Get, "leases"),
            (Verb::Patch, "leases"),
            (Verb::List, "pods"),
            (Verb::Patch, "pods"),
        ])
        .chain(policies::PLURALS.map(|plural| (Verb::Patch, plural)))
        .collect();
    make(&Vocabulary {
        workload_kinds: &KindId::built_in().map(gauges::kind_label).collect::<Vec<_>>(),
        source_kinds: &["ConfigMap", "Secret"],
        states: &states,
        held_reasons: &words(Reason::is_hold),
        stale_reasons: &words(Reason::is_wait),
        error_reasons: crate::k8s::error::WORDS,
        watched: &watched,
        requests: &requests,
    })
}

/// Counts what the client did.
pub fn request_counter(metrics: Metrics) -> client::CallObserver {
    Arc::new(move |call: client::ApiCall| {
        let verb = match call.verb {
            "get" => Verb::Get,
            "list" => Verb::List,
            "watch" => Verb::Watch,
            "create" => Verb::Create,
            "patch" => Verb::Patch,
            // Nothing else is ever sent; and what is not known is not counted as something else.
            _ => return,
        };
        let code = match call.result {
            CallResult::Status(status) => ApiCode::Status(status),
            CallResult::Broken => ApiCode::Transport,
            CallResult::NotInTime => ApiCode::Timeout,
        };
        metrics.api_request(verb, call.resource, code, call.took);
    })
}
