//! Kinds that roll in their own way, and others who write to a workload.

use super::*;
use crate::compat::marks::ControllerMarks;
use crate::workload::kind::{KindId, RolloutWait};
use crate::workload::opt_in::{Origin, Selection};

fn of_kind(kind: &str) -> KindId {
    KindId::named(kind).expect("it is built in")
}

/// Restarted for content B at second 1102; the template bears our digest.
fn restarted() -> World {
    let mut world = World::adopted();
    world.write("B", 20, 1100);
    world.now = 1102;
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
    world.apply(&plan);
    world.now = 1110;
    world
}

// ---- kinds --------------------------------------------------------------------------------------

#[test]
fn a_cron_job_is_only_talked_about() {
    let mut world = World::new();
    world.workload.reference.kind = of_kind("CronJob");
    let plan = world.decide();
    assert_eq!((&plan.action, plan.reason), (&Action::Nothing, Reason::Unchanged));
    world.write_live("B", 20, 1100);
    let plan = world.decide();
    assert_eq!((&plan.action, plan.state), (&Action::Nothing, State::Current));
    assert_eq!(plan.reason, Reason::DeferredToNextRun);
    assert!(plan.detail.contains("key level"), "{}", plan.detail);
}

#[test]
fn a_rollout_that_waits_for_somebody_is_held_with_its_reason() {
    for (waiting, reason) in [
        (RolloutWait::Delete, Reason::OnDelete),
        (RolloutWait::Partition, Reason::Partitioned),
        (RolloutWait::Promotion, Reason::AwaitsPromotion),
    ] {
        let mut world = restarted();
        world.workload.rollout_status.progress = RolloutProgress::Waiting(waiting);
        let plan = world.decide();
        assert_eq!((plan.state, plan.reason), (State::Held, reason));
        world.workload.rollout_status.progress = RolloutProgress::Complete;
        assert_eq!(world.decide().state, State::Current);
    }
}

#[test]
fn a_scale_up_of_a_stateful_set_leaves_the_restart_ours() {
    let mut world = restarted();
    world.workload.reference.kind = of_kind("StatefulSet");
    world.workload.rollout_status.progress = RolloutProgress::Progressing;
    world.workload.rollout_status.revision = Some(9);
    assert_eq!(world.decide().state, State::Rolling);
}

#[test]
fn the_newest_revision_is_the_present_one_where_the_kind_does_not_say() {
    let mut world = undone(&[990, 1103]);
    world.workload.reference.kind = of_kind("StatefulSet");
    let rollout_history = world.rollout_history.as_mut().expect("there is one");
    for (at, revision) in rollout_history.revisions.iter_mut().enumerate() {
        revision.number += 40;
        revision.newest = Some(at == 0);
    }
    assert_eq!(world.decide().reason, Reason::RolledBack);
}

// ---- taken back ---------------------------------------------------------------------------------

/// Restarted, and the template is again what it was before; the annotations are not.
fn taken_back(owner: Option<&str>, pods: &[i64]) -> World {
    let mut world = restarted();
    world.workload.template_digest = None;
    world.workload.extras.get_or_insert_default().owner = owner.map(Into::into);
    world.workload.rollout_status.revision = Some(3);
    world.pods(pods);
    world
}

#[test]
fn while_it_is_being_taken_back_nothing_is_done() {
    let mut world = taken_back(Some("Shop web"), &[990]);
    world.workload.rollout_status.progress = RolloutProgress::Progressing;
    let plan = world.decide();
    assert_eq!((plan.action, plan.state), (Action::Hold, State::Rolling));
}

#[test]
fn pods_that_are_all_younger_make_it_harmless() {
    let mut world = taken_back(Some("Shop web"), &[1104, 1105]);
    let plan = world.decide();
    assert_eq!(plan.reason, Reason::PodsUpToDate);
    world.apply(&plan);
    assert_eq!(world.decide().reason, Reason::Unchanged);
}

#[test]
fn an_undo_by_nobody_who_owns_it_is_held() {
    let mut world = taken_back(None, &[990, 1104]);
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Held, Reason::RolledBack));
    world.apply(&plan);
    world.pods(&[990, 1104]);
    assert_eq!(world.decide().reason, Reason::RolledBack, "it stays so");
}

#[test]
fn what_it_was_taken_back_from_is_put_on_record() {
    let from = |world: &World| {
        let plan = world.decide();
        let Action::Adopt(observed) = plan.action else {
            panic!("{plan:?}");
        };
        let baseline = Baseline::parse(&observed).expect("readable");
        let from: Vec<_> = baseline.undone_from(&Namespace::from("shop")).collect();
        from
    };
    // What has changed since the baseline that the undo brought back.
    let found = from(&undone(&[990, 1103]));
    assert_eq!(found.len(), 1, "{found:?}");
    // Where the baseline stays, it is what the workload was seen to fail with.
    let mut world = taken_back(None, &[990, 1104]);
    assert_eq!(from(&world), []);
    world.failures = vec![RolloutFailure {
        workload: world.workload.reference.clone(),
        source: found[0].source.clone(),
        key: "k1".into(),
        digest: found[0].digest,
        undone: false,
    }];
    assert_eq!(from(&world), found);
}

#[test]
fn an_owner_is_outdone_once_and_then_left_alone() {
    let mut world = taken_back(Some("Shop web"), &[990, 1104]);
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
    assert_eq!(plan.reason, Reason::Restarted);
    world.apply(&plan);
    world.workload.template_digest = None;
    world.pods(&[990, 1104]);
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Held, Reason::Reverted));
    assert!(plan.detail.contains("Shop web"), "{}", plan.detail);
    world.apply(&plan);
    world.pods(&[990, 1104]);
    assert_eq!(world.decide().reason, Reason::Reverted);

    world.write_live("C", 40, 1300);
    world.now = 1303;
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Held, Reason::Reverted), "not again");
    world.apply(&plan);
    world.write_live("D", 50, 1400);
    world.now = 1102 + 24 * 60 * 60 + 60;
    world.pods(&[]);
    assert!(is_restart(&world.decide()), "a day later it is tried again");
}

#[test]
fn a_restart_that_was_complete_may_lose_its_mark() {
    let mut world = taken_back(None, &[990]);
    world.rollout_history = None;
    let mark = world.baseline().template_digest;
    assert!(mark.is_some());
    world.trusted = Some(LastCurrent {
        version: Version::new(60),
        revision: Some(2),
        template_digest: mark,
    });
    assert_eq!(world.decide().reason, Reason::Unchanged);
}

// ---- others who restart -------------------------------------------------------------------------

#[test]
fn another_controller_at_work_is_not_fought() {
    let mut world = World::adopted();
    world.competing_controller = Some(CompetingController {
        origin: Origin::Reloader,
        marks: vec![[1; 8]],
    });
    assert_eq!(world.decide().reason, Reason::Unchanged, "as long as nothing changes");
    world.write("B", 20, 1100);
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Held, Reason::OtherController));
    assert!(plan.detail.contains("Reloader"), "{}", plan.detail);
    world.competing_controller = None;
    assert!(is_restart(&world.decide()));
}

#[test]
fn marks_go_with_the_restart_and_not_before() {
    let template = json!({ "metadata": { "annotations": { "wave.pusher.com/config-hash": "x" } } });
    let mut world = World::new();
    world.workload.extras.get_or_insert_default().marks =
        ControllerMarks::of(&template, |_| None, crate::compat::marks::NamedSources::any());
    assert_eq!(world.decide().reason, Reason::Adopted);
    let plan = world.decide();
    world.apply(&plan);
    assert_eq!(world.decide().action, Action::Nothing);
    world.write("B", 20, 1100);
    let Action::Restart(restart) = world.decide().action else {
        panic!("content changed")
    };
    assert_eq!(restart.marks.as_deref(), world.workload.marks());
    assert_eq!(restart.reloaded_from, None);
}

fn marked(world: &mut World, value: &str) {
    let variable = json!({ "name": "STAKATER_WEB_CONFIGMAP", "value": format!("{value:0>40}") });
    let template = json!({ "spec": { "containers": [{ "name": "c", "env": [variable] }] } });
    world.workload.extras.get_or_insert_default().marks =
        ControllerMarks::of(&template, |_| None, crate::compat::marks::NamedSources::any());
}

/// It was held for an hour as if another controller were at work.
#[test]
fn marks_on_record_that_come_back_are_no_rivals() {
    let mut world = World::new();
    marked(&mut world, "1");
    let plan = world.decide();
    world.apply(&plan);
    world.write("B", 20, 1100);
    world.now = 1110;
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
    world.apply(&plan);
    world.workload.extras = None;
    assert!(
        !world.baseline().print().contains("0000"),
        "no value of a mark is written"
    );

    // An old manifest brings it back.
    marked(&mut world, "1");
    let news = |world: &World| world.workload.marks().and_then(|marks| marks.news(None, None));
    world.competing_controller = news(&world);
    assert!(world.competing_controller.is_some());
    world.write("C", 30, 1200);
    world.now = 1210;
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
    world.apply(&plan);
    // Another value is news, and stays so when a baseline is written for something else.
    marked(&mut world, "2");
    let later = news(&world).expect("another value");
    world.competing_controller.as_mut().expect("there is one").add(later);
    for (content, version) in [("D", 40), ("E", 50)] {
        world.write(content, version, 1300);
        world.now = 1310;
        assert_eq!(world.decide().reason, Reason::OtherController);
        let recorded = world.recorded(Some(&world.baseline()));
        world.workload.observed = Some(recorded.print().into());
    }
    // Until it is forgotten; then it is on record as well.
    world.competing_controller = None;
    world.write("F", 60, 1400);
    world.now = 1410;
    assert!(is_restart(&world.decide()));
}

#[test]
fn a_mark_of_a_source_that_does_not_count_is_not_taken_off() {
    let mut world = World::new();
    let variables = json!([
        { "name": "STAKATER_WEB_CONFIGMAP", "value": "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
        { "name": "STAKATER_BUILD_SECRET", "value": "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
    ]);
    let template = json!({ "spec": { "containers": [{ "name": "c", "env": variables }] } });
    world.workload.extras.get_or_insert_default().marks =
        ControllerMarks::of(&template, |_| None, crate::compat::marks::NamedSources::any());
    let plan = world.decide();
    world.apply(&plan);
    world.write("B", 20, 1100);
    world.now = 1110;
    let Action::Restart(restart) = world.decide().action else {
        panic!("content changed")
    };
    let marks = restart.marks.expect("one goes");
    let names: Vec<_> = marks.variables.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["STAKATER_WEB_CONFIGMAP"]);
}

#[test]
fn those_of_reloader_find_their_mark_with_our_digest() {
    let mut world = World::adopted();
    world.opt_in.origin = Origin::Reloader;
    world.write("swordfish", 20, 1100);
    let Action::Restart(restart) = world.decide().action else {
        panic!("content changed")
    };
    let text = restart.reloaded_from.expect("it is written");
    let mark: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(mark["type"], "CONFIGMAP");
    assert_eq!(mark["name"], CONFIG);
    assert_eq!(mark["hash"], restart.digest);
    assert!(!text.contains("swordfish"));
}

#[test]
fn pods_that_wave_holds_back_are_let_go_when_their_sources_are_there() {
    let template = json!({ "spec": { "schedulerName": "wave.pusher.com/invalid" } });
    let mut world = World::adopted();
    world.workload.extras.get_or_insert_default().marks =
        ControllerMarks::of(&template, |_| None, crate::compat::marks::NamedSources::any());
    let plan = world.decide();
    assert!(is_restart(&plan), "{plan:?}");
    assert_eq!(plan.reason, Reason::Restarted);
    world.delete(30);
    assert_eq!(world.decide().reason, Reason::SourceMissing);
}

// ---- many sources -------------------------------------------------------------------------------

/// A Deployment with so many `ConfigMap`s, adopted.
fn with_sources(count: usize) -> World {
    let mut world = World::new();
    let name = |number: usize| format!("source-{number:03}");
    let from: Vec<_> = (0..count)
        .map(|number| json!({ "configMapRef": { "name": name(number) } }))
        .collect();
    let uses = discover(&json!({ "spec": { "containers": [{ "name": "c", "envFrom": from }] } }));
    world.sources = uses
        .iter()
        .enumerate()
        .map(|(number, used)| {
            let reference = source_ref(used.name.as_str());
            let version = 10 + u64::try_from(number).expect("few");
            let present = source(&reference, &[("level", "A")], version, 500);
            (reference, used.clone(), Some(present), Version::new(version), None)
        })
        .collect();
    world.workload.uses = uses.into();
    let plan = world.decide();
    world.apply(&plan);
    assert_quiet(&world.decide());
    world
}

/// The first eight of all were named, and others halted for those.
#[test]
fn of_many_sources_the_one_that_changed_is_named() {
    for count in [5, 40, 80, 240] {
        let mut world = with_sources(count);
        let at = count - 3;
        let entry = world.sources.get_mut(at).expect("so many");
        let reference = entry.0.clone();
        entry.2 = Some(source(&reference, &[("level", "B")], 1000, 1100));
        entry.3 = Version::new(1000);
        // Nobody saw it live.
        world.now = 1110;
        let plan = world.decide();
        let Action::Restart(restart) = &plan.action else {
            panic!("{plan:?}")
        };
        assert_eq!(restart.sources, std::slice::from_ref(&reference), "{count} sources");
        assert!(
            plan.detail.starts_with(&reference.to_string()),
            "{count} sources: {}",
            plan.detail
        );
        let cause: serde_json::Value = serde_json::from_str(&restart.cause).expect("JSON");
        let named = cause["sources"].as_array().expect("a list");
        assert_eq!(
            (named.len(), named[0]["name"].as_str()),
            (1, Some(reference.name.as_str()))
        );
    }
}

// ---- pauses -------------------------------------------------------------------------------------

/// Restarted by Reloader's rules, with a pause of a minute that began at second 1102.
fn paused() -> World {
    let mut world = World::adopted();
    world.opt_in.origin = Origin::Reloader;
    world.opt_in.pause = Some(SignedDuration::from_secs(60));
    world.write("B", 20, 1100);
    world.now = 1102;
    let plan = world.decide();
    let Action::Restart(restart) = &plan.action else {
        panic!("{plan:?}")
    };
    assert_eq!(restart.pause, Some(Pause::Begin(at(1102))));
    world.apply(&plan);
    world.workload.rollout_status.paused = true;
    world.workload.rollout_status.progress = RolloutProgress::Progressing;
    world.workload.extras.get_or_insert_default().paused_at = Some(Second::new(1102));
    world.now = 1110;
    world
}

#[test]
fn in_a_pause_changes_are_gathered_and_roll_at_its_end() {
    let mut world = paused();
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Pending, Reason::PausePeriod));
    assert_eq!(plan.not_before, Some(at(1162)));
    world.write_live("C", 40, 1120);
    world.now = 1130;
    assert_eq!(world.decide().reason, Reason::PausePeriod);
    world.now = 1162;
    let Action::Restart(restart) = world.decide().action else {
        panic!("the pause is over")
    };
    assert_eq!(restart.pause, Some(Pause::End));
}

#[test]
fn a_pause_without_further_changes_just_ends() {
    let mut world = paused();
    world.now = 1162;
    assert_eq!(world.decide().action, Action::Resume);
}

#[test]
fn a_pause_that_nobody_asks_for_any_more_ends_at_once() {
    let mut world = paused();
    world.opt_in.pause = None;
    assert_eq!(world.decide().action, Action::Resume);
    let mut world = paused();
    world.opt_in = OptIn {
        configmaps: Selection::nothing(),
        secrets: Selection::nothing(),
        ..OptIn::default()
    };
    world.workload.observed = None;
    assert_eq!(world.decide().action, Action::Resume, "although nothing is adopted");
}

#[test]
fn a_pause_by_somebody_else_is_theirs() {
    let mut world = paused();
    world.workload.extras = None;
    world.write("C", 40, 1120);
    world.now = 2000;
    assert_eq!(world.decide().reason, Reason::Paused);
}

// ---- coming and going ---------------------------------------------------------------------------

#[test]
fn whether_coming_and_going_are_changes_can_be_said() {
    for (on_create, on_delete) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut gone = World::adopted();
        gone.presence = PresencePolicy { on_create, on_delete };
        gone.sources.first_mut().expect("one source").1.required = false;
        let plan = gone.decide();
        gone.apply(&plan);
        gone.delete(20);
        let plan = gone.decide();
        assert_eq!(is_restart(&plan), on_delete, "{plan:?}");
        gone.apply(&plan);
        gone.write("A", 30, 1200);
        gone.now = 1300;
        gone.workload.rollout_status.revision = Some(gone.baseline().revision);
        let plan = gone.decide();
        assert_eq!(is_restart(&plan), on_create, "{plan:?}");
        gone.apply(&plan);
        gone.write("B", 40, 1400);
        gone.now = 1500;
        assert!(is_restart(&gone.decide()), "a change is a change");
    }
}

#[test]
fn a_source_that_begins_to_count_is_taken_as_it_is_whenever_it_was_written() {
    let mut world = World::adopted();
    let begun = source_ref("begun");
    let entry = world.sources.first().expect("one source").clone();
    // Pods were started since the baseline was set, and before this one was seen at all.
    let source = Some(source(&begun, &[("level", "A")], 30, 1200));
    world
        .sources
        .push((begun, entry.1, source, Version::new(30), Some(Second::new(0))));
    world.sources.sort_by(|one, other| one.0.cmp(&other.0));
    world.now = 1210;
    world.pods(&[1100]);
    assert_adopts(&world.decide(), Reason::SourcesChanged);
    // Nor does it matter that it was seen to come.
    world.change = Some(PendingChange {
        first_seen: at(1200),
        since: Second::new(1200),
        keys: vec![(source_ref("begun"), Key::from("level"))],
    });
    assert_adopts(&world.decide(), Reason::SourcesChanged);
}

// ---- deadline -----------------------------------------------------------------------------------

#[test]
fn a_rollout_that_gets_nowhere_has_failed_some_time() {
    let mut world = restarted();
    world.workload.rollout_status.progress = RolloutProgress::Progressing;
    let plan = world.decide();
    assert_eq!((plan.state, plan.not_before), (State::Rolling, Some(at(1102 + 600))));
    world.now = 1102 + 600;
    let plan = world.decide();
    assert_eq!((plan.state, plan.reason), (State::Failed, Reason::RolloutFailed));
    world.workload.rollout_status.progress = RolloutProgress::Complete;
    assert_eq!(world.decide().state, State::Current);
}
