//! How the controller runs: one field a flag.
//!
//! A field has all of its flag: type, name, help, default, environment variable and parser. What flags have to be
//! together is checked by [`ControllerConfig::check`], once, right after they were read; from then on nothing in
//! it can be wrong.

#![expect(
    clippy::doc_markdown,
    reason = "the comments are what --help shows, where backticks are noise"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{ArgAction, Args};
use kube::core::Selector;
use windlass_core::compat::Compat;
use windlass_core::content::baseline::RESTARTS_KEPT;
use windlass_core::decide::PresencePolicy;
use windlass_core::lease::LeaseTimes;
use windlass_core::types::duration::format;
use windlass_core::types::name::Namespace;
use windlass_core::workload::kind::KindId;

use crate::flags::{Conflict, List, NotAccepted, Optional, SecretNotAccepted, duration, list, number, optional, path};
use crate::k8s::names::{is_label, is_subdomain};
use crate::k8s::selector;
use crate::ops::{Endpoint, LogFormat, LogLevel, Notifications};
use crate::scope::{ClusterPolicies, CustomKind, Scope, SourceKinds, WorkloadKind};

#[cfg(test)]
mod tests;

/// How long one request may take. A stop waits for those under way, and has 10 s in all.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// What the longest name is that is made from the Lease's name: this is added to it.
const LONGEST_SUFFIX: &str = "-digest-key";

/// All kinds in the table of kinds.
static KINDS: LazyLock<String> = LazyLock::new(|| {
    let kinds = KindId::built_in().map(|kind| kind.row().kind);
    kinds.collect::<Vec<_>>().join(",")
});

/// The long help of `--workload-kinds`: a doc comment cannot take the kinds from the table.
static KINDS_HELP: LazyLock<String> = LazyLock::new(|| {
    let (others, last) = KINDS.rsplit_once(',').unwrap_or_default();
    let others = others.replace(',', ", ");
    format!(
        "Kinds of workloads to roll out. Rollout is Argo Rollouts; it may be installed later.\n\n\
         Accepts some of {others} and {last}, separated by commas."
    )
});

/// How the controller runs: the flags of `windlass controller`, checked.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct ControllerConfig {
    /// What to watch.
    #[command(flatten)]
    pub watch: Watch,
    /// When and how fast to roll out.
    #[command(flatten)]
    pub rollouts: Rollouts,
    /// How to update files of running pods.
    #[command(flatten)]
    pub in_place: InPlace,
    /// Which of several replicas writes.
    #[command(flatten)]
    pub lease: LeaderElection,
    /// Where to send notifications.
    #[command(flatten)]
    pub notifications: Notifications,
    /// What the process shows of itself.
    #[command(flatten)]
    pub observability: Observability,
    /// How to reach the API server.
    #[command(flatten)]
    pub connection: Connection,
}

/// What to watch.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "What to watch")]
pub struct Watch {
    /// Namespaces to watch; empty means all.
    ///
    /// Accepts namespace names, separated by commas.
    #[arg(long, env = "WINDLASS_NAMESPACES", value_name = "NAME,...", default_value = "", value_parser = list(namespace))]
    pub namespaces: List<Namespace>,
    /// Namespaces to ignore.
    ///
    /// Accepts namespace names, separated by commas.
    #[arg(long, env = "WINDLASS_EXCLUDE_NAMESPACES", value_name = "NAME,...", default_value = "", value_parser = list(namespace))]
    pub exclude_namespaces: List<Namespace>,
    /// Watch only namespaces with these labels; empty means all.
    ///
    /// Accepts a label selector, such as team=web or env in (dev,test); not with --namespaces.
    #[arg(long, env = "WINDLASS_NAMESPACE_SELECTOR", value_name = "SELECTOR", default_value = "", value_parser = optional(selector::parse))]
    pub namespace_selector: Optional<Selector>,
    /// Apply ClusterRolloutPolicy objects.
    ///
    /// By default they are required; with --namespaces, they apply if they are readable.
    ///
    /// Accepts true or false; false only with --namespaces.
    #[arg(long, env = "WINDLASS_CLUSTER_POLICIES", value_name = "BOOL", default_value = "")]
    pub cluster_policies: ClusterPolicies,
    /// Kinds of objects whose changes trigger rollouts.
    ///
    /// Accepts configmaps, secrets or both, separated by commas.
    #[arg(
        long,
        env = "WINDLASS_SOURCES",
        value_name = "KIND,...",
        default_value = "configmaps,secrets"
    )]
    pub sources: SourceKinds,
    /// Watch only ConfigMaps and Secrets with these labels; empty means all.
    ///
    /// Accepts a label selector, such as team=web or env in (dev,test).
    #[arg(long, env = "WINDLASS_SOURCE_SELECTOR", value_name = "SELECTOR", default_value = "", value_parser = optional(selector::parse))]
    pub source_selector: Optional<Selector>,
    /// Kinds of workloads to roll out. Rollout is Argo Rollouts; it may be installed later.
    #[arg(long, long_help = KINDS_HELP.as_str(), env = "WINDLASS_WORKLOAD_KINDS", value_name = "KIND,...", default_value = KINDS.as_str(), value_parser = list(KindId::named))]
    pub workload_kinds: List<KindId>,
    /// Another kind of workload with the path of its pod template; can be repeated.
    ///
    /// Accepts GROUP/VERSION/KIND=.PATH of kinds that are not built in, such as
    /// apps.example.org/v1/Service=.spec.template, separated by commas.
    #[arg(
        long,
        env = "WINDLASS_WORKLOAD_KIND",
        value_name = "GROUP/VERSION/KIND=.PATH",
        value_delimiter = ','
    )]
    pub workload_kind: Vec<CustomKind>,
    /// Other controllers whose annotations to support.
    ///
    /// Accepts reloader, wave or both, separated by commas.
    #[arg(long, env = "WINDLASS_COMPAT", value_name = "NAME,...", default_value = "", value_parser = compat)]
    pub compat: Compat,
    /// Also roll out workloads without annotations, like Reloader's auto-reload-all.
    ///
    /// Accepts true or false; true needs --compat reloader.
    #[arg(long, env = "WINDLASS_COMPAT_AUTO_RELOAD_ALL", value_name = "BOOL", action = ArgAction::Set, default_value_t = false)]
    pub compat_auto_reload_all: bool,
    /// Treat the creation of an optional ConfigMap or Secret as a change.
    ///
    /// Accepts true or false.
    #[arg(long, env = "WINDLASS_ON_CREATE", value_name = "BOOL", action = ArgAction::Set, default_value_t = true)]
    pub on_create: bool,
    /// Treat the deletion of an optional ConfigMap or Secret as a change.
    ///
    /// Accepts true or false.
    #[arg(long, env = "WINDLASS_ON_DELETE", value_name = "BOOL", action = ArgAction::Set, default_value_t = true)]
    pub on_delete: bool,
    /// Let workloads use sources of other namespaces that allow it with windlass.dev/allow-from.
    ///
    /// Accepts true or false.
    #[arg(long, env = "WINDLASS_ALLOW_CROSS_NAMESPACE", value_name = "BOOL", action = ArgAction::Set, default_value_t = false)]
    pub allow_cross_namespace: bool,
}

/// When and how fast to roll out.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "Rollouts")]
pub struct Rollouts {
    /// Report decisions, but never roll out.
    ///
    /// Accepts true or false.
    #[arg(long, env = "WINDLASS_OBSERVE_ONLY", value_name = "BOOL", action = ArgAction::Set, default_value_t = false)]
    pub observe_only: bool,
    /// Collect changes for this long after the first, then roll out once.
    ///
    /// Accepts a duration from 0s to 1h, such as 500ms, 2s or 1m30s.
    #[arg(long, env = "WINDLASS_SETTLE", value_name = "DURATION", default_value = "2s", value_parser = duration(Duration::ZERO..=Duration::from_hours(1)))]
    pub settle: Duration,
    /// Restarts of one workload within ten minutes after which further ones are delayed.
    ///
    /// Accepts a whole number from 0 to 10; 0 means no limit.
    #[arg(long, env = "WINDLASS_FLAP_LIMIT", value_name = "COUNT", default_value = "5", value_parser = number(0..=RESTARTS_KEPT))]
    pub flap_limit: usize,
    /// Workloads that roll out at the same time.
    ///
    /// Accepts a whole number; 0 means no limit.
    #[arg(long, env = "WINDLASS_MAX_PARALLEL", value_name = "COUNT", default_value = "20", value_parser = number(0..=usize::MAX))]
    pub max_parallel: usize,
    /// Concurrent writes to the API server.
    ///
    /// Accepts a whole number from 1 to 256.
    #[arg(long, env = "WINDLASS_WRITE_CONCURRENCY", value_name = "COUNT", default_value = "16", value_parser = number(1..=256_usize))]
    pub write_concurrency: usize,
    /// Decide every workload again at this interval, from memory and without requests.
    ///
    /// Accepts a duration from 1s to 24h, such as 30s, 10m or 1h30m.
    #[arg(long, env = "WINDLASS_RESYNC", value_name = "DURATION", default_value = "10m", value_parser = duration(Duration::from_secs(1)..=Duration::from_hours(24)))]
    pub resync: Duration,
}

/// How to update files of running pods.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "In-place updates")]
pub struct InPlace {
    /// Concurrent requests to agents and applications in pods.
    ///
    /// Accepts a whole number from 1 to 1024.
    #[arg(long, env = "WINDLASS_AGENT_CONCURRENCY", value_name = "COUNT", default_value = "32", value_parser = number(1..=1024_usize))]
    pub agent_concurrency: usize,
}

/// Which of several replicas writes.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "Leader election")]
pub struct LeaderElection {
    /// Elect one replica to write; the others stand by.
    ///
    /// Accepts true or false.
    #[arg(long = "leader-election", env = "WINDLASS_LEADER_ELECTION", value_name = "BOOL", action = ArgAction::Set, default_value_t = false)]
    enabled: bool,
    /// Name of the Lease, unique to this installation.
    ///
    /// Accepts a DNS subdomain of at most 242 characters (a-z, 0-9, - and .).
    #[arg(long = "lease-name", env = "WINDLASS_LEASE_NAME", value_name = "NAME", default_value = "windlass", value_parser = lease_name)]
    pub name: String,
    /// Namespace of the Lease and the digest key; empty means that of Windlass.
    ///
    /// Accepts a namespace name.
    #[arg(long = "lease-namespace", env = "WINDLASS_LEASE_NAMESPACE", value_name = "NAME", default_value = "", value_parser = optional(namespace))]
    pub namespace: Optional<Namespace>,
    /// Time after which another replica replaces a leader that does not renew the Lease.
    ///
    /// Accepts a duration of whole seconds from 2s to 1h.
    #[arg(long = "lease-duration", env = "WINDLASS_LEASE_DURATION", value_name = "DURATION", default_value = "15s", value_parser = lease_duration)]
    duration: Duration,
    /// Time after which a leader that cannot renew the Lease stops.
    ///
    /// Accepts a duration of at most 15/16 of --lease-duration.
    #[arg(long = "lease-renew-deadline", env = "WINDLASS_LEASE_RENEW_DEADLINE", value_name = "DURATION", default_value = "10s", value_parser = duration(Duration::ZERO..=*LeaseTimes::DURATION.end()))]
    renew_deadline: Duration,
    /// Interval at which the leader renews the Lease.
    ///
    /// Accepts a duration of more than 0s and at most half of --lease-renew-deadline.
    #[arg(long = "lease-retry-period", env = "WINDLASS_LEASE_RETRY_PERIOD", value_name = "DURATION", default_value = "2s", value_parser = duration(Duration::ZERO..=*LeaseTimes::DURATION.end()))]
    retry_period: Duration,
    /// How long the election's lease lasts. `None`: there is one replica.
    #[arg(skip)]
    pub times: Option<LeaseTimes>,
}

/// What the process shows of itself.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "Observability")]
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "`--help` shows these texts, with their brackets"
)]
pub struct Observability {
    /// Base URL of an OpenTelemetry collector; receives one trace per change.
    #[cfg_attr(
        feature = "otel",
        doc = "\n\nAccepts a URL http(s)://HOST[:PORT]/PATH without a user, to which /v1/traces is added."
    )]
    #[cfg_attr(
        not(feature = "otel"),
        doc = "\n\nAccepts nothing: this build lacks the feature otel."
    )]
    #[arg(long, env = "WINDLASS_OTLP_ENDPOINT", value_name = "URL", default_value = "", value_parser = collector)]
    pub otlp_endpoint: Optional<Endpoint>,
    /// Address of /livez, /readyz and /metrics.
    ///
    /// Accepts an IP address and a port, such as [::]:8080 or 127.0.0.1:8080.
    #[arg(
        long,
        env = "WINDLASS_ADMIN_ADDRESS",
        value_name = "ADDRESS",
        default_value = "[::]:8080"
    )]
    pub admin_address: SocketAddr,
    /// Format of log lines.
    ///
    /// Accepts text or json.
    #[arg(long, env = "WINDLASS_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// What to log.
    ///
    /// Accepts off, error, warn, info, debug or trace, then TARGET=LEVEL, such as info,kube=debug.
    #[arg(long, env = "WINDLASS_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: LogLevel,
}

/// How to reach the API server.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "Connection to the API server")]
pub struct Connection {
    /// Kubeconfig file; empty means KUBECONFIG, then ~/.kube/config, then the service account of the pod.
    ///
    /// Accepts a path.
    #[arg(long, env = "WINDLASS_KUBECONFIG", value_name = "PATH", default_value = "", value_parser = path())]
    pub kubeconfig: Optional<PathBuf>,
    /// Context of the kubeconfig; empty means its current context.
    ///
    /// Accepts a context name.
    #[arg(long, env = "WINDLASS_CONTEXT", value_name = "NAME", default_value = "", value_parser = optional(|text| Some(text.to_owned())))]
    pub context: Optional<String>,
}

impl ControllerConfig {
    /// Checks what flags have to be together, and settles what follows from several of them.
    ///
    /// # Errors
    /// The first flag that does not fit to the others.
    pub fn check(&mut self) -> Result<(), Conflict> {
        self.watch.check()?;
        self.lease.check()
    }
}

impl Watch {
    fn check(&mut self) -> Result<(), Conflict> {
        let named = !self.namespaces.is_empty();
        let excluded = &self.exclude_namespaces;
        self.namespaces.retain(|namespace| !excluded.contains(namespace));
        if named && self.namespaces.is_empty() {
            return Err(Conflict::new("exclude-namespaces", "excludes all of --namespaces"));
        }
        if named && self.namespace_selector.is_some() {
            return Err(Conflict::new("namespace-selector", "not with --namespaces"));
        }
        self.cluster_policies = match self.cluster_policies {
            ClusterPolicies::Ignored if !named => {
                return Err(Conflict::new("cluster-policies", "false needs --namespaces"));
            }
            ClusterPolicies::IfPermitted if !named => ClusterPolicies::Required,
            given => given,
        };
        if self.compat_auto_reload_all && !self.compat.reloader {
            return Err(Conflict::new("compat-auto-reload-all", "true needs --compat reloader"));
        }
        self.compat.auto_reload_all = self.compat_auto_reload_all;
        Ok(())
    }

    /// The kinds of workloads, built in and described.
    fn kinds(&self) -> Vec<WorkloadKind> {
        let built_in = self.workload_kinds.iter().copied().map(WorkloadKind::BuiltIn);
        let described = self.workload_kind.iter().cloned().map(WorkloadKind::Custom);
        built_in.chain(described).collect()
    }

    /// What is to be watched.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope {
            namespaces: self.namespaces.clone(),
            exclude_namespaces: self.exclude_namespaces.clone(),
            namespace_selector: self.namespace_selector.clone(),
            cluster_policies: self.cluster_policies,
            sources: self.sources,
            workload_kinds: self.kinds(),
        }
    }

    /// Whether creation and deletion of sources count.
    #[must_use]
    pub fn presence(&self) -> PresencePolicy {
        PresencePolicy {
            on_create: self.on_create,
            on_delete: self.on_delete,
        }
    }
}

impl LeaderElection {
    fn check(&mut self) -> Result<(), Conflict> {
        let (lease, deadline, retry) = (self.duration, self.renew_deadline, self.retry_period);
        let fits = |retry| LeaseTimes::new(lease, deadline, retry, REQUEST_TIMEOUT).ok();
        let wrong = |flag, given: Duration, whose| {
            let given = format(given);
            Err(Conflict::new(flag, format!("{given} does not fit to {whose}")))
        };
        // With the half of it, the longest that is accepted, only the deadline itself can be wrong.
        if fits(deadline / 2).is_none() {
            return wrong("lease-renew-deadline", deadline, "--lease-duration");
        }
        let Some(times) = fits(retry) else {
            return wrong("lease-retry-period", retry, "--lease-renew-deadline");
        };
        self.times = self.enabled.then_some(times);
        Ok(())
    }
}

fn namespace(text: &str) -> Option<Namespace> {
    is_label(text).then(|| text.into())
}

fn lease_name(text: &str) -> Result<String, NotAccepted> {
    let good = is_subdomain(text, LONGEST_SUFFIX.len());
    good.then(|| text.to_owned()).ok_or(NotAccepted)
}

fn lease_duration(text: &str) -> Result<Duration, NotAccepted> {
    let whole = |it: &Duration| it.subsec_nanos() == 0;
    duration(LeaseTimes::DURATION)(text).and_then(|it| whole(&it).then_some(it).ok_or(NotAccepted))
}

fn compat(text: &str) -> Result<Compat, NotAccepted> {
    let words = list(|word| ["reloader", "wave"].into_iter().find(|known| *known == word))(text)?;
    Ok(Compat {
        reloader: words.contains(&"reloader"),
        wave: words.contains(&"wave"),
        auto_reload_all: false,
    })
}

/// Where the collector takes traces (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>).
#[cfg(feature = "otel")]
fn collector(text: &str) -> Result<Option<Endpoint>, SecretNotAccepted> {
    match text.trim() {
        "" => Ok(None),
        base => {
            let endpoint = format!("{}/v1/traces", base.trim_end_matches('/')).parse();
            endpoint.map(Some).map_err(|_| SecretNotAccepted)
        }
    }
}

/// To say nothing would leave somebody waiting for traces.
#[cfg(not(feature = "otel"))]
fn collector(text: &str) -> Result<Option<Endpoint>, SecretNotAccepted> {
    if text.is_empty() {
        Ok(None)
    } else {
        Err(SecretNotAccepted)
    }
}
