//! Which Events are written, in which order, and which are counted only.
//!
//! As client-go does it: an Event that says the same of the same object again is no further Event but counts in
//! the `series` of the first one, and an object may have 25 at once and then one in five minutes
//! (<https://github.com/kubernetes/client-go/blob/v0.33.0/tools/record/events_cache.go>). Besides, a namespace has
//! a limit, and namespaces take turns, so that nobody's flood costs others an Event.
//!
//! Within a namespace Events are written in the order in which they came. When they are written is the caller's
//! decision; each has a time at which it is due, also when the caller is busy.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::event::{NOTE_BYTES, ObjectKey, SeriesKey, WorkloadEvent};
use super::event_limit::TokenBuckets;
use crate::types::name::Namespace;

#[cfg(test)]
mod tests;

/// Tokens of an object, and how often it gets another one: client-go's numbers.
const OBJECT_BURST: i32 = 25;
const OBJECT_INTERVAL: SignedDuration = SignedDuration::from_mins(5);
/// 200 KiB when full.
const OBJECTS: usize = 8192;

/// The same of a namespace. An object's first Event does not count: a thousand workloads that are restarted for
/// one Secret have one each, and whoever makes many workloads pays with requests of their own.
const NAMESPACE_BURST: i32 = 1000;
const NAMESPACE_INTERVAL: SignedDuration = SignedDuration::from_millis(200);
const NAMESPACES: usize = 1024;

/// A series that is silent for this long has ended, as in client-go; what comes then is an Event of its own.
const SERIES_END: SignedDuration = SignedDuration::from_mins(6);
/// 250 KiB when full. More than can wait in the queue.
const SERIES: usize = 1280;

/// When an Event is due, busy or not. What is urgent is in the cluster within ten seconds by this.
const URGENT_WAIT: SignedDuration = SignedDuration::from_secs(5);
const OTHER_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// When repeats for which the queue had no room are tried again.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// What became of an Event that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferResult {
    /// It will be written.
    Queued,
    /// It counts in the series of an earlier one.
    Repeated,
    /// Its object has had too many.
    ObjectLimit,
    /// Its namespace has had too many.
    NamespaceLimit,
    /// The queue is full, and one Event was dropped: this one, or one of the namespace that has the most.
    Dropped,
}

/// One write: a new Event, or the count of one that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventWrite {
    pub key: SeriesKey,
    /// What it says.
    pub event: WorkloadEvent,
    /// The Event in the cluster whose count is to be written; `None`: it has to be created.
    pub name: Option<String>,
    /// How often it has happened.
    pub count: u32,
    /// When it happened last.
    pub last: Timestamp,
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteResult {
    /// An Event of this name was created.
    Created(String),
    /// The count was written.
    Counted,
    /// The Event whose count was to be written is not there any more.
    Gone,
    /// Nothing was written.
    Failed,
}

/// Events that wait to be written.
#[derive(Debug)]
pub struct EventQueue {
    capacity: usize,
    waiting: HashMap<Namespace, VecDeque<Waiting>>,
    /// The namespaces that have some, in the order of their turns.
    turns: VecDeque<Namespace>,
    len: usize,
    series: BTreeMap<SeriesKey, Series>,
    /// Series whose repeats wait for a token.
    postponed: BTreeSet<(Timestamp, SeriesKey)>,
    objects: TokenBuckets<ObjectKey>,
    namespaces: TokenBuckets<Namespace>,
}

#[derive(Debug)]
struct Waiting {
    due: Timestamp,
    key: SeriesKey,
    event: WorkloadEvent,
}

#[derive(Debug)]
struct Series {
    count: u32,
    last: Timestamp,
    /// Of the Event in the cluster.
    name: Option<Box<str>>,
    progress: Progress,
    /// The latest repeat that no write tells of yet.
    repeat: Option<Box<WorkloadEvent>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// In the queue.
    Waiting,
    /// Handed out to be written.
    Writing,
    /// Written.
    Idle,
    /// Repeats wait for a token.
    Postponed,
}

impl EventQueue {
    /// An empty one, in which this many may wait.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            len: 0,
            series: BTreeMap::new(),
            postponed: BTreeSet::new(),
            objects: TokenBuckets::new(OBJECT_BURST, OBJECT_INTERVAL, OBJECTS),
            namespaces: TokenBuckets::new(NAMESPACE_BURST, NAMESPACE_INTERVAL, NAMESPACES),
        }
    }

    /// How many writes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no write waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes an Event in.
    pub fn offer(&mut self, mut event: WorkloadEvent, now: Timestamp) -> OfferResult {
        event.note.truncate(event.note.floor_char_boundary(NOTE_BYTES));
        let key = event.series();
        match self.series.get_mut(&key) {
            Some(series) if !series.has_ended(now) => {
                series.count = series.count.saturating_add(1);
                series.last = event.at;
                match series.progress {
                    // The write that waits tells of it.
                    Progress::Waiting => {}
                    Progress::Writing | Progress::Postponed => series.repeat = Some(Box::new(event)),
                    Progress::Idle => {
                        series.repeat = Some(Box::new(event));
                        self.schedule_repeat(key, now);
                    }
                }
                return OfferResult::Repeated;
            }
            Some(_) | None => {}
        }
        if self.objects.available_at(&event.object(), now) > now {
            return OfferResult::ObjectLimit;
        }
        let charged = !self.objects.is_full(&event.object(), now);
        if charged && self.namespaces.available_at(&event.workload.namespace, now) > now {
            return OfferResult::NamespaceLimit;
        }
        let dropped = self.len >= self.capacity;
        if dropped && !self.make_room(&event) {
            return OfferResult::Dropped;
        }
        self.charge(&event, now, charged);
        self.forget_series(now);
        let series = Series {
            count: 1,
            last: event.at,
            name: None,
            progress: Progress::Waiting,
            repeat: None,
        };
        self.series.insert(key, series);
        self.push(key, event, now);
        if dropped {
            OfferResult::Dropped
        } else {
            OfferResult::Queued
        }
    }

    /// The next write, for somebody who has time.
    pub fn next(&mut self, now: Timestamp) -> Option<EventWrite> {
        self.take_up_postponed(now);
        let namespace = self.turns.pop_front()?;
        self.pop(namespace)
    }

    /// The next write that is due, for somebody who is busy.
    pub fn next_due(&mut self, now: Timestamp) -> Option<EventWrite> {
        self.take_up_postponed(now);
        let due = |namespace: &Namespace| self.due(namespace).is_some_and(|due| due <= now);
        let turn = self.turns.iter().position(due)?;
        let namespace = self.turns.remove(turn)?;
        self.pop(namespace)
    }

    /// For how long the write that is due the longest has been due.
    #[must_use]
    pub fn overdue(&self, now: Timestamp) -> Option<SignedDuration> {
        let first = self.turns.iter().filter_map(|namespace| self.due(namespace)).min()?;
        (first <= now).then(|| now.duration_since(first))
    }

    /// When repeats can be written that wait for a token, if there are any.
    #[must_use]
    pub fn postponed_until(&self) -> Option<Timestamp> {
        self.postponed.first().map(|(at, _)| *at)
    }

    /// Has everything written that is counted only, limits or not: there is no later.
    pub fn flush(&mut self, now: Timestamp) {
        for (_, key) in std::mem::take(&mut self.postponed) {
            if let Some(event) = self.series.get_mut(&key).and_then(|series| series.repeat.take()) {
                self.queue_again(key, *event, now);
            }
        }
    }

    /// A write has ended. `Dropped`: nobody will learn of the Event.
    pub fn written(&mut self, write: EventWrite, written: WriteResult, now: Timestamp) -> Option<OfferResult> {
        let EventWrite { key, event, .. } = write;
        let Some(series) = self.series.get_mut(&key) else {
            return (written == WriteResult::Failed).then_some(OfferResult::Dropped);
        };
        series.progress = Progress::Idle;
        match written {
            WriteResult::Created(name) => series.name = Some(name.into()),
            WriteResult::Counted => {}
            WriteResult::Gone => {
                series.name = None;
                let event = series.repeat.take().map_or(event, |repeat| *repeat);
                self.queue_again(key, event, now);
                return None;
            }
            WriteResult::Failed => {
                // What was to be told first is lost; what came since is told by itself.
                let repeat = series.repeat.take();
                if series.name.is_none() {
                    self.series.remove(&key);
                    if let Some(repeat) = repeat {
                        self.offer(*repeat, now);
                    }
                } else if repeat.is_some() {
                    series.repeat = repeat;
                    self.schedule_repeat(key, now);
                }
                return Some(OfferResult::Dropped);
            }
        }
        if series.repeat.is_some() {
            self.schedule_repeat(key, now);
        }
        None
    }

    fn due(&self, namespace: &Namespace) -> Option<Timestamp> {
        self.waiting.get(namespace)?.front().map(|first| first.due)
    }

    fn charge(&mut self, event: &WorkloadEvent, now: Timestamp, namespace: bool) {
        self.objects.take(&event.object(), now);
        if namespace {
            self.namespaces.take(&event.workload.namespace, now);
        }
    }

    /// Queues the repeat of an idle series, or postpones it until there is a token.
    fn schedule_repeat(&mut self, key: SeriesKey, now: Timestamp) {
        let Some(series) = self.series.get_mut(&key) else {
            return;
        };
        let Some(event) = series.repeat.take() else { return };
        let object = self.objects.available_at(&event.object(), now);
        let namespace = self.namespaces.available_at(&event.workload.namespace, now);
        let full = if self.len >= self.capacity { now + AGAIN } else { now };
        let at = object.max(namespace).max(full);
        if at > now {
            series.repeat = Some(event);
            series.progress = Progress::Postponed;
            self.postponed.insert((at, key));
            return;
        }
        self.charge(&event, now, true);
        self.queue_again(key, *event, now);
    }

    fn queue_again(&mut self, key: SeriesKey, event: WorkloadEvent, now: Timestamp) {
        if let Some(series) = self.series.get_mut(&key) {
            series.progress = Progress::Waiting;
        }
        self.push(key, event, now);
    }

    fn take_up_postponed(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.postponed.pop_first() {
            if at > now {
                self.postponed.insert((at, key));
                return;
            }
            if let Some(series) = self.series.get_mut(&key) {
                series.progress = Progress::Idle;
            }
            self.schedule_repeat(key, now);
        }
    }

    fn push(&mut self, key: SeriesKey, event: WorkloadEvent, now: Timestamp) {
        let wait = if event.is_urgent() { URGENT_WAIT } else { OTHER_WAIT };
        let due = now + wait;
        let namespace = event.workload.namespace.clone();
        let waiting = self.waiting.entry(namespace.clone()).or_default();
        // What is before it is due with it.
        for before in waiting.iter_mut().rev().take_while(|before| before.due > due) {
            before.due = due;
        }
        if waiting.is_empty() {
            self.turns.push_back(namespace);
        }
        waiting.push_back(Waiting { due, key, event });
        self.len += 1;
    }

    /// The first of this namespace, which is not in `turns`.
    fn pop(&mut self, namespace: Namespace) -> Option<EventWrite> {
        let waiting = self.waiting.get_mut(&namespace)?;
        let Waiting { key, event, due: _ } = waiting.pop_front()?;
        if waiting.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        self.len -= 1;
        let (name, count, last) = match self.series.get_mut(&key) {
            Some(series) => {
                series.progress = Progress::Writing;
                (series.name.as_deref().map(str::to_owned), series.count, series.last)
            }
            None => (None, 1, event.at),
        };
        Some(EventWrite {
            key,
            event,
            name,
            count,
            last,
        })
    }

    /// Drops an Event of the namespace that has the most, the latest that is not urgent, for this one. `false`:
    /// this one is of that namespace and no more urgent than all others of it.
    fn make_room(&mut self, event: &WorkloadEvent) -> bool {
        let most = self.turns.iter().max_by_key(|namespace| self.waiting_of(namespace));
        let Some(namespace) = most.cloned() else { return false };
        let own = &event.workload.namespace;
        let same = self.waiting_of(own) >= self.waiting_of(&namespace);
        let namespace = if same { own.clone() } else { namespace };
        let Some(waiting) = self.waiting.get_mut(&namespace) else {
            return false;
        };
        let latest = waiting.iter().rposition(|waiting| !waiting.event.is_urgent());
        let found = match latest {
            Some(latest) if !same || event.is_urgent() => waiting.remove(latest),
            None if !same => waiting.pop_back(),
            Some(_) | None => None,
        };
        let Some(dropped) = found else { return false };
        if waiting.is_empty() {
            self.waiting.remove(&namespace);
            self.turns.retain(|turn| *turn != namespace);
        }
        self.len -= 1;
        self.series.remove(&dropped.key);
        true
    }

    fn waiting_of(&self, namespace: &Namespace) -> usize {
        self.waiting.get(namespace).map_or(0, VecDeque::len)
    }

    /// Makes room for another series: those that have ended go, else the one that is silent the longest, of those
    /// that are not being written.
    fn forget_series(&mut self, now: Timestamp) {
        if self.series.len() < SERIES {
            return;
        }
        self.series.retain(|_, series| !series.has_ended(now));
        if self.series.len() < SERIES {
            return;
        }
        let others = self.series.iter();
        let others = others.filter(|(_, series)| matches!(series.progress, Progress::Idle | Progress::Postponed));
        let longest = others.min_by_key(|(_, series)| series.last);
        if let Some(key) = longest.map(|(key, _)| *key) {
            self.series.remove(&key);
            self.postponed.retain(|(_, postponed)| *postponed != key);
        }
    }
}

impl Series {
    fn has_ended(&self, now: Timestamp) -> bool {
        self.progress == Progress::Idle && now.duration_since(self.last) > SERIES_END
    }
}
