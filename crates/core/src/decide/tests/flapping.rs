//! Sources that flap.

use super::*;

/// Adopted, and then restarted once for a new content at each of these seconds.
fn restarted_at(seconds: &[i64]) -> World {
    let mut world = World::adopted();
    for (count, second) in seconds.iter().enumerate() {
        assert!(try_restart(&mut world, count, *second), "number {count}");
    }
    world
}

/// New content; gives whether that restarts it now.
fn try_restart(world: &mut World, count: usize, second: i64) -> bool {
    world.write(
        &format!("v{count}"),
        100 + u64::try_from(count).expect("few"),
        second - 1,
    );
    world.now = second;
    world.trusted = Some(LastCurrent {
        version: Version::new(99),
        revision: world.workload.rollout_status.revision,
        template_digest: None,
    });
    let plan = world.decide();
    world.apply(&plan);
    is_restart(&plan)
}

fn flapping(world: &World) -> Plan {
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Held, Reason::Flapping), "{plan:?}");
    plan
}

#[test]
fn five_in_ten_minutes_are_enough() {
    let mut world = restarted_at(&[2000, 2060, 2120, 2180, 2240]);
    assert!(!try_restart(&mut world, 5, 2300));
    let plan = flapping(&world);
    assert_eq!(plan.not_before, Some(at(2240 + 600)));
    assert!(plan.detail.contains("ConfigMap web"), "{}", plan.detail);
    world.now = 2240 + 600;
    assert!(is_restart(&world.decide()), "what is pending goes then");
}

#[test]
fn five_in_a_longer_while_are_nothing() {
    restarted_at(&[2000, 2151, 2302, 2453, 2604, 2755, 2906, 3057]);
}

#[test]
fn each_wait_is_twice_the_one_before_and_calm_ends_it() {
    let mut world = restarted_at(&[2000, 2060, 2120, 2180, 2240]);
    let (mut last, mut count) = (2240, 5);
    for minutes in [10, 20, 40, 80, 120, 120] {
        let due = last + minutes * 60;
        assert!(!try_restart(&mut world, count, due - 1), "{minutes} min");
        assert!(try_restart(&mut world, count, due), "{minutes} min");
        (last, count) = (due, count + 1);
    }
    let calm = last + 4 * 60 * 60;
    assert!(try_restart(&mut world, count, calm));
    assert!(try_restart(&mut world, count + 1, calm + 60));
    assert_eq!(world.baseline().flaps, 0);
}

#[test]
fn content_that_is_back_needs_no_restart_and_no_wait() {
    let mut world = restarted_at(&[2000, 2060, 2120, 2180, 2240]);
    try_restart(&mut world, 5, 2300);
    flapping(&world);
    world.write("v4", 300, 2400);
    world.now = 2410;
    world.pods(&[2241]);
    let plan = world.decide();
    assert_eq!(
        (plan.state, plan.reason),
        (State::Current, Reason::ChangeReverted),
        "{plan:?}"
    );
}

proptest::proptest! {
    /// However often and whenever content changes, no more than 5 restarts in any ten minutes.
    #[test]
    fn never_more_than_five_in_ten_minutes(gaps in proptest::collection::vec(1_i64..900, 1..60)) {
        let mut world = World::adopted();
        let mut second = 2000;
        let mut restarts: Vec<i64> = Vec::new();
        for (count, gap) in gaps.into_iter().enumerate() {
            second += gap;
            if try_restart(&mut world, count, second) {
                restarts.push(second);
            }
        }
        for window in restarts.windows(6) {
            proptest::prop_assert!(window[5] - window[0] > 600, "{restarts:?}");
        }
    }
}
