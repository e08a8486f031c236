//! What a flag accepts, and what the chart lets through for it: each limit, from both sides, put to both. A value
//! that passed the chart and not the program would show as a pod that ends again and again.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    flags::{arguments, flags},
    helm::template,
};
use crate::support::controller::windlass;

/// What takes anything, or has no value.
const WITHOUT_LIMIT: &[&str] = &["help", "kubeconfig", "context", "notify-ca-file"];

/// Where a flag's limit is.
struct Limit {
    flag: &'static str,
    /// The value of the chart that is to be named by whoever refuses it.
    name: &'static str,
    /// Values that just pass.
    taken: Value,
    /// Values that just do not.
    refused: Value,
    /// What the chart would make of them.
    arguments: &'static [&'static str],
}

fn limit(
    flag: &'static str,
    name: &'static str,
    taken: Value,
    refused: Value,
    arguments: &'static [&'static str],
) -> Limit {
    Limit {
        flag,
        name,
        taken,
        refused,
        arguments,
    }
}

fn limits() -> Vec<Limit> {
    [what(), how(), election(), telling()].into_iter().flatten().collect()
}

/// What to work on.
#[rustfmt::skip] // A table.
fn what() -> Vec<Limit> {
    let kind = |group: &str, kind: &str| {
        json!({"customKinds": [{"group": group, "version": "v1", "kind": kind, "resource": "them", "path": ".spec.template"}]})
    };
    vec![
        limit("namespaces", "namespaces", json!({"namespaces": ["a"]}), json!({"namespaces": ["A"]}), &["--namespaces=A"]),
        limit("namespaces", "reloader.namespaces", json!({"reloader": {"namespaces": "a,b"}}), json!({"reloader": {"namespaces": "a,"}}), &["--namespaces=a,"]),
        limit("namespaces", "excludeNamespaces", json!({"namespaces": ["a", "b"], "excludeNamespaces": ["b"]}),
            json!({"namespaces": ["a", "b"], "excludeNamespaces": ["b", "a"]}), &["--namespaces=a,b", "--exclude-namespaces=b,a"]),
        limit("exclude-namespaces", "excludeNamespaces", json!({"excludeNamespaces": ["a-b"]}), json!({"excludeNamespaces": ["a.b"]}), &["--exclude-namespaces=a.b"]),
        limit("exclude-namespaces", "reloader.ignoreNamespaces", json!({"reloader": {"ignoreNamespaces": "a"}}),
            json!({"reloader": {"ignoreNamespaces": "a_b"}}), &["--exclude-namespaces=a_b"]),
        limit("namespace-selector", "namespaceSelector", json!({"namespaceSelector": "a.b/c in (d, e),!f , g!=h,i"}), json!({"namespaceSelector": "a b"}), &["--namespace-selector=a b"]),
        limit("namespace-selector", "namespaceSelector", json!({"namespaceSelector": "a notin (b)"}), json!({"namespaceSelector": "a in b"}), &["--namespace-selector=a in b"]),
        limit("namespace-selector", "namespaceSelector", json!({"reloader": {"namespaceSelector": "a=b"}}), json!({"reloader": {"namespaceSelector": "a=b,"}}), &["--namespace-selector=a=b,"]),
        limit("namespace-selector", "namespaceSelector", json!({"namespaceSelector": "a=b"}), json!({"namespaceSelector": "a=b", "namespaces": ["c"]}),
            &["--namespace-selector=a=b", "--namespaces=c"]),
        limit("cluster-policies", "rbac.clusterPolicies", json!({"namespaces": ["a"], "rbac": {"clusterPolicies": true}}),
            json!({"rbac": {"clusterPolicies": "yes"}}), &["--cluster-policies=yes"]),
        limit("source-selector", "sourceSelector", json!({"sourceSelector": "a=="}), json!({"sourceSelector": "a=-"}), &["--source-selector=a=-"]),
        limit("sources", "sources", json!({"sources": ["secrets"]}), json!({"sources": ["secret"]}), &["--sources=secret"]),
        limit("sources", "sources", json!({"sources": ["configmaps"]}), json!({"sources": []}), &["--sources=,"]),
        limit("workload-kinds", "workloadKinds", json!({"workloadKinds": ["Rollout"]}), json!({"workloadKinds": ["Job"]}), &["--workload-kinds=Job"]),
        limit("workload-kind", "customKinds", kind("apps.example.org", "Deployment"), kind("apps", "Deployment"), &["--workload-kind=apps/v1/Deployment=.spec.template"]),
        limit("workload-kind", "customKinds", kind("a.b", "A"), kind("a..b", "A"), &["--workload-kind=a..b/v1/A=.spec.template"]),
        limit("compat", "compat.controllers", json!({"compat": {"controllers": ["wave"]}}), json!({"compat": {"controllers": ["waves"]}}), &["--compat=waves"]),
        limit("compat-auto-reload-all", "compat.autoReloadAll", json!({"compat": {"controllers": ["reloader"], "autoReloadAll": true}}),
            json!({"compat": {"controllers": ["wave"], "autoReloadAll": true}}), &["--compat=wave", "--compat-auto-reload-all=true"]),
        limit("on-create", "onCreate", json!({"onCreate": false}), json!({"onCreate": "yes"}), &["--on-create=yes"]),
        limit("on-delete", "onDelete", json!({"onDelete": false}), json!({"onDelete": 1}), &["--on-delete=1"]),
        limit("allow-cross-namespace", "allowCrossNamespace", json!({"allowCrossNamespace": true}), json!({"allowCrossNamespace": "on"}), &["--allow-cross-namespace=on"]),
    ]
}

/// How to roll.
#[rustfmt::skip] // A table.
fn how() -> Vec<Limit> {
    vec![
        limit("observe-only", "observeOnly", json!({"observeOnly": true, "replicas": 1}), json!({"observeOnly": "yes"}), &["--observe-only=yes"]),
        limit("settle", "settle", json!({"settle": "1h"}), json!({"settle": "1h1ms"}), &["--settle=1h1ms"]),
        limit("settle", "settle", json!({"settle": "0s"}), json!({"settle": "2"}), &["--settle=2"]),
        limit("flap-limit", "flapLimit", json!({"flapLimit": 10}), json!({"flapLimit": 11}), &["--flap-limit=11"]),
        limit("max-parallel", "maxParallel", json!({"maxParallel": 0}), json!({"maxParallel": -1}), &["--max-parallel=-1"]),
        limit("write-concurrency", "writeConcurrency", json!({"writeConcurrency": 1}), json!({"writeConcurrency": 0}), &["--write-concurrency=0"]),
        limit("write-concurrency", "writeConcurrency", json!({"writeConcurrency": 256}), json!({"writeConcurrency": 257}), &["--write-concurrency=257"]),
        limit("agent-concurrency", "agentConcurrency", json!({"agentConcurrency": 1}), json!({"agentConcurrency": 0}), &["--agent-concurrency=0"]),
        limit("agent-concurrency", "agentConcurrency", json!({"agentConcurrency": 1024}), json!({"agentConcurrency": 1025}), &["--agent-concurrency=1025"]),
        limit("resync", "resync", json!({"resync": "1s"}), json!({"resync": "999ms"}), &["--resync=999ms"]),
        limit("resync", "resync", json!({"resync": "23h60m"}), json!({"resync": "24h1s"}), &["--resync=24h1s"]),
        limit("admin-address", "metrics.port", json!({"metrics": {"port": 65535}}), json!({"metrics": {"port": 65536}}), &["--admin-address=[::]:65536"]),
    ]
}

#[rustfmt::skip] // A table.
fn election() -> Vec<Limit> {
    let lease = |duration: &str, deadline: &str, retry: &str| {
        json!({"leaderElection": {"leaseDuration": duration, "renewDeadline": deadline, "retryPeriod": retry}})
    };
    vec![
        limit("leader-election", "leaderElection.enabled", json!({"leaderElection": {"enabled": false}, "replicas": 1}),
            json!({"leaderElection": {"enabled": "no"}, "replicas": 1}), &["--leader-election=no"]),
        limit("lease-name", "leaderElection.leaseName", json!({"leaderElection": {"leaseName": "a.b-c"}}), json!({"leaderElection": {"leaseName": "a..b"}}), &["--lease-name=a..b"]),
        limit("lease-namespace", "leaderElection.leaseNamespace", json!({"leaderElection": {"leaseNamespace": "a"}}),
            json!({"leaderElection": {"leaseNamespace": "a.b"}}), &["--lease-namespace=a.b"]),
        limit("lease-duration", "leaderElection.leaseDuration", lease("2s", "1875ms", "937ms"), lease("1s", "500ms", "200ms"),
            &["--lease-duration=1s", "--lease-renew-deadline=500ms", "--lease-retry-period=200ms"]),
        limit("lease-duration", "leaderElection.leaseDuration", lease("1h", "56m15s", "28m"), lease("1h1s", "10s", "2s"), &["--lease-duration=1h1s"]),
        limit("lease-duration", "leaderElection.leaseDuration", lease("15s", "10s", "2s"), lease("15500ms", "10s", "2s"), &["--lease-duration=15500ms"]),
        limit("lease-renew-deadline", "leaderElection.renewDeadline", lease("16s", "15s", "2s"), lease("16s", "15001ms", "2s"),
            &["--lease-duration=16s", "--lease-renew-deadline=15001ms"]),
        limit("lease-renew-deadline", "leaderElection.renewDeadline", lease("15s", "2ms", "1ms"), lease("15s", "0s", "1ms"),
            &["--lease-renew-deadline=0s", "--lease-retry-period=1ms"]),
        limit("lease-retry-period", "leaderElection.retryPeriod", lease("15s", "10s", "5s"), lease("15s", "10s", "5001ms"), &["--lease-retry-period=5001ms"]),
        limit("lease-retry-period", "leaderElection.retryPeriod", lease("15s", "10s", "1ms"), lease("15s", "10s", "0s"), &["--lease-retry-period=0s"]),
    ]
}

/// Notifications, traces and logs.
#[rustfmt::skip] // A table.
fn telling() -> Vec<Limit> {
    // As in use: without anybody to notify the chart gives none of these flags.
    let notify = |name: &str, value: Value| json!({"notifications": {"slack": {"url": "https://example.org"}, name: value}});
    let to = |name: &str, url: &str| json!({"notifications": {name: {"url": url}}});
    let traces = if cfg!(feature = "otel") { json!({"tracing": {"otlpEndpoint": "http://collector:4317"}}) } else { json!({}) };
    vec![
        limit("notify-cloudevents", "notifications.cloudevents.url", to("cloudevents", "http://[::1]:80/a?b=c"), to("cloudevents", "ftp://a"), &["--notify-cloudevents=ftp://a"]),
        limit("notify-slack", "notifications.slack.url", to("slack", "https://a:80"), to("slack", "https://b@a"), &["--notify-slack=https://b@a"]),
        limit("notify-teams", "notifications.teams.url", to("teams", "https://a/b@c"), to("teams", "https:///b"), &["--notify-teams=https:///b"]),
        limit("notify-on", "notifications.events", notify("events", json!(["Restarted"])), notify("events", json!(["Rolled"])), &["--notify-on=Rolled"]),
        limit("notify-on", "notifications.events", notify("events", json!(["Recovered", "Halted"])), notify("events", json!(["Restarted", "Recovered"])), &["--notify-on=Restarted,Recovered"]),
        limit("notify-interval", "notifications.interval", notify("interval", json!("1s")), notify("interval", json!("999ms")), &["--notify-interval=999ms"]),
        limit("notify-interval", "notifications.interval", notify("interval", json!("1h")), notify("interval", json!("1h1ms")), &["--notify-interval=1h1ms"]),
        limit("notify-cluster", "notifications.cluster", notify("cluster", json!("a-_.b")), notify("cluster", json!("a b")), &["--notify-cluster=a b"]),
        limit("otlp-endpoint", "tracing.otlpEndpoint", traces, json!({"tracing": {"otlpEndpoint": "collector:4317"}}), &["--otlp-endpoint=collector:4317"]),
        limit("log-format", "log.format", json!({"log": {"format": "text"}}), json!({"log": {"format": "xml"}}), &["--log-format=xml"]),
        limit("log-level", "log.level", json!({"log": {"level": "error"}}), json!({"log": {"level": "loud"}}), &["--log-level=loud"]),
        limit("log-level", "log.level", json!({"log": {"level": "info,kube=debug, a::b=trace"}}), json!({"log": {"level": "info,kube=fine"}}), &["--log-level=info,kube=fine"]),
    ]
}

/// How the program ends, and what it says, when it gets as far as looking for its cluster, or not.
fn program(arguments: &[String]) -> (Option<i32>, String) {
    let output = windlass()
        .args(arguments)
        .args(["--kubeconfig", "/nowhere"])
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn each_flag_has_its_limits_here() {
    let here: BTreeSet<&str> = limits().iter().map(|limit| limit.flag).collect();
    let known = flags();
    let wanted: BTreeSet<&str> = known
        .iter()
        .map(String::as_str)
        .filter(|flag| !WITHOUT_LIMIT.contains(flag))
        .collect();
    assert_eq!(here, wanted);
}

#[test]
fn what_is_within_its_limits_is_taken_by_the_chart_and_by_the_program() {
    for limit in limits() {
        let (code, said) = program(&arguments(&limit.taken));
        assert_eq!(code, Some(1), "{}: {said}", limit.taken);
        assert!(said.contains("/nowhere"), "{}: {said}", limit.taken);
    }
}

#[test]
fn a_variable_has_the_limits_of_its_flag_and_is_named() {
    for limit in limits() {
        let &[argument] = limit.arguments else { continue };
        let (flag, value) = argument
            .strip_prefix("--")
            .and_then(|it| it.split_once('='))
            .expect("a flag");
        let variable = format!("WINDLASS_{}", flag.to_uppercase().replace('-', "_"));
        let output = windlass().arg("controller").env(&variable, value).output();
        let output = output.expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{variable}={value}: {said}");
        assert!(said.starts_with(&format!("windlass: {variable}: ")), "{said}");
    }
}

#[test]
fn what_the_program_refuses_is_refused_by_the_chart() {
    for limit in limits() {
        let given = [&["controller"], limit.arguments].concat();
        let (code, said) = program(&given.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(code, Some(2), "{:?}: {said}", limit.arguments);
        assert!(said.contains(limit.flag), "{:?}: {said}", limit.arguments);

        let complaint = template("windlass", "windlass-system", &limit.refused);
        let complaint = complaint.expect_err(&format!("{} is taken", limit.refused));
        for part in limit.name.split('.') {
            assert!(
                complaint.contains(part),
                "{} is refused without {}: {complaint}",
                limit.refused,
                limit.name
            );
        }
    }
}
