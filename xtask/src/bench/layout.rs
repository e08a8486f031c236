//! Names, and who uses what. Each workload has sources of its own, except in the fan-out set.

use std::{collections::BTreeSet, fmt};

use super::{NAMESPACE, set::Set, sizes::Sizes};
use crate::kinds::{Kind, WorkloadRef};

/// What the name of a ConfigMap that feeds an environment has more than its workload's.
pub const ENVIRONMENT_SUFFIX: &str = "-environment";
/// The same for the one that is mounted.
pub const FILES_SUFFIX: &str = "-files";
const SECRET_SUFFIX: &str = "-secret";
/// The key that the measurements change.
pub const USED_KEY: &str = "level";

/// Who acts on a set of workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The bare loop.
    Floor,
    /// The controller.
    Windlass,
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Floor => "floor",
            Self::Windlass => "windlass",
        })
    }
}

impl Subject {
    /// Its n-th workload of that kind. Sources are named after it, so the name tells the kinds apart.
    pub fn workload(self, kind: Kind, index: usize) -> WorkloadRef {
        let name = match kind {
            Kind::Deployment => format!("{self}-{index:05}"),
            _ => format!("{self}-{}-{index:05}", kind.word().to_lowercase()),
        };
        WorkloadRef { kind, name }
    }

    /// All its workloads of these kinds.
    pub fn workloads(self, kinds: &[(Kind, usize)]) -> impl Iterator<Item = WorkloadRef> {
        kinds
            .iter()
            .flat_map(move |(kind, count)| (0..*count).map(move |index| self.workload(*kind, index)))
    }

    /// The ConfigMap that all its Deployments use in the fan-out set; [`USED_KEY`] counts.
    pub fn shared(self) -> &'static str {
        match self {
            Self::Floor => "floor-shared",
            Self::Windlass => "shared",
        }
    }
}

/// What the measurements change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    ConfigMap,
    Secret,
}

impl Source {
    /// The one that this workload alone uses; [`USED_KEY`] counts.
    pub fn of(self, workload: &WorkloadRef) -> String {
        let suffix = match self {
            Self::ConfigMap => ENVIRONMENT_SUFFIX,
            Self::Secret => SECRET_SUFFIX,
        };
        format!("{}{suffix}", workload.name)
    }

    /// Where those of the bench are.
    pub fn path(self) -> String {
        let plural = match self {
            Self::ConfigMap => "configmaps",
            Self::Secret => "secrets",
        };
        format!("/api/v1/namespaces/{NAMESPACE}/{plural}")
    }
}

/// What a workload uses.
pub struct Uses {
    /// A ConfigMap of which one key feeds the environment.
    pub environment: String,
    /// A ConfigMap that is mounted.
    pub files: Option<String>,
    /// A Secret, in one way or the other.
    pub secret: Option<SecretUse>,
}

/// How a workload uses its Secret.
pub enum SecretUse {
    /// One key feeds the environment.
    Environment(String),
    /// All of it is mounted.
    Files(String),
}

impl SecretUse {
    fn name(&self) -> &str {
        match self {
            Self::Environment(name) | Self::Files(name) => name,
        }
    }
}

/// A workload that is to be created.
pub struct Placed {
    pub subject: Subject,
    pub workload: WorkloadRef,
    pub uses: Uses,
}

/// Everything that is to be created.
#[derive(Default)]
pub struct Layout {
    pub config_maps: BTreeSet<String>,
    pub secrets: BTreeSet<String>,
    pub workloads: Vec<Placed>,
}

impl Layout {
    /// All of a set.
    pub fn new(sizes: &Sizes) -> Self {
        let mut layout = Self::default();
        for (kind, count) in sizes.opted_in() {
            layout.place(sizes, Subject::Windlass, kind, count);
        }
        // Used by nobody; a cluster has those as well. The floor's come on top.
        let ballast = |used: usize, all: usize| (used..all).map(|index| format!("ballast-{index:05}"));
        let config_maps = ballast(layout.config_maps.len(), sizes.configmaps);
        layout.config_maps.extend(config_maps);
        let secrets = ballast(layout.secrets.len(), sizes.secrets);
        layout.secrets.extend(secrets);
        layout.place(sizes, Subject::Floor, Kind::Deployment, sizes.floor_deployments);
        layout
    }

    fn place(&mut self, sizes: &Sizes, subject: Subject, kind: Kind, count: usize) {
        for index in 0..count {
            let workload = subject.workload(kind, index);
            let uses = uses(sizes, subject, &workload, index);
            self.config_maps.insert(uses.environment.clone());
            self.config_maps.extend(uses.files.clone());
            self.secrets
                .extend(uses.secret.as_ref().map(|secret| secret.name().to_owned()));
            self.workloads.push(Placed {
                subject,
                workload,
                uses,
            });
        }
    }
}

fn uses(sizes: &Sizes, subject: Subject, workload: &WorkloadRef, index: usize) -> Uses {
    if sizes.set == Set::FanOut {
        return Uses {
            environment: subject.shared().to_owned(),
            files: None,
            secret: None,
        };
    }
    let has_files = subject == Subject::Floor || sizes.mounts_files();
    let has_secret = subject == Subject::Windlass && sizes.has_secrets();
    Uses {
        environment: Source::ConfigMap.of(workload),
        files: has_files.then(|| format!("{}{FILES_SUFFIX}", workload.name)),
        secret: has_secret.then(|| {
            let name = Source::Secret.of(workload);
            if index.is_multiple_of(2) {
                SecretUse::Environment(name)
            } else {
                SecretUse::Files(name)
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::{Layout, Subject};
    use crate::bench::{Options, sizes::Sizes};

    fn layout(set: &str) -> Layout {
        let command = Options::augment_args(clap::Command::new("bench").no_binary_name(true));
        let matches = command.try_get_matches_from(["--set", set]).unwrap();
        Layout::new(&Sizes::new(&Options::from_arg_matches(&matches).unwrap()).unwrap())
    }

    #[test]
    fn a_set_has_as_many_objects_as_its_sizes_say() {
        for (set, config_maps, secrets, workloads) in [
            ("default", 10_000 + 1_000, 0, 5_500),
            ("mixed", 5_000 + 1_000, 5_000, 4_500),
            ("fan-out", 2, 0, 2_000),
        ] {
            let layout = layout(set);
            assert_eq!(layout.config_maps.len(), config_maps, "ConfigMaps of {set}");
            assert_eq!(layout.secrets.len(), secrets, "Secrets of {set}");
            assert_eq!(layout.workloads.len(), workloads, "workloads of {set}");
        }
    }

    #[test]
    fn only_workloads_of_windlass_use_secrets() {
        for placed in layout("mixed").workloads {
            assert_eq!(
                placed.uses.secret.is_some(),
                placed.subject == Subject::Windlass,
                "{}",
                placed.workload
            );
        }
    }
}
