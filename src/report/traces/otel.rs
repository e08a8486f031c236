use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use windlass_core::reason::{Reason, State};
use windlass_core::types::name::{SourceRef, WorkloadRef};

use crate::config::ControllerConfig;
use crate::ops::trace_export::{ChangeTrace, TraceExporter};
use crate::reconcile::outcome::Outcome;

/// Journeys under way that are noted, a KiB each. Further ones leave no trace.
const UNDER_WAY: usize = 4096;
/// What has not ended by then makes room for others.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(1);

/// Notes traces and hands over those that have ended.
#[derive(Clone, Debug)]
pub struct ChangeTraces(Option<Arc<ActiveTraces>>);

#[derive(Debug)]
struct ActiveTraces {
    tracer: Arc<TraceExporter>,
    under_way: Mutex<HashMap<WorkloadRef, TraceSteps>>,
}

#[derive(Clone, Debug)]
struct TraceSteps {
    decided: Timestamp,
    sent: Timestamp,
    change_trace: Option<Box<ChangeTrace>>,
}

impl ChangeTraces {
    /// Without a collector.
    #[must_use]
    pub fn disabled() -> Self {
        Self(None)
    }

    /// Sends them to the collector, if there is one.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn start(config: &ControllerConfig, installation: &str) -> anyhow::Result<Self> {
        let Some(collector) = &config.observability.otlp_endpoint else {
            return Ok(Self::disabled());
        };
        let tracer = TraceExporter::start(collector.clone(), installation)?;
        Ok(Self(Some(Arc::new(ActiveTraces {
            tracer,
            under_way: Mutex::default(),
        }))))
    }

    /// Sends what has ended and was not sent yet, for so long at most.
    pub async fn finish(&self, longest: Duration) {
        if let Some(active) = &self.0 {
            active.tracer.finish(longest).await;
        }
    }

    /// What is to be done with it is decided, since then.
    pub fn decision_started(&self, workload: &WorkloadRef, now: Timestamp) {
        self.with(|_, under_way| {
            if under_way.len() >= UNDER_WAY {
                // Of workloads that are gone, for example.
                under_way.retain(|_, steps| now.duration_since(steps.decided) < FORGOTTEN);
            }
            if under_way.len() < UNDER_WAY || under_way.contains_key(workload) {
                let steps = under_way.entry(workload.clone()).or_insert(TraceSteps {
                    decided: now,
                    sent: now,
                    change_trace: None,
                });
                (steps.decided, steps.sent) = (now, now);
            }
        });
    }

    /// Its patch is sent.
    pub fn write_started(&self, workload: &WorkloadRef, now: Timestamp) {
        self.with(|_, under_way| {
            if let Some(steps) = under_way.get_mut(workload) {
                steps.sent = now;
            }
        });
    }

    /// What became of that, and where it stands by it.
    pub fn status_changed(
        &self,
        workload: &WorkloadRef,
        outcome: &Outcome,
        state: State,
        reason: Reason,
        now: Timestamp,
    ) {
        self.with(|tracer, under_way| {
            let Some(steps) = under_way.get_mut(workload) else {
                return;
            };
            if let Outcome::Written {
                change: Some(change), ..
            } = outcome
            {
                let mut sources: Vec<&SourceRef> = change.keys.iter().map(|(source, _)| source).collect();
                sources.sort();
                sources.dedup();
                steps.change_trace = Some(Box::new(ChangeTrace {
                    kind: workload.kind.row().kind,
                    namespace: workload.namespace.to_string(),
                    name: workload.name.to_string(),
                    sources: sources
                        .into_iter()
                        .map(|it| format!("{} {}/{}", it.kind.as_str(), it.namespace, it.name))
                        .collect(),
                    seen: change.first_seen,
                    decided: steps.decided,
                    sent: steps.sent,
                    accepted: now,
                    ended: now,
                    state: state.as_str(),
                    reason: reason.as_str(),
                    good: true,
                }));
            }
            let ended = matches!(state, State::Current | State::Failed | State::Held);
            if !ended && steps.change_trace.is_some() {
                return;
            }
            if let Some(change_trace) = under_way.remove(workload).and_then(|steps| steps.change_trace) {
                tracer.take(ChangeTrace {
                    ended: now,
                    state: state.as_str(),
                    reason: reason.as_str(),
                    good: state == State::Current,
                    ..*change_trace
                });
            }
        });
    }

    fn with(&self, note: impl FnOnce(&TraceExporter, &mut HashMap<WorkloadRef, TraceSteps>)) {
        if let Some(active) = &self.0 {
            note(
                &active.tracer,
                &mut active.under_way.lock().unwrap_or_else(PoisonError::into_inner),
            );
        }
    }
}
