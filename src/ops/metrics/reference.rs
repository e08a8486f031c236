//! The generated parts of `docs/metrics.md`, between marks that `cargo xtask generate` looks for.

use std::fmt::Write as _;

use super::catalogue::ALL;
use super::instrument::{Family, PREFIX};
use super::label::{AgentResult, InPlaceResult, Label, NotificationResult, RestartResult, WatchRestart};
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
        for (kind, family) in ALL {
            row(text, kind, family);
        }
    });
    section(&mut text, "values", |text| {
        text.push_str("| label | of | values |\n|---|---|---|\n");
        for label in Label::LISTED {
            let of = ALL.iter().filter(|(_, family)| family.labels.contains(&label));
            let of: Vec<String> = of.map(|(_, family)| full(family.name)).collect();
            let values = listed(label, vocabulary);
            let _ = writeln!(text, "| `{}` | {} | {} |", label.name(), of.join(", "), list(&values));
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

/// The values of a label, with those that are not known before the start.
fn listed(label: Label, vocabulary: &Vocabulary<'_>) -> Vec<&'static str> {
    let mut values = label.values(vocabulary);
    match label {
        Label::WorkloadKind => values.push("the kinds of `--workload-kind`"),
        Label::Watched => values.push("the plurals of `--workload-kind`"),
        Label::Verb => {
            values.extend(vocabulary.requests.iter().map(|(verb, _)| verb.as_str()));
            values.push(Verb::List.as_str());
            values.sort_unstable();
            values.dedup();
        }
        _ => {}
    }
    values
}

fn section(text: &mut String, name: &str, content: impl FnOnce(&mut String)) {
    let _ = writeln!(text, "<!-- generated: {name} -->");
    content(text);
    text.push_str("<!-- end of what is generated -->\n");
}

fn row(text: &mut String, kind: &str, family: &Family) {
    let Family {
        name,
        labels,
        help,
        more,
        buckets: _,
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
        kind,
        list(&labels.iter().copied().map(Label::name).collect::<Vec<_>>())
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
