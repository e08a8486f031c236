//! How the controller runs, checked: nothing in it can be wrong any more.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::ops::{LogFormat, LogLevel};

/// How the controller runs: the flags of `windlass controller`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerConfig {
    /// Namespaces to work in, sorted, each once. Empty: all.
    pub namespaces: Vec<String>,
    /// How long changes are gathered from the first one on, before a rollout. 0 s to 1 h.
    pub settle: Duration,
    /// How many writes run at once. 1 to 256.
    pub write_concurrency: usize,
    /// How often everything is decided again from memory. 1 s to 24 h.
    pub resync: Duration,
    /// Decide and report, but roll out nothing.
    pub observe_only: bool,
    /// The Lease's name, a DNS subdomain; names of other objects are made from it.
    pub lease_name: String,
    /// The namespace of the Lease and of the digest key. `None`: the one Windlass runs in, else the
    /// kubeconfig context's.
    pub lease_namespace: Option<String>,
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
