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
pub struct Change {
    /// What changed, for whom,
    pub of: Of,
    /// and when.
    pub version: Version,
}

/// Whose changes: only the last one of each is kept, for nobody asks for one before it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Of {
    /// Rules of admission differ by namespace,
    pub namespace: Namespace,
    /// and by kind.
    pub kind: KindId,
    /// The source.
    pub source: SourceRef,
}

/// What to do with a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Send it.
    Go,
    /// Send it as a dry run first, and report what came of it.
    Rehearse,
    /// Another one is being tried: it will be called.
    Wait,
    /// Leave it: it was refused for others.
    Refused {
        /// What the API server said.
        why: String,
        /// When one of them is tried again.
        until: Timestamp,
    },
}

#[derive(Clone, Debug)]
enum Tried {
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
struct Last {
    version: Version,
    tried: Tried,
}

/// What came of the dry runs so far.
#[derive(Debug, Default)]
pub struct Rehearsals(Mutex<HashMap<Of, Last>>);

impl Rehearsals {
    /// What to do with a patch that is for this change.
    pub fn part(&self, change: &Change, workload: &WorkloadRef, now: Timestamp) -> Part {
        let Change { of, version } = change;
        let mut lasts = self.lock();
        let (refusals, waiting) = match lasts.get_mut(of) {
            Some(last) if last.version == *version => match &mut last.tried {
                Tried::Passed => return Part::Go,
                Tried::UnderWay { waiting, .. } => {
                    waiting.insert(workload.clone());
                    return Part::Wait;
                }
                Tried::Refused { refusals, why, until } if *refusals >= REFUSALS && now < *until => {
                    return Part::Refused {
                        why: why.clone(),
                        until: *until,
                    };
                }
                Tried::Refused { refusals, .. } => (*refusals, BTreeSet::new()),
            },
            // Those that wait for the change before are called after this one.
            Some(Last {
                tried: Tried::UnderWay { waiting, .. },
                ..
            }) => (0, std::mem::take(waiting)),
            Some(_) => (0, BTreeSet::new()),
            None => {
                make_room(&mut lasts);
                (0, BTreeSet::new())
            }
        };
        let last = Last {
            version: *version,
            tried: Tried::UnderWay { refusals, waiting },
        };
        lasts.insert(of.clone(), last);
        Part::Rehearse
    }

    /// What came of a dry run. Gives those that waited for it.
    pub fn done(&self, change: &Change, result: Result<(), &ApiError>, now: Timestamp) -> BTreeSet<WorkloadRef> {
        let Change { of, version } = change;
        let mut lasts = self.lock();
        let Some(Last {
            version: last,
            tried: Tried::UnderWay { refusals, waiting },
        }) = lasts.get_mut(of)
        else {
            return BTreeSet::new();
        };
        if last != version {
            return BTreeSet::new();
        }
        let (before, waited) = (*refusals, std::mem::take(waiting));
        let tried = match result {
            Ok(()) => Some(Tried::Passed),
            Err(ApiError::Rejected(why) | ApiError::Forbidden(why)) => {
                let refusals = before + 1;
                let doubled = 1_i32.checked_shl(refusals.saturating_sub(REFUSALS)).unwrap_or(i32::MAX);
                let pause = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
                Some(Tried::Refused {
                    refusals,
                    why: why.clone(),
                    until: now.saturating_add(pause).unwrap_or(Timestamp::MAX),
                })
            }
            // That says nothing about the change.
            Err(_) => (before > 0).then(|| Tried::Refused {
                refusals: before.min(REFUSALS - 1),
                why: String::new(),
                until: now,
            }),
        };
        match tried {
            Some(tried) => {
                let version = *version;
                lasts.insert(of.clone(), Last { version, tried });
            }
            None => {
                lasts.remove(of);
            }
        }
        waited
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Of, Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what costs least to find out again: what passed, else the refusal that is over first. What is
/// under way stays: somebody waits for it, and there are no more of it than writers.
fn make_room(lasts: &mut HashMap<Of, Last>) {
    if lasts.len() < KEPT {
        return;
    }
    lasts.retain(|_, last| !matches!(last.tried, Tried::Passed));
    if lasts.len() < KEPT {
        return;
    }
    let refused = lasts.iter().filter_map(|(of, last)| match &last.tried {
        Tried::Refused { until, .. } => Some((until, of)),
        Tried::UnderWay { .. } | Tried::Passed => None,
    });
    if let Some(of) = refused.min_by_key(|(until, _)| **until).map(|(_, of)| of.clone()) {
        lasts.remove(&of);
    }
}
