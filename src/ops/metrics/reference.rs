//! The generated parts of `docs/metrics.md`, between marks that `cargo xtask generate` looks for.

use std::fmt::Write as _;

use super::catalogue::{ALL, Family, PREFIX};
use super::label::{AgentResult, EventLimit, InPlaceResult, NotificationResult, RestartResult, Sink, WatchRestart};
use super::{Verb, Vocabulary};

/// Values of a label that mean the same.
#[derive(Debug)]
pub struct Values {
    /// The values.
    pub values: Vec<&'static str>,
    /// What they mean.
    pub meaning: &'static str,
}

/// Metrics and the values of their labels, as sections that each begin with a mark.
#[must_use]
pub fn reference(vocabulary: &Vocabulary<'_>, held: &[Values]) -> String {
    let mut text = String::new();
    section(&mut text, "metrics", |text| {
        text.push_str("| metric | type | labels | meaning |\n|---|---|---|---|\n");
        for family in ALL {
            row(text, family);
        }
    });
    section(&mut text, "values", |text| {
        let Vocabulary {
            workload_kinds,
            source_kinds,
            states,
            held_reasons: _, // By who ends them, in a table of their own.
            stale_reasons,
            error_reasons,
            watched,
            requests,
        } = *vocabulary;
        let mut verbs: Vec<&str> = requests.iter().map(|(verb, _)| verb.as_str()).collect();
        verbs.push(Verb::List.as_str());
        verbs.sort_unstable();
        verbs.dedup();
        text.push_str("| label | of | values |\n|---|---|---|\n");
        let workloads = [workload_kinds, &["the kinds of `--workload-kind`"]].concat();
        let resources = [watched, &["the plurals of `--workload-kind`"]].concat();
        for (label, of, values) in [
            ("kind", &["workloads", "restarts_total"][..], &workloads[..]),
            ("kind", &["sources", "changes_total"], source_kinds),
            ("state", &["workloads"], states),
            ("reason", &["oldest_unapplied_change_age_seconds"], stale_reasons),
            ("reason", &["errors_total"], error_reasons),
            (
                "limit",
                &["events_limited_total"],
                &EventLimit::ALL.map(EventLimit::as_str),
            ),
            ("sink", &["notifications_total"], &Sink::ALL.map(Sink::as_str)),
            ("verb", &["api_requests_total", "api_request_duration_seconds"], &verbs),
            ("resource", &["watch_idle_seconds", "watch_restarts_total"], &resources),
        ] {
            let of: Vec<String> = of.iter().map(|name| full(name)).collect();
            let _ = writeln!(text, "| `{label}` | {} | {} |", of.join(", "), list(values));
        }
    });
    section(&mut text, "held", |text| {
        text.push_str("| values | who or what ends it |\n|---|---|\n");
        values(text, held);
    });
    let one = |value, meaning| Values {
        values: vec![value],
        meaning,
    };
    let each: [(&str, Vec<Values>); 5] = [
        (
            "restarts",
            RestartResult::ALL.map(|it| one(it.as_str(), it.meaning())).into(),
        ),
        (
            "in-place",
            InPlaceResult::ALL.map(|it| one(it.as_str(), it.meaning())).into(),
        ),
        (
            "agents",
            AgentResult::ALL.map(|it| one(it.as_str(), it.meaning())).into(),
        ),
        (
            "notifications",
            NotificationResult::ALL.map(|it| one(it.as_str(), it.meaning())).into(),
        ),
        (
            "watches",
            WatchRestart::ALL.map(|it| one(it.as_str(), it.meaning())).into(),
        ),
    ];
    for (name, described) in each {
        section(&mut text, name, |text| {
            text.push_str("| value | meaning |\n|---|---|\n");
            values(text, &described);
        });
    }
    text
}

fn section(text: &mut String, name: &str, content: impl FnOnce(&mut String)) {
    let _ = writeln!(text, "<!-- generated: {name} -->");
    content(text);
    text.push_str("<!-- end of what is generated -->\n");
}

fn row(text: &mut String, family: &Family) {
    let Family {
        name,
        kind,
        labels,
        help,
        more,
    } = family;
    let meaning = if more.is_empty() {
        (*help).to_owned()
    } else {
        format!("{help} {more}")
    };
    let _ = writeln!(
        text,
        "| {} | {} | {} | {meaning} |",
        full(name),
        kind.as_str(),
        list(labels)
    );
}

fn values(text: &mut String, described: &[Values]) {
    for Values { values, meaning } in described {
        let _ = writeln!(text, "| {} | {meaning} |", list(values));
    }
}

fn full(name: &str) -> String {
    format!("`{PREFIX}_{name}`")
}

/// What is no single word is said as it is.
fn list(words: &[&str]) -> String {
    let marked = words.iter().map(|word| {
        if word.contains(' ') {
            (*word).to_owned()
        } else {
            format!("`{word}`")
        }
    });
    marked.collect::<Vec<_>>().join(", ")
}
