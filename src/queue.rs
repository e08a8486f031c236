//! What has to be decided, when. Each workload is in it once and handled by one worker at a time.
//!
//! The rules are those of client-go's work queue: what is added while it is handled is handled again
//! afterwards, and of two due times the earlier one holds.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// A queue of keys with due times.
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

struct State<K> {
    due: HashMap<K, Due>,
    /// Entries whose serial is not the one in `due` are leftovers and skipped.
    order: BinaryHeap<Reverse<(Instant, u64, K)>>,
    handling: HashSet<K>,
    serial: u64,
}

#[derive(Clone, Copy)]
struct Due {
    at: Instant,
    /// Of its entry in the order.
    serial: u64,
}

/// Leftovers that are kept however few keys wait: fewer are not worth the work.
const LEFTOVERS: usize = 64;

impl<K: Eq + Hash + Ord> State<K> {
    /// A leftover goes by itself only when its time has come. A workload that waits for weeks is decided
    /// again with each resync, and each of these leaves one behind. At least half of the entries go each
    /// time, so that this costs no push more than a constant.
    fn drop_leftovers(&mut self) {
        let Self { due, order, .. } = self;
        if order.len() > 2 * due.len() + LEFTOVERS {
            order.retain(|Reverse((_, serial, key))| due.get(key).is_some_and(|due| due.serial == *serial));
            order.shrink_to(2 * due.len() + LEFTOVERS);
        }
    }
}

impl<K: Clone + Eq + Hash + Ord> Default for Queue<K> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                due: HashMap::new(),
                order: BinaryHeap::new(),
                handling: HashSet::new(),
                serial: 0,
            }),
            changed: Notify::new(),
        }
    }
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// As soon as possible.
    pub fn push(&self, key: K) {
        self.push_at(key, Instant::now());
    }

    /// Not before the delay is over.
    pub fn push_after(&self, key: K, delay: Duration) {
        self.push_at(key, Instant::now() + delay);
    }

    fn push_at(&self, key: K, at: Instant) {
        let mut state = self.lock();
        if state.due.get(&key).is_some_and(|due| due.at <= at) {
            return;
        }
        state.serial += 1;
        let serial = state.serial;
        state.due.insert(key.clone(), Due { at, serial });
        state.order.push(Reverse((at, serial, key)));
        state.drop_leftovers();
        drop(state);
        self.changed.notify_one();
    }

    /// The next key that is due; must be given back by [`Queue::done`].
    pub async fn pop(&self) -> K {
        loop {
            let wait = match self.try_pop() {
                Ok(key) => {
                    // One permit wakes one worker, and several keys may have come with it.
                    self.changed.notify_one();
                    return key;
                }
                Err(wait) => wait,
            };
            let changed = self.changed.notified();
            match wait {
                Some(at) => tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(at) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// A key, or the time to look again (none: when something is pushed).
    fn try_pop(&self) -> Result<K, Option<Instant>> {
        let mut state = self.lock();
        let mut busy = Vec::new();
        let mut found = Err(None);
        while let Some(Reverse((at, serial, key))) = state.order.pop() {
            if state.due.get(&key).is_none_or(|due| due.serial != serial) {
                continue;
            }
            if at > Instant::now() {
                state.order.push(Reverse((at, serial, key)));
                found = Err(Some(at));
                break;
            }
            if state.handling.contains(&key) {
                busy.push(Reverse((at, serial, key)));
                continue;
            }
            state.due.remove(&key);
            state.handling.insert(key.clone());
            found = Ok(key);
            break;
        }
        state.order.extend(busy);
        found
    }

    /// Gives a key back: it may be handled again.
    pub fn done(&self, key: &K) {
        let mut state = self.lock();
        state.handling.remove(key);
        let again = state.due.contains_key(key);
        drop(state);
        if again {
            self.changed.notify_one();
        }
    }

    /// How many keys are due now or being handled.
    pub fn depth(&self) -> usize {
        let state = self.lock();
        let now = Instant::now();
        state.handling.len() + state.due.values().filter(|due| due.at <= now).count()
    }

    /// A panic elsewhere leaves the maps whole: each step on them is complete by itself.
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
