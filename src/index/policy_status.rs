//! What is said of each policy: how many of its workloads are how far, and why not further.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use windlass_core::policy::in_place::OnTimeout;
use windlass_core::policy::{Policy, PolicyRef};
use windlass_core::reason::{Reason, State};
use windlass_core::types::name::{Uid, WorkloadRef};
use windlass_core::types::text::some_of;

use super::Index;
use crate::api::PolicyStatus;
use crate::api::status::WorkloadCounts;
use crate::index::entry::WorkloadEntry;
use crate::k8s::wire::{PolicyMetadata, since};

/// A status that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct DueStatus {
    pub policy: PolicyRef,
    pub uid: Option<Uid>,
    /// What to write.
    pub status: PolicyStatus,
}

/// What is counted for one policy.
#[derive(Default)]
struct PolicyTally<'a> {
    counts: WorkloadCounts,
    /// Of those that are not current.
    reasons: BTreeMap<&'static str, usize>,
    halted: Vec<&'a WorkloadRef>,
    /// How far changes in place are that did not reach every pod yet.
    in_place: Vec<String>,
    /// How many it would govern were it not for another one, and one of those.
    overruled: usize,
    by: Option<&'a PolicyRef>,
}

impl PolicyTally<'_> {
    fn count(&mut self, status: Option<(State, Reason)>) {
        let counts = &mut self.counts;
        counts.total += 1;
        let Some((state, reason)) = status else {
            counts.pending += 1;
            return;
        };
        let of_state = match state {
            State::Current => &mut counts.current,
            State::Settling | State::Pending => &mut counts.pending,
            State::Rolling | State::Propagating => &mut counts.rolling,
            State::Held => &mut counts.held,
            State::Failed => &mut counts.failed,
            State::Observed => &mut counts.observed,
        };
        *of_state += 1;
        if state != State::Current {
            *self.reasons.entry(reason.as_str()).or_default() += 1;
        }
    }

    /// `980 Budget, 10 Rolling`, the most frequent first.
    fn reasons(&self) -> Vec<(&'static str, usize)> {
        let mut reasons: Vec<_> = self.reasons.iter().map(|(word, count)| (*word, *count)).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }
}

impl Index {
    /// Whether something was noted since the last call that a status may be about.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.policies.news)
    }

    /// The statuses that are not what stands on the policies.
    #[must_use]
    pub fn due_statuses(&self, now: Timestamp) -> Vec<DueStatus> {
        let mut tallies: HashMap<&PolicyRef, PolicyTally<'_>> = HashMap::new();
        for (reference, entry) in &self.workloads {
            let Some(effective_policy) = entry.effective_policy() else {
                continue;
            };
            if let Some(policy) = &effective_policy.policy {
                let tally = tallies.entry(policy).or_default();
                tally.count(entry.status());
                if entry.status().is_some_and(|(_, reason)| reason == Reason::Halted) {
                    tally.halted.push(reference);
                }
                tally.in_place.extend(in_place(reference, entry, policy));
            }
            for loser in &effective_policy.overruled {
                let tally = tallies.entry(loser).or_default();
                tally.overruled += 1;
                tally.by = effective_policy.policy.as_ref();
            }
        }
        let nothing = PolicyTally::default();
        self.policies()
            .filter_map(|(policy, about)| {
                let tally = tallies.get(&policy.reference).unwrap_or(&nothing);
                let status = status(policy, about, tally, now);
                (status != about.status).then(|| DueStatus {
                    policy: policy.reference.clone(),
                    uid: about.uid.clone(),
                    status,
                })
            })
            .collect()
    }

    /// A status was written: until its event comes it stands for what is there.
    pub fn note_status(&mut self, written: DueStatus) {
        if let Some(about) = self.policies.metadata.get_mut(&written.policy)
            && about.uid == written.uid
        {
            about.status = written.status;
        }
    }
}

fn status(policy: &Policy, about: &PolicyMetadata, tally: &PolicyTally<'_>, now: Timestamp) -> PolicyStatus {
    let condition = |type_: &str, holds: bool, reason: &str, message: String| {
        let fresh = Condition {
            type_: type_.to_owned(),
            status: if holds { "True" } else { "False" }.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: Some(about.generation),
            last_transition_time: Time(whole_second(now)),
        };
        since(fresh, &about.status.conditions)
    };
    let counts = tally.counts;
    let (ready, reason, message) = ready(policy);
    let mut conditions = vec![condition("Ready", ready, reason, message)];
    let reasons = tally.reasons();
    let under_way = counts.pending + counts.rolling > 0;
    let first = reasons.first().map_or("Current", |(word, _)| word);
    let others: Vec<String> = reasons.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let mut in_place = tally.in_place.clone();
    in_place.sort();
    let message = if others.is_empty() {
        format!("{} of {} current", counts.current, counts.total)
    } else {
        format!("{} of {} current; {}", counts.current, counts.total, some_of(&others))
    };
    let message = if in_place.is_empty() {
        message
    } else {
        format!("{message}; in place: {}", some_of(&in_place))
    };
    conditions.push(condition("Progressing", under_way, first, message));
    let mut halted: Vec<String> = tally
        .halted
        .iter()
        .map(|it| format!("{} {}", it.kind.row().kind, it.name))
        .collect();
    halted.sort();
    conditions.push(if halted.is_empty() {
        condition(
            "Halted",
            false,
            "NotHalted",
            "no workload is held after a failure".to_owned(),
        )
    } else {
        let message = format!(
            "held because another workload failed with the same change: {}",
            some_of(&halted)
        );
        condition("Halted", true, Reason::Halted.as_str(), message)
    });
    if let Some(by) = tally.by {
        let message = format!(
            "another policy applies to {} of the selected workloads, such as {by}",
            tally.overruled
        );
        conditions.push(condition("Overruled", true, "Overruled", message));
    }
    PolicyStatus {
        observed_generation: Some(about.generation),
        workloads: Some(counts),
        conditions,
    }
}

/// How far a change in place is. What applications say is for those who may read their namespace.
fn in_place(reference: &WorkloadRef, entry: &WorkloadEntry, policy: &PolicyRef) -> Option<String> {
    let progress = entry.propagation_progress()?;
    let name = format!("{} {}", reference.kind.row().kind, reference.name);
    if progress.complete {
        None
    } else if policy.namespace.is_some() {
        Some(format!("{name} {}", progress.describe()))
    } else {
        Some(format!("{name} {}/{} pods", progress.done, progress.pods))
    }
}

fn ready(policy: &Policy) -> (bool, &'static str, String) {
    let settings = match &policy.settings {
        Ok(settings) => settings,
        Err(why) => {
            let message = format!("the workloads of this policy are held: {why}");
            return (false, Reason::PolicyInvalid.as_str(), message);
        }
    };
    let mut remarks = Vec::new();
    if policy.is_floor_only() {
        remarks.push(
            "without strategy and rules, this policy only limits workloads of other policies: freezes, suspend, maxParallel".to_owned(),
        );
    }
    if settings.observe == Some(true) {
        remarks.push("observe mode: changes are only reported".to_owned());
    }
    let in_place = settings.in_place.as_ref();
    if in_place.is_some_and(|it| it.on_timeout == OnTimeout::Restart && !it.notifies_app()) {
        remarks.push("inPlace.onTimeout has no effect without inPlace.agent or inPlace.notifyHttp".to_owned());
    }
    let (reason, first) = if settings.suspend {
        (
            Reason::Suspended.as_str(),
            "suspended: workloads of this policy are not restarted",
        )
    } else {
        ("InForce", "in force")
    };
    remarks.insert(0, first.to_owned());
    (true, reason, remarks.join("; "))
}

/// As the API server keeps times.
fn whole_second(now: Timestamp) -> k8s_openapi::jiff::Timestamp {
    k8s_openapi::jiff::Timestamp::from_second(now.as_second()).unwrap_or_default()
}
