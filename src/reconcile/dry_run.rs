//! Before the first rollout of a change that several workloads wait for: a dry run.
//!
//! An admission policy or a quota that refuses the patch would refuse it for each of them. So one
//! goes first and is not applied; as long as nothing but refusals come of that, the others wait and
//! say why. A change that only one workload waits for needs none: its patch is its own rehearsal.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use windlass_core::types::name::{Namespace, SourceRef, Version, WorkloadRef};
use windlass_core::workload::kind::KindId;

use crate::k8s::error::ApiError;

#[cfg(test)]
mod tests;

/// One refusal may be about the one workload that was tried; this many are about the change.
const REFUSALS: u32 = 3;

/// How long a refused change is left alone; doubles with each refusal more.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(30);

/// For how many sources it is kept what came of the last change. Beyond them it costs dry runs that
/// might have been saved.
const KEPT: usize = 256;

/// One change, as far as the same answer is to be expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeVersion {
    /// What changed, for whom,
    pub key: ChangeKey,
    pub version: Version,
}

/// Whose changes: only the last one of each is kept, for nobody asks for one before it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChangeKey {
    /// Rules of admission differ by namespace,
    pub namespace: Namespace,
    pub kind: KindId,
    pub source: SourceRef,
}

/// What to do with a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it.
    Proceed,
    /// Send it as a dry run first, and report what came of it.
    DryRun,
    /// Another one is being tried: it will be called.
    Wait,
    /// Leave it: it was refused for others.
    Rejected {
        /// What the API server said.
        why: String,
        /// When one of them is tried again.
        until: Timestamp,
    },
}

#[derive(Clone, Debug)]
enum DryRunState {
    UnderWay {
        refusals: u32,
        /// Who is to be called.
        waiting: BTreeSet<WorkloadRef>,
    },
    Passed,
    Refused {
        refusals: u32,
        why: String,
        until: Timestamp,
    },
}

/// What is known of a source's last change.
#[derive(Clone, Debug)]
struct LastDryRun {
    version: Version,
    tried: DryRunState,
}

/// What came of the dry runs so far.
#[derive(Debug, Default)]
pub struct DryRuns(Mutex<HashMap<ChangeKey, LastDryRun>>);

impl DryRuns {
    /// What to do with a patch that is for this change.
    pub fn verdict(&self, change: &ChangeVersion, workload: &WorkloadRef, now: Timestamp) -> Verdict {
        let ChangeVersion { key: of, version } = change;
        let mut lasts = self.lock();
        let (refusals, waiting) = match lasts.get_mut(of) {
            Some(last) if last.version == *version => match &mut last.tried {
                DryRunState::Passed => return Verdict::Proceed,
                DryRunState::UnderWay { waiting, .. } => {
                    waiting.insert(workload.clone());
                    return Verdict::Wait;
                }
                DryRunState::Refused { refusals, why, until } if *refusals >= REFUSALS && now < *until => {
                    return Verdict::Rejected {
                        why: why.clone(),
                        until: *until,
                    };
                }
                DryRunState::Refused { refusals, .. } => (*refusals, BTreeSet::new()),
            },
            // Those that wait for the change before are called after this one.
            Some(LastDryRun {
                tried: DryRunState::UnderWay { waiting, .. },
                ..
            }) => (0, std::mem::take(waiting)),
            Some(_) => (0, BTreeSet::new()),
            None => {
                make_room(&mut lasts);
                (0, BTreeSet::new())
            }
        };
        let last = LastDryRun {
            version: *version,
            tried: DryRunState::UnderWay { refusals, waiting },
        };
        lasts.insert(of.clone(), last);
        Verdict::DryRun
    }

    /// What came of a dry run. Gives those that waited for it.
    pub fn finish(
        &self,
        change: &ChangeVersion,
        result: Result<(), &ApiError>,
        now: Timestamp,
    ) -> BTreeSet<WorkloadRef> {
        let ChangeVersion { key: of, version } = change;
        let mut lasts = self.lock();
        let Some(LastDryRun {
            version: last,
            tried: DryRunState::UnderWay { refusals, waiting },
        }) = lasts.get_mut(of)
        else {
            return BTreeSet::new();
        };
        if last != version {
            return BTreeSet::new();
        }
        let (before, waited) = (*refusals, std::mem::take(waiting));
        let tried = match result {
            Ok(()) => Some(DryRunState::Passed),
            Err(ApiError::Rejected(why) | ApiError::Forbidden(why)) => {
                let refusals = before + 1;
                let doubled = 1_i32.checked_shl(refusals.saturating_sub(REFUSALS)).unwrap_or(i32::MAX);
                let pause = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
                Some(DryRunState::Refused {
                    refusals,
                    why: why.clone(),
                    until: now.saturating_add(pause).unwrap_or(Timestamp::MAX),
                })
            }
            // That says nothing about the change.
            Err(_) => (before > 0).then(|| DryRunState::Refused {
                refusals: before.min(REFUSALS - 1),
                why: String::new(),
                until: now,
            }),
        };
        match tried {
            Some(tried) => {
                let version = *version;
                lasts.insert(of.clone(), LastDryRun { version, tried });
            }
            None => {
                lasts.remove(of);
            }
        }
        waited
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChangeKey, LastDryRun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what costs least to find out again: what passed, else the refusal that is over first. What is
/// under way stays: somebody waits for it, and there are no more of it than writers.
fn make_room(lasts: &mut HashMap<ChangeKey, LastDryRun>) {
    if lasts.len() < KEPT {
        return;
    }
    lasts.retain(|_, last| !matches!(last.tried, DryRunState::Passed));
    if lasts.len() < KEPT {
        return;
    }
    let refused = lasts.iter().filter_map(|(of, last)| match &last.tried {
        DryRunState::Refused { until, .. } => Some((until, of)),
        DryRunState::UnderWay { .. } | DryRunState::Passed => None,
    });
    if let Some(of) = refused.min_by_key(|(until, _)| **until).map(|(_, of)| of.clone()) {
        lasts.remove(&of);
    }
}
