use super::*;
use crate::notice::event::Severity;
use crate::reason::Reason;
use crate::types::name::{Name, Uid, WorkloadRef};
use crate::workload::kind::DEPLOYMENT;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).expect("a time")
}

fn event(namespace: &str, name: &str, reason: Reason, note: &str, at: Timestamp) -> WorkloadEvent {
    let severity = if reason == Reason::InvalidAnnotation {
        Severity::Warning
    } else {
        Severity::Normal
    };
    WorkloadEvent {
        workload: WorkloadRef {
            namespace: Namespace::from(namespace),
            kind: DEPLOYMENT,
            name: Name::from(name),
        },
        uid: Uid::from(format!("{namespace}/{name}").as_str()),
        severity,
        reason,
        note: note.to_owned(),
        at,
    }
}

fn normal(namespace: &str, name: &str, note: &str, at: Timestamp) -> WorkloadEvent {
    event(namespace, name, Reason::DeferredToNextRun, note, at)
}

fn warning(namespace: &str, name: &str, at: Timestamp) -> WorkloadEvent {
    event(namespace, name, Reason::InvalidAnnotation, "x", at)
}

fn name_of(write: &EventWrite) -> String {
    let workload = &write.event.workload;
    format!(
        "{}/{} {}x{}",
        workload.namespace, workload.name, write.event.note, write.count
    )
}

/// Writes everything that somebody who has time may write now.
fn write_all(queue: &mut EventQueue, now: Timestamp) -> Vec<EventWrite> {
    let mut writes = Vec::new();
    while let Some(write) = queue.next(now) {
        let written = match &write.name {
            None => WriteResult::Created(format!("event-{}", writes.len())),
            Some(_) => WriteResult::Counted,
        };
        assert_eq!(queue.written(write.clone(), written, now), None);
        writes.push(write);
    }
    writes
}

#[test]
fn repeats_are_counted_in_the_event_that_is_there() {
    let mut queue = EventQueue::new(100);
    assert_eq!(queue.offer(normal("a", "web", "x", at(0)), at(0)), OfferResult::Queued);
    // Before it is written.
    assert_eq!(
        queue.offer(normal("a", "web", "x", at(1)), at(1)),
        OfferResult::Repeated
    );
    let write = queue.next(at(2)).expect("one");
    assert_eq!((write.name.as_deref(), write.count, write.last), (None, 2, at(1)));
    // While it is being written.
    assert_eq!(
        queue.offer(normal("a", "web", "x", at(3)), at(3)),
        OfferResult::Repeated
    );
    assert_eq!(queue.next(at(3)), None);
    assert_eq!(queue.written(write, WriteResult::Created("web-1".into()), at(4)), None);
    let write = queue.next(at(5)).expect("its repeat");
    assert_eq!(
        (write.name.as_deref(), write.count, write.last),
        (Some("web-1"), 3, at(3))
    );
    assert_eq!(queue.written(write, WriteResult::Counted, at(6)), None);
    // After it.
    assert_eq!(
        queue.offer(normal("a", "web", "x", at(7)), at(7)),
        OfferResult::Repeated
    );
    let write = queue.next(at(7)).expect("one more");
    assert_eq!((write.name.as_deref(), write.count), (Some("web-1"), 4));
    assert_eq!(queue.next(at(7)), None);
}

#[test]
fn what_says_something_else_is_an_event_of_its_own() {
    let mut queue = EventQueue::new(100);
    for event in [
        normal("a", "web", "x", at(0)),
        normal("a", "web", "y", at(0)),
        normal("a", "other", "x", at(0)),
        event("a", "web", Reason::Adopted, "x", at(0)),
        normal("b", "web", "x", at(0)),
    ] {
        assert_eq!(queue.offer(event, at(0)), OfferResult::Queued);
    }
    assert_eq!(write_all(&mut queue, at(1)).len(), 5);
}

#[test]
fn a_series_ends_when_it_is_silent() {
    for (silence, expected) in [
        (SERIES_END, OfferResult::Repeated),
        (SERIES_END + SignedDuration::from_millis(1), OfferResult::Queued),
    ] {
        let mut queue = EventQueue::new(100);
        queue.offer(normal("a", "web", "x", at(0)), at(0));
        write_all(&mut queue, at(0));
        let later = at(0) + silence;
        assert_eq!(queue.offer(normal("a", "web", "x", later), later), expected);
    }
}

#[test]
fn an_event_that_is_gone_is_created_again_with_its_count() {
    let mut queue = EventQueue::new(100);
    queue.offer(normal("a", "web", "x", at(0)), at(0));
    write_all(&mut queue, at(0));
    queue.offer(normal("a", "web", "x", at(1)), at(1));
    let write = queue.next(at(1)).expect("a repeat");
    assert_eq!(queue.written(write, WriteResult::Gone, at(2)), None);
    let write = queue.next(at(2)).expect("it is tried again");
    assert_eq!((write.name.as_deref(), write.count, write.last), (None, 2, at(1)));
}

#[test]
fn a_write_that_fails_costs_one_event_and_no_later_one() {
    let mut queue = EventQueue::new(100);
    queue.offer(normal("a", "web", "x", at(0)), at(0));
    let write = queue.next(at(0)).expect("one");
    queue.offer(normal("a", "web", "x", at(1)), at(1));
    assert_eq!(
        queue.written(write, WriteResult::Failed, at(2)),
        Some(OfferResult::Dropped)
    );
    let write = queue.next(at(2)).expect("the later one");
    assert_eq!((write.name.clone(), write.count), (None, 1));
    assert_eq!(queue.written(write, WriteResult::Created("web-1".into()), at(2)), None);
    // The count of a repeat that could not be written is in the next one.
    queue.offer(normal("a", "web", "x", at(3)), at(3));
    let write = queue.next(at(3)).expect("a repeat");
    assert_eq!(
        queue.written(write, WriteResult::Failed, at(3)),
        Some(OfferResult::Dropped)
    );
    queue.offer(normal("a", "web", "x", at(4)), at(4));
    assert_eq!(queue.next(at(4)).expect("a repeat").count, 3);
}

#[test]
fn an_object_has_25_events_at_once_and_then_one_in_five_minutes() {
    let mut queue = EventQueue::new(100);
    let mut results = Vec::new();
    // One each second, for an hour.
    for second in 0..3600 {
        let now = at(second * 1000);
        let offered = queue.offer(normal("a", "web", &format!("note {second}"), now), now);
        results.push((second, offered));
        write_all(&mut queue, now);
    }
    let queued = results.iter().filter(|(_, offered)| *offered == OfferResult::Queued);
    let queued: Vec<i64> = queued.map(|(second, _)| *second).collect();
    let expected: Vec<i64> = (0..25).chain((1..12).map(|number| number * 300)).collect();
    assert_eq!(queued, expected);
    assert!(
        results
            .iter()
            .all(|(_, it)| matches!(it, OfferResult::Queued | OfferResult::ObjectLimit))
    );
}

#[test]
fn a_flood_of_repeats_is_bounded_and_its_count_is_right_in_the_end() {
    let mut queue = EventQueue::new(1024);
    let (mut writes, mut last) = (0, HashMap::new());
    let mut note = |written: Vec<EventWrite>| {
        writes += written.len();
        last.extend(written.into_iter().map(|write| (write.event.uid.clone(), write.count)));
    };
    // 100 CronJobs and one ConfigMap that is written 5 times a second, for ten minutes.
    for write in 0..3000 {
        let now = at(write * 200);
        for number in 0..100 {
            queue.offer(normal("a", &format!("job-{number}"), "x", now), now);
        }
        note(write_all(&mut queue, now));
    }
    let end = at(600_000) + OBJECT_INTERVAL;
    note(write_all(&mut queue, end));
    assert!(
        last.values().all(|count| *count == 3000) && last.len() == 100,
        "{last:?}"
    );
    // The first of each, what one namespace may have, and what came back of both.
    assert!(writes <= 100 * (25 + 3), "{writes} writes of 300,000");
}

#[test]
fn a_namespace_has_a_limit_besides_the_first_event_of_each_object() {
    let mut queue = EventQueue::new(100_000);
    let mut offered = |namespace: &str, name: &str, note: usize, now| {
        queue.offer(normal(namespace, name, &format!("{note}"), now), now)
    };
    // A thousand workloads have one each, and then as many as the namespace may have at once.
    for number in 0..1000 {
        assert_eq!(offered("a", &format!("w-{number}"), 0, at(0)), OfferResult::Queued);
    }
    for number in 0..1000 {
        assert_eq!(offered("a", &format!("w-{number}"), 1, at(0)), OfferResult::Queued);
    }
    assert_eq!(offered("a", "w-0", 2, at(0)), OfferResult::NamespaceLimit);
    // That of others is not concerned, nor is the first of another object.
    assert_eq!(offered("a", "other", 0, at(0)), OfferResult::Queued);
    assert_eq!(offered("b", "w-0", 0, at(0)), OfferResult::Queued);
    assert_eq!(offered("b", "w-0", 1, at(0)), OfferResult::Queued);
    // Five a second come back.
    let later = at(1000);
    let queued = (0..1000).filter(|number| offered("a", &format!("w-{number}"), 2, later) == OfferResult::Queued);
    assert_eq!(queued.count(), 5);
}

#[test]
fn namespaces_take_turns_and_each_has_its_order() {
    let mut queue = EventQueue::new(100);
    for number in 0..4 {
        queue.offer(normal("flood", &format!("w-{number}"), "x", at(0)), at(0));
    }
    queue.offer(normal("b", "web", "x", at(1)), at(1));
    queue.offer(warning("c", "web", at(1)), at(1));
    let order: Vec<String> = write_all(&mut queue, at(2)).iter().map(name_of).collect();
    assert_eq!(
        order,
        [
            "flood/w-0 xx1",
            "b/web xx1",
            "c/web xx1",
            "flood/w-1 xx1",
            "flood/w-2 xx1",
            "flood/w-3 xx1"
        ]
    );
}

#[test]
fn in_a_full_queue_the_namespace_that_has_the_most_loses_events() {
    let mut queue = EventQueue::new(4);
    for number in 0..3 {
        queue.offer(normal("flood", &format!("w-{number}"), "x", at(0)), at(0));
    }
    queue.offer(normal("b", "web", "x", at(0)), at(0));
    for (what, event, dropped, expected) in [
        (
            "its own",
            normal("flood", "w-9", "x", at(0)),
            OfferResult::Dropped,
            "w-0 w-1 w-2 web",
        ),
        (
            "its own, for a Warning",
            warning("flood", "w-8", at(0)),
            OfferResult::Dropped,
            "w-0 w-1 w-8 web",
        ),
        (
            "the latest, for another's",
            normal("c", "new", "x", at(0)),
            OfferResult::Dropped,
            "w-0 w-8 web new",
        ),
    ] {
        assert_eq!(queue.offer(event, at(0)), dropped, "{what}");
        assert_eq!(queue.len(), 4, "{what}");
        let flood = queue.waiting.get("flood").into_iter().flatten();
        let others = ["b", "c"].into_iter().filter_map(|it| queue.waiting.get(it)).flatten();
        let left = flood.chain(others).map(|it| it.event.workload.name.to_string());
        assert_eq!(left.collect::<Vec<_>>().join(" "), expected, "{what}");
    }
    // Nothing is left of what was dropped: it is no repeat when it comes again.
    write_all(&mut queue, at(1));
    assert_eq!(
        queue.offer(normal("flood", "w-2", "x", at(2)), at(2)),
        OfferResult::Queued
    );
}

#[test]
fn while_busy_only_what_is_due_is_written_and_what_is_urgent_is_due_soon() {
    let mut queue = EventQueue::new(100);
    queue.offer(normal("a", "web", "x", at(0)), at(0));
    queue.offer(normal("b", "first", "x", at(0)), at(0));
    queue.offer(warning("b", "second", at(1000)), at(1000));
    queue.offer(normal("b", "third", "x", at(2000)), at(2000));
    let urgent = at(1000) + URGENT_WAIT;
    assert_eq!(queue.next_due(urgent - SignedDuration::from_millis(1)), None);
    assert_eq!(queue.overdue(urgent - SignedDuration::from_millis(1)), None);
    assert_eq!(queue.overdue(urgent), Some(SignedDuration::ZERO));
    // What was before it is written before it, and nothing of others.
    for expected in ["b/first xx1", "b/second xx1"] {
        assert_eq!(name_of(&queue.next_due(urgent).expect("due")), expected);
    }
    assert_eq!(queue.next_due(urgent), None);
    let other = at(0) + OTHER_WAIT;
    assert_eq!(name_of(&queue.next_due(other).expect("due")), "a/web xx1");
    assert_eq!(queue.next_due(other), None);
    assert_eq!(
        name_of(&queue.next_due(at(2000) + OTHER_WAIT).expect("due")),
        "b/third xx1"
    );
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut queue = EventQueue::new(10);
    for number in 0..10_000 {
        let now = at(number);
        let name = format!("w-{number}");
        queue.offer(normal(&format!("ns-{number}"), &name, "x", now), now);
        write_all(&mut queue, now);
    }
    assert!(queue.series.len() <= SERIES);
    assert!(queue.waiting.is_empty() && queue.turns.is_empty());
}

#[test]
fn at_the_end_everything_is_written_that_waits_for_a_token() {
    let mut queue = EventQueue::new(100);
    for number in 0..100 {
        queue.offer(normal("a", "web", "x", at(number)), at(number));
        write_all(&mut queue, at(number));
    }
    assert_eq!(queue.next(at(100)), None);
    queue.flush(at(100));
    let writes = write_all(&mut queue, at(100));
    assert_eq!(writes.iter().map(name_of).collect::<Vec<_>>(), ["a/web xx100"]);
}

#[test]
fn a_note_that_is_too_long_is_cut_between_letters() {
    let mut queue = EventQueue::new(1);
    queue.offer(normal("a", "web", &"ä".repeat(NOTE_BYTES), at(0)), at(0));
    let note = queue.next(at(0)).expect("one").event.note;
    assert_eq!(note, "ä".repeat(NOTE_BYTES / 2));
}
