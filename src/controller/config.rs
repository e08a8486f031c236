//! How the controller runs, checked: nothing in it can be wrong any more.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use windlass_core::compat::Compat;
use windlass_core::decide::Presence;
use windlass_core::lease::Times;
use windlass_core::workload::kind::KindId;

use crate::ops::{LogFormat, LogLevel, Notifications};

/// How the controller runs: the flags of `windlass controller`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerConfig {
    /// Namespaces to work in, sorted, each once. Empty: all.
    pub namespaces: Vec<String>,
    /// Namespaces to leave alone, sorted, each once.
    pub exclude_namespaces: Vec<String>,
    /// Labels of the namespaces to work in, as a label selector. `None`: whatever they bear.
    pub namespace_selector: Option<String>,
    /// Whether policies of the cluster hold.
    pub cluster_policies: ClusterPolicies,
    /// Kinds of sources whose changes count.
    pub sources: Sources,
    /// Labels of the sources that count, as a label selector. `None`: whatever they bear.
    pub source_selector: Option<String>,
    /// Kinds of workloads to work on.
    pub workload_kinds: Vec<WorkloadKind>,
    /// Whose annotations count besides our own.
    pub compat: Compat,
    /// Whether coming and going of sources counts.
    pub presence: Presence,
    /// Whether workloads may name sources of other namespaces, where these allow it.
    pub allow_cross_namespace: bool,
    /// How long changes are gathered from the first one on, before a rollout. 0 s to 1 h.
    pub settle: Duration,
    /// How many restarts of one workload within ten minutes are too many. 0: no number is.
    pub flap_limit: usize,
    /// How many workloads roll at a time. 0: no limit.
    pub max_parallel: usize,
    /// How many writes run at once. 1 to 256.
    pub write_concurrency: usize,
    /// How many requests to pods run at once. 1 to 1024.
    pub agent_concurrency: usize,
    /// How often everything is decided again from memory. 1 s to 24 h.
    pub resync: Duration,
    /// Decide and report, but roll out nothing.
    pub observe_only: bool,
    /// How long a lease lasts that one of several replicas holds to write; `None`: there is one replica.
    pub election: Option<Times>,
    /// The Lease's name, a DNS subdomain; names of other objects are made from it.
    pub lease_name: String,
    /// The namespace of the Lease and of the digest key. `None`: the one Windlass runs in, else the
    /// kubeconfig context's.
    pub lease_namespace: Option<String>,
    /// Who is told what happens to workloads.
    pub notifications: Notifications,
    /// The OpenTelemetry collector that is sent traces.
    #[cfg(feature = "otel")]
    pub otlp_endpoint: Option<crate::ops::Endpoint>,
    /// Where `/livez`, `/readyz` and `/metrics` are served. Port 0: any free one.
    pub admin_address: SocketAddr,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_level: LogLevel,
    /// The kubeconfig file. `None`: `KUBECONFIG`, `~/.kube/config`, or the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context. `None`: its current one.
    pub context: Option<String>,
}

/// Whether `ClusterRolloutPolicy` objects hold for the workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterPolicies {
    /// They do. Nothing is restarted before they have been read.
    Required,
    /// They do if they may be read: with `--namespaces`, where nobody said whether there is a right to.
    IfPermitted,
    /// They do not, and are not asked for.
    Ignored,
}

/// Kinds of sources whose changes count; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// `ConfigMap`s.
    pub configmaps: bool,
    /// Secrets. Without them no request on any is made but for our own digest key.
    pub secrets: bool,
}

/// A kind of workloads to work on.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkloadKind {
    /// One that we know.
    BuiltIn(KindId),
    /// One that an operator described.
    Described(Described),
}

/// A kind by `GROUP/VERSION/KIND=.PATH`.
#[derive(Clone, Debug)]
pub struct Described {
    /// API group; empty: the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kubernetes' word for it.
    pub kind: String,
    /// Field names from the object's root down to the pod template.
    pub template: Vec<String>,
    /// Its row for the plural that the API server gave it: a row is made once.
    row: Arc<Mutex<Option<(String, KindId)>>>,
}

impl Described {
    /// A description.
    #[must_use]
    pub fn new(group: &str, version: &str, kind: &str, template: Vec<String>) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            template,
            row: Arc::default(),
        }
    }

    fn identity(&self) -> (&str, &str, &str, &[String]) {
        let Self {
            group,
            version,
            kind,
            template,
            row: _,
        } = self;
        (group, version, kind, template)
    }
}

impl PartialEq for Described {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl WorkloadKind {
    /// Its row in the table of kinds, once its plural is known.
    #[must_use]
    pub fn row(&self, plural: &str) -> KindId {
        let described = match self {
            Self::BuiltIn(kind) => return *kind,
            Self::Described(described) => described,
        };
        let mut row = described.row.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, kind)) = &*row
            && known == plural
        {
            return *kind;
        }
        let Described {
            group,
            version,
            kind,
            template,
            row: _,
        } = described;
        let kind = KindId::described(group, version, kind, plural, template);
        *row = Some((plural.to_owned(), kind));
        kind
    }

    /// Its API group, if that is one of custom resources.
    #[must_use]
    pub fn custom_group(&self) -> Option<String> {
        let group = match self {
            Self::BuiltIn(kind) => kind.row().group,
            Self::Described(described) => &described.group,
        };
        group.contains('.').then(|| group.to_owned())
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(kind) => f.write_str(kind.row().kind),
            Self::Described(described) => f.write_str(&described.kind),
        }
    }
}
