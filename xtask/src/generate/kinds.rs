//! What the chart has to know of the kinds of workloads, from the rows of the core's table.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use windlass_core::workload::kind::{Kind, KindId, PodReplacement, TemplateReference};

fn rows() -> impl Iterator<Item = &'static Kind> {
    KindId::built_in().map(KindId::row)
}

/// The table that templates read.
pub fn table() -> String {
    let mut page = "# Written by `cargo xtask generate` from crates/core/src/workload/kind.rs; edit the code, not this file.\n\
                    # restarted: Windlass writes to it. revisions: the objects of the group apps that keep its revisions.\n\
                    # template: the kind that can have the pod template in its stead.\n"
        .to_owned();
    for row in rows() {
        let restarted = row.pods == PodReplacement::Replaced;
        let revisions = row.history.objects();
        let revisions = revisions.map(|(_, plural)| format!(", revisions: {plural}"));
        let template = row.delegate.and_then(target);
        let template = template.map(|target| format!(", template: {{{}}}", names(target)));
        let (names, revisions) = (names(row), revisions.unwrap_or_default());
        let template = template.unwrap_or_default();
        let _ = writeln!(page, "- {{{names}, restarted: {restarted}{revisions}{template}}}");
    }
    page
}

fn names(row: &Kind) -> String {
    format!("kind: {}, group: {}, resource: {}", row.kind, row.group, row.plural)
}

fn target(reference: TemplateReference) -> Option<&'static Kind> {
    KindId::named(reference.target).map(KindId::row)
}

/// `values.yaml` with all kinds as the default of `workloadKinds`.
pub fn values(text: &str) -> Result<String> {
    let kinds: Vec<&str> = rows().map(|row| row.kind).collect();
    between(text, &["\nworkloadKinds: ["], "]", &kinds.join(", "))
}

/// `values.schema.json` with all kinds as what `workloadKinds` may have.
pub fn schema(text: &str) -> Result<String> {
    let kinds: Vec<String> = rows().map(|row| format!("\n          \"{}\"", row.kind)).collect();
    between(
        text,
        &["\"workloadKinds\": {", "\"enum\": ["],
        "\n        ]",
        &kinds.join(","),
    )
}

/// Puts `fresh` between the last of these marks, each of which is looked for after the one before, and `end`.
fn between(text: &str, marks: &[&str], end: &str, fresh: &str) -> Result<String> {
    let mut begin = 0;
    for mark in marks {
        let found = text[begin..]
            .find(mark)
            .with_context(|| format!("there is no {mark:?}"))?;
        begin += found + mark.len();
    }
    let length = text[begin..]
        .find(end)
        .with_context(|| format!("{end:?} does not follow"))?;
    let mut text = text.to_owned();
    text.replace_range(begin..begin + length, fresh);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{between, table};

    #[test]
    fn what_is_between_the_marks_is_replaced_and_the_rest_is_left_alone() {
        let text = "a: [1]\nb: [1, 2]\nc: [1]\n";
        let fresh = between(text, &["\nb: ["], "]", "3").expect("it is there");
        assert_eq!(fresh, "a: [1]\nb: [3]\nc: [1]\n");
        assert!(between(text, &["c:", "b:"], "]", "3").is_err(), "not in this order");
        assert!(between(text, &["c: "], "}", "3").is_err(), "no end");
    }

    #[test]
    fn the_table_says_what_is_written_and_where_revisions_and_templates_are() {
        let table = table();
        for line in [
            "- {kind: CronJob, group: batch, resource: cronjobs, restarted: false}\n",
            "- {kind: Rollout, group: argoproj.io, resource: rollouts, restarted: true, revisions: replicasets, \
             template: {kind: Deployment, group: apps, resource: deployments}}\n",
        ] {
            assert!(table.contains(line), "{table}");
        }
    }
}
