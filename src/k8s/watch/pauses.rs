//! How long to wait before a list or a watch that failed is asked for again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After the first failure: short enough to be back soon after the API server is.
const FIRST: Duration = Duration::from_millis(200);

/// The longest one before a watch, which costs the server little.
const LONGEST_WATCH: Duration = Duration::from_secs(10);

/// The longest one before a list.
const LONGEST_LIST: Duration = Duration::from_secs(30);

/// The longest one that the server may ask for.
const LONGEST_ASKED: Duration = Duration::from_mins(1);

/// The shortest one after an answer that could not be decoded: the next one will hold the same.
pub(super) const RELIST_PAUSE: Duration = Duration::from_secs(5);

/// For how long nothing may have failed before the next failure counts as the first one.
const WELL: Duration = Duration::from_mins(1);

/// The pauses of one watch. A clone is one reference count.
#[derive(Clone, Debug, Default)]
pub(super) struct Pauses(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    next: Duration,
    until: Option<Instant>,
    /// What the server has asked for since the last failure.
    asked: Duration,
    last_failure: Option<Instant>,
    failures: u64,
    listed: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            next: FIRST,
            until: None,
            asked: Duration::ZERO,
            last_failure: None,
            failures: 0,
            listed: false,
        }
    }
}

impl State {
    /// All was well for a while: the next failure counts as the first one.
    fn recover(&mut self, now: Instant) {
        let well = self.last_failure.is_none_or(|last| now.duration_since(last) >= WELL);
        if self.listed && well {
            self.next = FIRST;
        }
    }
}

impl Pauses {
    pub(super) fn begin_list(&self) {
        let mut state = self.lock();
        state.recover(Instant::now());
        state.listed = false;
    }

    /// The list is complete.
    pub(super) fn listed(&self) {
        self.lock().listed = true;
    }

    /// Whether it is.
    pub(super) fn is_listed(&self) -> bool {
        self.lock().listed
    }

    /// With the failure that comes of this answer, the server asks for a pause.
    pub(super) fn asked_for(&self, pause: Duration) {
        self.lock().asked = pause;
    }

    /// Something failed. The next request is not made before `least` is over.
    pub(super) fn failed(&self, least: Duration) {
        let now = Instant::now();
        let mut state = self.lock();
        state.recover(now);
        let longest = if state.listed { LONGEST_WATCH } else { LONGEST_LIST };
        let least = least.max(std::mem::take(&mut state.asked)).min(LONGEST_ASKED);
        let pause = state.next.min(longest).max(least);
        state.next = (state.next * 2).min(LONGEST_LIST);
        state.last_failure = Some(now);
        state.failures += 1;
        state.until = Some(now + jittered(pause));
    }

    /// How often something has failed.
    pub(super) fn failures(&self) -> u64 {
        self.lock().failures
    }

    /// A watch has ended early, which is no failure.
    pub(super) fn short(&self) {
        let until = Instant::now() + jittered(FIRST);
        let mut state = self.lock();
        state.until = state.until.max(Some(until));
    }

    /// Waits until the next request may be made.
    pub(super) async fn wait(&self) {
        let until = self.lock().until;
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Up to a quarter longer: the watches that one failure has ended do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0];
    // Without random bytes they do, which is no harm.
    let _ = getrandom::fill(&mut random);
    pause + pause / 1024 * u32::from(random[0])
}
