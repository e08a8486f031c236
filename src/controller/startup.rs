//! What has to be known before the first decision, waited for as long as it takes.

use std::time::Duration;

use kube::Client;
use tracing::error;
use windlass_core::content::digest::KeyRing;
use windlass_core::policy::effective_policy::EffectivePolicy;
use windlass_core::reason::{Reason, State};
use windlass_core::types::time::Second;
use windlass_core::workload::kind::RolloutProgress;

use crate::clock::Clock;
use crate::context::Context;
use crate::index::entry::WorkloadEntry;
use crate::k8s::heartbeat::Heartbeat;
use crate::k8s::keyring::{self, KeyError, KeyStore};
use crate::ops::Metrics;

/// Between two tries at the start: an API server that is away, a right that is missing.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What the first requests need.
pub struct Bootstrap<'a> {
    /// The way to the API server.
    pub client: &'a Client,
    /// Failures are counted here.
    pub metrics: &'a Metrics,
    /// The mark of when a Windlass last watched.
    pub heart: &'a Heartbeat,
    pub clock: Clock,
    pub namespace: &'a str,
    /// What our objects there are called after.
    pub lease_name: &'a str,
    /// Where the digest keys are kept.
    pub keys_in: KeyStore,
    /// How long one request may take.
    pub timeout: Duration,
}

impl Bootstrap<'_> {
    /// The digest keys, and when a Windlass last watched.
    pub async fn keys_and_last_watched(&self) -> (KeyRing, Option<Second>) {
        let name = format!("{}-digest-key", self.lease_name);
        let mut pause = FIRST_PAUSE;
        let ring = loop {
            let load = keyring::load(
                self.client,
                self.keys_in,
                self.namespace,
                &name,
                self.clock.now(),
                self.timeout,
            );
            match load.await {
                Ok(ring) => break ring,
                Err(problem) => {
                    if let KeyError::Api { source, .. } = &problem {
                        self.metrics.error(source.as_str());
                    }
                    error!(error = %problem, retry_in = ?pause, "cannot read the digest keys; retrying");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        let mut pause = FIRST_PAUSE;
        loop {
            match self.heart.last(self.client).await {
                Ok(last) => return (ring, last.map(Second::from)),
                Err(problem) => {
                    self.metrics.error(problem.as_str());
                    error!(error = %problem, retry_in = ?pause, "cannot read the heartbeat Lease; retrying");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Whatever rolls because of us occupies its place again, before anything is decided. What is over its
/// deadline gave it back already, and what others roll never had one.
pub fn find_rolling(context: &Context) {
    let now = context.clock.now();
    let index = context.index();
    let mut rollout_slots = context.rollout_slots();
    for (reference, entry) in index.workloads() {
        let terms = index.effective_policy(entry);
        if let Some(until) = entry.rolls_until(terms.deadline, now) {
            let since = until.checked_sub(terms.deadline).unwrap_or(now);
            rollout_slots.restore(reference, &terms.budgets, since);
        }
    }
    drop((rollout_slots, index));
    find_failed(context);
}

/// Whatever failed because of us, or was taken back from our restart, holds the others that wait for the same
/// change: before anything is decided, since nobody knows in which order that will be. Should the decision see
/// it otherwise, that is lifted again.
fn find_failed(context: &Context) {
    let now = context.clock.now();
    let mut index = context.index();
    let late = |entry: &WorkloadEntry, terms: &EffectivePolicy| {
        let deadline = terms.deadline.as_secs();
        let last = entry.restarted_at();
        last.is_some_and(|last| now.as_second() >= last.saturating_add(deadline))
    };
    let failed = |entry: &WorkloadEntry| match entry.workload().rollout_status.progress {
        _ if entry.workload().cause().is_none() => false,
        RolloutProgress::Failed => entry.has_failed(),
        RolloutProgress::Progressing => late(entry, index.effective_policy(entry)),
        RolloutProgress::Complete | RolloutProgress::Waiting(_) => false,
    };
    let (mut given_up, mut undone) = (Vec::new(), Vec::new());
    for (reference, entry) in index.workloads() {
        if failed(entry) {
            given_up.push(reference.clone());
        } else if entry.was_undone() {
            undone.push(reference.clone());
        }
    }
    for reference in given_up {
        index.set_status(&reference, (State::Failed, Reason::RolloutFailed));
        index.note_failure(&reference);
    }
    for reference in undone {
        index.note_failure(&reference);
    }
}
