//! What must hold when nothing happens any more and nothing stands in the way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use windlass_core::decide::Action;
use windlass_core::reason::{Reason, State};
use windlass_core::types::name::WorkloadRef;

use super::checks::is_current;
use super::process::Process;
use super::world::World;
use crate::index::entry::WorkloadEntry;
use crate::reconcile::gather::decide_now;

pub async fn check(world: &Arc<World>, process: &Process) {
    stand(world, process);
    decide_again(world, process).await;
}

/// Every workload is current, or held for a reason that only a person can do something about.
fn stand(world: &World, process: &Process) {
    let all: Vec<WorkloadRef> = process.context.index().workloads().map(|(it, _)| it.clone()).collect();
    let due = all.into_iter().map(|it| {
        let words = match decide_now(&process.context, &it, None) {
            Ok(decided) => format!("{:?} {:?}", decided.plan.state, decided.plan.reason),
            Err(undecided) => format!("{undecided:?}"),
        };
        (it, words)
    });
    let due: BTreeMap<WorkloadRef, String> = due.collect();
    let index = process.context.index();
    world.look(|state| {
        let cluster = &state.cluster;
        for (reference, known) in &cluster.deployments {
            let status = index.workload(reference).and_then(WorkloadEntry::status);
            let current = is_current(cluster, known);
            let fine = match status {
                // By times of two clocks that are hours apart it cannot be told what was there and back
                // while nobody watched.
                Some((State::Current, _)) => current || known.ours.excused || state.checks.stepped,
                Some((State::Held, reason)) => {
                    matches!(reason, Reason::RolledBack | Reason::Unproven | Reason::Reverted)
                }
                _ => false,
            };
            if !fine {
                let name = &reference.name;
                let problem = format!(
                    "{name} stands at {status:?}, its pods are current: {current}; it is due for {:?}",
                    due.get(reference)
                );
                state.checks.problem(problem);
            }
        }
    });
}

/// Deciding again writes nothing; and asks nothing, but of pods that are known to be behind.
async fn decide_again(world: &World, process: &Process) {
    let standing = |index: &super::super::index::Index| {
        let all = index.workloads();
        let states = all.map(|(it, entry)| (it.clone(), entry.status().map(|(state, _)| state)));
        states.collect::<Vec<(WorkloadRef, Option<State>)>>()
    };
    let all = standing(&process.context.index());
    for (reference, state) in &all {
        let action = decide_now(&process.context, reference, None).map(|decided| decided.plan.action);
        let proves = *state == Some(State::Held) && matches!(action, Ok(Action::Read(_)));
        let done = |world: &World| world.look(|state| (state.cluster.version, if proves { 0 } else { state.requests }));
        let before = done(world);
        process.reconciler.reconcile(reference).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let quiet = before == done(world) && (proves || matches!(action, Ok(Action::Nothing | Action::Hold)));
        if !quiet {
            let problem = format!("{} when all is quiet: {action:?}", reference.name);
            world.look(|state| state.checks.problem(problem));
        }
    }
}
