use windlass_core::types::name::{Name, SourceKind};
use windlass_core::workload::kind::DEPLOYMENT;

use super::*;

fn change() -> Change {
    of("web", 7)
}

fn of(source: &str, version: u64) -> Change {
    let source = SourceRef {
        namespace: Namespace::from("shop"),
        kind: SourceKind::ConfigMap,
        name: Name::from(source),
    };
    let of = Of {
        namespace: Namespace::from("shop"),
        kind: DEPLOYMENT,
        source,
    };
    Change {
        of,
        version: Version::new(version),
    }
}

fn refuse(rehearsals: &Rehearsals, change: &Change, now: Timestamp) {
    assert_eq!(rehearsals.part(change, &web(), now), Part::Rehearse, "{change:?}");
    rehearsals.done(change, Err(&refused()), now);
}

fn web() -> WorkloadRef {
    WorkloadRef {
        namespace: Namespace::from("shop"),
        kind: DEPLOYMENT,
        name: Name::from("web"),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn refused() -> ApiError {
    ApiError::Rejected("by a rule".into())
}

#[test]
fn one_goes_first_and_the_others_wait_for_it() {
    let rehearsals = Rehearsals::default();
    assert_eq!(rehearsals.part(&change(), &web(), at(0)), Part::Rehearse);
    assert!(matches!(rehearsals.part(&change(), &web(), at(0)), Part::Wait));
    assert_eq!(
        rehearsals.done(&change(), Ok(()), at(0)),
        BTreeSet::from([web()]),
        "it is called"
    );
    assert_eq!(rehearsals.part(&change(), &web(), at(0)), Part::Go);
    assert_eq!(rehearsals.part(&of("web", 8), &web(), at(0)), Part::Rehearse);
}

#[test]
fn three_refusals_hold_the_rest_and_one_is_tried_again_later() {
    let rehearsals = Rehearsals::default();
    for _ in 0..3 {
        refuse(&rehearsals, &change(), at(0));
    }
    let expected = Part::Refused {
        why: "by a rule".into(),
        until: at(60),
    };
    assert_eq!(rehearsals.part(&change(), &web(), at(0)), expected);
    assert_eq!(rehearsals.part(&change(), &web(), at(60)), Part::Rehearse);
    rehearsals.done(&change(), Err(&refused()), at(60));
    assert!(matches!(rehearsals.part(&change(), &web(), at(60)), Part::Refused { until, .. } if until == at(180)));
    assert_eq!(rehearsals.part(&change(), &web(), at(180)), Part::Rehearse);
    rehearsals.done(&change(), Ok(()), at(180));
    assert_eq!(rehearsals.part(&change(), &web(), at(180)), Part::Go);
}

#[test]
fn what_says_nothing_about_the_change_counts_for_nothing() {
    let rehearsals = Rehearsals::default();
    rehearsals.part(&change(), &web(), at(0));
    rehearsals.done(&change(), Err(&ApiError::Conflict), at(0));
    assert_eq!(rehearsals.part(&change(), &web(), at(0)), Part::Rehearse);
}

#[test]
fn of_a_source_that_goes_on_changing_only_the_last_change_is_kept() {
    let rehearsals = Rehearsals::default();
    for version in 1..1000 {
        refuse(&rehearsals, &of("web", version), at(0));
    }
    assert_eq!(rehearsals.lock().len(), 1);
}

#[test]
fn those_that_wait_for_a_change_are_called_after_the_one_that_took_its_place() {
    let rehearsals = Rehearsals::default();
    rehearsals.part(&of("web", 7), &web(), at(0));
    assert_eq!(rehearsals.part(&of("web", 7), &web(), at(0)), Part::Wait);
    assert_eq!(rehearsals.part(&of("web", 8), &web(), at(0)), Part::Rehearse);
    let nobody = BTreeSet::new();
    assert_eq!(rehearsals.done(&of("web", 7), Ok(()), at(0)), nobody);
    assert_eq!(
        rehearsals.part(&of("web", 8), &web(), at(0)),
        Part::Wait,
        "what came of the one before says nothing of this one"
    );
    assert_eq!(rehearsals.done(&of("web", 8), Ok(()), at(0)), BTreeSet::from([web()]));
}

#[test]
fn of_too_many_refusals_the_one_that_is_over_first_is_forgotten() {
    let rehearsals = Rehearsals::default();
    refuse(&rehearsals, &of("first", 7), at(0));
    for second in [0, 0, 0, 60] {
        refuse(&rehearsals, &of("held", 7), at(second));
    }
    for source in 0..4 * KEPT {
        refuse(&rehearsals, &of(&format!("source-{source}"), 7), at(60));
        assert!(rehearsals.lock().len() <= KEPT);
    }
    assert!(!rehearsals.lock().contains_key(&of("first", 7).of));
    let held = rehearsals.part(&of("held", 7), &web(), at(60));
    assert!(
        matches!(held, Part::Refused { until, .. } if until == at(180)),
        "{held:?}"
    );
}

#[test]
fn what_passed_is_forgotten_before_any_refusal() {
    let rehearsals = Rehearsals::default();
    for _ in 0..3 {
        refuse(&rehearsals, &of("held", 7), at(0));
    }
    for source in 0..4 * KEPT {
        let change = of(&format!("source-{source}"), 7);
        assert_eq!(rehearsals.part(&change, &web(), at(0)), Part::Rehearse);
        rehearsals.done(&change, Ok(()), at(0));
        assert!(rehearsals.lock().len() <= KEPT);
    }
    assert!(matches!(
        rehearsals.part(&of("held", 7), &web(), at(0)),
        Part::Refused { .. }
    ));
}
