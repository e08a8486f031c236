//! Baselines that workloads lost while nobody watched, looked for on their older revisions.

use std::collections::HashSet;
use std::time::Duration;

use tracing::{info, warn};
use windlass_core::types::name::{Namespace, Uid};
use windlass_core::workload::kind::{DEPLOYMENT, RevisionHistory};

use crate::k8s::error::ApiError;
use crate::k8s::pod_history;
use crate::reader::Reader;

#[cfg(test)]
mod tests;

/// Between two tries: an API server that is away.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Workloads may have lost their baseline while nobody watched; their `ReplicaSet`s and
/// `ControllerRevision`s have kept a copy. One LIST of these answers for all of them, and none is
/// made when no workload lacks one.
pub async fn recover(reader: &Reader, namespaces: &[Namespace]) {
    let lacking: HashSet<RevisionHistory> = reader
        .index()
        .workloads()
        .filter(|(_, entry)| entry.may_have_lost_baseline())
        .map(|(reference, _)| list_of(reference.kind.row().history))
        .filter(|history| *history != RevisionHistory::Nowhere)
        .collect();
    let scopes: Vec<Option<&str>> = if namespaces.is_empty() {
        vec![None]
    } else {
        namespaces.iter().map(|namespace| Some(namespace.as_str())).collect()
    };
    let mut pause = FIRST_PAUSE;
    let lists = lacking
        .iter()
        .flat_map(|history| scopes.iter().map(|scope| (*history, *scope)));
    for (history, scope) in lists {
        loop {
            match pod_history::all_observed(&reader.client, history, scope, reader.timeout).await {
                Ok(mut found) => {
                    let mut index = reader.index();
                    for entry in index.workloads_mut() {
                        let reference = &entry.workload().reference;
                        if list_of(reference.kind.row().history) != history
                            || scope.is_some_and(|scope| scope != reference.namespace.as_str())
                        {
                            continue;
                        }
                        let uid: &Uid = &entry.workload().uid;
                        let kept = found.remove(uid).map(Into::into);
                        entry.record_revisions(kept);
                    }
                    break;
                }
                // No later answer will be another one. Each workload will ask for itself, and its own report
                // will say what is missing.
                Err(problem @ (ApiError::Forbidden(_) | ApiError::Rejected(_) | ApiError::Unexpected(_))) => {
                    warn!(error = %problem, "cannot list older revisions; earlier baselines are not recovered");
                    break;
                }
                Err(problem) => {
                    info!(error = %problem, retry_in = ?pause, "cannot list older revisions; retrying");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

/// Kinds that keep their revisions in `ReplicaSet`s differ in what these are numbered by only.
fn list_of(history: RevisionHistory) -> RevisionHistory {
    match history {
        RevisionHistory::ReplicaSets(_) => DEPLOYMENT.row().history,
        RevisionHistory::ControllerRevisions | RevisionHistory::Nowhere => history,
    }
}
