//! The breaker for sources that flap: two writers that fight over a key, a controller that writes the
//! time into one. Each rollout by itself is right, and together they take a cluster down.
//!
//! A few restarts in a short while are nothing. After that each one waits, twice as long as the one
//! before, until there is calm. What is known of it stands in the baseline, so that a restart of
//! Windlass lifts nothing.

use jiff::Timestamp;

use super::make::{changed, hold_stale};
use super::{Case, Plan, Reason};
use crate::content::baseline::Baseline;

/// So many restarts as may be, within so many seconds.
const WITHIN: i64 = 10 * 60;

/// The first wait, and the longest, in seconds.
const FIRST_WAIT: i64 = 10 * 60;
const LONGEST_WAIT: i64 = 2 * 60 * 60;

/// The last check before a restart.
pub(super) fn flapping(case: &Case<'_>) -> Option<Plan> {
    if case.lever.is_some() {
        return None;
    }
    let now = case.input.now;
    let limit = case.input.terms.flap_limit;
    let last = last_restart(case.baseline).filter(|_| is_tripped(case.baseline, now, limit))?;
    let until = Timestamp::from_second(last.saturating_add(wait(case.baseline.flaps))).ok()?;
    (now < until).then(|| {
        let detail = format!("{}; not before {until:.0}", changed(case));
        Plan {
            not_before: Some(until),
            ..hold_stale(case, Reason::Flapping, detail)
        }
    })
}

/// How many restarts in a row will have been put off with the one that is about to be made.
pub(super) fn flaps_after(baseline: &Baseline, now: Timestamp, limit: Option<usize>) -> u32 {
    if is_tripped(baseline, now, limit) {
        baseline.flaps.saturating_add(1)
    } else {
        0
    }
}

fn is_tripped(baseline: &Baseline, now: Timestamp, limit: Option<usize>) -> bool {
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

fn last_restart(baseline: &Baseline) -> Option<i64> {
    baseline.restarts.last().copied()
}

fn wait(flaps: u32) -> i64 {
    FIRST_WAIT.saturating_mul(1 << flaps.min(16)).min(LONGEST_WAIT)
}
