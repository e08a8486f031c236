//! The tables of `docs/annotations.md`, from the rows of the core's table.

use std::fmt::Write as _;

use windlass_core::annotation::{Annotation, AnnotationRole};
use windlass_core::workload::kind::KindId;

use super::{BEGIN, END};

/// The generated sections of the page.
pub fn sections() -> String {
    let head = "| annotation | accepts | default | meaning |\n|---|---|---|---|\n".to_owned();
    let of_sources = rows(|role| role == AnnotationRole::Source);
    [
        section("kinds", &kinds()),
        section("annotations of workloads", &(head.clone() + &rows(is_of_workload))),
        section("annotations of sources", &(head + &of_sources)),
        section("annotations that Windlass writes", &written()),
    ]
    .concat()
}

fn kinds() -> String {
    let kinds: Vec<&str> = KindId::built_in().map(|kind| kind.row().kind).collect();
    format!("Kinds: {}, and those of `--workload-kind`.\n", kinds.join(", "))
}

fn section(name: &str, text: &str) -> String {
    format!("{BEGIN}{name} -->\n{text}{END}")
}

fn is_of_workload(role: AnnotationRole) -> bool {
    match role {
        AnnotationRole::OptIn | AnnotationRole::Setting | AnnotationRole::ManualOverride => true,
        AnnotationRole::Source | AnnotationRole::Written(_) => false,
    }
}

fn rows(of: impl Fn(AnnotationRole) -> bool) -> String {
    let rows = Annotation::ALL.iter().map(|annotation| annotation.row());
    rows.filter(|row| of(row.role)).fold(String::new(), |mut table, row| {
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            row.key, row.value, row.default, row.help
        );
        table
    })
}

fn written() -> String {
    let mut table = "| annotation | where | value | when |\n|---|---|---|---|\n".to_owned();
    for row in Annotation::ALL.iter().map(|annotation| annotation.row()) {
        if let AnnotationRole::Written(on) = row.role {
            let _ = writeln!(table, "| `{}` | {on} | {} | {} |", row.key, row.value, row.help);
        }
    }
    table
}
