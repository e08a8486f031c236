//! Keys that are to be in place.

use super::*;
use crate::agent_protocol::propagation::{PodProblem, PropagationProgress as InPlaceProgress};
use crate::policy::in_place::{Agent, InPlace, OnTimeout};
use crate::workload::key_strategy::{Rule, RuleSet};

/// A Deployment that mounts its `ConfigMap`, of which `flags` is to be in place.
fn mounted() -> World {
    let mut world = World::new();
    let uses = discover(&json!({"spec": {
        "containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/etc/web"}]}],
        "volumes": [{"name": "v", "configMap": {"name": CONFIG}}],
    }}));
    world.effective_policy.rules = Arc::new(RuleSet::from_iter([Rule {
        kind: None,
        name: "*".into(),
        keys: ["flags".into()].into(),
        strategy: Strategy::InPlace,
    }]));
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
    let sorting = world.effective_policy.key_rules(&world.opt_in);
    for used in world.workload.uses.iter().cloned() {
        sorting.split(used, &mut sorted);
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
    world.effective_policy.suspended.own = Some(crate::policy::PolicyRef {
        namespace: Some(Namespace::from("shop")),
        name: Name::from("web"),
    });
}

fn live(world: &mut World, keys: &[&str], second: i64) {
    world.change = Some(PendingChange {
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
    world.effective_policy.strategy = Strategy::Ignore;
    world.effective_policy.rules = Arc::new(RuleSet::from_iter([Rule {
        kind: None,
        name: "*".into(),
        keys: ["level".into()].into(),
        strategy: Strategy::Restart,
    }]));
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
        let rules = keys.iter().map(|key| Rule {
            kind: None,
            name: "*".into(),
            keys: [(*key).into()].into(),
            strategy: Strategy::InPlace,
        });
        world.effective_policy.rules = Arc::new(rules.collect::<RuleSet>());
        sort(&mut world);
        let plan = world.decide();
        assert_adopts(&plan, Reason::SourcesChanged);
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
    world.effective_policy.rules = Arc::default();
    sort(&mut world);
    assert_eq!(world.decide().reason, Reason::Suspended);
    world.effective_policy.suspended.own = None;
    assert!(is_restart(&world.decide()));
}

#[test]
fn a_rollout_of_ours_is_still_seen_as_such_when_files_change_meanwhile() {
    let mut world = mounted();
    content(&mut world, "B", "A", 20, 1100);
    world.now = 1103;
    let plan = world.decide();
    world.apply(&plan);
    world.workload.rollout_status.progress = RolloutProgress::Progressing;
    content(&mut world, "B", "B", 30, 1105);
    let plan = world.decide();
    assert_eq!(plan.state, State::Propagating);
    world.apply(&plan);
    world.workload.rollout_status.progress = RolloutProgress::Progressing;
    assert_eq!(world.decide().state, State::Rolling);
}

// ---- proof --------------------------------------------------------------------------------------

/// As [`mounted`], with an agent in each pod, and a change of `flags` that is on record.
fn propagating(on_timeout: OnTimeout) -> World {
    let mut world = mounted();
    world.effective_policy.in_place = InPlace {
        agent: Some(Agent {
            port: 9533,
            token_secret: Name::from("windlass-agent"),
        }),
        on_timeout,
        ..InPlace::default()
    }
    .into();
    content(&mut world, "A", "B", 20, 1100);
    live(&mut world, &["flags"], 1100);
    let plan = world.decide();
    let files = plan.files.clone().expect("its files");
    assert_eq!((files.since, files.sources), (Some(at(1100)), vec![source_ref(CONFIG)]));
    world.apply(&plan);
    world
}

fn come(world: &mut World, done: usize, why: &str) {
    let problems = (done..3).map(|n| PodProblem {
        pod: format!("web-{n}").into(),
        why: why.to_owned(),
    });
    world.propagation = Some(InPlaceProgress {
        since: at(1100),
        pods: 3,
        done,
        trouble: None,
        problems: problems.collect(),
        complete: done == 3,
    });
}

#[test]
fn what_every_agent_proves_is_current_and_stays_so() {
    let mut world = propagating(OnTimeout::Report);
    come(&mut world, 2, "no answer from the agent");
    let plan = world.decide();
    assert_eq!((plan.state, &plan.action), (State::Propagating, &Action::Nothing));
    assert!(plan.detail.starts_with("2/3 pods; web-2"), "{plan:?}");
    assert!(plan.files.is_some());
    come(&mut world, 3, "");
    let plan = world.decide();
    assert_adopts(&plan, Reason::Verified);
    assert_eq!(plan.state, State::Current);
    world.apply(&plan);
    world.propagation = None;
    world.now = 9000;
    assert_quiet(&world.decide());
    assert_eq!(world.decide().files, None);
}

#[test]
fn what_is_not_proven_in_time_has_failed_and_may_still_come() {
    let mut world = propagating(OnTimeout::Report);
    come(&mut world, 1, "rejected by validation: line 3");
    world.now = 1160;
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Failed, Reason::NotApplied));
    assert!(
        plan.detail.contains("web-1: rejected by validation: line 3"),
        "{plan:?}"
    );
    assert!(plan.files.is_some(), "it is asked on");
    come(&mut world, 3, "");
    assert_adopts(&world.decide(), Reason::Verified);
}

#[test]
fn after_a_restart_of_ours_pods_are_asked_before_anything_is_said_of_them() {
    for on_timeout in [OnTimeout::Report, OnTimeout::Restart] {
        let mut world = propagating(on_timeout);
        world.restarted_after_being_down_since(1150);
        world.now = 5000;
        let plan = world.decide();
        assert_eq!((plan.state, &plan.action), (State::Propagating, &Action::Nothing));
        assert_eq!(plan.files.as_ref().and_then(|files| files.since), Some(at(1100)));
    }
}

#[test]
fn what_pods_made_of_an_earlier_change_says_nothing_of_this_one() {
    let mut world = propagating(OnTimeout::Report);
    come(&mut world, 3, "");
    content(&mut world, "A", "C", 30, 1120);
    live(&mut world, &["flags"], 1120);
    let plan = world.decide();
    assert_eq!(plan.state, State::Propagating);
    world.apply(&plan);
    assert_eq!(world.decide().state, State::Propagating);
}

#[test]
fn pods_that_do_not_take_it_in_time_are_restarted_where_that_is_wanted() {
    let mut world = propagating(OnTimeout::Restart);
    come(&mut world, 1, "no answer from the agent");
    world.now = 1159;
    assert_eq!(world.decide().state, State::Propagating);
    world.now = 1160;
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
    assert!(
        plan.detail.contains("1/3 pods") && plan.detail.contains(CONFIG),
        "{plan:?}"
    );
    world.apply(&plan);
    world.propagation = None;
    assert_quiet(&world.decide());
}

#[test]
fn that_restart_obeys_the_policy_like_any_other() {
    let mut world = propagating(OnTimeout::Restart);
    come(&mut world, 1, "no answer from the agent");
    suspend(&mut world);
    world.now = 1160;
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Held, Reason::Suspended));
    assert!(plan.files.is_some(), "meanwhile they are asked on");
    world.apply(&plan);
    world.effective_policy.suspended.own = None;
    assert!(is_restart(&world.decide()), "it was not forgotten");
}

#[test]
fn without_an_agent_it_is_propagated_once_everything_was_done() {
    let mut world = propagating(OnTimeout::Report);
    world.effective_policy.in_place = InPlace::default().into();
    come(&mut world, 3, "");
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Current, Reason::Propagated));
    assert_eq!(plan.action, Action::Nothing);
}

#[test]
fn a_mixed_change_that_has_to_wait_is_in_the_files_meanwhile() {
    let mut world = mounted();
    suspend(&mut world);
    content(&mut world, "B", "B", 20, 1100);
    live(&mut world, &["flags", "level"], 1100);
    world.now = 1101;
    assert_eq!(world.decide().files, None, "it may be restarted in a second");
    world.now = 1110;
    let plan = world.decide();
    assert_eq!(plan.reason, Reason::Suspended);
    let files = plan.files.clone().expect("its files");
    assert_eq!((files.since, files.sources), (None, vec![source_ref(CONFIG)]));
    world.apply(&plan);
    assert!(world.decide().files.is_some());
}

#[test]
fn a_change_that_restarts_touches_no_file() {
    let mut world = mounted();
    suspend(&mut world);
    content(&mut world, "B", "A", 20, 1100);
    live(&mut world, &["level"], 1100);
    world.now = 1110;
    assert_eq!(world.decide().files, None);
}

// ---- immutable sources --------------------------------------------------------------------------

fn immutable(world: &mut World, created: i64) {
    for entry in &mut world.sources {
        let source = entry.2.as_mut().expect("it exists");
        source.annotations = crate::workload::SourceAnnotations {
            immutable: Some(Second::new(created)),
            ..Default::default()
        }
        .boxed();
    }
}

#[test]
fn an_immutable_source_that_was_replaced_is_never_in_place_and_says_why_afterwards() {
    let mut world = mounted();
    content(&mut world, "A", "B", 20, 1100);
    immutable(&mut world, 1100);
    live(&mut world, &["flags"], 1100);
    world.now = 1110;
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
    assert_eq!(plan.files.map(|files| files.sources), None);
    world.apply(&world.decide());
    world.workload.rollout_status.progress = RolloutProgress::Progressing;
    assert_eq!(world.decide().state, State::Rolling);
    world.workload.rollout_status.progress = RolloutProgress::Complete;
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Held, Reason::ImmutableReplaced));
    assert!(
        plan.detail.contains("new name") && plan.detail.contains(CONFIG),
        "{plan:?}"
    );
    world.now = 9000;
    assert_eq!(
        world.decide().reason,
        Reason::ImmutableReplaced,
        "time heals nothing here"
    );
}

#[test]
fn a_source_that_becomes_immutable_with_its_last_change_is_in_place() {
    let mut world = mounted();
    content(&mut world, "A", "B", 20, 1100);
    immutable(&mut world, 500);
    live(&mut world, &["flags"], 1100);
    assert_eq!(world.decide().state, State::Propagating);
}

/// Immutable from the beginning, and adopted as that.
fn immutable_from_the_beginning() -> World {
    let mut world = mounted();
    immutable(&mut world, 400);
    let observed = world.recorded(None).print();
    world.workload.observed = Some(observed.into());
    assert_quiet(&world.decide());
    world
}

/// It was taken in place: a kubelet goes on serving the immutable object that it has.
#[test]
fn a_mutable_source_in_the_place_of_an_immutable_one_is_never_in_place() {
    for seen_live in [true, false] {
        let mut world = immutable_from_the_beginning();
        content(&mut world, "A", "B", 20, 1100);
        if seen_live {
            live(&mut world, &["flags"], 1100);
        }
        world.now = 1110;
        let plan = world.decide();
        assert!(is_restart(&plan), "{plan:?}");
        assert_eq!(plan.files.map(|files| files.sources), None);
        world.apply(&world.decide());
        world.change = None;
        let plan = world.decide();
        assert_eq!((plan.state, plan.reason), (State::Held, Reason::ImmutableReplaced));
        assert!(plan.detail.contains(CONFIG), "{plan:?}");
        // What comes next reaches no file either.
        content(&mut world, "A", "C", 30, 1200);
        world.now = 1210;
        assert!(is_restart(&world.decide()));
        world.apply(&world.decide());
        assert_eq!(world.decide().reason, Reason::ImmutableReplaced);
        // Until a person says that no kubelet has the old one any more.
        world.now = 1300;
        world.workload.extras.get_or_insert_default().manual_overrides =
            crate::policy::manual_override::ManualOverrides::from_annotations(|name| {
                (name == crate::annotation::SKIP).then_some("1970-01-01T00:21:40.000001Z")
            });
        let plan = world.decide();
        assert_eq!(plan.reason, Reason::Skipped, "{plan:?}");
        world.apply(&plan);
        content(&mut world, "A", "D", 40, 1400);
        world.now = 1410;
        let plan = world.decide();
        assert_eq!(plan.reason, Reason::Propagating, "{plan:?}");
    }
}

#[test]
fn one_that_was_seen_to_come_after_an_immutable_one_is_not_in_place() {
    let mut world = mounted();
    content(&mut world, "A", "B", 20, 1100);
    for (mark, restarts) in [(Some(1100), true), (Some(900), false), (None, false)] {
        for entry in &mut world.sources {
            let source = entry.2.as_mut().expect("it exists");
            let marks = crate::workload::SourceAnnotations {
                after_immutable: mark.map(Second::new),
                ..Default::default()
            };
            source.annotations = marks.boxed();
        }
        world.now = 1110;
        assert_eq!(is_restart(&world.decide()), restarts, "{mark:?}");
    }
}

#[test]
fn an_immutable_source_that_is_away_may_come_back_as_another() {
    let mut world = immutable_from_the_beginning();
    let mut gone = world.sources.clone();
    for entry in &mut world.sources {
        entry.2 = None;
    }
    let baseline = world.baseline();
    let away = world.recorded(Some(&baseline));
    assert_eq!(away.immutable, baseline.immutable);
    assert!(!away.immutable.is_empty());
    std::mem::swap(&mut world.sources, &mut gone);
    for entry in &mut world.sources {
        entry.2.as_mut().expect("it exists").annotations = None;
    }
    assert!(
        world.recorded(Some(&away)).immutable.is_empty(),
        "it is there, and mutable"
    );
}
