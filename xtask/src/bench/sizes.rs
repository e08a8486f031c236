//! How much of everything there is, and how much is done to it, checked once.

use anyhow::{Result, bail, ensure};
use serde::Serialize;

use super::{options::Options, set::Set};
use crate::kinds::Kind;

/// A workload that restarts more often within ten minutes is taken for one that flaps, and held.
const CHANGES_PER_WORKLOAD: usize = 5;

/// Changes of each before anything counts, per kind of source: connections are made, caches are warm.
pub const WARM_UP: usize = 10;

/// Changes of Windlass beside warm-up and rounds: after CronJobs, after the quiet, after the restart.
const SINGLE_CHANGES: usize = 3;

/// As many as fit into one object.
pub const WIDE_KEYS: usize = 75_000;

/// How much there is of everything; part of the JSON file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Named beside the sizes.
    #[serde(skip)]
    pub set: Set,
    /// Those of the floor not counted.
    #[serde(skip_serializing_if = "is_zero")]
    pub configmaps: usize,
    /// Of as many keys as fit into one object; nobody uses them.
    #[serde(skip_serializing_if = "is_zero")]
    pub wide_configmaps: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub secrets: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub deployments: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub statefulsets: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub daemonsets: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub cronjobs: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub floor_deployments: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub rounds: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub burst: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub one_at_a_time: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub without_nudge: usize,
    pub idle_seconds: u64,
    pub quiet_seconds: u64,
    pub rollouts: bool,
}

impl Sizes {
    /// The sizes that nobody asked to be different; 0 is what does not exist in the set.
    fn of(set: Set) -> Self {
        let default = Self {
            set,
            configmaps: 10_000,
            wide_configmaps: 0,
            secrets: 0,
            deployments: 5_000,
            statefulsets: 0,
            daemonsets: 0,
            cronjobs: 0,
            floor_deployments: 500,
            rounds: 5,
            burst: 200,
            one_at_a_time: 100,
            without_nudge: 0,
            idle_seconds: 5,
            quiet_seconds: 100,
            rollouts: false,
        };
        match set {
            Set::Default => default,
            Set::Mixed => Self {
                configmaps: 5_000,
                secrets: 5_000,
                deployments: 2_000,
                statefulsets: 1_000,
                daemonsets: 500,
                cronjobs: 500,
                ..default
            },
            Set::FanOut => Self {
                configmaps: 0,
                deployments: 1_000,
                floor_deployments: 0,
                burst: 0,
                one_at_a_time: 0,
                idle_seconds: 0,
                quiet_seconds: 0,
                ..default
            },
            Set::InPlace => Self {
                configmaps: 0,
                deployments: 0,
                floor_deployments: 0,
                rounds: 0,
                burst: 0,
                one_at_a_time: 50,
                without_nudge: 3,
                idle_seconds: 0,
                quiet_seconds: 0,
                ..default
            },
        }
    }

    /// Fails on what cannot be measured, and on options that would be ignored.
    pub fn new(options: &Options) -> Result<Self> {
        let set = options.set;
        let defaults = Self::of(set);
        let size = |name: &str, given: Option<usize>, default: usize| match given {
            Some(_) if default == 0 => bail!("--{name} has no meaning with --set {}", set.word()),
            Some(0) => bail!("--{name} must be at least 1"),
            given => Ok(given.unwrap_or(default)),
        };
        let seconds = |name: &str, given: Option<u64>, default: u64| match given {
            Some(_) if default == 0 => bail!("--{name} has no meaning with --set {}", set.word()),
            given => Ok(given.unwrap_or(default)),
        };
        let mut sizes = Self {
            set,
            configmaps: size("configmaps", options.configmaps, defaults.configmaps)?,
            wide_configmaps: options.wide_configmaps.unwrap_or_default(),
            secrets: size("secrets", options.secrets, defaults.secrets)?,
            deployments: size("deployments", options.deployments, defaults.deployments)?,
            statefulsets: size("statefulsets", options.statefulsets, defaults.statefulsets)?,
            daemonsets: size("daemonsets", options.daemonsets, defaults.daemonsets)?,
            cronjobs: size("cronjobs", options.cronjobs, defaults.cronjobs)?,
            floor_deployments: size(
                "floor-deployments",
                options.floor_deployments,
                defaults.floor_deployments,
            )?,
            rounds: size("rounds", options.rounds, defaults.rounds)?,
            burst: size("burst", options.burst, defaults.burst)?,
            one_at_a_time: size("one-at-a-time", options.one_at_a_time, defaults.one_at_a_time)?,
            without_nudge: match options.without_nudge {
                Some(0) if set == Set::InPlace => 0,
                given => size("without-nudge", given, defaults.without_nudge)?,
            },
            idle_seconds: seconds("idle", options.idle, defaults.idle_seconds)?,
            quiet_seconds: seconds("quiet", options.quiet, defaults.quiet_seconds)?,
            rollouts: options.rollouts,
        };
        ensure!(
            !sizes.rollouts || set == Set::Default,
            "--rollouts has no meaning with --set {}",
            set.word()
        );
        ensure!(
            options.wide_configmaps.is_none() || set == Set::Default,
            "--wide-configmaps has no meaning with --set {}",
            set.word()
        );
        if set == Set::FanOut {
            // The time until the last of them compares only when they are as many.
            sizes.floor_deployments = sizes.deployments;
        }
        sizes.check()?;
        Ok(sizes)
    }

    /// The kinds that Windlass rolls, with how many there are.
    pub fn rolled(&self) -> Vec<(Kind, usize)> {
        [
            (Kind::Deployment, self.deployments),
            (Kind::StatefulSet, self.statefulsets),
            (Kind::DaemonSet, self.daemonsets),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect()
    }

    /// All kinds that opt in, with how many there are.
    pub fn opted_in(&self) -> Vec<(Kind, usize)> {
        let mut kinds = self.rolled();
        kinds.push((Kind::CronJob, self.cronjobs));
        kinds
    }

    /// Whether each workload mounts a second ConfigMap of its own.
    pub fn mounts_files(&self) -> bool {
        self.configmaps >= 2 * sum(&self.opted_in())
    }

    /// Whether each workload of Windlass uses a Secret as well.
    pub fn has_secrets(&self) -> bool {
        self.secrets > 0
    }

    /// For people.
    pub fn describe(&self) -> String {
        if self.set == Set::FanOut {
            return format!(
                "one ConfigMap for {} Deployments, another for {} of the floor",
                self.deployments, self.floor_deployments
            );
        }
        if self.set == Set::InPlace {
            return format!(
                "{} changes of one pod each, {} without a nudge",
                self.one_at_a_time, self.without_nudge
            );
        }
        let mut parts = vec![format!("{} ConfigMaps", self.configmaps)];
        if self.wide_configmaps > 0 {
            parts.push(format!("{} of {WIDE_KEYS} keys each", self.wide_configmaps));
        }
        if self.has_secrets() {
            parts.push(format!("{} Secrets", self.secrets));
        }
        let workloads = self.opted_in().into_iter().filter(|(_, count)| *count > 0);
        parts.extend(workloads.map(|(kind, count)| format!("{count} {}s", kind.word())));
        parts.push(format!("{} for the floor", self.floor_deployments));
        parts.join(", ")
    }

    fn check(&self) -> Result<()> {
        if self.set == Set::FanOut {
            ensure!(
                self.rounds <= CHANGES_PER_WORKLOAD,
                "each of {} rounds restarts each Deployment, and more than {CHANGES_PER_WORKLOAD} restarts are rightly \
                 taken for flapping; make it fewer --rounds",
                self.rounds
            );
            return Ok(());
        }
        if self.set == Set::InPlace {
            return Ok(());
        }
        let workloads = sum(&self.opted_in());
        let each = if self.set == Set::Default { 2 } else { 1 };
        ensure!(
            self.configmaps >= each * workloads,
            "--configmaps must be at least {}: {each} for each of {workloads} workloads",
            each * workloads
        );
        ensure!(
            !self.has_secrets() || self.secrets >= workloads,
            "--secrets must be at least {workloads}: one for each workload"
        );
        self.check_changes()
    }

    /// Changes go to the kinds in turn, so the smallest kind sets the limits.
    fn check_changes(&self) -> Result<()> {
        let Self {
            burst,
            floor_deployments,
            ..
        } = *self;
        ensure!(
            burst <= floor_deployments,
            "--burst {burst} needs as many --floor-deployments: each changes once in a burst"
        );
        let rolled = self.rolled();
        let changes = self.changes();
        for (kind, count) in &rolled {
            let at_once = burst.div_ceil(rolled.len());
            ensure!(
                at_once <= *count,
                "--burst {burst} needs {at_once} --{}: each changes once in a burst",
                kind.plural()
            );
            let each = changes.div_ceil(rolled.len());
            ensure!(
                each <= CHANGES_PER_WORKLOAD * count,
                "{each} changes over {count} {}s are more than {CHANGES_PER_WORKLOAD} each, which Windlass rightly \
                 takes for flapping; give it more --{}",
                kind.word(),
                kind.plural()
            );
        }
        Ok(())
    }

    /// How many changes Windlass acts on in the whole run.
    fn changes(&self) -> usize {
        let sources = if self.has_secrets() { 2 } else { 1 };
        let series = WARM_UP + self.rounds * (self.one_at_a_time + self.burst);
        sources * series + self.rounds + SINGLE_CHANGES
    }
}

fn sum(kinds: &[(Kind, usize)]) -> usize {
    kinds.iter().map(|(_, count)| count).sum()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde lends what it asks about")]
fn is_zero(size: &usize) -> bool {
    *size == 0
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::{Options, Sizes};

    fn sizes(arguments: &str) -> Result<Sizes, String> {
        let command = Options::augment_args(clap::Command::new("bench").no_binary_name(true));
        let matches = command.try_get_matches_from(arguments.split_whitespace()).unwrap();
        Sizes::new(&Options::from_arg_matches(&matches).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_set_can_be_measured_at_its_own_sizes() {
        for (arguments, expected) in [
            ("", "10000 ConfigMaps, 5000 Deployments, 500 for the floor"),
            (
                "--wide-configmaps 20",
                "10000 ConfigMaps, 20 of 75000 keys each, 5000 Deployments, 500 for the floor",
            ),
            (
                "--set mixed",
                "5000 ConfigMaps, 5000 Secrets, 2000 Deployments, 1000 StatefulSets, 500 DaemonSets, 500 CronJobs, 500 \
                 for the floor",
            ),
            (
                "--set fan-out",
                "one ConfigMap for 1000 Deployments, another for 1000 of the floor",
            ),
            ("--set in-place", "50 changes of one pod each, 3 without a nudge"),
            (
                "--set in-place --one-at-a-time 5 --without-nudge 0",
                "5 changes of one pod each, 0 without a nudge",
            ),
        ] {
            assert_eq!(
                sizes(arguments).map(|sizes| sizes.describe()),
                Ok(expected.to_owned()),
                "{arguments}"
            );
        }
    }

    #[test]
    fn what_would_be_ignored_or_cannot_be_measured_is_refused() {
        for (arguments, expected) in [
            ("--secrets 1", "--secrets has no meaning with --set default"),
            ("--set fan-out --burst 10", "--burst has no meaning with --set fan-out"),
            ("--set fan-out --quiet 100", "--quiet has no meaning with --set fan-out"),
            ("--without-nudge 0", "--without-nudge has no meaning with --set default"),
            (
                "--set in-place --rounds 2",
                "--rounds has no meaning with --set in-place",
            ),
            (
                "--set mixed --wide-configmaps 20",
                "--wide-configmaps has no meaning with --set mixed",
            ),
            ("--set mixed --rollouts", "--rollouts has no meaning with --set mixed"),
            ("--set mixed --cronjobs 0", "--cronjobs must be at least 1"),
            ("--configmaps 9999", "--configmaps must be at least 10000"),
            ("--set mixed --secrets 3999", "--secrets must be at least 4000"),
            ("--deployments 199", "--burst 200 needs 200 --deployments"),
            (
                "--floor-deployments 199",
                "--burst 200 needs as many --floor-deployments",
            ),
            ("--set mixed --daemonsets 66", "--burst 200 needs 67 --daemonsets"),
            ("--set mixed --daemonsets 100", "more than 5 each"),
            ("--deployments 300", "more than 5 each"),
            ("--set fan-out --rounds 6", "make it fewer --rounds"),
        ] {
            let refused = sizes(arguments).expect_err(arguments);
            assert!(refused.contains(expected), "{arguments}: {refused}");
        }
    }
}
