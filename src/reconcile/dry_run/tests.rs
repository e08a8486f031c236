use windlass_core::types::name::{Name, SourceKind};
use windlass_core::workload::kind::DEPLOYMENT;

use super::*;

fn change() -> ChangeVersion {
    of("web", 7)
}

fn of(source: &str, version: u64) -> ChangeVersion {
    let source = SourceRef {
        namespace: Namespace::from("shop"),
        kind: SourceKind::ConfigMap,
        name: Name::from(source),
    };
    let of = ChangeKey {
        namespace: Namespace::from("shop"),
        kind: DEPLOYMENT,
        source,
    };
    ChangeVersion {
        key: of,
        version: Version::new(version),
    }
}

fn refuse(dry_runs: &DryRuns, change: &ChangeVersion, now: Timestamp) {
    assert_eq!(dry_runs.verdict(change, &web(), now), Verdict::DryRun, "{change:?}");
    dry_runs.finish(change, Err(&refused()), now);
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
    let dry_runs = DryRuns::default();
    assert_eq!(dry_runs.verdict(&change(), &web(), at(0)), Verdict::DryRun);
    assert!(matches!(dry_runs.verdict(&change(), &web(), at(0)), Verdict::Wait));
    assert_eq!(
        dry_runs.finish(&change(), Ok(()), at(0)),
        BTreeSet::from([web()]),
        "it is called"
    );
    assert_eq!(dry_runs.verdict(&change(), &web(), at(0)), Verdict::Proceed);
    assert_eq!(dry_runs.verdict(&of("web", 8), &web(), at(0)), Verdict::DryRun);
}

#[test]
fn three_refusals_hold_the_rest_and_one_is_tried_again_later() {
    let dry_runs = DryRuns::default();
    for _ in 0..3 {
        refuse(&dry_runs, &change(), at(0));
    }
    let expected = Verdict::Rejected {
        why: "by a rule".into(),
        until: at(60),
    };
    assert_eq!(dry_runs.verdict(&change(), &web(), at(0)), expected);
    assert_eq!(dry_runs.verdict(&change(), &web(), at(60)), Verdict::DryRun);
    dry_runs.finish(&change(), Err(&refused()), at(60));
    assert!(matches!(dry_runs.verdict(&change(), &web(), at(60)), Verdict::Rejected { until, .. } if until == at(180)));
    assert_eq!(dry_runs.verdict(&change(), &web(), at(180)), Verdict::DryRun);
    dry_runs.finish(&change(), Ok(()), at(180));
    assert_eq!(dry_runs.verdict(&change(), &web(), at(180)), Verdict::Proceed);
}

#[test]
fn what_says_nothing_about_the_change_counts_for_nothing() {
    let dry_runs = DryRuns::default();
    dry_runs.verdict(&change(), &web(), at(0));
    dry_runs.finish(&change(), Err(&ApiError::Conflict), at(0));
    assert_eq!(dry_runs.verdict(&change(), &web(), at(0)), Verdict::DryRun);
}

#[test]
fn of_a_source_that_goes_on_changing_only_the_last_change_is_kept() {
    let dry_runs = DryRuns::default();
    for version in 1..1000 {
        refuse(&dry_runs, &of("web", version), at(0));
    }
    assert_eq!(dry_runs.lock().len(), 1);
}

#[test]
fn those_that_wait_for_a_change_are_called_after_the_one_that_took_its_place() {
    let dry_runs = DryRuns::default();
    dry_runs.verdict(&of("web", 7), &web(), at(0));
    assert_eq!(dry_runs.verdict(&of("web", 7), &web(), at(0)), Verdict::Wait);
    assert_eq!(dry_runs.verdict(&of("web", 8), &web(), at(0)), Verdict::DryRun);
    let nobody = BTreeSet::new();
    assert_eq!(dry_runs.finish(&of("web", 7), Ok(()), at(0)), nobody);
    assert_eq!(
        dry_runs.verdict(&of("web", 8), &web(), at(0)),
        Verdict::Wait,
        "what came of the one before says nothing of this one"
    );
    assert_eq!(dry_runs.finish(&of("web", 8), Ok(()), at(0)), BTreeSet::from([web()]));
}

#[test]
fn of_too_many_refusals_the_one_that_is_over_first_is_forgotten() {
    let dry_runs = DryRuns::default();
    refuse(&dry_runs, &of("first", 7), at(0));
    for second in [0, 0, 0, 60] {
        refuse(&dry_runs, &of("held", 7), at(second));
    }
    for source in 0..4 * KEPT {
        refuse(&dry_runs, &of(&format!("source-{source}"), 7), at(60));
        assert!(dry_runs.lock().len() <= KEPT);
    }
    assert!(!dry_runs.lock().contains_key(&of("first", 7).key));
    let held = dry_runs.verdict(&of("held", 7), &web(), at(60));
    assert!(
        matches!(held, Verdict::Rejected { until, .. } if until == at(180)),
        "{held:?}"
    );
}

#[test]
fn what_passed_is_forgotten_before_any_refusal() {
    let dry_runs = DryRuns::default();
    for _ in 0..3 {
        refuse(&dry_runs, &of("held", 7), at(0));
    }
    for source in 0..4 * KEPT {
        let change = of(&format!("source-{source}"), 7);
        assert_eq!(dry_runs.verdict(&change, &web(), at(0)), Verdict::DryRun);
        dry_runs.finish(&change, Ok(()), at(0));
        assert!(dry_runs.lock().len() <= KEPT);
    }
    assert!(matches!(
        dry_runs.verdict(&of("held", 7), &web(), at(0)),
        Verdict::Rejected { .. }
    ));
}
