//! The alerts of `charts/windlass/files/alerts.yaml`, evaluated by the real `promtool`: each fires when it
//! should, does not in the neighbouring good case, and has a section in `docs/alerts.md`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::support::{
    application,
    prometheus::{Rule, rules},
};

const RULES: &str = "charts/windlass/files/alerts.yaml";

#[derive(Deserialize)]
struct UnitTests {
    tests: Vec<UnitTest>,
}

#[derive(Deserialize)]
struct UnitTest {
    alert_rule_test: Vec<Expectation>,
}

#[derive(Deserialize)]
struct Expectation {
    alertname: String,
    exp_alerts: Vec<serde::de::IgnoredAny>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn unit_tests() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/alerts")).expect("the folder of the alerts' tests");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn alerts() -> Vec<(String, Rule)> {
    let rules = rules().into_iter();
    rules.filter_map(|mut rule| Some((rule.alert.take()?, rule))).collect()
}

fn promtool(arguments: &[&str], files: &[PathBuf]) {
    let output = Command::new(application("promtool"))
        .args(arguments)
        .args(files)
        .output()
        .expect("promtool runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn prometheus_accepts_the_rules() {
    promtool(&["check", "rules"], &[root().join(RULES)]);
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    promtool(&["test", "rules"], &unit_tests());
}

#[test]
fn each_alert_is_seen_firing_and_silent_by_its_tests() {
    let mut seen: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for file in unit_tests() {
        let file: UnitTests = read(&file);
        for Expectation { alertname, exp_alerts } in file.tests.into_iter().flat_map(|it| it.alert_rule_test) {
            let (fires, silent) = seen.entry(alertname).or_default();
            *fires |= !exp_alerts.is_empty();
            *silent |= exp_alerts.is_empty();
        }
    }
    for (alert, _) in alerts() {
        assert_eq!(seen.remove(&alert), Some((true, true)), "{alert}: (fires, is silent)");
    }
    assert!(seen.is_empty(), "tests of alerts that there are not: {seen:?}");
}

#[test]
fn each_alert_says_what_it_is_and_leads_to_its_section() {
    let runbook = fs::read_to_string(root().join("docs/alerts.md")).expect("docs/alerts.md");
    let sections: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = alerts();
    for (alert, rule) in &alerts {
        let severity = rule.labels.get("severity").map(String::as_str);
        assert!(
            matches!(severity, Some("critical" | "warning" | "info")),
            "{alert}: {severity:?}"
        );
        for annotation in ["summary", "description"] {
            assert!(rule.annotations.contains_key(annotation), "{alert} has no {annotation}");
        }
        let url = rule
            .annotations
            .get("runbook_url")
            .map(String::as_str)
            .unwrap_or_default();
        let anchor = format!("/docs/alerts.md#{}", alert.to_lowercase());
        assert!(url.ends_with(&anchor), "{alert} leads to {url}");
        assert!(
            sections.contains(&alert.as_str()),
            "docs/alerts.md has no section {alert}"
        );
    }
    let names: Vec<&str> = alerts.iter().map(|(alert, _)| alert.as_str()).collect();
    for section in sections.iter().filter(|it| it.starts_with("Windlass")) {
        assert!(
            names.contains(section),
            "docs/alerts.md has a section of no alert: {section}"
        );
    }
}
