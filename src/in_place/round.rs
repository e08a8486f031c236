//! One round: what it works on, when the next one is due, and what came of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use windlass_core::agent_protocol::propagation::{ExpectedSource, PodProblem, RunningPod};
use windlass_core::policy::in_place::InPlace;
use windlass_core::types::name::{Uid, Version, WorkloadRef};
use windlass_core::types::time::Second;

use crate::context::Context;

/// When rounds begin, in milliseconds after the first; from the last one on, each as long after the one
/// before. The touch can overtake the kubelet's own news of the change, so it is repeated.
const ROUNDS: &[u64] = &[0, 1_000, 3_000, 10_000, 30_000, 60_000];

/// How many rounds touch the pods, where an agent says whether that was needed, and where none does.
const NUDGES_ASKED: usize = 4;
const NUDGES_UNASKED: usize = 2;

/// What one round works on.
pub(crate) struct Round {
    pub(crate) since: Option<Timestamp>,
    pub(crate) version: Version,
    pub(crate) begun: Timestamp,
    pub(crate) number: usize,
    pub(crate) done: HashSet<Uid>,
    pub(crate) in_place: Arc<InPlace>,
    pub(crate) expected: Vec<ExpectedSource>,
    /// Who has the pods.
    pub(crate) template: WorkloadRef,
    pub(crate) template_uid: Uid,
}

impl Round {
    /// Nothing came of it, and nothing of what came before is lost.
    pub(crate) fn without_pods(&self, why: String) -> RoundResult {
        RoundResult {
            done: self.done.clone(),
            pods: self.done.len(),
            trouble: Some(why),
            problems: Vec::new(),
        }
    }

    pub(crate) fn nudges(&self) -> usize {
        if self.in_place.agent.is_some() && self.since.is_some() {
            NUDGES_ASKED
        } else {
            NUDGES_UNASKED
        }
    }

    /// Whether the pod was created in a later second than the change was put on record.
    pub(crate) fn came_before(&self, pod: &RunningPod) -> bool {
        let since = Second::from(self.since.unwrap_or(self.begun));
        pod.created.is_some_and(|created| created > since)
    }

    /// Whether nothing more will be done once every pod is done with.
    pub(crate) fn says_enough(&self) -> bool {
        self.in_place.notifies_app() || (self.in_place.nudge && self.number + 1 >= self.nudges())
    }

    pub(crate) fn elapsed(&self, context: &Context) -> SignedDuration {
        context.clock.now().duration_since(self.begun)
    }

    /// Without a touch nothing tells when the files are there: as long as pods may take.
    pub(crate) fn notify_after(&self, delay: SignedDuration) -> SignedDuration {
        if self.in_place.nudge {
            delay
        } else {
            self.in_place.timeout
        }
    }

    pub(crate) fn next(&self, context: &Context) -> Duration {
        let elapsed = self.elapsed(context).unsigned_abs();
        let at = |round: usize| {
            let last = ROUNDS.last().copied().unwrap_or_default();
            let beyond = u64::try_from((round + 1).saturating_sub(ROUNDS.len())).unwrap_or(u64::MAX);
            let fixed = ROUNDS.get(round).copied().unwrap_or(last);
            Duration::from_millis(fixed.saturating_add(beyond.saturating_mul(last)))
        };
        let mut next = at(self.number + 1);
        if let Some(notify) = &self.in_place.notify {
            let notify = self.notify_after(notify.delay).unsigned_abs();
            if notify > elapsed {
                next = next.min(notify);
            }
        }
        next.saturating_sub(elapsed)
    }
}

/// What came of a round.
#[derive(Default)]
pub(crate) struct RoundResult {
    pub(crate) pods: usize,
    pub(crate) done: HashSet<Uid>,
    pub(crate) trouble: Option<String>,
    pub(crate) problems: Vec<PodProblem>,
}

impl RoundResult {
    pub(crate) fn lacks(&mut self, pod: &RunningPod, why: &str) {
        self.problems.push(PodProblem {
            pod: pod.name.clone(),
            why: why.to_owned(),
        });
    }
}
