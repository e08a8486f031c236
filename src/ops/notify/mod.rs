//! Notifications: what happened to workloads, told to where people look.
//!
//! Never in the way of the work: whoever has something to tell puts it into a small gathering and goes on.
//! Once an interval what was gathered goes to a sender for each receiver, by a queue with little room, and
//! what finds none is dropped and counted.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windlass_core::notice::{Batch, BatchResult, Batcher, NoticeKind, NoticeKinds, WorkloadCondition};

use super::metrics::{Metrics, NotificationResult, Sink};
use crate::flags::{NotAccepted, Optional, SecretNotAccepted, duration, list, optional, path};

mod cloudevents;
mod endpoint;
mod post;
mod sender;
mod slack;
mod teams;
#[cfg(test)]
mod tests;
mod words;

pub use self::cloudevents::DATA_SCHEMA;
pub use self::endpoint::{Endpoint, EndpointError};
pub(super) use self::post::Poster;
pub use self::post::TlsError;
use self::sender::{RetryPolicy, Sender};

/// Batches that wait for one receiver while another is being sent. With the interval of 10 s it may be away
/// for as long as its tries take; a batch of the largest size is about a MiB.
const BATCHES_QUEUED: usize = 4;

/// Where to send notifications, and which: one field a flag.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Notifications")]
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "`--help` shows these texts, with their brackets"
)]
pub struct Notifications {
    /// Send CloudEvents about restarts and problems to this URL. Keep it secret: prefer the variable.
    ///
    /// Accepts a URL http(s)://HOST[:PORT]/PATH without a user.
    #[arg(long = "notify-cloudevents", env = "WINDLASS_NOTIFY_CLOUDEVENTS", value_name = "URL", default_value = "", value_parser = endpoint)]
    pub cloudevents: Optional<Endpoint>,
    /// Send messages to this incoming webhook of Slack. Keep it secret: prefer the variable.
    ///
    /// Accepts a URL http(s)://HOST[:PORT]/PATH without a user.
    #[arg(long = "notify-slack", env = "WINDLASS_NOTIFY_SLACK", value_name = "URL", default_value = "", value_parser = endpoint)]
    pub slack: Optional<Endpoint>,
    /// Send messages to this webhook of a Teams workflow. Keep it secret: prefer the variable.
    ///
    /// Accepts a URL http(s)://HOST[:PORT]/PATH without a user.
    #[arg(long = "notify-teams", env = "WINDLASS_NOTIFY_TEAMS", value_name = "URL", default_value = "", value_parser = endpoint)]
    pub teams: Optional<Endpoint>,
    /// Events to send notifications for.
    ///
    /// Accepts Restarted, Held, Failed, Halted and Recovered, separated by commas; Recovered only with Held,
    /// Failed or Halted.
    #[arg(long = "notify-on", env = "WINDLASS_NOTIFY_ON", value_name = "EVENT,...", default_value = "Restarted,Held,Failed,Halted,Recovered", value_parser = occasions)]
    pub on: NoticeKinds,
    /// Collect notifications for this long, then send them in one message.
    ///
    /// Accepts a duration from 1s to 1h, such as 10s or 5m.
    #[arg(long = "notify-interval", env = "WINDLASS_NOTIFY_INTERVAL", value_name = "DURATION", default_value = "10s", value_parser = duration(Duration::from_secs(1)..=Duration::from_hours(1)))]
    pub interval: Duration,
    /// Name of this cluster in notifications; empty means none.
    ///
    /// Accepts at most 63 letters, digits, -, _ and . characters.
    #[arg(long = "notify-cluster", env = "WINDLASS_NOTIFY_CLUSTER", value_name = "NAME", default_value = "", value_parser = optional(cluster_name))]
    pub cluster: Optional<String>,
    /// PEM file of extra certificate authorities for notifications.
    ///
    /// Accepts a path.
    #[arg(long = "notify-ca-file", env = "WINDLASS_NOTIFY_CA_FILE", value_name = "PATH", default_value = "", value_parser = path())]
    pub ca_file: Optional<PathBuf>,
}

fn endpoint(text: &str) -> Result<Option<Endpoint>, SecretNotAccepted> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| SecretNotAccepted),
    }
}

fn occasions(text: &str) -> Result<NoticeKinds, NotAccepted> {
    NoticeKinds::new(&list(NoticeKind::parse)(text)?).ok_or(NotAccepted)
}

/// Nothing that a URL or a message would act upon.
fn cluster_name(text: &str) -> Option<String> {
    let good = text.len() <= 63 && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c));
    good.then(|| text.to_owned())
}

/// Who tells.
#[derive(Clone, Debug)]
struct MessageSource {
    /// `NAMESPACE/NAME` of the Lease.
    installation: String,
    cluster: Option<String>,
}

/// One request, and how many notifications are in it.
struct Request {
    content_type: &'static str,
    body: Bytes,
    notifications: usize,
}

impl Request {
    /// One that tells of the whole batch.
    fn message(batch: &Batch, message: &Value) -> Self {
        Self {
            content_type: "application/json",
            body: message.to_string().into(),
            notifications: batch.counts.sum(),
        }
    }
}

/// How receivers of this kind want a batch.
fn requests_of(sink: Sink) -> fn(&Batch, &MessageSource) -> Vec<Request> {
    match sink {
        Sink::CloudEvents => cloudevents::requests,
        Sink::Slack => |batch, origin| vec![Request::message(batch, &slack::message(batch, origin))],
        Sink::Teams => |batch, origin| vec![Request::message(batch, &teams::message(batch, origin))],
    }
}

/// Gathers and tells.
pub struct Notifier {
    batcher: Mutex<Batcher>,
    batch_ready: Notify,
    metrics: Metrics,
    stop: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
}

impl Notifier {
    /// Starts a sender for each receiver. `Ok(None)`: there are none.
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
        let channels = [
            (Sink::CloudEvents, cloudevents),
            (Sink::Slack, slack),
            (Sink::Teams, teams),
        ];
        let receivers: Vec<(Sink, &Endpoint)> = channels
            .into_iter()
            .filter_map(|(sink, endpoint)| Some((sink, endpoint.as_ref()?)))
            .collect();
        if receivers.is_empty() {
            return Ok(None);
        }
        let poster = Poster::new(ca_file.as_deref())?;
        let origin = Arc::new(MessageSource {
            installation: installation.to_owned(),
            cluster: cluster.clone(),
        });
        let notifier = Arc::new(Self {
            batcher: Mutex::new(Batcher::new(*on)),
            batch_ready: Notify::new(),
            metrics: metrics.clone(),
            stop: CancellationToken::new(),
            tasks: Mutex::default(),
        });
        let mut queues = Vec::new();
        let mut tasks = JoinSet::new();
        for (sink, endpoint) in receivers {
            let (queue, batches) = mpsc::channel(BATCHES_QUEUED);
            info!(sink = sink.as_str(), host = %endpoint, "notifications enabled");
            let sender = Sender {
                sink,
                requests: requests_of(sink),
                endpoint: endpoint.clone(),
                poster: poster.clone(),
                origin: origin.clone(),
                metrics: metrics.clone(),
                retry_policy: RetryPolicy::default(),
            };
            tasks.spawn(sender.run(batches));
            queues.push((sink, queue));
        }
        tasks.spawn(notifier.clone().send_batches(*interval, queues));
        *notifier.tasks() = tasks;
        Ok(Some(notifier))
    }

    /// A workload was restarted, by the write that led to `mark`.
    pub fn restarted(&self, standing: &WorkloadCondition<'_>, mark: &str) {
        let taken = self.batcher().restarted(standing, mark);
        self.count_result(taken);
    }

    /// A workload stands somewhere; `mark` tells this trouble from a later one like it.
    pub fn status_changed(&self, standing: &WorkloadCondition<'_>, mark: &str) {
        let taken = self.batcher().status_changed(standing, mark);
        self.count_result(taken);
    }

    /// Tells what is left, and ends after this long at the latest.
    pub async fn finish(&self, patience: Duration) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks());
        let told = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, told).await.is_err() {
            warn!("some notifications were not sent before shutdown");
        }
    }

    fn count_result(&self, taken: BatchResult) {
        match taken {
            BatchResult::Kept => self.batch_ready.notify_one(),
            BatchResult::Counted => self.metrics.notification_limited(),
            BatchResult::Untold => {}
        }
    }

    async fn send_batches(self: Arc<Self>, interval: Duration, queues: Vec<(Sink, mpsc::Sender<Arc<Batch>>)>) {
        let mut ends = false;
        while !ends {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = self.batch_ready.notified() => {}
            }
            ends = self
                .stop
                .run_until_cancelled(tokio::time::sleep(interval))
                .await
                .is_none();
            let Some(batch) = self.batcher().take() else { continue };
            let batch = Arc::new(batch);
            for (sink, queue) in &queues {
                if queue.try_send(batch.clone()).is_err() {
                    self.metrics
                        .notifications(*sink, NotificationResult::Dropped, batch.counts.sum());
                    warn!(
                        sink = sink.as_str(),
                        notifications = batch.counts.sum(),
                        "notifications dropped: earlier notifications are still being sent"
                    );
                }
            }
        }
    }

    fn batcher(&self) -> MutexGuard<'_, Batcher> {
        self.batcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
