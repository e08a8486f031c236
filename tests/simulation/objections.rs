//! What speaks against a restart that is about to be accepted.

use windlass_core::annotation;
use windlass_core::types::name::SourceRef;

use super::checks::{Checks, Shown, is_current, policies_of, versions};
use super::cluster::{Cluster, Content, Millis, has_baseline};
use super::deployment::{Deployment, Use};
use super::policies::Rules;

/// One restart that is about to be made.
pub(crate) struct Question<'a> {
    pub(crate) checks: &'a Checks,
    pub(crate) cluster: &'a Cluster,
    pub(crate) known: &'a Deployment,
    pub(crate) shown: &'a Shown,
    pub(crate) causes: &'a [(SourceRef, Option<Content>)],
    pub(crate) decided: Millis,
}

impl Question<'_> {
    pub(crate) fn objections(&self) -> Vec<String> {
        let mut found = Vec::new();
        let [own, floor] = policies_of(&self.known.reference);
        let own = self.shown.policies.get(&own).map(|rules| &**rules);
        let floor = self.shown.policies.get(&floor).map(|rules| &**rules);
        self.times(own, floor, &mut found);
        self.budget(&mut found);
        if let Some(own) = own {
            self.interval(own, &mut found);
            self.wave(own, &mut found);
            self.halted(own, &mut found);
        }
        self.flaps(&mut found);
        self.twice(&mut found);
        found
    }

    fn pulled(&self, manual_overrides: &[&str]) -> bool {
        manual_overrides
            .iter()
            .any(|manual_override| self.known.annotations.contains_key(*manual_override))
    }

    /// Never outside a window, never within a freeze, never while suspended.
    fn times(&self, own: Option<&Rules>, floor: Option<&Rules>, found: &mut Vec<String>) {
        let second = self.checks.clock(self.decided);
        let frozen = |rules: &Rules| rules.freezes.iter().any(|freeze| freeze.holds(second));
        let outside = |rules: &Rules| !rules.windows.is_empty() && !rules.windows.iter().any(|it| it.holds(second));
        let now = self.pulled(&[annotation::RESTART_NOW]);
        for (rules, of_cluster) in [(own, false), (floor, true)] {
            let Some(rules) = rules else { continue };
            if rules.suspend {
                found.push(format!("restarted while suspended (cluster: {of_cluster})"));
            }
            if frozen(rules) && (of_cluster || !now) {
                found.push(format!("restarted within a freeze (cluster: {of_cluster})"));
            }
            if outside(rules) && !of_cluster && !now {
                found.push("restarted outside its windows".to_owned());
            }
        }
    }

    /// Whether it rolls by our doing and was not given up at any time.
    fn occupies(&self, it: &Deployment) -> bool {
        let [own, _] = policies_of(&it.reference);
        // Whoever gave its place back is not counted again for a later deadline.
        let shortest = self.checks.shortest.get(&own).copied().unwrap_or(600);
        self.rolls(it, shortest) && !it.ours.failed
    }

    /// Whether it rolls by our doing and is not given up now. One that was and began to move again has its
    /// place, too.
    fn has_place(&self, it: &Deployment) -> bool {
        // That somebody else rolls it now is known when it has another revision, and the event is there.
        let displaced = it.ours.displaced.is_some_and(|at| self.decided < at + 15_000);
        displaced || (self.rolls(it, u64::MAX) && !it.has_failed())
    }

    fn rolls(&self, it: &Deployment, deadline: u64) -> bool {
        let [own, _] = policies_of(&it.reference);
        let present = self.shown.policies.get(&own).map_or(600, |rules| rules.deadline);
        let since = self.checks.clock(self.decided) - it.ours.recorded;
        it.ours.rolling && since < i64::try_from(present.min(deadline)).unwrap_or(i64::MAX)
    }

    /// Never more at a time than may be.
    fn budget(&self, found: &mut Vec<String>) {
        if self.has_place(self.known) {
            return;
        }
        let counts = |it: &&Deployment| it.reference != self.known.reference && self.occupies(it);
        let others = || self.cluster.deployments.values().filter(counts);
        // Nobody keeps everybody waiting for longer, however often it is restarted meanwhile.
        let now = self.checks.clock(self.decided);
        let of_cluster = others().filter(|it| now - it.ours.rolls_since < 600);
        let names: Vec<_> = of_cluster.map(|it| it.reference.name.as_str()).collect();
        let all = names.len() + 1;
        if all > self.checks.max_parallel {
            found.push(format!(
                "{all} roll, --max-parallel is {}: {names:?}",
                self.checks.max_parallel
            ));
        }
        for policy in policies_of(&self.known.reference) {
            let limit = self.checks.limit(&policy);
            let of_it = others().filter(|it| it.ours.governed.contains(&policy));
            let names: Vec<_> = of_it.map(|it| it.reference.name.as_str()).collect();
            let rolling = names.len() + 1;
            if limit.is_some_and(|limit| rolling > limit) {
                found.push(format!("{rolling} of {policy} roll, {limit:?} may: {names:?}"));
            }
        }
    }

    fn interval(&self, own: &Rules, found: &mut Vec<String>) {
        let Some(last) = self.known.ours.restarts.last() else {
            return;
        };
        let exempt = self.checks.stepped || self.known.ours.disturbed || self.pulled(&[annotation::RESTART_NOW]);
        // What is on record is cut to the second.
        let since = self.decided - last + 1000;
        if since < own.min_interval * 1000 && !exempt {
            found.push(format!(
                "restarted after {since} ms, at least {} s apart",
                own.min_interval
            ));
        }
    }

    /// At most five within ten minutes.
    fn flaps(&self, found: &mut Vec<String>) {
        let exempt = self.checks.stepped
            || self.known.ours.disturbed
            || self.pulled(&[annotation::RESTART_NOW, annotation::RESUME, annotation::SKIP]);
        let restarts = &self.known.ours.restarts;
        let fifth = restarts.len().checked_sub(5).map(|at| restarts[at]);
        if fifth.is_some_and(|fifth| self.decided - fifth + 2000 < 600_000) && !exempt {
            found.push(format!("a sixth restart within ten minutes: {restarts:?}"));
        }
    }

    /// Never twice for one content.
    fn twice(&self, found: &mut Vec<String>) {
        let ours = &self.known.ours;
        if ours.disturbed || self.pulled(&[annotation::RESTART_NOW, annotation::RESUME]) {
            return;
        }
        let present = versions(self.cluster, self.known);
        // When one went that is not there left no trace: pods that were started since may have read it.
        let traced = present.iter().all(|(_, version)| version.is_some());
        if traced && ours.of.as_ref() == Some(&present) {
            found.push("restarted twice for the same content".to_owned());
        }
        let of_shown = self.known.template.uses.iter().all(|used| {
            let shown = self.shown.sources.get(&used.source).copied().flatten();
            let there = self.cluster.sources.get(&used.source);
            shown.map(|seen| seen.version) == there.map(|source| source.version)
        });
        let written = self.known.template.uses.iter();
        let written = written
            .filter_map(|used| Some(self.cluster.sources.get(&used.source)?.written))
            .max();
        let settled = |written: Millis| {
            let first = self.known.pods.iter().filter_map(|pod| pod.started).min();
            let restless = ours.restless.is_some_and(|at| at + 2000 >= written);
            first.is_some_and(|first| first >= written + 2000) && !restless
        };
        let all_there = self
            .known
            .template
            .uses
            .iter()
            .all(|it| self.cluster.sources.contains_key(&it.source));
        // One that was made for older content brought the present one along by luck.
        let by_older = ours.of.is_none() && !ours.restarts.is_empty();
        // So did a container that crashed. Nobody looks at the pods before each restart: that is two LISTs.
        let by_crash = self.known.pods.iter().any(|pod| pod.starts > 1);
        let lucky = by_older || by_crash;
        if of_shown && all_there && !lucky && written.is_some_and(settled) && is_current(self.cluster, self.known) {
            found.push("restarted although all of it was current".to_owned());
        }
    }

    /// Never before an earlier wave is done.
    fn wave(&self, own: &Rules, found: &mut Vec<String>) {
        if own.waves.is_empty() || self.pulled(&[annotation::RESTART_NOW]) {
            return;
        }
        let mine = own.wave(self.known.tier);
        for other in self.cluster.deployments.values() {
            let same = other.reference.namespace == self.known.reference.namespace;
            let let_be = other.ours.excused || other.ours.disturbed || !has_baseline(other);
            if !same || own.wave(other.tier) >= mine || let_be {
                continue;
            }
            let behind = self.causes.iter().find(|(source, _)| {
                let used = other.template.uses.iter().filter(|used| used.source == *source);
                used.into_iter().any(|used| self.is_behind(other, used))
            });
            if let Some((source, _)) = behind {
                found.push(format!(
                    "restarted before {} of an earlier wave had {source}",
                    other.reference.name
                ));
            } else if self.occupies(other) && other.ours.causes.iter().any(|it| self.causes.contains(it)) {
                found.push(format!(
                    "restarted while {} of an earlier wave rolls",
                    other.reference.name
                ));
            }
        }
    }

    /// Whether a pod runs something else than what the controller was shown.
    fn is_behind(&self, other: &Deployment, used: &Use) -> bool {
        let Some(shown) = self.shown.sources.get(&used.source) else {
            return false;
        };
        let want = used.part(shown.map(|seen| seen.content));
        let version = shown.map_or(u64::MAX, |seen| seen.version);
        let read = other.pods.iter().flat_map(|pod| &pod.read);
        let mut read = read.filter(|(of, _, _)| of == used);
        read.any(|(_, at, content)| used.part(*content) != want && *at < version)
    }

    /// Not with what another one was seen to fail with.
    fn halted(&self, own: &Rules, found: &mut Vec<String>) {
        let manual_overrides = [annotation::RESTART_NOW, annotation::RESUME, annotation::SKIP];
        if !own.halt || self.pulled(&manual_overrides) {
            return;
        }
        for other in self.cluster.deployments.values() {
            let same = other.reference.namespace == self.known.reference.namespace;
            let pulled = manual_overrides
                .iter()
                .any(|manual_override| other.annotations.contains_key(*manual_override));
            if !same || other.reference == self.known.reference || pulled || !other.ours.rolling {
                continue;
            }
            let shown = self
                .shown
                .failed
                .get(&other.reference)
                .is_some_and(|at| at + 500 < self.decided);
            let failed = shown && other.has_failed();
            if failed
                && other
                    .ours
                    .causes
                    .iter()
                    .any(|it| it.1.is_some() && self.causes.contains(it))
            {
                found.push(format!("restarted with what {} failed with", other.reference.name));
            }
        }
    }
}
