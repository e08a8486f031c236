//! Reads what no watch brings, one GET each: the Secrets that are used, when they change, and the
//! `ConfigMap`s that a workload begins to use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::warn;
use windlass_core::types::name::{SourceRef, WorkloadRef};

use crate::backoff::backoff;
use crate::index::{FetchRequest, Observation, WatchedKind};
use crate::k8s::error::ApiError;
use crate::k8s::read;
use crate::k8s::wire::WatchedWorkload;
use crate::watch::ingest::{Ingest, apply};

/// Objects read at a time: an API server answers a GET within a millisecond or two, and thousands
/// are due at the start.
const READERS: usize = 8;

/// The first wait after a failed request, and the longest.
const MIN_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// Starts the readers; they end only when dropped.
pub fn start(ingest: Ingest, tasks: &mut JoinSet<()>) {
    let reader = Arc::new(Reader {
        ingest,
        failures: Mutex::default(),
    });
    for _ in 0..READERS {
        let reader = reader.clone();
        tasks.spawn(async move { reader.run().await });
    }
}

/// What the readers share.
struct Reader {
    ingest: Ingest,
    failures: Mutex<HashMap<FetchRequest, u32>>,
}

impl Reader {
    /// One of the readers; ends only when dropped.
    async fn run(&self) {
        loop {
            let request = self.ingest.fetch_queue.pop().await;
            let outcome = match &request {
                FetchRequest::Source(source) => self.source(source).await,
                FetchRequest::Workload(workload) => self.workload(workload).await,
            };
            let pause = self.count(&request, outcome.as_ref().err());
            match outcome {
                Ok(touched) => self.decide(touched),
                // Its event is on the way.
                Err(ApiError::NotFound) => {}
                Err(error) => {
                    self.ingest.observer.failed(&error);
                    if let FetchRequest::Source(source) = &request {
                        warn!(source = %source, namespace = %source.namespace, %error, retry_in = ?pause, "cannot read the source; retrying");
                        let why = error.to_string();
                        let waiting = self.ingest.reader.index().note_unreadable(source, &why);
                        self.decide(waiting);
                    }
                    self.ingest.fetch_queue.push_after(request.clone(), pause);
                }
            }
            self.ingest.fetch_queue.done(&request);
        }
    }

    fn decide(&self, workloads: Vec<WorkloadRef>) {
        for workload in workloads {
            self.ingest.queue.push(workload);
        }
    }

    async fn source(&self, source: &SourceRef) -> Result<Vec<WorkloadRef>, ApiError> {
        let reader = &self.ingest.reader;
        let known_before = {
            let index = reader.index();
            // It may have been read since it was asked for.
            if !index.needs_reading(source) {
                return Ok(Vec::new());
            }
            index.is_read(source)
        };
        let read = read::source(&reader.client, source, reader.timeout).await?;
        let touched = reader.index().apply_read(read, reader.clock.now());
        if known_before && !touched.is_empty() {
            self.ingest.observer.changed(source.kind);
        }
        Ok(touched)
    }

    async fn workload(&self, workload: &WorkloadRef) -> Result<Vec<WorkloadRef>, ApiError> {
        let reader = &self.ingest.reader;
        let read: WatchedWorkload = read::workload(&reader.client, workload, reader.timeout).await?;
        let mut index = reader.index();
        let feeds = WatchedKind::Workloads(workload.kind);
        // Without a watch of its kind nothing would ever be known of it again.
        let Some(watch) = index.watch_of(feeds, &workload.namespace) else {
            return Ok(Vec::new());
        };
        let now = reader.clock.now();
        let touched = apply(&mut index, watch, workload.kind, &read, Observation::Listed, now);
        Ok(touched.into_iter().collect())
    }

    /// Observation long to wait before the next try.
    fn count(&self, request: &FetchRequest, error: Option<&ApiError>) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(error, None | Some(ApiError::NotFound)) {
            failures.remove(request);
            return Duration::ZERO;
        }
        let count = failures.entry(request.clone()).or_default();
        let pause = backoff(*count, MIN_BACKOFF, MAX_BACKOFF);
        *count = count.saturating_add(1);
        pause
    }
}
