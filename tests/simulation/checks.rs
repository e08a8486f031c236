//! What must hold, whatever happens, seen from outside: on what the server accepted, and on what the
//! controller had been shown by then. Nothing here asks the controller what it thinks.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_core::annotation;
use windlass_core::content::cause;
use windlass_core::policy::PolicyRef;
use windlass_core::types::name::{Name, Namespace, SourceRef, WorkloadRef};

use super::cluster::{Cluster, Content, Event, Fact, Millis, Seen, wall};
use super::deployment::Deployment;
use super::objections::Question;
use super::policies::Rules;
use super::write::{Write, recorded_at};

/// What is known here of our restarts of a workload.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what happened to it: any of them, in any combination"
)]
pub struct Ours {
    /// Our last restart is not complete, and nobody put another template in its place.
    pub rolling: bool,
    /// When somebody put another template in its place while it was not complete.
    pub displaced: Option<Millis>,
    /// Since when it is complete.
    pub complete_since: Option<Millis>,
    /// Its own controller gave it up at some time since.
    pub failed: bool,
    /// When it was restarted last, by the controller's clock, in seconds since 1970.
    pub(crate) recorded: i64,
    /// The same for the first of those restarts since which it rolls without end.
    pub(crate) rolls_since: i64,
    /// The policies that held.
    pub(crate) governed: Vec<PolicyRef>,
    /// When each restart was decided.
    pub(crate) restarts: Vec<Millis>,
    /// What there was of its sources at the last one, and whether the controller knew it.
    pub(crate) of: Option<Vec<(SourceRef, Option<u64>)>>,
    pub(crate) causes: Vec<(SourceRef, Option<Content>)>,
    /// Somebody changed the template since.
    pub disturbed: bool,
    /// When pods last came or went by themselves.
    pub restless: Option<Millis>,
    /// Taken over, or skipped by a person, while pods were behind.
    pub excused: bool,
}

/// What the present process has been shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) sources: BTreeMap<SourceRef, Option<Seen>>,
    pub(crate) policies: BTreeMap<PolicyRef, Arc<Rules>>,
    /// Whether all policies were listed: those of namespaces, and those of the cluster.
    pub(crate) listed: [bool; 2],
    /// Workloads that were shown to have failed, and since when.
    pub(crate) failed: BTreeMap<WorkloadRef, Millis>,
}

pub struct Checks {
    pub problems: Vec<String>,
    pub max_parallel: usize,
    /// How far the controller's clock is ahead, in milliseconds, and whether it ever was another.
    skew: i64,
    pub stepped: bool,
    pub(crate) born: Millis,
    shown: Vec<(Millis, Arc<Shown>)>,
    /// The shortest deadline that each policy ever gave.
    pub(crate) shortest: BTreeMap<PolicyRef, u64>,
    dry_runs: BTreeMap<WorkloadRef, (u64, Millis)>,
    /// Restarts that were accepted.
    pub restarts: u64,
}

impl Ours {
    /// Somebody put another template in its place; `back`: an older one, with what was recorded then.
    pub fn disturb(&mut self, back: bool, now: Millis) {
        self.displaced = self.rolling.then_some(now).or(self.displaced);
        (self.rolling, self.disturbed) = (false, true);
        if back {
            self.restarts.clear();
        }
    }
}

impl Checks {
    pub fn new(max_parallel: usize) -> Self {
        Self {
            problems: Vec::new(),
            max_parallel,
            skew: 0,
            stepped: false,
            born: 0,
            shown: vec![(0, Arc::default())],
            shortest: BTreeMap::new(),
            dry_runs: BTreeMap::new(),
            restarts: 0,
        }
    }

    pub fn problem(&mut self, what: String) {
        self.problems.push(what);
    }

    /// A process begins, and knows nothing.
    pub fn begin(&mut self, cluster: &Cluster, skew: i64) {
        let now = cluster.now;
        self.stepped |= skew != self.skew;
        self.skew = skew;
        self.born = now;
        self.shown = vec![(now, Arc::default())];
        self.dry_runs.clear();
    }

    /// A process ends. What waited and was not on record is forgotten: should it be undone before the
    /// next one looks, pods that were started in between are not found. (A known weakness.)
    pub fn end(cluster: &mut Cluster) {
        let all: Vec<WorkloadRef> = cluster.deployments.keys().cloned().collect();
        for reference in all {
            let Some(known) = cluster.deployments.get(&reference) else {
                continue;
            };
            let observed = known.annotations.get(annotation::OBSERVED);
            let recorded = observed.is_some_and(|text| text.contains("\"stale\""));
            let forgotten = !recorded && !is_current(cluster, known);
            if let Some(known) = cluster.deployments.get_mut(&reference) {
                known.ours.excused |= forgotten;
            }
        }
    }

    fn note(&mut self, now: Millis, change: impl FnOnce(&mut Shown)) {
        let mut next = self
            .shown
            .last()
            .map(|(_, shown)| (**shown).clone())
            .unwrap_or_default();
        change(&mut next);
        self.shown.push((now, Arc::new(next)));
        let old = self.shown.iter().rposition(|(since, _)| since + 60_000 < now);
        self.shown.drain(..old.unwrap_or(0));
    }

    /// An event comes.
    pub fn show(&mut self, now: Millis, event: &Event) {
        match &event.fact {
            Fact::Source(source, None) if !event.gone => {
                let _ = source;
            }
            Fact::Source(source, seen) => self.show_source(now, source, *seen),
            Fact::Policy(policy, rules) => {
                let deadline = rules.as_ref().map_or(600, |rules| rules.deadline);
                let shortest = self.shortest.entry(policy.clone()).or_insert(600);
                *shortest = deadline.min(*shortest);
                self.note(now, |shown| match rules {
                    Some(rules) => drop(shown.policies.insert(policy.clone(), rules.clone())),
                    None => drop(shown.policies.remove(policy)),
                });
            }
            Fact::Workload(workload, failed) => {
                let known = self
                    .shown
                    .last()
                    .is_some_and(|(_, it)| it.failed.contains_key(workload));
                if known != *failed {
                    self.note(now, |shown| {
                        if *failed {
                            shown.failed.insert(workload.clone(), now);
                        } else {
                            shown.failed.remove(workload);
                        }
                    });
                }
            }
            Fact::Namespace => {}
        }
    }

    /// What a list did not name is gone.
    pub fn show_absent_policies(&mut self, now: Millis, of_cluster: bool, listed: &[PolicyRef]) {
        self.note(now, |shown| {
            shown.listed[usize::from(of_cluster)] = true;
            shown
                .policies
                .retain(|policy, _| policy.namespace.is_none() != of_cluster || listed.contains(policy));
        });
    }

    pub fn show_source(&mut self, now: Millis, source: &SourceRef, seen: Option<Seen>) {
        self.note(now, |shown| {
            let known = shown.sources.get(source).copied().flatten();
            // Answers may come in another order than they were given.
            if seen.is_none_or(|seen| known.is_none_or(|known| known.version < seen.version)) {
                shown.sources.insert(source.clone(), seen);
            }
        });
    }

    pub fn rehearsed(&mut self, workload: &WorkloadRef, version: u64, arrived: Millis) {
        self.dry_runs.insert(workload.clone(), (version, arrived));
    }

    /// A rollout is said to have failed.
    pub fn failed(&mut self, cluster: &Cluster, reference: &WorkloadRef) {
        let Some(known) = cluster.deployments.get(reference) else {
            return;
        };
        // Its end may not have been seen yet.
        let over = known
            .ours
            .complete_since
            .is_some_and(|at| at + 30_000 < cluster.now && at > self.born);
        if over && !known.ours.rolling && !known.ours.disturbed {
            self.problem(format!(
                "{} is said to have failed, long after it was complete",
                reference.name
            ));
        }
    }

    /// How many workloads of a policy may roll: the highest limit of the last minute, since whoever was
    /// let before it was lowered may still be about to. `None`: any number.
    pub(crate) fn limit(&self, policy: &PolicyRef) -> Option<usize> {
        let limit = |shown: &Shown| shown.policies.get(policy).and_then(|rules| rules.max_parallel);
        // Before its first lists a process knows nothing, and decides nothing.
        let listed = |shown: &Shown| shown.listed[usize::from(policy.namespace.is_none())];
        let states = self.shown.iter().filter(|(_, shown)| listed(shown));
        let limits = states.map(|(_, shown)| limit(shown).unwrap_or(usize::MAX));
        limits.max().filter(|limit| *limit < usize::MAX)
    }

    pub(crate) fn clock(&self, at: Millis) -> i64 {
        (wall(at).as_millisecond() + self.skew).div_euclid(1000)
    }

    /// A write is about to be carried out.
    pub fn accept(&mut self, cluster: &mut Cluster, reference: &WorkloadRef, write: &Write, arrived: Millis) {
        let Some(known) = cluster.deployments.get(reference) else {
            return;
        };
        let Some(caused) = &write.cause else {
            let first = !super::cluster::has_baseline(known) && !known.pods.is_empty();
            let excused = first && !is_current(cluster, known);
            cluster.say(format_args!("{}: baseline", reference.name));
            if let Some(known) = cluster.deployments.get_mut(reference) {
                known.ours.excused |= excused;
            }
            return;
        };
        self.restarts += 1;
        let dry_run = self
            .dry_runs
            .remove(reference)
            .filter(|(version, _)| *version == known.version);
        // What was decided before a dry run was decided long ago if it waited for its turn since.
        let rehearsed = dry_run.map(|(_, at)| at).filter(|at| at + 10_000 > arrived);
        let decided = rehearsed.unwrap_or(arrived);
        let causes = self.causes(reference, caused);
        // Whatever it was shown between the decision and now may or may not have been known.
        let in_force = self.shown.iter().rposition(|(since, _)| *since < decided).unwrap_or(0);
        let states: Vec<Arc<Shown>> = self.shown[in_force..].iter().map(|(_, shown)| shown.clone()).collect();
        let mut objections = Vec::new();
        let moments = [arrived, decided];
        for (shown, decided) in states.iter().flat_map(|shown| moments.map(|at| (shown, at))) {
            let question = Question {
                checks: self,
                cluster,
                known,
                shown,
                causes: &causes,
                decided,
            };
            objections = question.objections();
            if objections.is_empty() {
                break;
            }
        }
        let (recorded, reason) = recorded_at(caused);
        let last = states.last().cloned().unwrap_or_default();
        let of = versions_if_known(cluster, known, states.first().map_or(&last, |first| first));
        cluster.say(format_args!(
            "{}: restart ({reason}), decided at {decided} {objections:?}",
            reference.name
        ));
        for objection in objections {
            self.problem(format!("{}: {objection}", reference.name));
        }
        let governed = policies_of(reference)
            .into_iter()
            .filter(|it| last.policies.contains_key(it));
        let governed = governed.collect();
        if let Some(known) = cluster.deployments.get_mut(reference) {
            let ours = &mut known.ours;
            ours.restarts.push(decided);
            ours.complete_since = None;
            if !ours.rolling {
                ours.rolls_since = recorded;
            }
            (ours.rolling, ours.failed, ours.disturbed, ours.excused) = (true, false, false, false);
            (ours.recorded, ours.governed, ours.of, ours.causes) = (recorded, governed, of, causes);
        }
    }

    fn causes(&self, reference: &WorkloadRef, caused: &str) -> Vec<(SourceRef, Option<Content>)> {
        let cause = cause::parse(caused, &reference.namespace);
        let sources = cause.iter().flat_map(|cause| &cause.sources);
        let shown = self.shown.last().map(|(_, shown)| shown);
        sources
            .map(|it| {
                let seen = shown.and_then(|shown| shown.sources.get(&it.source).copied().flatten());
                (it.source.clone(), seen.map(|seen| seen.content))
            })
            .collect()
    }
}

/// The policies that may hold for a workload: its namespace's and the cluster's.
pub fn policies_of(workload: &WorkloadRef) -> [PolicyRef; 2] {
    [policy_of(Some(&workload.namespace)), policy_of(None)]
}

pub fn policy_of(namespace: Option<&Namespace>) -> PolicyRef {
    PolicyRef {
        namespace: namespace.cloned(),
        name: Name::from(if namespace.is_some() { "own" } else { "floor" }),
    }
}

pub(crate) fn versions(cluster: &Cluster, known: &Deployment) -> Vec<(SourceRef, Option<u64>)> {
    let sources = known.template.uses.iter().map(|used| &used.source);
    sources
        .map(|source| (source.clone(), cluster.sources.get(source).map(|it| it.version)))
        .collect()
}

/// `None`: the controller did not know all of it.
fn versions_if_known(cluster: &Cluster, known: &Deployment, shown: &Shown) -> Option<Vec<(SourceRef, Option<u64>)>> {
    let all = versions(cluster, known);
    let knew = |(source, version): &(SourceRef, Option<u64>)| {
        shown.sources.get(source).copied().flatten().map(|seen| seen.version) == *version
    };
    all.iter().all(knew).then_some(all)
}

/// Whether every pod that runs was started with what is there now.
pub fn is_current(cluster: &Cluster, known: &Deployment) -> bool {
    let present = |used: &super::deployment::Use| used.part(cluster.sources.get(&used.source).map(|it| it.content));
    let mut read = known.pods.iter().flat_map(|pod| &pod.read);
    read.all(|(used, _, content)| !known.template.uses.contains(used) || used.part(*content) == present(used))
}
