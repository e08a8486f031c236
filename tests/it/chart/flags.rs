//! The flags of the controller and the values of the chart: each has the other.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::helm::{template, the};
use crate::support::controller::windlass;

/// What has no value, because in a pod it has no meaning, or because its content is secret and comes by the
/// environment.
const NO_ARGUMENT: &[&str] = &[
    "help",
    "kubeconfig",
    "context",
    "notify-cloudevents",
    "notify-slack",
    "notify-teams",
];

/// Every value that is an argument, as it is not by default. Two runs, because some exclude others.
///
/// `traces`: what only a program with the feature `otel` takes as well.
fn everything(traces: bool) -> [Value; 2] {
    let mut all = json!({
        "excludeNamespaces": ["kube-system"], "namespaceSelector": "a=b", "sourceSelector": "c=d",
        "sources": ["secrets"], "workloadKinds": ["Deployment"],
        "customKinds": [{"group": "apps.example.org", "version": "v1", "kind": "Service", "resource": "services", "path": ".spec.template"}],
        "compat": {"controllers": ["reloader", "wave"], "autoReloadAll": true}, "onCreate": false, "onDelete": false,
        "allowCrossNamespace": true, "observeOnly": true, "replicas": 1, "settle": "1m30s", "flapLimit": 0, "maxParallel": 0,
        "writeConcurrency": 256, "agentConcurrency": 1024, "resync": "24h",
        "leaderElection": {"leaseName": "other", "leaseNamespace": "elsewhere", "leaseDuration": "30s", "renewDeadline": "20s", "retryPeriod": "4s"},
        "metrics": {"port": 1024}, "log": {"format": "text", "level": "info,kube=debug"},
        "notifications": {"slack": {"url": "https://example.org"}, "events": ["Held", "Recovered"], "interval": "1h", "cluster": "east",
            "caBundle": {"name": "a", "key": "b"}},
    });
    if traces {
        all["tracing"] = json!({"otlpEndpoint": "http://collector:4317"});
    }
    [all, json!({"namespaces": ["shop", "web"]})]
}

pub fn arguments(values: &Value) -> Vec<String> {
    let documents = template("windlass", "windlass-system", values).expect("values that can be");
    let pod = &the(&documents, "Deployment")["spec"]["template"]["spec"];
    let arguments = pod["containers"][0]["args"].as_array().expect("arguments");
    arguments
        .iter()
        .map(|it| it.as_str().expect("a text").to_owned())
        .collect()
}

pub fn flags() -> BTreeSet<String> {
    let help = windlass().args(["controller", "--help"]).output().expect("it starts");
    let help = String::from_utf8(help.stdout).expect("text");
    // Descriptions are further in, and mention flags as well.
    let of_line = |line: &str| {
        Some(
            line.trim_start()
                .strip_prefix("-h, ")
                .unwrap_or(line.trim_start())
                .strip_prefix("--")?
                .to_owned(),
        )
    };
    let names = help
        .lines()
        .filter(|line| !line.starts_with("          "))
        .filter_map(of_line);
    names
        .map(|rest| {
            rest.split(|it: char| !it.is_ascii_alphanumeric() && it != '-')
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

#[test]
fn every_flag_has_a_value() {
    let known = flags();
    let given: BTreeSet<String> = everything(true)
        .iter()
        .flat_map(arguments)
        .filter_map(|argument| Some(argument.strip_prefix("--")?.split('=').next()?.to_owned()))
        .collect();
    let wanted: BTreeSet<String> = known
        .iter()
        .filter(|flag| !NO_ARGUMENT.contains(&flag.as_str()))
        .cloned()
        .collect();
    assert_eq!(given, wanted);
    assert!(NO_ARGUMENT.iter().all(|flag| known.contains(*flag)), "of {known:?}");
}

#[test]
fn the_controller_understands_every_value() {
    for values in everything(cfg!(feature = "otel")) {
        // It gets as far as looking for its cluster; wrong arguments end it before, with 2.
        let arguments = arguments(&values)
            .into_iter()
            .filter(|it| !it.starts_with("--notify-ca-file"));
        let output = windlass()
            .args(arguments)
            .args(["--kubeconfig", "/nowhere"])
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{values}: {said}");
        assert!(said.contains("/nowhere"), "{said}");
    }
}
