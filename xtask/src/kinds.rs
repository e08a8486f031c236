//! The kinds of workloads that demo and bench deal with, and how one workload is named.

use std::fmt;

use windlass_core::workload::kind::KindId;

/// A kind that holds a pod template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
    /// `batch/v1` CronJob: its next run reads the present content, so nobody has to restart it.
    CronJob,
}

impl Kind {
    /// Kubernetes' word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::CronJob => "CronJob",
        }
    }

    /// What Windlass' own table says of it; all of them are served as `v1`.
    fn row(self) -> &'static windlass_core::workload::kind::Kind {
        let built_in = KindId::named(self.word()).expect("Windlass rolls out what demo and bench deal with");
        built_in.row()
    }

    /// Its API group.
    pub fn group(self) -> &'static str {
        self.row().group
    }

    /// Its name in URLs.
    pub fn plural(self) -> &'static str {
        self.row().plural
    }

    /// Where those of a namespace are.
    pub fn path(self, namespace: &str) -> String {
        format!("/apis/{}/v1/namespaces/{namespace}/{}", self.group(), self.plural())
    }
}

/// One workload; which namespace is clear from the place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkloadRef {
    /// Its kind.
    pub kind: Kind,
    /// Unique within the kind.
    pub name: String,
}

impl WorkloadRef {
    /// The Deployment of that name.
    pub fn deployment(name: &str) -> Self {
        Self {
            kind: Kind::Deployment,
            name: name.to_owned(),
        }
    }
}

/// Without a kind a Deployment is meant, as most of them are.
impl From<&str> for WorkloadRef {
    fn from(name: &str) -> Self {
        Self::deployment(name)
    }
}

impl From<(Kind, &str)> for WorkloadRef {
    fn from((kind, name): (Kind, &str)) -> Self {
        Self {
            kind,
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind.word(), self.name)
    }
}
