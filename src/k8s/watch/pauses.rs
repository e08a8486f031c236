//! How long to wait before a list or a watch that failed is asked for again.

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

/// The pauses of one watch.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    until: Option<Instant>,
    last_failure: Option<Instant>,
    listed: bool,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            next: FIRST,
            until: None,
            last_failure: None,
            listed: false,
        }
    }
}

impl Pauses {
    /// A list begins.
    pub(super) fn begin_list(&mut self) {
        self.recover(Instant::now());
        self.listed = false;
    }

    /// All was well for a while: the next failure counts as the first one.
    fn recover(&mut self, now: Instant) {
        let well = self.last_failure.is_none_or(|last| now.duration_since(last) >= WELL);
        if self.listed && well {
            self.next = FIRST;
        }
    }

    /// The list is complete.
    pub(super) fn listed(&mut self) {
        self.listed = true;
    }

    /// Something failed. The next request is not made before `least` is over.
    pub(super) fn failed(&mut self, least: Duration) {
        let now = Instant::now();
        self.recover(now);
        let longest = if self.listed { LONGEST_WATCH } else { LONGEST_LIST };
        let pause = self.next.min(longest).max(least.min(LONGEST_ASKED));
        self.next = (self.next * 2).min(LONGEST_LIST);
        self.last_failure = Some(now);
        self.until = Some(now + jittered(pause));
    }

    /// A watch has ended early, which is no failure.
    pub(super) fn short(&mut self) {
        self.until = Some(Instant::now() + jittered(FIRST));
    }

    /// Waits until the next request may be made.
    pub(super) async fn wait(&self) {
        if let Some(until) = self.until {
            tokio::time::sleep_until(until).await;
        }
    }
}

/// Up to a quarter longer: the watches that one failure has ended do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0];
    // Without random bytes they do, which is no harm.
    let _ = getrandom::fill(&mut random);
    pause + pause / 1024 * u32::from(random[0])
}
