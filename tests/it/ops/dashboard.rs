//! The dashboard and the rules on a real Prometheus that scrapes a real run: a change, one of a Secret, one in
//! place with an agent, a hold, a failure. Every query has an answer, and the answers tell what happened.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    in_place::agents,
    support::{
        Test, application, await_condition,
        build::{deployment, env},
        policies::policy,
        prometheus::{LABELS, Prometheus, rules},
        tests,
    },
};

tests! {
    every_query_of_dashboard_and_rules_has_an_answer: on_node;
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("charts/windlass/files")
        .join(name)
}

/// Prometheus needs two scrapes for a rate, and a busy machine may miss some.
const RATE_INTERVAL: &str = "30s";

/// The queries of the dashboard by the titles of their panels, about the controller of the test.
fn queries() -> Vec<(String, String)> {
    queries_about(&LABELS)
}

/// With these, and what else Grafana has, in place of its variables.
fn queries_about(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    let text = fs::read_to_string(file("dashboard.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("the dashboard is JSON");
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let mut query = target["expr"].as_str().expect("a query").to_owned();
            for (label, value) in labels {
                query = query.replace(&format!("${label}"), value);
            }
            let query = query
                .replace("$__rate_interval", RATE_INTERVAL)
                .replace("$__range", "10m");
            assert!(!query.contains('$'), "a variable that the test does not know: {query}");
            queries.push((title.to_owned(), query));
        }
    }
    assert!(queries.len() > 30, "only {} queries were found", queries.len());
    queries
}

/// The series that an expression is about: a name with its matchers, one selector for each alternative of a
/// matcher. An alert that does not fire has no answer; that each of these has one is what tells a good
/// expression from one with a slip of the pen.
fn selectors(expression: &str) -> BTreeSet<String> {
    let mut selectors = BTreeSet::new();
    let mut rest = expression;
    while let Some(begin) = rest.find("windlass").into_iter().chain(rest.find("process_")).min() {
        rest = &rest[begin..];
        let end = rest
            .find(|it: char| !it.is_alphanumeric() && !"_:".contains(it))
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        let matchers = after.strip_prefix('{').and_then(|it| it.split_once('}'));
        let Some((matchers, after)) = matchers else {
            selectors.insert(name.to_owned());
            continue;
        };
        rest = after;
        let matchers: Vec<&str> = matchers.split(',').map(str::trim).collect();
        let alternatives = matchers.iter().find_map(|matcher| {
            let (label, values) = matcher.split_once("=~")?;
            // Codes come with their first request; only those of a success are there from the start.
            (label != "code").then(|| (*matcher, label, values.trim_matches('"')))
        });
        let matchers: Vec<&str> = matchers.into_iter().filter(|it| !it.starts_with("code=~")).collect();
        match alternatives {
            None => {
                selectors.insert(format!("{name}{{{}}}", matchers.join(",")));
            }
            Some((all, label, values)) => {
                for value in values.split('|') {
                    let one = format!("{label}=\"{value}\"");
                    let matchers: Vec<&str> = matchers.iter().map(|it| if *it == all { &*one } else { it }).collect();
                    selectors.insert(format!("{name}{{{}}}", matchers.join(",")));
                }
            }
        }
    }
    selectors
}

/// A change in place, one by restart, a hold, and a failure.
async fn run(t: &Test) {
    agents::with_agent(t, 1, &[], &agents::RELOAD).await;
    agents::in_place(t, "Auto", "60s", "Report").await;
    let restart =
        json!({"workloads": {"selector": {"matchLabels": {"tier": "fragile"}}}, "restart": {"deadline": "5s"}});
    policy(t, "fragile", restart).await;
    t.config("api", &[("level", "info")]).await;
    t.deploy(deployment("api").uses(env("api", "level"))).await;
    t.config("held", &[("level", "info")]).await;
    t.deploy(deployment("held").uses(env("held", "level"))).await;
    // Its application takes the value for an argument.
    t.config("fragile", &[("mode", "fine")]).await;
    let fragile = deployment("fragile")
        .labelled("tier", "fragile")
        .uses(env("fragile", "mode"));
    // One that ends at once is ready for a moment.
    let fragile = fragile.with_argument("$(FRAGILE_MODE)").with("minReadySeconds", 2);
    t.deploy(fragile).await;
    t.start_and_adopt(&[]).await;
}

async fn changes(t: &Test) {
    agents::change(t, "B").await;
    t.counted("windlass_in_place_changes_total", &[("result", "verified")])
        .await;
    t.config("api", &[("level", "debug")]).await;
    t.rolls("api", 1).await;
    t.delete_config("held").await;
    t.held("SourceMissing", 1).await;
    t.config("fragile", &[("mode", "--no-such-flag")]).await;
    t.state("Failed", 1).await;
}

/// The numbers of a series, but for those that are none.
fn samples(series: &Value) -> Vec<f64> {
    let values = series["values"].as_array().into_iter().flatten();
    let numbers = values.filter_map(|sample| sample[1].as_str()?.parse::<f64>().ok());
    numbers.filter(|it| it.is_finite()).collect()
}

async fn greatest(prometheus: &Prometheus, query: &str, from: i64) -> Result<Option<f64>> {
    let series = prometheus.range(query, from, Timestamp::now().as_second()).await?;
    Ok(series.iter().flat_map(samples).reduce(f64::max))
}

async fn every_query_of_dashboard_and_rules_has_an_answer(t: &Test) {
    run(t).await;
    let from = Timestamp::now().as_second();
    let prometheus = Prometheus::start(&t.windlass(), file("alerts.yaml")).await;
    // Rates need a scrape before what they count.
    await_condition("the controller to be scraped", async || {
        ensure!(!prometheus.query("windlass_workloads").await?.is_empty(), "not yet");
        Ok(())
    })
    .await;
    changes(t).await;

    for (panel, query) in queries() {
        await_condition(&format!("an answer for the panel {panel}: {query}"), async || {
            ensure!(greatest(&prometheus, &query, from).await?.is_some(), "there is none");
            Ok(())
        })
        .await;
    }
    for rule in rules() {
        prometheus
            .query(&rule.expr)
            .await
            .expect("an expression that can be evaluated");
        let of = rule.record.as_deref().or(rule.alert.as_deref()).unwrap_or_default();
        let selectors = selectors(&rule.expr);
        assert!(!selectors.is_empty(), "{of} is about no series: {}", rule.expr);
        for selector in rule.record.iter().chain(&selectors) {
            await_condition(&format!("series of {of}: {selector}"), async || {
                ensure!(!prometheus.query(selector).await?.is_empty(), "there is none");
                Ok(())
            })
            .await;
        }
    }
    tells_what_happened(&prometheus, from).await;
}

/// What the panels show is what was done, in this very run.
async fn tells_what_happened(prometheus: &Prometheus, from: i64) {
    let queries = queries();
    let query = |title: &str| {
        let found = queries.iter().find(|(panel, _)| panel == title);
        found.unwrap_or_else(|| panic!("no panel {title}")).1.clone()
    };
    let at_least = [
        ("Need manual action", 1.0),
        ("Failed", 1.0),
        ("Not current", 2.0),
        ("Oldest unapplied change", 1.0),
        ("Leaders", 1.0),
        ("Replicas", 1.0),
        ("Current", 0.5),
        ("Changes of sources in use", 0.01),
        ("Restarts, by result", 0.01),
        ("Changes in place, by result", 0.01),
        ("Requests to agents, by result", 0.01),
        ("Change to patch", 0.1),
        ("Change to current", 0.1),
        ("Memory", 1e6),
    ];
    for (title, least) in at_least {
        let query = query(title);
        await_condition(&format!("the panel {title} to show at least {least}"), async || {
            let greatest = greatest(prometheus, &query, from).await?;
            ensure!(greatest.is_some_and(|it| it >= least), "it shows {greatest:?}");
            Ok(())
        })
        .await;
    }
    let held = "windlass_workloads_held{reason=\"SourceMissing\"} > 0";
    assert!(!prometheus.query(held).await.expect("an answer").is_empty());
    // The failure is younger than any alert allows; the rule is there and waits.
    await_condition("the alert of the failure to be pending", async || {
        let pending = "ALERTS{alertname=\"WindlassRolloutFailed\",alertstate=\"pending\",kind=\"Deployment\"}";
        ensure!(!prometheus.query(pending).await?.is_empty(), "it is not");
        Ok(())
    })
    .await;
}

#[test]
fn the_dashboard_names_what_it_shows() {
    let text = fs::read_to_string(file("dashboard.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("the dashboard is JSON");
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let names: Vec<&str> = variables.iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names, ["datasource", "namespace", "job"]);
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert!(
            ids.insert(panel["id"].as_u64().expect("an id")),
            "two panels with one id"
        );
        if panel["type"] == "row" {
            continue;
        }
        let title = panel["title"].as_str().expect("a title");
        assert!(
            panel["description"].as_str().is_some_and(|it| !it.is_empty()),
            "{title} says nothing of itself"
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in panel["targets"].as_array().expect("targets") {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            let query = target["expr"].as_str().expect("a query");
            assert!(
                query.contains("namespace=~\"$namespace\",job=~\"$job\""),
                "{title} shows other installations too"
            );
        }
    }
}

/// Two installations, one with a standby. Each replica knows all sources and sees each change, leading or not.
#[test]
fn what_every_replica_sees_is_shown_once_for_each_installation() {
    let replicas = [
        ("ops", "a", "0+1x40", 7),
        ("ops", "b", "0+1x40", 7),
        ("team", "c", "0+2x40", 5),
    ];
    let series: Vec<Value> = replicas
        .iter()
        .flat_map(|(namespace, pod, changes, sources)| {
            let labels = format!(r#"{{namespace="{namespace}",job="windlass",pod="{pod}",kind="ConfigMap"}}"#);
            [
                json!({"series": format!("windlass_changes_total{labels}"), "values": changes}),
                json!({"series": format!("windlass_sources{labels}"), "values": format!("{sources}x40")}),
            ]
        })
        .collect();
    let expected: Vec<Value> = queries_about(&[("namespace", ".*"), ("job", ".*")])
        .into_iter()
        .filter_map(|(_, query)| {
            let value = match &query {
                it if it.contains("rate(windlass_changes_total") => 1 + 2,
                it if it.contains("increase(windlass_changes_total") => 40 + 80,
                it if it.contains("windlass_sources") => 7 + 5,
                _ => return None,
            };
            let sample = json!({"labels": "{kind=\"ConfigMap\"}", "value": value});
            Some(json!({"expr": query, "eval_time": "40s", "exp_samples": [sample]}))
        })
        .collect();
    assert_eq!(expected.len(), 3, "{expected:?}");
    let test = json!({"evaluation_interval": "1s", "tests": [
        {"interval": "1s", "input_series": series, "promql_expr_test": expected},
    ]});
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let file = scratch.path().join("dashboard.yaml");
    // JSON is YAML.
    fs::write(&file, test.to_string()).expect("a scratch file");
    let output = Command::new(application("promtool"))
        .args(["test", "rules"])
        .arg(&file)
        .output()
        .expect("promtool runs");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_selector_is_found_for_each_alternative() {
    let expression = r#"sum by (job) (increase(windlass_workloads_held{reason=~"A|B"}[5m])) / windlass:ratio5m > 0
        and windlass_api_requests_total{code=~"5..|429",verb="patch"}"#;
    let expected = [
        "windlass:ratio5m",
        r#"windlass_api_requests_total{verb="patch"}"#,
        r#"windlass_workloads_held{reason="A"}"#,
        r#"windlass_workloads_held{reason="B"}"#,
    ];
    assert_eq!(selectors(expression).into_iter().collect::<Vec<_>>(), expected);
}
