//! What is gathered for one message, with a limit to everything: whoever may write to one namespace must
//! neither fill our memory nor drown what others have to be told.

use std::collections::{BTreeMap, HashMap};

use super::{Notice, NoticeKind, NoticeKinds, TROUBLE, WorkloadCondition};
use crate::reason::State;
use crate::types::name::{Namespace, Uid, WorkloadRef};

/// How much of a namespace, and of all of them, is told in one interval. What is beyond that is counted.
const OF_A_NAMESPACE: usize = 100;
const IN_ALL: usize = 1000;

/// Of how many workloads is remembered that their trouble was told. The oldest is forgotten for another.
const REMEMBERED: usize = 10_000;

/// What became of something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchResult {
    /// It will be told.
    Kept,
    /// It will be counted, not named.
    Counted,
    /// It is not told.
    Untold,
}

/// What is to be told next.
#[derive(Debug)]
pub struct Batcher {
    on: NoticeKinds,
    /// One of each occasion for a workload: the last says it all.
    notices: BTreeMap<(Namespace, NoticeKind, WorkloadRef), Notice>,
    of_namespaces: HashMap<Namespace, usize>,
    counted: Counts,
    told: ReportedProblems,
}

/// What one message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// In the order of namespaces, the most urgent first.
    pub notices: Vec<Notice>,
    /// How many of each occasion there are, those that are not in `notices` included.
    pub counts: Counts,
}

/// How many of each occasion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([usize; NoticeKind::ALL.len()]);

impl Counts {
    fn add(&mut self, kind: NoticeKind) {
        for (it, count) in NoticeKind::ALL.iter().zip(&mut self.0) {
            if *it == kind {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Of those that there are, the most urgent first.
    pub fn each(&self) -> impl Iterator<Item = (NoticeKind, usize)> {
        NoticeKind::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// Of all occasions.
    #[must_use]
    pub fn sum(&self) -> usize {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Whose trouble was told or is going to be.
#[derive(Debug, Default)]
struct ReportedProblems {
    of: HashMap<WorkloadRef, ReportedProblem>,
    times: u64,
}

#[derive(Debug)]
struct ReportedProblem {
    uid: Uid,
    /// That of the last notice of it.
    id: String,
    /// Some notice of it has been taken out.
    out: bool,
    /// Tells the oldest.
    time: u64,
}

impl Batcher {
    /// Nothing yet.
    #[must_use]
    pub fn new(on: NoticeKinds) -> Self {
        Self {
            on,
            notices: BTreeMap::new(),
            of_namespaces: HashMap::new(),
            counted: Counts::default(),
            told: ReportedProblems::default(),
        }
    }

    /// A workload was restarted; the write led to this `mark`.
    pub fn restarted(&mut self, standing: &WorkloadCondition<'_>, mark: &str) -> BatchResult {
        self.add(standing.notice(NoticeKind::Restarted, mark))
    }

    /// A workload stands somewhere else than before; `mark` tells this trouble from a later one like it.
    pub fn status_changed(&mut self, standing: &WorkloadCondition<'_>, mark: &str) -> BatchResult {
        if let Some(kind) = NoticeKind::for_condition(standing.state, standing.reason) {
            let notice = standing.notice(kind, mark);
            let (workload, uid, id) = (notice.workload.clone(), notice.uid.clone(), notice.id.clone());
            let taken = self.add(notice);
            if taken == BatchResult::Kept {
                self.told.note(workload, uid, id);
            }
            return taken;
        }
        if standing.state != State::Current {
            return BatchResult::Untold;
        }
        let Some(trouble) = self.told.of.remove(standing.workload) else {
            return BatchResult::Untold;
        };
        // Trouble that came and went within one interval is none: that of a workload, say, that was created
        // a moment before its ConfigMap.
        self.take_back(standing.workload);
        if !trouble.out || trouble.uid != *standing.uid {
            return BatchResult::Untold;
        }
        self.add(standing.notice(NoticeKind::Recovered, &trouble.id))
    }

    /// Whether anything waits to be told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.notices.is_empty() && self.counted == Counts::default()
    }

    /// Takes everything out. `None`: there is nothing to tell.
    pub fn take(&mut self) -> Option<Batch> {
        if self.is_empty() {
            return None;
        }
        self.of_namespaces.clear();
        let mut counts = std::mem::take(&mut self.counted);
        let notices: Vec<Notice> = std::mem::take(&mut self.notices).into_values().collect();
        for notice in &notices {
            counts.add(notice.kind);
            if let Some(trouble) = self.told.of.get_mut(&notice.workload) {
                trouble.out |= TROUBLE.contains(&notice.kind);
            }
        }
        Some(Batch { notices, counts })
    }

    fn add(&mut self, notice: Notice) -> BatchResult {
        let kind = notice.kind;
        if !self.on.has(kind) {
            return BatchResult::Untold;
        }
        let key = (notice.workload.namespace.clone(), kind, notice.workload.clone());
        if let Some(before) = self.notices.get_mut(&key) {
            *before = notice;
            return BatchResult::Kept;
        }
        let of_namespace = self.of_namespaces.entry(notice.workload.namespace.clone()).or_default();
        if *of_namespace >= OF_A_NAMESPACE || self.notices.len() >= IN_ALL {
            self.counted.add(kind);
            return BatchResult::Counted;
        }
        *of_namespace += 1;
        self.notices.insert(key, notice);
        BatchResult::Kept
    }

    fn take_back(&mut self, workload: &WorkloadRef) {
        for kind in TROUBLE {
            let key = (workload.namespace.clone(), kind, workload.clone());
            if self.notices.remove(&key).is_some()
                && let Some(count) = self.of_namespaces.get_mut(&workload.namespace)
            {
                *count = count.saturating_sub(1);
            }
        }
    }
}

impl ReportedProblems {
    fn note(&mut self, workload: WorkloadRef, uid: Uid, id: String) {
        if self.of.len() >= REMEMBERED && !self.of.contains_key(&workload) {
            let oldest = self.of.iter().min_by_key(|(_, trouble)| trouble.time);
            if let Some(oldest) = oldest.map(|(workload, _)| workload.clone()) {
                self.of.remove(&oldest);
            }
        }
        self.times += 1;
        let before = self.of.get(&workload).filter(|before| before.uid == uid);
        let trouble = ReportedProblem {
            out: before.is_some_and(|before| before.out),
            uid,
            id,
            time: self.times,
        };
        self.of.insert(workload, trouble);
    }
}

impl Batch {
    /// The most urgent `most` of them: each namespace has its turn before one has its second, so that none
    /// is drowned by another.
    #[must_use]
    pub fn foremost(&self, most: usize) -> Vec<&Notice> {
        let mut places: HashMap<&Namespace, usize> = HashMap::new();
        let mut ranked: Vec<(usize, &Notice)> = self
            .notices
            .iter()
            .map(|notice| {
                let place = places.entry(&notice.workload.namespace).or_default();
                *place += 1;
                (*place, notice)
            })
            .collect();
        ranked.sort_by_key(|(place, notice)| (*place, notice.kind));
        let mut foremost: Vec<&Notice> = ranked.into_iter().take(most).map(|(_, notice)| notice).collect();
        foremost.sort_by_key(|notice| (notice.kind, &notice.workload));
        foremost
    }
}
