//! When the breaker for flapping sources trips, and for how long: nothing but numbers of the baseline.

use jiff::Timestamp;

use crate::content::baseline::Baseline;

/// So many restarts as may be, within so many seconds.
const WITHIN: i64 = 10 * 60;

/// The first wait, and the longest, in seconds.
const FIRST_WAIT: i64 = 10 * 60;
const LONGEST_WAIT: i64 = 2 * 60 * 60;

/// How many restarts in a row will have been put off with the one that is about to be made.
pub(super) fn flaps_after(baseline: &Baseline, now: Timestamp, limit: Option<usize>) -> u32 {
    if is_tripped(baseline, now, limit) {
        baseline.flaps.saturating_add(1)
    } else {
        0
    }
}

pub(super) fn is_tripped(baseline: &Baseline, now: Timestamp, limit: Option<usize>) -> bool {
    let (Some(last), Some(limit)) = (last_restart(baseline), limit) else {
        return false;
    };
    let since = now.as_second().saturating_sub(last);
    let first_of_many = baseline.restarts.iter().rev().nth(limit.saturating_sub(1));
    let too_many = first_of_many.is_some_and(|first| last.saturating_sub(*first) <= WITHIN);
    // Calm is twice the last wait without a restart.
    let flapped = baseline.flaps > 0 || too_many;
    flapped && since < 2 * wait(baseline.flaps)
}

pub(super) fn last_restart(baseline: &Baseline) -> Option<i64> {
    baseline.restarts.last().copied()
}

pub(super) fn wait(flaps: u32) -> i64 {
    FIRST_WAIT.saturating_mul(1 << flaps.min(16)).min(LONGEST_WAIT)
}
