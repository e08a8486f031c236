use super::*;
use crate::workload::kind::DEPLOYMENT;

fn all() -> Batcher {
    Batcher::new(NoticeKinds::new(&NoticeKind::ALL).expect("all of them make sense"))
}

fn workload(namespace: &str, name: &str) -> (WorkloadRef, Uid) {
    let reference = WorkloadRef {
        namespace: namespace.into(),
        kind: DEPLOYMENT,
        name: name.into(),
    };
    (reference, format!("uid-{name}").as_str().into())
}

fn standing<'a>(of: &'a (WorkloadRef, Uid), state: State, reason: Reason, note: &'a str) -> WorkloadCondition<'a> {
    WorkloadCondition {
        workload: &of.0,
        uid: &of.1,
        state,
        reason,
        note,
        at: "2026-11-21T10:00:00Z".parse().expect("a time"),
    }
}

fn restart(batcher: &mut Batcher, of: &(WorkloadRef, Uid)) -> BatchResult {
    let standing = standing(of, State::Rolling, Reason::Restarted, "for ConfigMap web");
    batcher.restarted(&standing, "7")
}

fn hold(batcher: &mut Batcher, of: &(WorkloadRef, Uid)) -> BatchResult {
    hold_for(batcher, of, Reason::SourceMissing)
}

fn hold_for(batcher: &mut Batcher, of: &(WorkloadRef, Uid), reason: Reason) -> BatchResult {
    batcher.status_changed(&standing(of, State::Held, reason, "ConfigMap web"), "1")
}

fn recover(batcher: &mut Batcher, of: &(WorkloadRef, Uid)) -> BatchResult {
    batcher.status_changed(&standing(of, State::Current, Reason::Unchanged, "all is well"), "")
}

fn taken(batcher: &mut Batcher) -> Vec<NoticeKind> {
    let batch = batcher.take();
    batch.map_or_else(Vec::new, |batch| batch.notices.iter().map(|it| it.kind).collect())
}

#[test]
fn a_state_is_told_as_the_occasion_that_it_is() {
    for (state, reason, kind) in [
        (State::Held, Reason::SourceMissing, Some(NoticeKind::Held)),
        (State::Held, Reason::Flapping, Some(NoticeKind::Held)),
        (State::Held, Reason::Halted, Some(NoticeKind::Halted)),
        (State::Failed, Reason::RolloutFailed, Some(NoticeKind::Failed)),
        (State::Failed, Reason::Forbidden, Some(NoticeKind::Failed)),
        (State::Held, Reason::Ignored, None),
        (State::Pending, Reason::Frozen, None),
        (State::Observed, Reason::Restarted, None),
        (State::Current, Reason::Adopted, None),
    ] {
        assert_eq!(NoticeKind::for_condition(state, reason), kind, "{state:?} {reason:?}");
    }
}

#[test]
fn a_choice_without_sense_is_none() {
    for (named, makes_sense) in [
        (&[][..], false),
        (&[NoticeKind::Recovered], false),
        (&[NoticeKind::Recovered, NoticeKind::Restarted], false),
        (&[NoticeKind::Recovered, NoticeKind::Failed], true),
        (&[NoticeKind::Restarted], true),
    ] {
        assert_eq!(NoticeKinds::new(named).is_some(), makes_sense, "{named:?}");
    }
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let mut batcher = Batcher::new(NoticeKinds::new(&[NoticeKind::Failed]).expect("it makes sense"));
    let web = workload("shop", "web");
    assert_eq!(restart(&mut batcher, &web), BatchResult::Untold);
    assert_eq!(hold(&mut batcher, &web), BatchResult::Untold);
    assert_eq!(recover(&mut batcher, &web), BatchResult::Untold);
    assert_eq!(batcher.take(), None);
}

#[test]
fn a_recovery_is_told_of_what_was_told_and_once() {
    let mut batcher = all();
    let web = workload("shop", "web");
    assert_eq!(recover(&mut batcher, &web), BatchResult::Untold);
    hold(&mut batcher, &web);
    assert_eq!(taken(&mut batcher), [NoticeKind::Held]);
    restart(&mut batcher, &web);
    assert_eq!(recover(&mut batcher, &web), BatchResult::Kept);
    assert_eq!(recover(&mut batcher, &web), BatchResult::Untold);
    assert_eq!(taken(&mut batcher), [NoticeKind::Recovered, NoticeKind::Restarted]);
}

#[test]
fn another_workload_of_that_name_has_not_recovered() {
    let mut batcher = all();
    let web = workload("shop", "web");
    hold(&mut batcher, &web);
    batcher.take();
    let other = (web.0.clone(), Uid::from("another"));
    assert_eq!(recover(&mut batcher, &other), BatchResult::Untold);
    assert_eq!(recover(&mut batcher, &web), BatchResult::Untold, "it is forgotten");
}

#[test]
fn trouble_that_came_and_went_within_an_interval_is_none() {
    let mut batcher = all();
    let web = workload("shop", "web");
    hold(&mut batcher, &web);
    assert_eq!(recover(&mut batcher, &web), BatchResult::Untold);
    assert_eq!(batcher.take(), None);
}

#[test]
fn trouble_that_was_told_before_is_over_also_when_the_last_of_it_was_not_told_yet() {
    let mut batcher = all();
    let web = workload("shop", "web");
    hold(&mut batcher, &web);
    batcher.take();
    hold_for(&mut batcher, &web, Reason::RolledBack);
    assert_eq!(recover(&mut batcher, &web), BatchResult::Kept);
    assert_eq!(taken(&mut batcher), [NoticeKind::Recovered]);
}

#[test]
fn one_workload_is_told_once_of_each_occasion() {
    let mut batcher = all();
    let web = workload("shop", "web");
    for reason in [Reason::SourceMissing, Reason::RolledBack, Reason::Unproven] {
        assert_eq!(hold_for(&mut batcher, &web, reason), BatchResult::Kept);
    }
    let batch = batcher.take().expect("one is there");
    let reasons: Vec<Reason> = batch.notices.iter().map(|it| it.reason).collect();
    assert_eq!(reasons, [Reason::Unproven], "the last one");
    assert_eq!(batch.counts.each().collect::<Vec<_>>(), [(NoticeKind::Held, 1)]);
}

#[test]
fn a_namespace_that_floods_is_counted_and_leaves_room_for_others() {
    let mut batcher = all();
    for number in 0..500 {
        let taken = hold(&mut batcher, &workload("loud", &format!("web-{number:03}")));
        assert_eq!(taken == BatchResult::Kept, number < 100, "{number}");
    }
    assert_eq!(restart(&mut batcher, &workload("quiet", "web")), BatchResult::Kept);
    let batch = batcher.take().expect("some are there");
    assert_eq!(batch.notices.len(), 101);
    assert_eq!(batch.counts.sum(), 501);
    let foremost = batch.foremost(5);
    assert_eq!(foremost.len(), 5);
    let last = foremost.last().expect("there are five");
    assert_eq!(last.workload.namespace.as_str(), "quiet", "named though less urgent");
    let again = hold(&mut batcher, &workload("loud", "web-499"));
    assert_eq!(again, BatchResult::Kept, "a new interval");
}

#[test]
fn whatever_there_is_has_a_limit() {
    let mut batcher = all();
    for number in 0..2000 {
        hold(&mut batcher, &workload(&format!("n-{number}"), "web"));
    }
    let batch = batcher.take().expect("some are there");
    assert_eq!((batch.notices.len(), batch.counts.sum()), (1000, 2000));
}

#[test]
fn what_was_only_counted_does_not_recover() {
    let mut batcher = all();
    for number in 0..101 {
        hold(&mut batcher, &workload("loud", &format!("web-{number:03}")));
    }
    batcher.take();
    assert_eq!(recover(&mut batcher, &workload("loud", "web-100")), BatchResult::Untold);
    assert_eq!(recover(&mut batcher, &workload("loud", "web-000")), BatchResult::Kept);
}

#[test]
fn memory_of_what_was_told_has_a_limit() {
    let mut batcher = all();
    for number in 0..10_001 {
        hold(&mut batcher, &workload("shop", &format!("web-{number}")));
        batcher.take();
    }
    assert_eq!(recover(&mut batcher, &workload("shop", "web-0")), BatchResult::Untold);
    assert_eq!(recover(&mut batcher, &workload("shop", "web-1")), BatchResult::Kept);
}

#[test]
fn an_id_is_the_same_for_the_same_occasion_only() {
    let web = workload("shop", "web");
    let id = |of: &(WorkloadRef, Uid), reason, mark: &str| {
        let mut batcher = all();
        batcher.status_changed(&standing(of, State::Held, reason, "why"), mark);
        batcher.take().expect("it is there").notices.remove(0).id
    };
    let first = id(&web, Reason::SourceMissing, "1");
    assert_eq!(first, id(&web, Reason::SourceMissing, "1"));
    for other in [
        id(&workload("shop", "api"), Reason::SourceMissing, "1"),
        id(&web, Reason::RolledBack, "1"),
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
    let mut batcher = all();
    batcher.status_changed(&standing(&web, State::Held, Reason::Rejected, &note), "");
    let batch = batcher.take().expect("it is there");
    let note = &batch.notices.first().expect("it is there").note;
    assert!(note.starts_with("first second ä"), "{note}");
    assert!(note.ends_with("ä…") && note.len() <= NOTE_BYTES, "{note}");
}
