use super::*;
use crate::workload::kind::DEPLOYMENT;

fn all() -> Gathering {
    Gathering::new(Occasions::new(&OCCASIONS).expect("all of them make sense"))
}

fn workload(namespace: &str, name: &str) -> (WorkloadRef, Uid) {
    let reference = WorkloadRef {
        namespace: namespace.into(),
        kind: DEPLOYMENT,
        name: name.into(),
    };
    (reference, format!("uid-{name}").as_str().into())
}

fn standing<'a>(of: &'a (WorkloadRef, Uid), state: State, reason: Reason, note: &'a str) -> Standing<'a> {
    Standing {
        workload: &of.0,
        uid: &of.1,
        state,
        reason,
        note,
        at: "2026-11-21T10:00:00Z".parse().expect("a time"),
    }
}

fn restart(gathering: &mut Gathering, of: &(WorkloadRef, Uid)) -> Taken {
    let standing = standing(of, State::Rolling, Reason::Restarted, "for ConfigMap web");
    gathering.restarted(&standing, "7")
}

fn hold(gathering: &mut Gathering, of: &(WorkloadRef, Uid)) -> Taken {
    hold_for(gathering, of, Reason::SourceMissing)
}

fn hold_for(gathering: &mut Gathering, of: &(WorkloadRef, Uid), reason: Reason) -> Taken {
    gathering.stands(&standing(of, State::Held, reason, "ConfigMap web"), "1")
}

fn recover(gathering: &mut Gathering, of: &(WorkloadRef, Uid)) -> Taken {
    gathering.stands(&standing(of, State::Current, Reason::Unchanged, "all is well"), "")
}

fn taken(gathering: &mut Gathering) -> Vec<Occasion> {
    let batch = gathering.take();
    batch.map_or_else(Vec::new, |batch| batch.notices.iter().map(|it| it.occasion).collect())
}

#[test]
fn a_state_is_told_as_the_occasion_that_it_is() {
    for (state, reason, occasion) in [
        (State::Held, Reason::SourceMissing, Some(Occasion::Held)),
        (State::Held, Reason::Flapping, Some(Occasion::Held)),
        (State::Held, Reason::Halted, Some(Occasion::Halted)),
        (State::Failed, Reason::RolloutFailed, Some(Occasion::Failed)),
        (State::Failed, Reason::Forbidden, Some(Occasion::Failed)),
        (State::Held, Reason::Ignored, None),
        (State::Pending, Reason::Frozen, None),
        (State::Observed, Reason::Restarted, None),
        (State::Current, Reason::Adopted, None),
    ] {
        assert_eq!(Occasion::of_trouble(state, reason), occasion, "{state:?} {reason:?}");
    }
}

#[test]
fn a_choice_without_sense_is_none() {
    for (named, makes_sense) in [
        (&[][..], false),
        (&[Occasion::Recovered], false),
        (&[Occasion::Recovered, Occasion::Restarted], false),
        (&[Occasion::Recovered, Occasion::Failed], true),
        (&[Occasion::Restarted], true),
    ] {
        assert_eq!(Occasions::new(named).is_some(), makes_sense, "{named:?}");
    }
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let mut gathering = Gathering::new(Occasions::new(&[Occasion::Failed]).expect("it makes sense"));
    let web = workload("shop", "web");
    assert_eq!(restart(&mut gathering, &web), Taken::Untold);
    assert_eq!(hold(&mut gathering, &web), Taken::Untold);
    assert_eq!(recover(&mut gathering, &web), Taken::Untold);
    assert_eq!(gathering.take(), None);
}

#[test]
fn a_recovery_is_told_of_what_was_told_and_once() {
    let mut gathering = all();
    let web = workload("shop", "web");
    assert_eq!(recover(&mut gathering, &web), Taken::Untold);
    hold(&mut gathering, &web);
    assert_eq!(taken(&mut gathering), [Occasion::Held]);
    restart(&mut gathering, &web);
    assert_eq!(recover(&mut gathering, &web), Taken::Kept);
    assert_eq!(recover(&mut gathering, &web), Taken::Untold);
    assert_eq!(taken(&mut gathering), [Occasion::Recovered, Occasion::Restarted]);
}

#[test]
fn another_workload_of_that_name_has_not_recovered() {
    let mut gathering = all();
    let web = workload("shop", "web");
    hold(&mut gathering, &web);
    gathering.take();
    let other = (web.0.clone(), Uid::from("another"));
    assert_eq!(recover(&mut gathering, &other), Taken::Untold);
    assert_eq!(recover(&mut gathering, &web), Taken::Untold, "it is forgotten");
}

#[test]
fn trouble_that_came_and_went_within_an_interval_is_none() {
    let mut gathering = all();
    let web = workload("shop", "web");
    hold(&mut gathering, &web);
    assert_eq!(recover(&mut gathering, &web), Taken::Untold);
    assert_eq!(gathering.take(), None);
}

#[test]
fn trouble_that_was_told_before_is_over_also_when_the_last_of_it_was_not_told_yet() {
    let mut gathering = all();
    let web = workload("shop", "web");
    hold(&mut gathering, &web);
    gathering.take();
    hold_for(&mut gathering, &web, Reason::Undone);
    assert_eq!(recover(&mut gathering, &web), Taken::Kept);
    assert_eq!(taken(&mut gathering), [Occasion::Recovered]);
}

#[test]
fn one_workload_is_told_once_of_each_occasion() {
    let mut gathering = all();
    let web = workload("shop", "web");
    for reason in [Reason::SourceMissing, Reason::Undone, Reason::Unproven] {
        assert_eq!(hold_for(&mut gathering, &web, reason), Taken::Kept);
    }
    let batch = gathering.take().expect("one is there");
    let reasons: Vec<Reason> = batch.notices.iter().map(|it| it.reason).collect();
    assert_eq!(reasons, [Reason::Unproven], "the last one");
    assert_eq!(batch.counts.each().collect::<Vec<_>>(), [(Occasion::Held, 1)]);
}

#[test]
fn a_namespace_that_floods_is_counted_and_leaves_room_for_others() {
    let mut gathering = all();
    for number in 0..500 {
        let taken = hold(&mut gathering, &workload("loud", &format!("web-{number:03}")));
        assert_eq!(taken == Taken::Kept, number < 100, "{number}");
    }
    assert_eq!(restart(&mut gathering, &workload("quiet", "web")), Taken::Kept);
    let batch = gathering.take().expect("some are there");
    assert_eq!(batch.notices.len(), 101);
    assert_eq!(batch.counts.sum(), 501);
    let foremost = batch.foremost(5);
    assert_eq!(foremost.len(), 5);
    let last = foremost.last().expect("there are five");
    assert_eq!(last.workload.namespace.as_str(), "quiet", "named though less urgent");
    let again = hold(&mut gathering, &workload("loud", "web-499"));
    assert_eq!(again, Taken::Kept, "a new interval");
}

#[test]
fn whatever_there_is_has_a_limit() {
    let mut gathering = all();
    for number in 0..2000 {
        hold(&mut gathering, &workload(&format!("n-{number}"), "web"));
    }
    let batch = gathering.take().expect("some are there");
    assert_eq!((batch.notices.len(), batch.counts.sum()), (1000, 2000));
}

#[test]
fn what_was_only_counted_does_not_recover() {
    let mut gathering = all();
    for number in 0..101 {
        hold(&mut gathering, &workload("loud", &format!("web-{number:03}")));
    }
    gathering.take();
    assert_eq!(recover(&mut gathering, &workload("loud", "web-100")), Taken::Untold);
    assert_eq!(recover(&mut gathering, &workload("loud", "web-000")), Taken::Kept);
}

#[test]
fn memory_of_what_was_told_has_a_limit() {
    let mut gathering = all();
    for number in 0..10_001 {
        hold(&mut gathering, &workload("shop", &format!("web-{number}")));
        gathering.take();
    }
    assert_eq!(recover(&mut gathering, &workload("shop", "web-0")), Taken::Untold);
    assert_eq!(recover(&mut gathering, &workload("shop", "web-1")), Taken::Kept);
}

#[test]
fn an_id_is_the_same_for_the_same_occasion_only() {
    let web = workload("shop", "web");
    let id = |of: &(WorkloadRef, Uid), reason, mark: &str| {
        let mut gathering = all();
        gathering.stands(&standing(of, State::Held, reason, "why"), mark);
        gathering.take().expect("it is there").notices.remove(0).id
    };
    let first = id(&web, Reason::SourceMissing, "1");
    assert_eq!(first, id(&web, Reason::SourceMissing, "1"));
    for other in [
        id(&workload("shop", "api"), Reason::SourceMissing, "1"),
        id(&web, Reason::Undone, "1"),
        id(&web, Reason::SourceMissing, "2"),
    ] {
        assert_ne!(first, other);
    }
    assert_eq!(first.len(), 32);
}

#[test]
fn a_note_is_one_short_line() {
    let web = workload("shop", "web");
    let note = format!("first\nsecond\u{202e} {}", "ä".repeat(400));
    let mut gathering = all();
    gathering.stands(&standing(&web, State::Held, Reason::Rejected, &note), "");
    let batch = gathering.take().expect("it is there");
    let note = &batch.notices.first().expect("it is there").note;
    assert!(note.starts_with("first second ä"), "{note}");
    assert!(note.ends_with("ä…") && note.len() <= NOTE_BYTES, "{note}");
}
