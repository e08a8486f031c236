//! What is read from the cluster in the rare case that state alone cannot decide.

use crate::types::name::Uid;
use crate::types::time::Second;

/// One of the templates that a workload's controller has rolled out: a `ReplicaSet` of a Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number; 0 when it has none yet.
    pub number: u64,
    /// Whether it is the newest, for kinds that do not say themselves which one they are at.
    pub newest: Option<bool>,
    /// When it was first rolled out.
    pub created: Second,
    /// The digest that our restart left on its pod template.
    pub template_digest: Option<Box<str>>,
    /// The baseline that the workload had when this was its present revision.
    pub observed: Option<Box<str>>,
}

impl Revision {
    /// Whether a workload that says to be at `number` is at this one.
    #[must_use]
    pub fn is_present(&self, number: Option<u64>) -> bool {
        self.newest.unwrap_or(Some(self.number) == number)
    }
}

/// One pod of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its identity.
    pub uid: Uid,
    /// When it was created: no container of it started before.
    pub created: Option<Second>,
    /// When each container that has started did so, ended ones included.
    pub started: Vec<Second>,
    /// Whether one may have started at a time that nobody knows, as of one that its node has lost.
    pub start_unknown: bool,
}

impl Pod {
    fn all_started_after(&self, change: Second) -> bool {
        let unknown_as_well = || self.created.is_some_and(|created| created > change);
        self.started.iter().all(|at| *at > change) && (!self.start_unknown || unknown_as_well())
    }

    fn any_started_between(&self, from: Second, to: Second) -> bool {
        let unknown = || self.created.is_none_or(|created| created <= to);
        self.started.iter().any(|at| (from..=to).contains(at)) || (self.start_unknown && unknown())
    }
}

/// Everything that a proof needs, read at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RolloutHistory {
    /// When the workload was created.
    pub created: Option<Second>,
    /// All revisions that the cluster still keeps.
    pub revisions: Vec<Revision>,
    /// All pods that are not being deleted. `None`: nothing tells which are the workload's.
    pub pods: Option<Vec<Pod>>,
}

impl RolloutHistory {
    /// Whether every container of every pod was started in a later second than `change`.
    #[must_use]
    pub fn all_started_after(&self, change: Second) -> bool {
        self.pods
            .as_ref()
            .is_some_and(|pods| pods.iter().all(|pod| pod.all_started_after(change)))
    }

    /// Whether any container may have been started between the two.
    #[must_use]
    pub fn any_started_between(&self, from: Second, to: Second) -> bool {
        self.pods
            .as_ref()
            .is_none_or(|pods| pods.iter().any(|pod| pod.any_started_between(from, to)))
    }

    /// The revision that the workload is at.
    #[must_use]
    pub fn present(&self, number: Option<u64>) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.is_present(number))
    }

    /// The last baseline that a revision kept a copy of.
    #[must_use]
    pub fn last_observed(&self) -> Option<&str> {
        self.revisions
            .iter()
            .filter(|revision| revision.observed.is_some())
            .max_by_key(|revision| revision.number)
            .and_then(|revision| revision.observed.as_deref())
    }
}
