//! Keys that are to be in place.

use super::*;
use crate::core::class::Rule;

/// A Deployment that mounts its `ConfigMap`, of which `flags` is to be in place.
fn mounted() -> World {
    let mut world = World::new();
    let uses = discover(&json!({"spec": {
        "containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/etc/web"}]}],
        "volumes": [{"name": "v", "configMap": {"name": CONFIG}}],
    }}));
    world.terms.rules = [Rule {
        kind: None,
        name: "*".into(),
        keys: ["flags".into()].into(),
        strategy: Strategy::InPlace,
    }]
    .into();
    world.workload.uses = uses.into();
    sort(&mut world);
    content(&mut world, "A", "A", 10, 500);
    let plan = world.decide();
    world.apply(&plan);
    world
}

/// As the index does, by the rules of the day.
fn sort(world: &mut World) {
    let mut sorted = Vec::new();
    let sorting = world.terms.sorting(&world.opt_in);
    for used in world.workload.uses.iter().cloned() {
        sorting.sort(used, &mut sorted);
    }
    let first = world.sources.first().expect("one source").clone();
    world.sources = sorted
        .into_iter()
        .map(|used| (first.0.clone(), used, first.2.clone(), first.3, first.4))
        .collect();
}

fn content(world: &mut World, level: &str, flags: &str, version: u64, second: i64) {
    for entry in &mut world.sources {
        entry.2 = Some(source(&entry.0, &[("level", level), ("flags", flags)], version, second));
        entry.3 = Version::new(version);
    }
}

fn suspend(world: &mut World) {
    world.terms.suspended = true;
    world.terms.policy = Some(crate::core::policy::PolicyRef {
        namespace: Some(Namespace::from("shop")),
        name: Name::from("web"),
    });
}

fn live(world: &mut World, keys: &[&str], second: i64) {
    world.change = Some(Change {
        first_seen: at(second),
        since: Second::new(second),
        keys: keys.iter().map(|key| (source_ref(CONFIG), Key::from(*key))).collect(),
    });
    world.now = second;
}

#[test]
fn a_key_that_is_to_be_in_place_is_left_to_the_kubelet_and_restarts_nothing() {
    let mut world = mounted();
    content(&mut world, "A", "B", 20, 1100);
    live(&mut world, &["flags"], 1100);
    let plan = world.decide();
    assert_eq!(
        (plan.state, plan.reason),
        (State::Propagating, Reason::Propagating),
        "{plan:?}"
    );
    assert!(plan.detail.contains("flags"), "{plan:?}");
    world.apply(&plan);
    let plan = world.decide();
    assert_eq!((plan.state, &plan.action), (State::Propagating, &Action::Nothing));
    assert_eq!(plan.not_before, Some(at(1160)));
    world.now = 1160;
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Current, Reason::Propagated));
}

#[test]
fn there_and_back_in_place_needs_no_look_at_any_pod() {
    let mut world = mounted();
    content(&mut world, "A", "A", 30, 1110);
    live(&mut world, &["flags"], 1110);
    assert_quiet(&world.decide());
}

#[test]
fn with_rules_ignore_is_a_word_on_the_keys_that_none_is_about() {
    let mut world = World::new();
    world.terms.strategy = Some(Strategy::Ignore);
    world.terms.rules = [Rule {
        kind: None,
        name: "*".into(),
        keys: ["level".into()].into(),
        strategy: Strategy::Restart,
    }]
    .into();
    sort(&mut world);
    content(&mut world, "A", "A", 10, 500);
    let plan = world.decide();
    world.apply(&plan);
    content(&mut world, "A", "B", 20, 1100);
    world.now = 1110;
    assert_quiet(&world.decide());
    content(&mut world, "B", "B", 30, 1120);
    world.now = 1130;
    assert!(is_restart(&world.decide()));
}

#[test]
fn a_mixed_change_is_one_restart() {
    let mut world = mounted();
    content(&mut world, "B", "B", 20, 1100);
    live(&mut world, &["flags", "level"], 1100);
    world.now = 1103;
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
    world.apply(&plan);
    assert_quiet(&world.decide());
}

#[test]
fn files_are_not_held_back_by_what_holds_restarts_back() {
    let mut world = mounted();
    suspend(&mut world);
    content(&mut world, "A", "B", 20, 1100);
    live(&mut world, &["flags"], 1100);
    assert_eq!(world.decide().state, State::Propagating);
}

#[test]
fn moving_keys_between_classes_restarts_nothing() {
    let mut world = mounted();
    for keys in [vec!["*"], vec!["level"], vec![], vec!["flags"]] {
        world.terms.rules = keys
            .iter()
            .map(|key| Rule {
                kind: None,
                name: "*".into(),
                keys: [(*key).into()].into(),
                strategy: Strategy::InPlace,
            })
            .collect();
        sort(&mut world);
        let plan = world.decide();
        assert_adopts(&plan, Reason::Reshaped);
        world.apply(&plan);
        assert_quiet(&world.decide());
    }
}

#[test]
fn a_change_that_waits_is_not_forgotten_when_keys_move_between_classes() {
    let mut world = mounted();
    suspend(&mut world);
    content(&mut world, "B", "A", 20, 1100);
    live(&mut world, &["level"], 1100);
    world.now = 1110;
    let plan = world.decide();
    assert_eq!(plan.reason, Reason::Suspended);
    world.apply(&plan);
    world.terms.rules = [].into();
    sort(&mut world);
    assert_eq!(world.decide().reason, Reason::Suspended);
    world.terms.suspended = false;
    assert!(is_restart(&world.decide()));
}

#[test]
fn a_rollout_of_ours_is_still_seen_as_such_when_files_change_meanwhile() {
    let mut world = mounted();
    content(&mut world, "B", "A", 20, 1100);
    world.now = 1103;
    let plan = world.decide();
    world.apply(&plan);
    world.workload.evidence.progress = Progress::Progressing;
    content(&mut world, "B", "B", 30, 1105);
    let plan = world.decide();
    assert_eq!(plan.state, State::Propagating);
    world.apply(&plan);
    world.workload.evidence.progress = Progress::Progressing;
    assert_eq!(world.decide().state, State::Rolling);
}
