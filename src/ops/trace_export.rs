//! Traces: the way of one change to one workload as spans, sent to an OpenTelemetry collector.
//!
//! The spans are made when the change has arrived, from times that were noted on the way. No library's spans
//! are taken: nobody knows what these hold. What waits to be sent is bounded, and what finds no room is
//! dropped: nothing ever waits for the collector.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status};
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::VERSION;
use super::notify::{Endpoint, Poster, TlsError};

#[cfg(test)]
mod tests;

/// Journeys that wait to be sent: a KiB each.
const QUEUED: usize = 512;
/// Journeys in one request.
const BATCH: usize = 128;
/// How long is gathered for one request.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A change on its way to the pods of one workload.
#[derive(Clone, Debug)]
pub struct ChangeTrace {
    /// Such as `Deployment`.
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    /// What changed, such as `ConfigMap shop/web`.
    pub sources: Vec<String>,
    /// When the change was seen.
    pub seen: Timestamp,
    /// When what is to be done was begun to be decided.
    pub decided: Timestamp,
    /// When the patch was sent.
    pub sent: Timestamp,
    pub accepted: Timestamp,
    pub ended: Timestamp,
    /// Where the workload stood then.
    pub state: &'static str,
    pub reason: &'static str,
    /// Whether that is what was wanted.
    pub good: bool,
}

/// Sends traces.
#[derive(Debug)]
pub struct TraceExporter {
    traces: mpsc::Sender<ChangeTrace>,
    finish: Mutex<Option<oneshot::Sender<()>>>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl TraceExporter {
    /// `endpoint`: the collector's base URL.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn start(endpoint: Endpoint, installation: &str) -> Result<Arc<Self>, TlsError> {
        let (traces, waiting) = mpsc::channel(QUEUED);
        let (finish, finished) = oneshot::channel();
        let sender = TraceSender {
            endpoint,
            poster: Poster::new(None)?,
            resource: resource(installation),
            fails: false,
        };
        let task = tokio::spawn(sender.run(waiting, finished));
        Ok(Arc::new(Self {
            traces,
            finish: Mutex::new(Some(finish)),
            task: Mutex::new(Some(task)),
        }))
    }

    /// Takes a trace, if there is room for it.
    pub fn take(&self, change_trace: ChangeTrace) {
        // One more or less of thousands is no loss.
        let _ = self.traces.try_send(change_trace);
    }

    /// Sends what waits, for so long at most.
    pub async fn finish(&self, longest: Duration) {
        drop(self.finish.lock().unwrap_or_else(PoisonError::into_inner).take());
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = tokio::time::timeout(longest, task).await;
        }
    }
}

struct TraceSender {
    endpoint: Endpoint,
    poster: Poster,
    resource: Resource,
    fails: bool,
}

impl TraceSender {
    async fn run(mut self, mut waiting: mpsc::Receiver<ChangeTrace>, mut finished: oneshot::Receiver<()>) {
        loop {
            let mut batch = Vec::new();
            let last = tokio::select! {
                biased;
                received = waiting.recv_many(&mut batch, BATCH) => received == 0,
                _ = &mut finished => true,
            };
            if !last {
                tokio::select! {
                    biased;
                    _ = &mut finished => {}
                    () = tokio::time::sleep(GATHER) => {}
                }
            }
            while batch.len() < BATCH
                && let Ok(change_trace) = waiting.try_recv()
            {
                batch.push(change_trace);
            }
            if !batch.is_empty() {
                self.send(batch).await;
            }
            if last {
                return;
            }
        }
    }

    async fn send(&mut self, batch: Vec<ChangeTrace>) {
        let count = batch.len();
        let request = self.request(&batch);
        let sent = self.poster.post(
            &self.endpoint,
            "application/x-protobuf",
            request.encode_to_vec().into(),
            TIMEOUT,
        );
        match sent.await {
            Ok(()) if self.fails => {
                self.fails = false;
                info!(collector = %self.endpoint, "trace export recovered");
            }
            // Said once; each of them would be a line for every change.
            Err(error) if !self.fails => {
                self.fails = true;
                warn!(collector = %self.endpoint, %error, count, "cannot export traces; they are dropped until the collector accepts them");
            }
            Ok(()) | Err(_) => {}
        }
    }

    fn request(&self, batch: &[ChangeTrace]) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope {
            name: "windlass".to_owned(),
            version: VERSION.to_owned(),
            ..InstrumentationScope::default()
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans: batch.iter().flat_map(spans).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
    }
}

fn resource(installation: &str) -> Resource {
    Resource {
        attributes: vec![
            text("service.name", "windlass"),
            text("service.version", VERSION),
            text("windlass.installation", installation),
        ],
        ..Resource::default()
    }
}

/// One trace: what happened in all, and its parts one after the other.
fn spans(change_trace: &ChangeTrace) -> Vec<Span> {
    let trace = random::<16>();
    let root = random::<8>();
    let ChangeTrace {
        kind,
        namespace,
        name,
        sources,
        seen,
        decided,
        sent,
        accepted,
        ended,
        state,
        reason,
        good,
    } = change_trace;
    let values = sources.iter().map(|source| AnyValue {
        value: Some(Value::StringValue(source.clone())),
    });
    let sources = KeyValue {
        key: "windlass.sources".to_owned(),
        value: Some(AnyValue {
            value: Some(Value::ArrayValue(ArrayValue {
                values: values.collect(),
            })),
        }),
        ..KeyValue::default()
    };
    let attributes = vec![
        text("windlass.workload.kind", kind),
        text("k8s.namespace.name", namespace),
        text("windlass.workload.name", name),
        text("windlass.state", state),
        text("windlass.reason", reason),
        sources,
    ];
    let span = |name: &str, id: Vec<u8>, parent: Vec<u8>, from: Timestamp, to: Timestamp| Span {
        trace_id: trace.clone(),
        span_id: id,
        parent_span_id: parent,
        name: name.to_owned(),
        kind: span::SpanKind::Internal.into(),
        start_time_unix_nano: nanos(from),
        // Clocks are set back now and then.
        end_time_unix_nano: nanos(to.max(from)),
        ..Span::default()
    };
    let part = |name: &str, from: Timestamp, to: Timestamp| span(name, random::<8>(), root.clone(), from, to);
    let code = if *good {
        status::StatusCode::Ok
    } else {
        status::StatusCode::Error
    };
    let whole = Span {
        attributes,
        status: Some(Status {
            code: code.into(),
            message: if *good { String::new() } else { (*reason).to_owned() },
        }),
        ..span("change", root.clone(), Vec::new(), *seen, *ended)
    };
    vec![
        whole,
        part("settle", *seen, *decided),
        // With the wait for others that are tried first.
        part("decide", *decided, *sent),
        part("patch", *sent, *accepted),
        part("rollout", *accepted, *ended),
    ]
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or_default()
}

/// An identifier. Without randomness, which is as good as never, one that nobody accepts.
fn random<const LENGTH: usize>() -> Vec<u8> {
    let mut bytes = [0; LENGTH];
    let _ = getrandom::fill(&mut bytes);
    bytes.to_vec()
}
