//! The sets: what is in the cluster, and what is measured.

use clap::ValueEnum;
use serde::Serialize;

/// What is in the cluster, and what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Set {
    /// Deployments with two ConfigMaps of their own each.
    Default,
    /// Deployments, StatefulSets, DaemonSets and CronJobs with ConfigMaps and Secrets.
    Mixed,
    /// One ConfigMap that all Deployments use.
    FanOut,
    /// Mounted ConfigMaps of pods that run, on a real kubelet; needs root.
    InPlace,
}

impl Set {
    /// As it is said on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Mixed => "mixed",
            Self::FanOut => "fan-out",
            Self::InPlace => "in-place",
        }
    }
}
