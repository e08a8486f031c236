//! What was measured, before any conclusion.

use std::{collections::BTreeMap, time::Duration};

use super::{audit::Window, layout::Subject, usage::Memory};

/// Names of the windows in which the controller's requests are counted.
pub const START: &str = "start";
pub const CHANGES: &str = "changes";
pub const QUIET: &str = "quiet";
pub const CRON_JOBS: &str = "changes of what CronJobs use";
pub const WHOLE: &str = "whole run";

/// A figure of each.
#[derive(Clone, Default)]
pub struct Pair<T> {
    pub floor: T,
    pub windlass: T,
}

impl<T> Pair<T> {
    /// That of one of them.
    pub fn get_mut(&mut self, subject: Subject) -> &mut T {
        match subject {
            Subject::Floor => &mut self.floor,
            Subject::Windlass => &mut self.windlass,
        }
    }

    /// The same question to both.
    pub fn map<U>(&self, value: impl Fn(&T) -> U) -> Pair<U> {
        Pair {
            floor: value(&self.floor),
            windlass: value(&self.windlass),
        }
    }
}

/// Everything that was measured, except for requests.
pub struct Figures {
    pub ready: Pair<Duration>,
    /// From the controller's start until the last workload had its baseline.
    pub adopted: Duration,
    pub template_writes_at_adoption: usize,
    /// In the whole run, beyond those that changes called for.
    pub template_writes_unasked: usize,
    pub memory_at_end: Pair<Memory>,
    pub phases: Phases,
    pub course: Course,
}

/// What came together while one or the other was measured.
#[derive(Default)]
pub struct Phases {
    pub cpu: Pair<Duration>,
    /// Templates that were to change.
    pub changes: Pair<usize>,
    /// How often each Secret was changed.
    pub secrets: BTreeMap<String, u64>,
    pub windows: Vec<Window>,
}

/// The times, by what was done.
pub enum Course {
    /// Changes one at a time, after idling, and at once.
    Singles(Singles),
    /// One change for all workloads; one time per round.
    FanOut(Vec<Pair<Duration>>),
}

/// Of the sets in which each change is for one workload.
pub struct Singles {
    pub rounds: Vec<Round>,
    /// The controller once more, with everything adopted.
    pub ready_again: Duration,
    pub after_quiet: Pair<Duration>,
    pub memory_at_rest: Pair<Memory>,
}

/// What one round measured.
#[derive(Default)]
pub struct Round {
    pub one_at_a_time: Pair<Vec<Duration>>,
    pub after_idle: Pair<Duration>,
    pub burst: Pair<Duration>,
    /// Of Windlass, where there are Secrets.
    pub secrets: Option<SecretTimes>,
}

/// Changes of Secrets: the floor knows none, so these are compared with nothing.
#[derive(Default)]
pub struct SecretTimes {
    pub one_at_a_time: Vec<Duration>,
    pub burst: Duration,
}
