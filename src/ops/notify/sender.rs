//! One receiver: one batch after the other, each tried a few times.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};
use windlass_core::notice::Batch;

use super::post::{PostError, Poster};
use super::{Endpoint, MessageSource, Request};
use crate::ops::metrics::{Metrics, NotificationResult, Sink};

/// How often an ongoing trouble is logged again.
const REMIND: Duration = Duration::from_mins(1);

/// How hard is tried.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// For one try.
    pub timeout: Duration,
    /// The first one included.
    pub tries: u32,
    /// After the first try; four times as long after each further one.
    pub pause: Duration,
    /// Whatever the receiver asks for.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            tries: 4,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
        }
    }
}

impl RetryPolicy {
    /// How long to wait after so many tries. `None`: it is given up.
    pub fn pause_after(&self, tried: u32, error: &PostError) -> Option<Duration> {
        if tried >= self.tries || !error.may_pass() {
            return None;
        }
        let pause = self.pause.saturating_mul(4_u32.saturating_pow(tried.saturating_sub(1)));
        let asked = error.retry_after().unwrap_or_default();
        Some(pause.max(asked).min(self.longest_pause))
    }
}

/// Brings batches to one receiver.
pub struct Sender {
    pub sink: Sink,
    /// How its receiver wants to be told.
    pub requests: fn(&Batch, &MessageSource) -> Vec<Request>,
    pub endpoint: Endpoint,
    pub poster: Poster,
    pub origin: Arc<MessageSource>,
    pub metrics: Metrics,
    pub retry_policy: RetryPolicy,
}

impl Sender {
    /// Brings what comes, until nothing can come any more.
    pub async fn run(self, mut batches: mpsc::Receiver<Arc<Batch>>) {
        let mut complained: Option<Instant> = None;
        while let Some(batch) = batches.recv().await {
            for request in (self.requests)(&batch, &self.origin) {
                let brought = self.deliver(&request).await;
                let (sink, host) = (self.sink.as_str(), &self.endpoint);
                let result = match &brought {
                    Ok(()) => NotificationResult::Delivered,
                    Err(error) if error.may_pass() => NotificationResult::Failed,
                    Err(_) => NotificationResult::Refused,
                };
                self.metrics.notifications(self.sink, result, request.notifications);
                match brought {
                    Ok(()) if complained.take().is_some() => info!(sink, %host, "notification delivery recovered"),
                    Ok(()) => {}
                    Err(error) => {
                        if complained.is_none_or(|said| said.elapsed() >= REMIND) {
                            let notifications = request.notifications;
                            warn!(sink, %host, %error, notifications, "cannot deliver notifications");
                            complained = Some(Instant::now());
                        }
                    }
                }
            }
        }
    }

    async fn deliver(&self, request: &Request) -> Result<(), PostError> {
        let mut tried = 0;
        loop {
            tried += 1;
            let Request { content_type, body, .. } = request;
            let timeout = self.retry_policy.timeout;
            let sent = self
                .poster
                .post(&self.endpoint, content_type, body.clone(), timeout)
                .await;
            let Err(error) = sent else { return Ok(()) };
            let Some(pause) = self.retry_policy.pause_after(tried, &error) else {
                return Err(error);
            };
            tokio::time::sleep(pause).await;
        }
    }
}
