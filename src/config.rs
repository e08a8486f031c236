//! How the controller runs, checked: nothing in it can be wrong any more.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use windlass_core::compat::Compat;
use windlass_core::decide::Presence;
use windlass_core::lease::Times;

use crate::ops::{LogFormat, LogLevel, Notifications};
use crate::scope::{ClusterPolicies, Scope, Sources, WorkloadKind};

/// How long one request may take. A stop waits for those under way, and has 10 s in all.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

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

impl ControllerConfig {
    /// What is to be watched.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope {
            namespaces: self.namespaces.clone(),
            exclude_namespaces: self.exclude_namespaces.clone(),
            namespace_selector: self.namespace_selector.clone(),
            cluster_policies: self.cluster_policies,
            sources: self.sources,
            workload_kinds: self.workload_kinds.clone(),
        }
    }
}
