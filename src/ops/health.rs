//! Whether the process is ready to act, and whether it still moves: what the probes ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How long the main loop may stand still before a kubelet should start the process anew.
///
/// Far beyond the longest honest step (a request's timeout), because a restart costs a full resync.
const LIVENESS_DEADLINE: Duration = Duration::from_mins(1);

/// Named conditions that must all hold before the process is ready. A clone is one reference count.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<[(&'static str, AtomicBool)]>);

impl Readiness {
    /// None of the conditions holds at the start.
    #[must_use]
    pub fn new(conditions: &[&'static str]) -> Self {
        Self(conditions.iter().map(|name| (*name, AtomicBool::new(false))).collect())
    }

    /// Says whether a condition holds. A name that [`Readiness::new`] was not given changes nothing.
    pub fn set(&self, condition: &'static str, holds: bool) {
        let found = self.0.iter().find(|(name, _)| *name == condition);
        debug_assert!(found.is_some(), "no condition named {condition:?}");
        if let Some((_, state)) = found {
            // The flag carries no other data, so no ordering is needed.
            state.store(holds, Ordering::Relaxed);
        }
    }

    /// Whether every condition holds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.missing().next().is_none()
    }

    /// The conditions that do not hold, in the order given to [`Readiness::new`].
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        self.0
            .iter()
            .filter(|(_, state)| !state.load(Ordering::Relaxed))
            .map(|(name, _)| *name)
    }
}

/// The main loop's sign of life. A clone is one reference count.
///
/// Whoever holds it calls [`Liveness::tick`] on every turn, also while it waits for the API server:
/// an API server that is away is no reason to restart us.
#[derive(Clone, Debug)]
pub struct Liveness(Arc<Beat>);

#[derive(Debug)]
struct Beat {
    start: Instant,
    deadline: Duration,
    /// Milliseconds from `start` to the last tick; an atomic, since an `Instant` is none.
    last: AtomicU64,
}

impl Default for Liveness {
    /// A deadline of one minute.
    fn default() -> Self {
        Self::new(LIVENESS_DEADLINE)
    }
}

impl Liveness {
    /// Creating it counts as the first tick.
    #[must_use]
    pub fn new(deadline: Duration) -> Self {
        Self(Arc::new(Beat {
            start: Instant::now(),
            deadline,
            last: AtomicU64::new(0),
        }))
    }

    /// The loop moves.
    pub fn tick(&self) {
        self.tick_at(Instant::now());
    }

    /// For how long the loop has stood still, if that is longer than its deadline.
    #[must_use]
    pub fn stalled(&self) -> Option<Duration> {
        self.stalled_at(Instant::now())
    }

    fn tick_at(&self, now: Instant) {
        let since_start = now.saturating_duration_since(self.0.start).as_millis();
        let millis = u64::try_from(since_start).unwrap_or(u64::MAX);
        self.0.last.store(millis, Ordering::Relaxed);
    }

    fn stalled_at(&self, now: Instant) -> Option<Duration> {
        let last = Duration::from_millis(self.0.last.load(Ordering::Relaxed));
        let still = now.saturating_duration_since(self.0.start).saturating_sub(last);
        (still > self.0.deadline).then_some(still)
    }
}
