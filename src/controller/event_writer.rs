//! Events are written behind the patches: a restart that is due never waits for the report of another.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::warn;

use super::gather::Context;
use super::queue::Queue;
use super::{EVENTS_QUEUED, REQUEST_TIMEOUT};
use crate::core::name::WorkloadRef;
use crate::k8s::events::WorkloadEvent;
use crate::ops::Metrics;

/// Events written at a time, and how long one may be held up by patches that are due.
const EVENT_WRITERS: usize = 2;
const EVENT_PATIENCE: Duration = Duration::from_secs(5);
/// Between two changes of one burst nothing is due for a moment; only after this long is it over. At
/// 300 ms and less a burst of 200 took half as long again on two cores, for the API server's sake.
const EVENT_QUIET: Duration = Duration::from_secs(1);

/// Writes Events behind the patches: a restart that is due never waits for the report of another.
pub(super) async fn write(
    mut queued: mpsc::Receiver<WorkloadEvent>,
    context: Arc<Context>,
    instance: String,
    queue: Arc<Queue<WorkloadRef>>,
    metrics: Metrics,
) {
    let mut writing = JoinSet::new();
    // For how long nothing has been due.
    let mut quiet = Duration::ZERO;
    while let Some(event) = queued.recv().await {
        let patient_until = tokio::time::Instant::now() + EVENT_PATIENCE;
        if queue.depth() > 0 {
            quiet = Duration::ZERO;
        }
        // Patient only while there is much room, since thousands of adoptions report as fast as they
        // are made, and not at the end. Adoptions wait from a half on: were that the mark here as
        // well, each would wait for the other.
        while quiet < EVENT_QUIET
            && queued.len() < EVENTS_QUEUED / 4
            && !queued.is_closed()
            && tokio::time::Instant::now() < patient_until
        {
            tokio::time::sleep(EVENT_QUIET / 10).await;
            quiet = if queue.depth() == 0 {
                quiet + EVENT_QUIET / 10
            } else {
                Duration::ZERO
            };
        }
        while writing.len() >= EVENT_WRITERS {
            writing.join_next().await;
        }
        let (context, instance, metrics) = (context.clone(), instance.clone(), metrics.clone());
        writing.spawn(async move {
            let Context { client, leading, .. } = &*context;
            let send = |timeout| event.send(client, &instance, timeout);
            if let Err(error) = leading.write(REQUEST_TIMEOUT, send).await {
                metrics.event_dropped();
                warn!(%error, reason = event.reason.word(), "an Event could not be written");
            }
        });
    }
    while writing.join_next().await.is_some() {}
}
