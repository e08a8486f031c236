//! Notifications: what happened to workloads, told to where people look.
//!
//! Never in the way of the work: whoever has something to tell puts it into a small gathering and goes on.
//! Once an interval what was gathered goes to a courier for each receiver, by a queue with little room, and
//! what finds none is dropped and counted.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windlass_core::notice::{Batch, Gathering, Occasions, Standing, Taken};

use super::metrics::{Metrics, NotificationResult, Sink};

mod cloudevents;
mod courier;
mod endpoint;
mod post;
mod slack;
mod teams;
#[cfg(test)]
mod tests;
mod words;

pub use self::cloudevents::DATA_SCHEMA;
use self::courier::{Courier, Patience};
pub use self::endpoint::{Endpoint, EndpointError};
pub(super) use self::post::Poster;
pub use self::post::TlsError;

/// Batches that wait for one receiver while another is being sent. With the interval of 10 s it may be away
/// for as long as its tries take; a batch of the largest size is about a MiB.
const BATCHES_QUEUED: usize = 4;

/// Where to tell, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notifications {
    /// A receiver of CloudEvents.
    pub cloudevents: Option<Endpoint>,
    /// An incoming webhook of Slack.
    pub slack: Option<Endpoint>,
    /// A webhook of a Teams workflow.
    pub teams: Option<Endpoint>,
    /// What is told.
    pub on: Occasions,
    /// How long is gathered for one message. 1 s to 1 h.
    pub interval: Duration,
    /// What people call this cluster.
    pub cluster: Option<String>,
    /// Further certificates to trust, in PEM.
    pub ca_file: Option<PathBuf>,
}

/// Who tells.
#[derive(Clone, Debug)]
struct Origin {
    /// `NAMESPACE/NAME` of the Lease.
    installation: String,
    cluster: Option<String>,
}

/// Gathers and tells.
pub struct Notifier {
    gathering: Mutex<Gathering>,
    gathered: Notify,
    metrics: Metrics,
    stop: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
}

impl Notifier {
    /// Starts a courier for each receiver. `Ok(None)`: there are none.
    ///
    /// # Errors
    /// When certificates cannot be used.
    pub fn start(config: &Notifications, installation: &str, metrics: &Metrics) -> Result<Option<Arc<Self>>, TlsError> {
        let Notifications {
            cloudevents,
            slack,
            teams,
            on,
            interval,
            cluster,
            ca_file,
        } = config;
        let receivers: Vec<(Sink, &Endpoint)> = [
            (Sink::CloudEvents, cloudevents),
            (Sink::Slack, slack),
            (Sink::Teams, teams),
        ]
        .into_iter()
        .filter_map(|(sink, endpoint)| Some((sink, endpoint.as_ref()?)))
        .collect();
        if receivers.is_empty() {
            return Ok(None);
        }
        let poster = Poster::new(ca_file.as_deref())?;
        let origin = Arc::new(Origin {
            installation: installation.to_owned(),
            cluster: cluster.clone(),
        });
        let notifier = Arc::new(Self {
            gathering: Mutex::new(Gathering::new(*on)),
            gathered: Notify::new(),
            metrics: metrics.clone(),
            stop: CancellationToken::new(),
            tasks: Mutex::default(),
        });
        let mut queues = Vec::new();
        let mut tasks = JoinSet::new();
        for (sink, endpoint) in receivers {
            let (queue, batches) = mpsc::channel(BATCHES_QUEUED);
            info!(sink = sink.word(), host = %endpoint, "notifying");
            let courier = Courier {
                sink,
                endpoint: endpoint.clone(),
                poster: poster.clone(),
                origin: origin.clone(),
                metrics: metrics.clone(),
                patience: Patience::default(),
            };
            tasks.spawn(courier.run(batches));
            queues.push((sink, queue));
        }
        tasks.spawn(notifier.clone().hand_over(*interval, queues));
        *notifier.tasks() = tasks;
        Ok(Some(notifier))
    }

    /// A workload was restarted, by the write that led to `mark`.
    pub fn restarted(&self, standing: &Standing<'_>, mark: &str) {
        let taken = self.gathering().restarted(standing, mark);
        self.took(taken);
    }

    /// A workload stands somewhere; `mark` tells this trouble from a later one like it.
    pub fn stands(&self, standing: &Standing<'_>, mark: &str) {
        let taken = self.gathering().stands(standing, mark);
        self.took(taken);
    }

    /// Tells what is left, and ends after this long at the latest.
    pub async fn finish(&self, patience: Duration) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks());
        let told = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, told).await.is_err() {
            warn!("some notifications could not be sent before the end");
        }
    }

    fn took(&self, taken: Taken) {
        match taken {
            Taken::Kept => self.gathered.notify_one(),
            Taken::Counted => self.metrics.notification_limited(),
            Taken::Untold => {}
        }
    }

    async fn hand_over(self: Arc<Self>, interval: Duration, queues: Vec<(Sink, mpsc::Sender<Arc<Batch>>)>) {
        let mut ends = false;
        while !ends {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = self.gathered.notified() => {}
            }
            ends = self
                .stop
                .run_until_cancelled(tokio::time::sleep(interval))
                .await
                .is_none();
            let Some(batch) = self.gathering().take() else { continue };
            let batch = Arc::new(batch);
            for (sink, queue) in &queues {
                if queue.try_send(batch.clone()).is_err() {
                    self.metrics
                        .notifications(*sink, NotificationResult::Dropped, batch.counts.sum());
                    warn!(
                        sink = sink.word(),
                        notifications = batch.counts.sum(),
                        "notifications dropped: earlier ones are still being sent"
                    );
                }
            }
        }
    }

    fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
