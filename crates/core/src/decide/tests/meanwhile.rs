//! What pods may have read that were started between two times at which all was as recorded. Each of
//! these was found by the simulation.

use super::*;

#[test]
fn an_older_revision_that_came_back_has_pods_that_read_what_was_there_since() {
    // One of its pods was started anew while the source held B, which the older baseline knows nothing of.
    let mut world = undone(&[990, 1105]);
    world.write("A", 30, 1115);
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
    assert_eq!(plan.reason, Reason::StartedMeanwhile);
    world.pods(&[990, 1116]);
    assert_quiet(&world.decide());
}

#[test]
fn an_older_revision_that_was_seen_to_be_current_is_not_looked_into_again() {
    let mut world = undone(&[990, 1105]);
    world.write("A", 30, 1115);
    world.rollout_history = None;
    world.trusted = Some(LastCurrent {
        version: Version::new(60),
        revision: Some(3),
        template_digest: None,
    });
    assert_quiet(&world.decide());
}

#[test]
fn a_restart_for_what_was_there_in_between_is_not_made_again_when_it_is_undone() {
    let mut world = World::adopted();
    let before = (world.workload.observed.clone(), world.workload.template_digest.clone());
    world.write_live("B", 20, 1100);
    world.write_live("A", 25, 1110);
    world.now = 1112;
    world.pods(&[990, 1105]);
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
    world.apply(&plan);
    let rolled = world.workload.template_digest.clone();
    (world.workload.observed, world.workload.template_digest) = before;
    world.workload.rollout_status.revision = Some(3);
    world.now = 1120;
    world.pods(&[990, 1105]).revisions = vec![revision(3, 900, None), revision(2, 1112, rolled.as_deref())];
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Held, Reason::RolledBack), "{plan:?}");
}

/// Two sources; the first changed at 1100 and waits since, on record. Then the workload is rolled by
/// somebody else, and nothing of that is seen live.
fn waiting(other_written: Option<i64>) -> World {
    let mut world = World::new();
    let (_, used, ..) = world.sources.first().expect("one source").clone();
    let other = source_ref("zeta");
    let there = source(&other, &[("level", "A")], 11, 500);
    world
        .sources
        .push((other.clone(), used, Some(there), Version::new(11), None));
    let plan = world.decide();
    world.apply(&plan);
    world.workload.rollout_status.paused = true;
    world.write_live("B", 20, 1100);
    world.now = 1103;
    let plan = world.decide();
    assert_adopts(&plan, Reason::Paused);
    world.apply(&plan);
    world.workload.rollout_status.paused = false;
    world.workload.rollout_status.revision = Some(2);
    world.now = 1300;
    if let Some(second) = other_written {
        let back = source(&other, &[("level", "A")], 40, second);
        let entry = world.sources.last_mut().expect("two sources");
        (entry.2, entry.3) = (Some(back), Version::new(40));
    }
    world.restarted_after_being_down_since(1290);
    world.pods(&[1150, 1151]).revisions = vec![revision(2, 1090, None)];
    world
}

#[test]
fn while_one_source_waits_another_may_go_there_and_back() {
    let plan = waiting(Some(1200)).decide();
    assert!(is_restart(&plan), "{plan:?}");
    assert_adopts(&waiting(None).decide(), Reason::CoveredByRollout);
}
