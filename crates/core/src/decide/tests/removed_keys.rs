//! A removed key leaves no time: what managed fields say of its source may be much too early.

use super::*;

/// Adopted with two keys written at second 500 and seen then, pods started at 990.
fn two_keys() -> World {
    let mut world = World::new();
    world.holds(&[("level", "A"), ("colour", "A")], 10, 500);
    let plan = world.decide();
    world.apply(&plan);
    world.pods(&[990]);
    world
}

impl World {
    /// Found in the list of a start at `now`: written at `second` by its managed fields, `any` being the
    /// latest of all of them.
    fn found(&mut self, data: &[(&str, &str)], version: u64, (second, any): (i64, i64), now: i64) {
        self.restarted_after_being_down_since(1001);
        self.searched = true;
        self.now = now;
        self.holds(data, version, second);
        let entry = self.sources.first_mut().expect("one source");
        let source = entry.2.as_mut().expect("it is there");
        let recorded = ContentTime::recorded(Some(Second::new(second)), Some(Second::new(any)));
        source.written = recorded.found(Second::new(now));
    }

    /// Somebody else rolled it, and the pods are of then.
    fn rolled_by_somebody(&mut self, second: i64) {
        self.workload.rollout_status.revision = Some(2);
        self.pods(&[second]).revisions = vec![revision(2, second, None)];
    }
}

const ONE: &[(&str, &str)] = &[("level", "A")];

#[test]
fn one_that_is_removed_after_a_restart_restarts_once_more() {
    let mut world = two_keys();
    world.found(ONE, 30, (500, 500), 1200);
    world.rolled_by_somebody(1100);
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
    // Unless the pods are younger than when it was found.
    world.rolled_by_somebody(1201);
    assert_adopts(&world.decide(), Reason::CoveredByRollout);
}

#[test]
fn one_that_is_removed_after_a_change_and_a_restart_is_missed_in_the_hints() {
    let mut world = two_keys();
    world.found(&[("level", "B")], 30, (1050, 1050), 1200);
    world.rolled_by_somebody(1100);
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
}

#[test]
fn a_change_that_removes_nothing_comes_with_a_later_rollout() {
    for data in [
        &[("level", "B"), ("colour", "A")][..],
        &[("level", "B"), ("colour", "B"), ("size", "A")],
    ] {
        let mut world = two_keys();
        world.found(data, 30, (1050, 1050), 1200);
        world.rolled_by_somebody(1100);
        assert_adopts(&world.decide(), Reason::CoveredByRollout);
    }
}

#[test]
fn a_version_without_any_time_is_looked_into() {
    let both = &[("level", "A"), ("colour", "A")];
    let mut world = two_keys();
    world.found(both, 30, (500, 500), 1200);
    world.pods(&[990]);
    assert_quiet(&world.decide());
    world.pods(&[990, 1100]);
    let plan = world.decide();
    assert_eq!(plan.reason, Reason::StartedMeanwhile, "{plan:?}");
    // Somebody's label explains the version.
    world.found(both, 30, (500, 1150), 1200);
    world.pods(&[990, 1100]);
    assert_quiet(&world.decide());
}

#[test]
fn keys_that_are_read_one_by_one_and_are_there_were_written_when_their_managers_say() {
    let uses = discover(&json!({ "spec": { "containers": [
        { "name": "c", "env": [{ "valueFrom": { "configMapKeyRef": { "name": CONFIG, "key": "level" } } }] },
    ] } }));
    let mut world = World::new();
    world.sources.first_mut().expect("one source").1 = uses.first().expect("one use").clone();
    world.holds(&[("level", "A"), ("colour", "A")], 10, 500);
    let plan = world.decide();
    world.apply(&plan);
    world.found(ONE, 30, (500, 500), 1200);
    world.pods(&[990, 1100]);
    assert_quiet(&world.decide());
}

#[test]
fn a_lost_digest_key_does_not_make_an_unexplained_version_older() {
    let mut world = two_keys();
    world.found(ONE, 30, (500, 500), 1200);
    world.pods(&[1100]);
    world.ring = KeyRing::new([("k2".into(), [2; 32])]).expect("one key");
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Held, Reason::Unproven), "{plan:?}");
}

/// A label that is removed, a Secret that is encrypted anew: a later version without any time.
#[test]
fn after_a_rollout_by_somebody_else_only_the_time_in_which_nobody_watched_counts() {
    let both = &[("level", "A"), ("colour", "A")];
    let mut world = two_keys();
    world.found(both, 30, (500, 500), 1200);
    world.restarted_after_being_down_since(1150);
    world.searched = true;
    world.rolled_by_somebody(1100);
    assert_quiet(&world.decide());
    world.rolled_by_somebody(1160);
    let plan = world.decide();
    assert_eq!(plan.reason, Reason::StartedMeanwhile, "{plan:?}");
}

#[test]
fn a_later_version_that_was_seen_to_change_nothing_is_no_reason() {
    let both = &[("level", "A"), ("colour", "A")];
    let mut world = two_keys();
    world.found(both, 30, (500, 500), 1200);
    world.sources.first_mut().expect("one source").3 = Version::new(10);
    world.pods(&[990, 1100]);
    assert_quiet(&world.decide());
}

#[test]
fn where_no_hint_tells_whether_a_key_is_gone_one_may_be() {
    let many: Vec<String> = (0..30).map(|at| format!("key-{at:02}")).collect();
    let with = |level: &'static str, keys: usize| {
        let mut data: Vec<(&str, &str)> = many.iter().take(keys).map(|key| (key.as_str(), "A")).collect();
        data.push(("level", level));
        data
    };
    let mut world = World::new();
    world.holds(&with("A", 30), 10, 500);
    let plan = world.decide();
    world.apply(&plan);
    world.found(&with("B", 29), 30, (1050, 1050), 1200);
    world.rolled_by_somebody(1100);
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
}
