//! How long to wait after failures.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use windlass_core::types::name::WorkloadRef;

/// Twice as long with each failure.
pub(crate) fn backoff(failures: u32, first: Duration, longest: Duration) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(failures.min(16)))
        .min(longest)
}

/// Up to half as much again, so that those that failed together do not come back together.
///
/// Told by what failed and how often, not by chance: the same history goes the same way.
pub(crate) fn jittered(pause: Duration, workload: &WorkloadRef, failures: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    (workload, failures).hash(&mut hasher);
    // Thousandths of the half.
    let part = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
    pause + pause / 2000 * part
}
