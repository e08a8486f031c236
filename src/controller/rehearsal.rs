//! Before the first rollout of a change that several workloads wait for: a dry run.
//!
//! An admission policy or a quota that refuses the patch would refuse it for each of them. So one
//! goes first and is not applied; as long as nothing but refusals come of that, the others wait and
//! say why. A change that only one workload waits for needs none: its patch is its own rehearsal.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::core::kind::KindId;
use crate::core::name::{Namespace, SourceRef, Version, WorkloadRef};
use crate::k8s::error::ApiError;

/// One refusal may be about the one workload that was tried; this many are about the change.
const REFUSALS: u32 = 3;

/// How long a refused change is left alone; doubles with each refusal more.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(30);

/// Changes that passed and are kept: beyond them all are forgotten, and may be tried again.
const KEPT: usize = 256;

/// One change, as far as the same answer is to be expected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// Rules of admission differ by namespace,
    pub namespace: Namespace,
    /// and by kind.
    pub kind: KindId,
    /// What changed,
    pub source: SourceRef,
    /// and when.
    pub version: Version,
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

/// What came of the dry runs so far.
#[derive(Debug, Default)]
pub struct Rehearsals(Mutex<HashMap<Change, Tried>>);

impl Rehearsals {
    /// What to do with a patch that is for this change.
    pub fn part(&self, change: &Change, workload: &WorkloadRef, now: Timestamp) -> Part {
        let mut tried = self.lock();
        let refusals = match tried.get_mut(change) {
            Some(Tried::Passed) => return Part::Go,
            Some(Tried::UnderWay { waiting, .. }) => {
                waiting.insert(workload.clone());
                return Part::Wait;
            }
            Some(Tried::Refused { refusals, why, until }) if *refusals >= REFUSALS && now < *until => {
                return Part::Refused {
                    why: why.clone(),
                    until: *until,
                };
            }
            Some(Tried::Refused { refusals, .. }) => *refusals,
            None => 0,
        };
        if tried.len() >= KEPT {
            tried.retain(|_, known| !matches!(known, Tried::Passed));
        }
        let under_way = Tried::UnderWay {
            refusals,
            waiting: BTreeSet::new(),
        };
        tried.insert(change.clone(), under_way);
        Part::Rehearse
    }

    /// What came of a dry run. Gives those that waited for it.
    pub fn done(&self, change: &Change, result: Result<(), &ApiError>, now: Timestamp) -> BTreeSet<WorkloadRef> {
        let mut tried = self.lock();
        let (before, waited) = match tried.remove(change) {
            Some(Tried::UnderWay { refusals, waiting }) => (refusals, waiting),
            _ => (0, BTreeSet::new()),
        };
        match result {
            Ok(()) => {
                tried.insert(change.clone(), Tried::Passed);
            }
            Err(ApiError::Rejected(why) | ApiError::Forbidden(why)) => {
                let refusals = before + 1;
                let doubled = 1_i32.checked_shl(refusals.saturating_sub(REFUSALS)).unwrap_or(i32::MAX);
                let pause = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
                let refused = Tried::Refused {
                    refusals,
                    why: why.clone(),
                    until: now.saturating_add(pause).unwrap_or(Timestamp::MAX),
                };
                tried.insert(change.clone(), refused);
            }
            // That says nothing about the change.
            Err(_) if before > 0 => {
                let refused = Tried::Refused {
                    refusals: before.min(REFUSALS - 1),
                    why: String::new(),
                    until: now,
                };
                tried.insert(change.clone(), refused);
            }
            Err(_) => {}
        }
        waited
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Change, Tried>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::kind::DEPLOYMENT;
    use crate::core::name::{Name, SourceKind};

    fn change() -> Change {
        Change {
            namespace: Namespace::from("shop"),
            kind: DEPLOYMENT,
            source: SourceRef {
                namespace: Namespace::from("shop"),
                kind: SourceKind::ConfigMap,
                name: Name::from("web"),
            },
            version: Version::new(7),
        }
    }

    fn web() -> WorkloadRef {
        WorkloadRef {
            namespace: Namespace::from("shop"),
            kind: DEPLOYMENT,
            name: Name::from("web"),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn refused() -> ApiError {
        ApiError::Rejected("by a rule".into())
    }

    #[test]
    fn one_goes_first_and_the_others_wait_for_it() {
        let rehearsals = Rehearsals::default();
        assert_eq!(rehearsals.part(&change(), &web(), at(0)), Part::Rehearse);
        assert!(matches!(rehearsals.part(&change(), &web(), at(0)), Part::Wait));
        assert_eq!(
            rehearsals.done(&change(), Ok(()), at(0)),
            BTreeSet::from([web()]),
            "it is called"
        );
        assert_eq!(rehearsals.part(&change(), &web(), at(0)), Part::Go);
        let another = Change {
            version: Version::new(8),
            ..change()
        };
        assert_eq!(rehearsals.part(&another, &web(), at(0)), Part::Rehearse);
    }

    #[test]
    fn three_refusals_hold_the_rest_and_one_is_tried_again_later() {
        let rehearsals = Rehearsals::default();
        for _ in 0..3 {
            assert_eq!(rehearsals.part(&change(), &web(), at(0)), Part::Rehearse);
            rehearsals.done(&change(), Err(&refused()), at(0));
        }
        let expected = Part::Refused {
            why: "by a rule".into(),
            until: at(60),
        };
        assert_eq!(rehearsals.part(&change(), &web(), at(0)), expected);
        assert_eq!(rehearsals.part(&change(), &web(), at(60)), Part::Rehearse);
        rehearsals.done(&change(), Err(&refused()), at(60));
        assert!(matches!(rehearsals.part(&change(), &web(), at(60)), Part::Refused { until, .. } if until == at(180)));
        assert_eq!(rehearsals.part(&change(), &web(), at(180)), Part::Rehearse);
        rehearsals.done(&change(), Ok(()), at(180));
        assert_eq!(rehearsals.part(&change(), &web(), at(180)), Part::Go);
    }

    #[test]
    fn what_says_nothing_about_the_change_counts_for_nothing() {
        let rehearsals = Rehearsals::default();
        rehearsals.part(&change(), &web(), at(0));
        rehearsals.done(&change(), Err(&ApiError::Conflict), at(0));
        assert_eq!(rehearsals.part(&change(), &web(), at(0)), Part::Rehearse);
    }
}
