//! The breaker for sources that flap: two writers that fight over a key, a controller that writes the
//! time into one. Each rollout by itself is right, and together they take a cluster down.
//!
//! A few restarts in a short while are nothing. After that each one waits, twice as long as the one
//! before, until there is calm. What is known of it stands in the baseline, so that a restart of
//! Windlass lifts nothing.

use jiff::Timestamp;

use super::breaker::{is_tripped, last_restart, wait};
use super::plans::{changed, hold_stale};
use super::{Case, Plan, Reason};

/// The last check before a restart.
pub(super) fn flapping(case: &Case<'_>) -> Option<Plan> {
    if case.manual_override.is_some() {
        return None;
    }
    let now = case.input.now;
    let limit = case.input.policy.flap_limit;
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
