//! What policies have to say to a restart that is due, and the manual overrides of a person.

use super::*;
use crate::content::cause;
use crate::policy::PolicyRef;
use crate::policy::effective_policy::PolicyProblem;
use crate::policy::manual_override::{ManualOverride, ManualOverrides};
use crate::policy::window::{RolloutTimes, Schedule};
use crate::workload::WorkloadExtras;

/// Changed while adopted, and due for a restart.
fn due() -> World {
    let mut world = World::adopted();
    world.write("B", 20, 1100);
    world.now = 1110;
    assert!(is_restart(&world.decide()));
    world
}

fn policy(namespace: Option<&str>, name: &str) -> PolicyRef {
    PolicyRef {
        namespace: namespace.map(Namespace::from),
        name: Name::from(name),
    }
}

fn pull(world: &mut World, manual_override: ManualOverride, second: i64) {
    let manual_overrides = ManualOverrides {
        newest: Some((manual_override, at(second))),
        unreadable: None,
    };
    world.workload.extras = WorkloadExtras {
        manual_overrides: Some(Box::new(manual_overrides)),
        ..WorkloadExtras::default()
    }
    .boxed();
}

/// Second 1110 is 18 minutes and 30 seconds past midnight, 1 January 1970, a Thursday.
fn freeze(schedule: &str, minutes: i64) -> RolloutTimes {
    RolloutTimes::new([], [open(schedule, minutes)])
}

fn window(schedule: &str, minutes: i64) -> RolloutTimes {
    RolloutTimes::new([open(schedule, minutes)], [])
}

fn open(schedule: &str, minutes: i64) -> Schedule {
    Schedule::parse(schedule, SignedDuration::from_mins(minutes), "UTC").expect("a schedule")
}

/// Held for that reason, on record, and gone on with when the terms are the built-in ones again.
fn holds(world: &mut World, state: State, reason: Reason) -> Plan {
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (state, reason), "{plan:?}");
    let mut later = World {
        effective_policy: EffectivePolicy::default(),
        ..std::mem::replace(world, World::new())
    };
    later.failures.clear();
    later.ahead = None;
    later.apply(&plan);
    assert!(is_restart(&later.decide()), "it was not forgotten");
    *world = later;
    plan
}

/// A term in words, how the world gets it, and what must come of it.
type Case = (&'static str, Box<dyn Fn(&mut World)>, State, Reason);

#[test]
fn each_term_holds_a_restart_with_its_own_reason() {
    let cases: Vec<Case> = vec![
        (
            "a policy that does not exist",
            Box::new(|world| {
                world.effective_policy.problem = Some(PolicyProblem::Missing(policy(Some("shop"), "web")));
            }),
            State::Held,
            Reason::PolicyMissing,
        ),
        (
            "a policy that makes no sense",
            Box::new(|world| {
                world.effective_policy.problem = Some(PolicyProblem::Invalid(policy(None, "all"), "why".into()));
            }),
            State::Held,
            Reason::PolicyInvalid,
        ),
        (
            "its own policy suspended",
            Box::new(|world| {
                world.effective_policy.suspended.own = Some(policy(Some("shop"), "web"));
            }),
            State::Held,
            Reason::Suspended,
        ),
        (
            "the emergency stop",
            Box::new(|world| world.effective_policy.suspended.floor = Some(policy(None, "stop"))),
            State::Held,
            Reason::Suspended,
        ),
        (
            "a freeze of its own policy",
            Box::new(|world| world.effective_policy.times.own = freeze("15 0 * * *", 60)),
            State::Pending,
            Reason::Frozen,
        ),
        (
            "a freeze of the cluster",
            Box::new(|world| world.effective_policy.times.floor = freeze("15 0 * * *", 60)),
            State::Pending,
            Reason::Frozen,
        ),
        (
            "no window",
            Box::new(|world| world.effective_policy.times.own = window("0 2 * * *", 60)),
            State::Pending,
            Reason::OutsideWindow,
        ),
        (
            "an earlier wave",
            Box::new(|world| world.ahead = Some("Deployment canary of wave 1 is Rolling".into())),
            State::Pending,
            Reason::EarlierWave,
        ),
    ];
    for (name, set, state, reason) in cases {
        let mut world = due();
        set(&mut world);
        let plan = holds(&mut world, state, reason);
        assert!(
            plan.detail.contains("ConfigMap web") || plan.detail.contains("wave"),
            "{name}: {plan:?}"
        );
    }
}

#[test]
fn what_waits_says_until_when() {
    let mut world = due();
    world.effective_policy.times.own = window("0 2 * * *", 60);
    assert_eq!(world.decide().not_before, Some(at(2 * 60 * 60)));
    world.now = 2 * 60 * 60;
    assert!(is_restart(&world.decide()));
    world.effective_policy.times.floor = freeze("0 1 * * *", 120);
    assert_eq!(
        world.decide().not_before,
        Some(at(3 * 60 * 60)),
        "the window is over by then, and nobody knows"
    );
}

#[test]
fn windows_go_by_the_clock_as_it_is_set_now() {
    let mut world = due();
    world.effective_policy.times.own = window("0 2 * * *", 60);
    world.clock_set_ahead = 60 * 60;
    let plan = world.decide();
    assert_eq!(
        plan.not_before,
        Some(at(60 * 60)),
        "one hour of waiting is over already"
    );
    world.clock_set_ahead = 2 * 60 * 60;
    assert!(is_restart(&world.decide()));
}

#[test]
fn two_restarts_are_no_closer_than_the_interval() {
    let mut world = due();
    world.effective_policy.min_interval = SignedDuration::from_mins(10);
    let plan = world.decide();
    assert!(is_restart(&plan), "it was never restarted");
    world.apply(&plan);
    world.write_live("C", 40, 1200);
    world.now = 1210;
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Pending, Reason::MinInterval));
    assert_eq!(plan.not_before, Some(at(1110 + 600)));
    world.now = 1110 + 600;
    assert!(is_restart(&world.decide()));
}

#[test]
fn the_failure_of_another_with_the_same_content_holds_it() {
    let failure = |world: &World| {
        let source = world.sources.first().expect("one").2.clone().expect("it exists");
        RolloutFailure {
            workload: WorkloadRef {
                name: Name::from("other"),
                ..world.workload.reference.clone()
            },
            digest: world.ring.newest().whole(&source.reference, &source.contents),
            source: source.reference,
            key: "k1".into(),
            undone: false,
        }
    };
    let mut world = due();
    world.failures = vec![failure(&world)];
    assert!(is_restart(&world.decide()), "its policy does not ask for that");
    world.effective_policy.halt_on_failure = true;
    holds(&mut world, State::Held, Reason::Halted);

    let mut world = due();
    world.effective_policy.halt_on_failure = true;
    world.failures = vec![failure(&world)];
    world.write("C", 30, 1120);
    world.now = 1130;
    assert!(is_restart(&world.decide()), "this is another content");
    let mut own = failure(&world);
    own.workload = world.workload.reference.clone();
    world.failures = vec![own];
    assert!(
        is_restart(&world.decide()),
        "its own failure holds nobody but the others"
    );
}

#[test]
fn a_restart_names_the_content_it_is_for() {
    let world = due();
    let plan = world.decide();
    let Action::Restart(restart) = &plan.action else {
        panic!("{plan:?}");
    };
    let cause = cause::parse(&restart.cause, &Namespace::from("shop")).expect("readable");
    let source = world.sources.first().expect("one").2.as_ref().expect("it exists");
    let expected = world.ring.newest().whole(&source.reference, &source.contents);
    let found: Vec<_> = cause.sources.iter().map(|it| it.digest).collect();
    assert_eq!((&*cause.key, found), ("k1", vec![expected]));
}

#[test]
fn restart_now_does_not_wait_for_what_its_namespace_says_and_does_for_the_cluster() {
    for (name, set, expected) in [
        (
            "a window",
            (|world| world.effective_policy.times.own = window("0 2 * * *", 60)) as fn(&mut World),
            true,
        ),
        (
            "a freeze",
            |world| world.effective_policy.times.own = freeze("0 0 * * *", 60),
            true,
        ),
        ("a wave", |world| world.ahead = Some("one".into()), true),
        (
            "a freeze of the cluster",
            |world| world.effective_policy.times.floor = freeze("0 0 * * *", 60),
            false,
        ),
        (
            "the emergency stop",
            |world| world.effective_policy.suspended.floor = Some(policy(None, "stop")),
            false,
        ),
    ] {
        let mut world = due();
        set(&mut world);
        pull(&mut world, ManualOverride::RestartNow, 1105);
        let plan = world.decide();
        assert_eq!(is_restart(&plan), expected, "{name}: {plan:?}");
        assert!(plan.override_note.is_some(), "{name}");
        if expected {
            world.apply(&plan);
            assert_eq!(world.baseline().last_override, Some(at(1105)));
            let again = world.decide();
            assert_quiet(&again);
            assert_eq!(again.override_note, None, "left behind, it does no harm");
        }
    }
}

#[test]
fn skip_takes_the_present_content_without_a_restart() {
    let mut world = due();
    pull(&mut world, ManualOverride::Skip, 1105);
    let plan = world.decide();
    assert_adopts(&plan, Reason::Skipped);
    assert!(plan.override_note.is_some());
    world.apply(&plan);
    assert_quiet(&world.decide());
    world.write("C", 40, 1200);
    world.now = 1210;
    assert!(is_restart(&world.decide()), "once");
}

#[test]
fn resume_goes_on_with_what_was_held() {
    let mut world = undone(&[990, 1103]);
    let plan = world.decide();
    world.apply(&plan);
    world.pods(&[990, 1103]);
    assert_eq!(world.decide().reason, Reason::RolledBack);
    pull(&mut world, ManualOverride::Resume, 1125);
    world.now = 1126;
    assert!(is_restart(&world.decide()));
}

#[test]
fn only_who_resumes_what_failed_says_that_the_others_may_go_on() {
    for (manual_override, excused) in [
        (ManualOverride::Resume, true),
        (ManualOverride::Skip, false),
        (ManualOverride::RestartNow, false),
    ] {
        let mut world = due();
        let plan = world.decide();
        world.apply(&plan);
        world.workload.rollout_status.progress = RolloutProgress::Failed;
        world.now = 1120;
        let plan = world.decide();
        assert_eq!(plan.reason, Reason::RolloutFailed, "{plan:?}");
        pull(&mut world, manual_override, 1125);
        world.now = 1126;
        let plan = world.decide();
        world.apply(&plan);
        assert_eq!(world.baseline().excused, excused, "{manual_override:?}: {plan:?}");
        // The next restart is another matter.
        world.write("C", 30, 1130);
        world.now = 1140;
        let plan = world.decide();
        assert!(is_restart(&plan), "{manual_override:?}: {plan:?}");
        world.apply(&plan);
        assert!(!world.baseline().excused, "{manual_override:?}");
    }
}

#[test]
fn what_a_wrong_policy_had_added_is_not_given_up() {
    let trouble = || Some(PolicyProblem::Invalid(policy(Some("shop"), "own"), "x".into()));
    let mut world = World::new();
    let added = world.sources.first().cloned().expect("one");
    let extra = SourceRef {
        name: Name::from("extra"),
        ..added.0.clone()
    };
    let flags = |content: &str, version, second| {
        let there = source(&extra, &[("level", content)], version, second);
        (extra.clone(), added.1.clone(), Some(there), Version::new(version), None)
    };
    world.sources.push(flags("A", 11, 600));
    let plan = world.decide();
    world.apply(&plan);

    // Also where a change of it waits already.
    for waits in [false, true] {
        let mut world = World {
            sources: world.sources.clone(),
            workload: world.workload.clone(),
            ..World::new()
        };
        world.now = 1110;
        if waits {
            world.sources[1] = flags("B", 20, 1100);
            world.effective_policy.times.own = freeze("* * * * *", 60);
            let plan = world.decide();
            assert_eq!(plan.reason, Reason::Frozen, "{plan:?}");
            world.apply(&plan);
            world.effective_policy = EffectivePolicy::default();
        }
        world.sources.truncate(1);
        world.effective_policy.problem = trouble();
        for _ in 0..2 {
            let plan = world.decide();
            if let Action::Read(_) = plan.action {
                world.pods(&[990]);
                continue;
            }
            assert_eq!(
                (plan.state, plan.reason),
                (State::Held, Reason::PolicyInvalid),
                "{plan:?}"
            );
            assert_eq!(plan.action, Action::Hold);
        }
        world.sources.push(flags("B", 20, 1100));
        world.effective_policy.problem = None;
        assert!(is_restart(&world.decide()), "{waits}");
    }
}

#[test]
fn a_lever_without_anything_to_do_is_answered_once() {
    let mut world = World::adopted();
    pull(&mut world, ManualOverride::Resume, 1000);
    let plan = world.decide();
    assert!(
        matches!(plan.action, Action::Adopt(_)) && plan.state == State::Current,
        "{plan:?}"
    );
    assert!(
        plan.override_note
            .as_deref()
            .is_some_and(|answer| answer.contains("no change was waiting")),
        "{plan:?}"
    );
    world.apply(&plan);
    let plan = world.decide();
    assert_quiet(&plan);
    assert_eq!(plan.override_note, None);
}

#[test]
fn an_old_lever_is_answered_and_not_followed() {
    let mut world = due();
    world.effective_policy.times.own = window("0 5 * * *", 60);
    world.now = 10_000;
    pull(&mut world, ManualOverride::RestartNow, 5_000);
    let plan = world.decide();
    assert_eq!(plan.reason, Reason::OutsideWindow);
    assert!(
        plan.override_note
            .as_deref()
            .is_some_and(|answer| answer.contains("ignored, ")),
        "{plan:?}"
    );
}

#[test]
fn a_lever_that_an_undo_brings_back_is_not_followed_again() {
    let mut world = due();
    let before = (world.workload.observed.clone(), world.workload.template_digest.clone());
    pull(&mut world, ManualOverride::RestartNow, 1105);
    let plan = world.decide();
    world.apply(&plan);
    let rolled = world.workload.template_digest.clone();
    (world.workload.observed, world.workload.template_digest) = before;
    pull(&mut world, ManualOverride::RestartNow, 1105);
    world.workload.rollout_status.revision = Some(3);
    world.now = 1200;
    world.pods(&[990, 1112]).revisions = vec![revision(3, 900, None), revision(2, 1111, rolled.as_deref())];
    let plan = world.decide();
    assert_eq!(plan.reason, Reason::RolledBack, "{plan:?}");
    assert!(
        plan.override_note
            .as_deref()
            .is_some_and(|answer| answer.contains("ignored, ")),
        "{plan:?}"
    );
}
