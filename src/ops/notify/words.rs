//! The words that messages for people have in common.

use windlass_core::notice::{Batch, Notice};

use super::MessageSource;

/// How many workloads a message names before it only counts.
pub const NAMED: usize = 20;

/// `Windlass (prod): 3 restarted, 1 held`. Nothing in it is from the cluster.
pub fn headline(batch: &Batch, origin: &MessageSource) -> String {
    let counts: Vec<String> = batch
        .counts
        .each()
        .map(|(occasion, count)| format!("{count} {}", occasion.as_str().to_lowercase()))
        .collect();
    let whose = origin
        .cluster
        .as_ref()
        .map(|name| format!(" ({name})"))
        .unwrap_or_default();
    format!("Windlass{whose}: {}", counts.join(", "))
}

/// `Deployment shop/web: a required source is missing`.
pub fn sentence(notice: &Notice) -> String {
    let Notice { workload, note, .. } = notice;
    let kind = workload.kind.row().kind;
    format!("{kind} {}/{}: {note}", workload.namespace, workload.name)
}

/// `and 7 more`, if there are.
pub fn rest(batch: &Batch, named: usize) -> Option<String> {
    let more = batch.counts.sum().saturating_sub(named);
    (more > 0).then(|| format!("and {more} more"))
}
