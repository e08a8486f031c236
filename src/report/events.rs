//! Events are written behind the patches: a restart that is due never waits for the report of another.
//!
//! Which Events are written and in which order is [`EventQueue`]'s rule; here is when. While no workload is due
//! they are written at once. While some are, only Events that are due are written, at a bounded rate: an urgent
//! one is in the cluster within ten seconds all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::warn;
use windlass_core::notice::event::WorkloadEvent;
use windlass_core::notice::event_queue::{EventQueue, EventWrite, OfferResult, WriteResult};
use windlass_core::types::name::WorkloadRef;

use crate::context::Context;
use crate::k8s::error::ApiError;
use crate::k8s::events::{self, Occurrences};
use crate::ops::{EventLimit, Metrics};
use crate::queue::Queue;
use crate::reader::Reader;

#[cfg(test)]
mod tests;

/// Events waiting to be written. 1024 of them are half a MiB; beyond that they are counted and
/// dropped, because no decision may wait for one.
pub(crate) const EVENTS_QUEUED: usize = 1024;
/// Events written at a time.
const EVENT_WRITERS: usize = 2;
/// Between two changes of one burst nothing is due for a moment; only after this long is it over. At
/// 300 ms and less a burst of 200 took half as long again on two cores, for the API server's sake.
const EVENT_QUIET: Duration = Duration::from_secs(1);
/// How often it is looked whether anything is due.
const LOOK: Duration = Duration::from_millis(100);
/// Between two Events while workloads are due, unless some have been due for longer than this.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
const BUSY_OVERDUE: SignedDuration = SignedDuration::from_secs(2);
/// Adoptions wait while half of the queue is full, and come as fast as they are reported. From a quarter on
/// Events are written without waiting for quiet; were both the same mark, each would wait for the other.
const CROWDED: usize = EVENTS_QUEUED / 4;

/// How many Events wait to be written, or are being written.
#[derive(Clone)]
pub struct EventBacklog {
    waiting: Arc<AtomicUsize>,
    metrics: Metrics,
}

impl EventBacklog {
    pub(crate) fn new(metrics: Metrics) -> Self {
        metrics.events_waiting(0);
        Self {
            waiting: Arc::default(),
            metrics,
        }
    }

    /// This many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// So many more.
    pub fn add(&self, count: usize) {
        let before = self.waiting.fetch_add(count, Ordering::Relaxed);
        self.metrics.events_waiting(before.saturating_add(count));
    }

    fn remove(&self, count: usize) {
        let before = self.waiting.fetch_sub(count, Ordering::Relaxed);
        self.metrics.events_waiting(before.saturating_sub(count));
    }
}

/// Writes Events behind the patches, until no more can come.
pub(crate) async fn write(
    mut offered: mpsc::Receiver<WorkloadEvent>,
    context: Arc<Context>,
    instance: String,
    queue: Arc<Queue<WorkloadRef>>,
    backlog: EventBacklog,
    metrics: Metrics,
) {
    let mut writer = Writer {
        events: EventQueue::new(EVENTS_QUEUED),
        counted: 0,
        writing: JoinSet::new(),
        pace: Pace::new(queue),
        context,
        instance: instance.into(),
        backlog,
        metrics,
    };
    loop {
        while let Ok(event) = offered.try_recv() {
            writer.offer(event);
        }
        let ending = offered.is_closed() && offered.is_empty();
        if ending {
            writer.events.flush(writer.now());
        }
        writer.start_writes(ending);
        if ending && writer.is_idle() {
            return;
        }
        let look_at = writer.look_at();
        tokio::select! {
            biased;
            Some(ended) = writer.writing.join_next() => writer.end(ended),
            Some(event) = offered.recv(), if !ending => writer.offer(event),
            () = sleep_until(look_at) => {}
        }
        writer.count();
    }
}

struct Writer {
    events: EventQueue,
    /// How many of the backlog are ours.
    counted: usize,
    writing: JoinSet<(EventWrite, WriteResult)>,
    pace: Pace,
    context: Arc<Context>,
    instance: Arc<str>,
    backlog: EventBacklog,
    metrics: Metrics,
}

impl Writer {
    fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    fn offer(&mut self, event: WorkloadEvent) {
        // It was counted when it was handed over.
        self.counted += 1;
        let offered = self.events.offer(event, self.now());
        self.note(offered);
        self.count();
    }

    fn note(&self, offered: OfferResult) {
        match offered {
            OfferResult::Queued => {}
            OfferResult::Repeated => self.metrics.event_repeated(),
            OfferResult::ObjectLimit => self.metrics.event_limited(EventLimit::Object),
            OfferResult::NamespaceLimit => self.metrics.event_limited(EventLimit::Namespace),
            OfferResult::Dropped => self.metrics.event_dropped(),
        }
    }

    /// Brings the backlog up to date.
    fn count(&mut self) {
        let count = self.events.len() + self.writing.len();
        if count > self.counted {
            self.backlog.add(count - self.counted);
        } else if count < self.counted {
            self.backlog.remove(self.counted - count);
        }
        self.counted = count;
    }

    fn is_idle(&self) -> bool {
        self.events.is_empty() && self.writing.is_empty() && self.events.postponed_until().is_none()
    }

    fn start_writes(&mut self, ending: bool) {
        self.pace.look();
        while self.writing.len() < EVENT_WRITERS {
            let now = self.now();
            let write = if ending || self.pace.is_quiet() || self.events.len() >= CROWDED {
                self.events.next(now)
            } else {
                let overdue = self.events.overdue(now);
                self.pace
                    .may_write(overdue)
                    .then(|| self.events.next_due(now))
                    .flatten()
            };
            let Some(write) = write else { return };
            self.pace.wrote();
            let (context, instance) = (self.context.clone(), self.instance.clone());
            self.writing.spawn(async move {
                let written = send(&write, &context, &instance).await;
                (write, written)
            });
        }
    }

    fn end(&mut self, ended: Result<(EventWrite, WriteResult), JoinError>) {
        let now = self.now();
        if let Ok((write, written)) = ended
            && let Some(offered) = self.events.written(write, written, now)
        {
            self.note(offered);
        }
    }

    /// When to look again whether something can be written.
    fn look_at(&self) -> Instant {
        let now = self.now();
        if !self.events.is_empty() {
            let busy = self.events.overdue(now).and(self.pace.next);
            let look = Instant::now() + LOOK;
            return busy
                .map_or(look, |next| next.min(look))
                .max(Instant::now() + LOOK / 100);
        }
        let postponed = self.events.postponed_until();
        let wait = postponed.map_or(Duration::from_mins(10), |at| at.duration_since(now).unsigned_abs());
        Instant::now() + wait
    }
}

async fn send(write: &EventWrite, context: &Context, instance: &str) -> WriteResult {
    let Context {
        reader,
        write_gate: leading,
        ..
    } = context;
    let Reader { client, timeout, .. } = &**reader;
    let EventWrite {
        event,
        name,
        count,
        last,
        key: _,
    } = write;
    let occurrences = Occurrences {
        count: *count,
        last: *last,
    };
    let result = match name {
        None => {
            let send = |timeout| events::create(event, client, instance, occurrences, timeout);
            leading.write(*timeout, send).await.map(WriteResult::Created)
        }
        Some(name) => {
            let send = |timeout| events::count(event, client, name, occurrences, timeout);
            leading.write(*timeout, send).await.map(|()| WriteResult::Counted)
        }
    };
    match result {
        Ok(written) => written,
        Err(ApiError::NotFound) if name.is_some() => WriteResult::Gone,
        Err(error) => {
            warn!(%error, reason = event.reason.as_str(), "cannot write an Event");
            WriteResult::Failed
        }
    }
}

/// Whether workloads are due, and how fast Events may be written meanwhile.
struct Pace {
    queue: Arc<Queue<WorkloadRef>>,
    looked: Option<Instant>,
    /// When workloads were due for the last time.
    busy: Instant,
    /// When the next Event may be written while workloads are due.
    next: Option<Instant>,
}

impl Pace {
    fn new(queue: Arc<Queue<WorkloadRef>>) -> Self {
        Self {
            queue,
            looked: None,
            busy: Instant::now(),
            next: None,
        }
    }

    /// Looks whether workloads are due, if that was not done right before.
    fn look(&mut self) {
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now < looked + LOOK / 5) {
            return;
        }
        self.looked = Some(now);
        if self.queue.depth() > 0 {
            self.busy = now;
        }
    }

    fn is_quiet(&self) -> bool {
        self.busy.elapsed() >= EVENT_QUIET
    }

    fn may_write(&self, overdue: Option<SignedDuration>) -> bool {
        overdue.is_some_and(|overdue| overdue >= BUSY_OVERDUE || self.next.is_none_or(|next| next <= Instant::now()))
    }

    fn wrote(&mut self) {
        self.next = Some(Instant::now() + BUSY_PAUSE);
    }
}
