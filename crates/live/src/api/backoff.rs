//! How long to wait before the next attempt.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(200);
/// Long enough for a thousand pods not to hold down a server that gets up.
const LONGEST: Duration = Duration::from_secs(30);

/// Doubles from attempt to attempt.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// Between half of the time and all of it, so that pods that lost the server together do not come
    /// back together.
    pub(super) fn next(&mut self) -> Duration {
        let whole = self.0;
        self.0 = (whole * 2).min(LONGEST);
        let half = whole / 2;
        // The keys of a new one are random.
        let percent = u32::try_from(RandomState::new().hash_one(()) % 101).unwrap_or(100);
        half + half * percent / 100
    }
}
