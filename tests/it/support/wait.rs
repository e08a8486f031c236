//! Waiting for what must come, and for the clock where the API has no finer one.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long anything may take before a test gives up on it. Generous, because two cores carry
/// several control planes and all the tests; nothing waits this long unless something is wrong.
const DEADLINE: Duration = Duration::from_mins(1);

const POLL: Duration = Duration::from_millis(100);

/// Repeats `check` until it is satisfied and returns what it found.
///
/// # Panics
/// After a minute, with `what` and the last reason that `check` gave.
pub async fn await_condition<T>(what: &str, check: impl AsyncFnMut() -> anyhow::Result<T>) -> T {
    await_condition_within(DEADLINE, what, check).await
}

/// [`await_condition`] with another deadline.
pub async fn await_condition_within<T>(
    deadline: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> anyhow::Result<T>,
) -> T {
    let started = Instant::now();
    loop {
        // A check that hangs (the API server may be stopped) must not outlast the deadline.
        let reason = match tokio::time::timeout(deadline, check()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(reason)) => format!("{reason:#}"),
            Err(_) => "no answer".to_owned(),
        };
        assert!(
            started.elapsed() < deadline,
            "gave up after {deadline:?} waiting for {what}: {reason}"
        );
        tokio::time::sleep(POLL).await;
    }
}

/// Returns at the beginning of the next second of the wall clock.
///
/// The API keeps whole seconds in the times of managed fields, of pods and of `ReplicaSets`: two
/// steps whose order has to be readable from those must not share a second.
pub async fn next_second() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    let left = Duration::from_secs(1).saturating_sub(Duration::from_nanos(u64::from(now.subsec_nanos())));
    tokio::time::sleep(left + Duration::from_millis(20)).await;
}
