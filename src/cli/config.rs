//! The second layer for the controller: text from flags, environment and defaults becomes a validated
//! configuration.

use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::time::Duration;

use windlass_core::compat::Compat;
use windlass_core::content::baseline::RESTARTS_KEPT;
use windlass_core::decide::Presence;
use windlass_core::lease::Times;
use windlass_core::types::duration;
use windlass_core::workload::kind::KindId;

use super::UsageError;
use super::args::ControllerArgs;
use super::selector::selector;
use super::setting::{Setting, duration_in, flags};
use crate::controller::{ClusterPolicies, ControllerConfig, Described, REQUEST_TIMEOUT, Sources, WorkloadKind};

mod notify;
#[cfg(test)]
mod tests;

const SETTLE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);
const RESYNC: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
const WRITE_CONCURRENCY: RangeInclusive<usize> = 1..=256;
const AGENT_CONCURRENCY: RangeInclusive<usize> = 1..=1024;
/// What a Kubernetes object's name may have.
const MAX_NAME: usize = 253;
/// Names made from the lease's name end in this or in something shorter.
const LONGEST_SUFFIX: &str = "-digest-key";

#[cfg(feature = "otel")]
const OTLP: &str = "a URL http(s)://HOST[:PORT][/PATH] without a user, to which /v1/traces is added";
#[cfg(not(feature = "otel"))]
const OTLP: &str = "nothing: this build has no traces, it was made without the feature otel";

flags! {
    "the controller", "WINDLASS_";
    NAMESPACES: "namespaces", "", "names of namespaces, separated by commas";
    EXCLUDE_NAMESPACES: "exclude-namespaces", "", "names of namespaces, separated by commas";
    NAMESPACE_SELECTOR: "namespace-selector", "", "a label selector, such as team=web or env in (dev,test); not together with --namespaces";
    CLUSTER_POLICIES: "cluster-policies", "", "true or false; false only together with --namespaces";
    SOURCES: "sources", "configmaps,secrets", "configmaps, secrets or both, separated by commas";
    SOURCE_SELECTOR: "source-selector", "", "a label selector, such as team=web or env in (dev,test)";
    WORKLOAD_KINDS: "workload-kinds", "Deployment,StatefulSet,DaemonSet,CronJob,Rollout", "some of Deployment, StatefulSet, DaemonSet, CronJob and Rollout, separated by commas";
    WORKLOAD_KIND: "workload-kind", "", "GROUP/VERSION/KIND=.PATH of a kind that is not built in, such as apps.example.org/v1/Service=.spec.template; several separated by commas";
    COMPAT: "compat", "", "reloader, wave or both, separated by commas";
    AUTO_RELOAD_ALL: "compat-auto-reload-all", "false", "true or false; true needs --compat reloader";
    ON_CREATE: "on-create", "true", "true or false";
    ON_DELETE: "on-delete", "true", "true or false";
    ALLOW_CROSS_NAMESPACE: "allow-cross-namespace", "false", "true or false";
    SETTLE_FLAG: "settle", "2s", "a duration from 0s to 1h, such as 500ms, 2s or 1m30s";
    FLAP_LIMIT_FLAG: "flap-limit", "5", "a whole number from 0 to 10; 0 means no limit";
    MAX_PARALLEL: "max-parallel", "20", "a whole number; 0 means no limit";
    WRITE_CONCURRENCY_FLAG: "write-concurrency", "16", "a whole number from 1 to 256";
    AGENT_CONCURRENCY_FLAG: "agent-concurrency", "32", "a whole number from 1 to 1024";
    RESYNC_FLAG: "resync", "10m", "a duration from 1s to 24h, such as 30s, 10m or 1h30m";
    OBSERVE_ONLY: "observe-only", "false", "true or false";
    LEADER_ELECTION: "leader-election", "false", "true or false";
    LEASE_NAME: "lease-name", "windlass", "a DNS subdomain of at most 242 characters (a-z, 0-9, - and .)";
    LEASE_NAMESPACE: "lease-namespace", "", "a namespace's name";
    LEASE_DURATION: "lease-duration", "15s", "a --lease-duration of whole seconds from 2s to 1h";
    LEASE_RENEW_DEADLINE: "lease-renew-deadline", "10s", "a --lease-renew-deadline of at most 15/16 of --lease-duration";
    LEASE_RETRY_PERIOD: "lease-retry-period", "2s", "a --lease-retry-period of more than 0s and at most half of --lease-renew-deadline";
    NOTIFY_CLOUDEVENTS: "notify-cloudevents", "", "a URL http(s)://HOST[:PORT][/PATH] without a user";
    NOTIFY_SLACK: "notify-slack", "", "a URL http(s)://HOST[:PORT][/PATH] without a user";
    NOTIFY_TEAMS: "notify-teams", "", "a URL http(s)://HOST[:PORT][/PATH] without a user";
    NOTIFY_ON: "notify-on", "Restarted,Held,Failed,Halted,Recovered", "some of Restarted, Held, Failed, Halted and Recovered, separated by commas; Recovered with one of the three before it";
    NOTIFY_INTERVAL: "notify-interval", "10s", "a duration from 1s to 1h, such as 10s or 5m";
    NOTIFY_CLUSTER: "notify-cluster", "", "at most 63 letters, digits, -, _ and .";
    NOTIFY_CA_FILE: "notify-ca-file", "", "a path";
    OTLP_ENDPOINT: "otlp-endpoint", "", OTLP;
    ADMIN_ADDRESS: "admin-address", "[::]:8080", "an IP address and a port, such as [::]:8080 or 127.0.0.1:8080";
    LOG_FORMAT: "log-format", "text", "text or json";
    LOG_LEVEL: "log-level", "info", "off, error, warn, info, debug or trace, and TARGET=LEVEL after a comma, such as info,kube=debug";
    KUBECONFIG: "kubeconfig", "", "a path";
    CONTEXT: "context", "", "a context's name";
}

impl ControllerConfig {
    /// Takes each value from the flag, else from the environment, else from the default, and checks
    /// it. An empty variable counts as not set: charts like to set all of them.
    #[allow(clippy::too_many_lines)] // A table.
    pub(super) fn new(raw: ControllerArgs, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, UsageError> {
        let ControllerArgs {
            namespaces,
            exclude_namespaces,
            namespace_selector,
            cluster_policies,
            sources,
            source_selector,
            workload_kinds,
            workload_kind,
            compat,
            compat_auto_reload_all,
            on_create,
            on_delete,
            allow_cross_namespace,
            settle,
            flap_limit,
            max_parallel,
            write_concurrency,
            agent_concurrency,
            resync,
            observe_only,
            leader_election,
            lease_name,
            lease_namespace,
            lease_duration,
            lease_renew_deadline,
            lease_retry_period,
            notify,
            otlp_endpoint,
            admin_address,
            log_format,
            log_level,
            kubeconfig,
            context,
        } = raw;
        let setting = |flag, given| Setting::new(flag, given, env);
        let otlp_endpoint = setting(OTLP_ENDPOINT, otlp_endpoint).read_secret(collector)?;
        #[cfg(not(feature = "otel"))]
        let _: Option<()> = otlp_endpoint;
        let mut namespaces = setting(NAMESPACES, namespaces).read(namespace_list)?;
        let exclude_namespaces = setting(EXCLUDE_NAMESPACES, exclude_namespaces).read(namespace_list)?;
        let named = !namespaces.is_empty();
        namespaces.retain(|namespace| !exclude_namespaces.contains(namespace));
        if named && namespaces.is_empty() {
            return Err(UsageError(
                "--exclude-namespaces leaves nothing of --namespaces; accepts names of which some are not in the other"
                    .to_owned(),
            ));
        }
        let by_label = setting(NAMESPACE_SELECTOR, namespace_selector);
        let namespace_selector = by_label.read_optional(|text| (!named).then(|| selector(text)).flatten())?;
        let of_cluster = setting(CLUSTER_POLICIES, cluster_policies)
            .read_optional(|text| text.parse().ok().filter(|count: &bool| *count || named))?;
        let compat = setting(COMPAT, compat).read(compat_list)?;
        let auto_reload_all = setting(AUTO_RELOAD_ALL, compat_auto_reload_all)
            .read(|text| text.parse().ok().filter(|on| !on || compat.reloader))?;
        let described = (!workload_kind.is_empty()).then(|| workload_kind.join(OsStr::new(",")));
        let mut workload_kinds = setting(WORKLOAD_KINDS, workload_kinds).read(built_in_kinds)?;
        workload_kinds.extend(setting(WORKLOAD_KIND, described).read(described_kinds)?);
        let leader_election: bool = setting(LEADER_ELECTION, leader_election).read(|text| text.parse().ok())?;
        // Each is checked with what those before it left: the first that does not fit is named.
        let lease = |duration, deadline, retry| Times::new(duration, deadline, retry, REQUEST_TIMEOUT).ok();
        let duration = setting(LEASE_DURATION, lease_duration)
            .read(|text| duration::parse(text).filter(|it| lease(*it, *it / 2, *it / 4).is_some()))?;
        let deadline = setting(LEASE_RENEW_DEADLINE, lease_renew_deadline)
            .read(|text| duration::parse(text).filter(|it| lease(duration, *it, *it / 2).is_some()))?;
        let times = setting(LEASE_RETRY_PERIOD, lease_retry_period)
            .read(|text| lease(duration, deadline, duration::parse(text)?))?;
        Ok(Self {
            namespaces,
            exclude_namespaces,
            namespace_selector,
            cluster_policies: match of_cluster {
                Some(false) => ClusterPolicies::Ignored,
                None if named => ClusterPolicies::IfPermitted,
                Some(true) | None => ClusterPolicies::Required,
            },
            sources: setting(SOURCES, sources).read(sources_list)?,
            source_selector: setting(SOURCE_SELECTOR, source_selector).read_optional(selector)?,
            workload_kinds,
            compat: Compat {
                auto_reload_all,
                ..compat
            },
            presence: Presence {
                on_create: setting(ON_CREATE, on_create).read(|text| text.parse().ok())?,
                on_delete: setting(ON_DELETE, on_delete).read(|text| text.parse().ok())?,
            },
            allow_cross_namespace: setting(ALLOW_CROSS_NAMESPACE, allow_cross_namespace)
                .read(|text| text.parse().ok())?,
            settle: setting(SETTLE_FLAG, settle).read(|text| duration_in(text, &SETTLE))?,
            flap_limit: setting(FLAP_LIMIT_FLAG, flap_limit)
                .read(|text| text.parse().ok().filter(|n| *n <= RESTARTS_KEPT))?,
            max_parallel: setting(MAX_PARALLEL, max_parallel).read(|text| text.parse().ok())?,
            write_concurrency: setting(WRITE_CONCURRENCY_FLAG, write_concurrency)
                .read(|text| text.parse().ok().filter(|n| WRITE_CONCURRENCY.contains(n)))?,
            agent_concurrency: setting(AGENT_CONCURRENCY_FLAG, agent_concurrency)
                .read(|text| text.parse().ok().filter(|n| AGENT_CONCURRENCY.contains(n)))?,
            resync: setting(RESYNC_FLAG, resync).read(|text| duration_in(text, &RESYNC))?,
            observe_only: setting(OBSERVE_ONLY, observe_only).read(|text| text.parse().ok())?,
            election: leader_election.then_some(times),
            lease_name: setting(LEASE_NAME, lease_name).read(|text| is_subdomain(text).then(|| text.to_owned()))?,
            lease_namespace: setting(LEASE_NAMESPACE, lease_namespace)
                .read_optional(|text| is_label(text).then(|| text.to_owned()))?,
            notifications: notify::notifications(notify, env)?,
            #[cfg(feature = "otel")]
            otlp_endpoint,
            admin_address: setting(ADMIN_ADDRESS, admin_address).read(|text| text.parse().ok())?,
            log_format: setting(LOG_FORMAT, log_format).read(|text| text.parse().ok())?,
            log_level: setting(LOG_LEVEL, log_level).read(|text| text.parse().ok())?,
            kubeconfig: setting(KUBECONFIG, kubeconfig).path(),
            context: setting(CONTEXT, context).read_optional(|text| Some(text.to_owned()))?,
        })
    }
}

/// Where the collector takes traces (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>).
#[cfg(feature = "otel")]
fn collector(text: &str) -> Option<crate::ops::Endpoint> {
    format!("{}/v1/traces", text.trim().trim_end_matches('/')).parse().ok()
}

/// To say nothing would leave somebody waiting for traces.
#[cfg(not(feature = "otel"))]
fn collector(_: &str) -> Option<()> {
    None
}

/// The entries of a comma list; none of them empty.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

fn sources_list(text: &str) -> Option<Sources> {
    let mut sources = Sources {
        configmaps: false,
        secrets: false,
    };
    for word in list(text) {
        match word {
            "configmaps" => sources.configmaps = true,
            "secrets" => sources.secrets = true,
            _ => return None,
        }
    }
    Some(sources)
}

fn compat_list(text: &str) -> Option<Compat> {
    let mut compat = Compat::default();
    if text.trim().is_empty() {
        return Some(compat);
    }
    for word in list(text) {
        match word {
            "reloader" => compat.reloader = true,
            "wave" => compat.wave = true,
            _ => return None,
        }
    }
    Some(compat)
}

fn built_in_kinds(text: &str) -> Option<Vec<WorkloadKind>> {
    let mut kinds = list(text).map(KindId::named).collect::<Option<Vec<_>>>()?;
    kinds.sort_unstable();
    kinds.dedup();
    Some(kinds.into_iter().map(WorkloadKind::BuiltIn).collect())
}

fn described_kinds(text: &str) -> Option<Vec<WorkloadKind>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    list(text).map(described_kind).collect()
}

/// `GROUP/VERSION/KIND=.PATH`, of the core group `VERSION/KIND=.PATH`.
fn described_kind(text: &str) -> Option<WorkloadKind> {
    let (name, path) = text.split_once('=')?;
    let parts: Vec<&str> = name.split('/').collect();
    let (group, version, kind) = match parts.as_slice() {
        [version, kind] => ("", *version, *kind),
        [group, version, kind] if is_subdomain(group) => (*group, *version, *kind),
        _ => return None,
    };
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    let fields: Vec<String> = path.strip_prefix('.')?.split('.').map(str::to_owned).collect();
    let built_in = KindId::named(kind).is_some_and(|known| known.row().group == group);
    let good = is_label(version) && is_word(kind) && !built_in && fields.iter().all(|field| is_word(field));
    good.then(|| WorkloadKind::Described(Described::new(group, version, kind, fields)))
}

fn namespace_list(text: &str) -> Option<Vec<String>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut names = text
        .split(',')
        .map(str::trim)
        .map(|name| is_label(name).then(|| name.to_owned()))
        .collect::<Option<Vec<_>>>()?;
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// RFC 1123 label, which a namespace's name is
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>).
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_dns_part(text)
}

/// RFC 1123 subdomain, with room for the names that are made from it. Kubernetes limits its whole
/// length only, not that of its parts.
fn is_subdomain(text: &str) -> bool {
    text.len() <= MAX_NAME - LONGEST_SUFFIX.len() && text.split('.').all(is_dns_part)
}

fn is_dns_part(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}
