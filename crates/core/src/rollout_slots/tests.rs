use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::types::name::Name;
use crate::workload::kind::DEPLOYMENT;

fn workload(namespace: &str, name: &str) -> WorkloadRef {
    WorkloadRef {
        namespace: Namespace::from(namespace),
        kind: DEPLOYMENT,
        name: Name::from(name),
    }
}

fn later(rolling: usize, waiting: usize) -> AcquireOutcome {
    AcquireOutcome::Queued {
        rolling,
        waiting,
        full: None,
    }
}

/// So many seconds after the beginning.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time of these tests")
}

fn is_now(turn: AcquireOutcome) -> bool {
    turn == AcquireOutcome::Granted
}

#[test]
fn without_a_limit_everybody_goes_at_once() {
    let mut rollout_slots = RolloutSlots::new(0);
    for n in 0..100 {
        assert!(is_now(rollout_slots.acquire(&workload("a", &n.to_string()), &[])));
    }
}

#[test]
fn beyond_the_limit_one_waits_until_it_is_called() {
    let mut rollout_slots = RolloutSlots::new(1);
    let (one, two, three) = (workload("a", "1"), workload("a", "2"), workload("a", "3"));
    assert!(is_now(rollout_slots.acquire(&one, &[])));
    assert!(is_now(rollout_slots.acquire(&one, &[])), "whoever has a slot keeps it");
    assert_eq!(rollout_slots.acquire(&two, &[]), later(1, 1));
    assert_eq!(
        rollout_slots.acquire(&two, &[]),
        later(1, 1),
        "asking twice is asking once"
    );
    rollout_slots.acquire(&three, &[]);
    assert_eq!(rollout_slots.release(&one), std::slice::from_ref(&two));
    assert!(!is_now(rollout_slots.acquire(&three, &[])), "the slot is spoken for");
    assert!(is_now(rollout_slots.acquire(&two, &[])));
    assert_eq!(rollout_slots.release(&two), [three]);
}

#[test]
fn a_newcomer_does_not_overtake_those_who_wait() {
    let mut rollout_slots = RolloutSlots::new(2);
    let names: Vec<WorkloadRef> = (0..4).map(|n| workload("a", &n.to_string())).collect();
    for name in &names[..3] {
        rollout_slots.acquire(name, &[]);
    }
    rollout_slots.release(&names[0]);
    assert!(
        !is_now(rollout_slots.acquire(&names[3], &[])),
        "the free slot is of the one who was called"
    );
}

#[test]
fn the_namespace_with_the_fewest_rolling_is_called_first() {
    let mut rollout_slots = RolloutSlots::new(3);
    let crowd: Vec<WorkloadRef> = (0..10).map(|n| workload("crowd", &n.to_string())).collect();
    for name in &crowd {
        rollout_slots.acquire(name, &[]);
    }
    let single = workload("single", "1");
    assert!(!is_now(rollout_slots.acquire(&single, &[])));
    assert_eq!(
        rollout_slots.release(&crowd[0]),
        [single],
        "although seven came before it"
    );
}

/// Who is called, in order, when each one that rolls is complete at once.
fn called(rollout_slots: &mut RolloutSlots, first: &WorkloadRef) -> Vec<String> {
    let mut rolls = vec![first.clone()];
    let mut called = Vec::new();
    while let Some(one) = rolls.pop() {
        for next in rollout_slots.release(&one) {
            called.push(format!("{}/{}", next.namespace, next.name));
            rolls.push(next);
        }
    }
    called
}

#[test]
fn namespaces_with_as_many_places_take_turns() {
    let mut rollout_slots = RolloutSlots::new(1);
    let first = workload("a", "0");
    for namespace in ["a", "b"] {
        for n in 0..4 {
            rollout_slots.acquire(&workload(namespace, &n.to_string()), &[]);
        }
    }
    rollout_slots.acquire(&workload("z", "late"), &[]);
    let expected = ["a/1", "b/0", "z/late", "a/2", "b/1", "a/3", "b/2", "b/3"];
    assert_eq!(called(&mut rollout_slots, &first), expected);
}

#[test]
fn whoever_comes_again_and_again_does_not_overtake_those_who_wait() {
    let mut rollout_slots = RolloutSlots::new(1);
    let (hasty, patient) = (workload("a", "hasty"), workload("b", "patient"));
    rollout_slots.acquire(&workload("b", "rolls"), &[]);
    rollout_slots.acquire(&patient, &[]);
    rollout_slots.acquire(&workload("b", "patient-too"), &[]);
    rollout_slots.acquire(&hasty, &[]);
    assert_eq!(
        rollout_slots.release(&workload("b", "rolls")),
        std::slice::from_ref(&patient)
    );
    assert_eq!(rollout_slots.release(&patient), std::slice::from_ref(&hasty));
    rollout_slots.acquire(&workload("a", "hasty-again"), &[]);
    assert_eq!(rollout_slots.release(&hasty), [workload("b", "patient-too")]);
}

#[test]
fn within_a_namespace_it_is_who_came_first_whatever_else_they_wait_for() {
    let mut rollout_slots = RolloutSlots::new(1);
    let names: Vec<WorkloadRef> = (0..4).map(|n| workload("a", &n.to_string())).collect();
    rollout_slots.acquire(&names[0], &[]);
    rollout_slots.acquire(&names[1], &[budget("z", 5)]);
    rollout_slots.acquire(&names[2], &[budget("a", 5)]);
    rollout_slots.acquire(&names[3], &[]);
    assert_eq!(called(&mut rollout_slots, &names[0]), ["a/1", "a/2", "a/3"]);
}

#[test]
fn a_rollout_that_hangs_does_not_make_its_namespace_wait_longer() {
    let mut rollout_slots = RolloutSlots::new(1);
    let hangs = workload("a", "hangs");
    rollout_slots.acquire(&hangs, &[]);
    for n in 0..3 {
        rollout_slots.acquire(&workload("b", &n.to_string()), &[]);
    }
    rollout_slots.acquire(&workload("a", "next"), &[]);
    let mut rolls = rollout_slots.release_cluster_slot(&hangs);
    assert_eq!(rolls, [workload("b", "0")]);
    rolls = rollout_slots.release(&rolls[0]);
    assert_eq!(rolls, [workload("a", "next")], "it has no more places than the other");
}

#[test]
fn those_that_are_gone_or_changed_their_mind_give_back_what_they_have() {
    let mut rollout_slots = RolloutSlots::new(1);
    let (one, two, three) = (workload("a", "1"), workload("a", "2"), workload("a", "3"));
    for name in [&one, &two, &three] {
        rollout_slots.acquire(name, &[]);
    }
    assert_eq!(rollout_slots.release(&two), [], "it only waited");
    assert_eq!(rollout_slots.retain(|it| *it != one), [three]);
    assert_eq!(rollout_slots.rolling(), 1, "the slot of the one that was called");
}

#[test]
fn what_rolls_at_a_start_counts_even_beyond_the_limit() {
    let mut rollout_slots = RolloutSlots::new(1);
    for n in 0..3 {
        rollout_slots.restore(&workload("a", &n.to_string()), &[], at(0));
    }
    let next = workload("b", "1");
    assert!(!is_now(rollout_slots.acquire(&next, &[])));
    assert_eq!(rollout_slots.release(&workload("a", "0")), []);
    assert_eq!(rollout_slots.release(&workload("a", "1")), []);
    assert_eq!(rollout_slots.release(&workload("a", "2")), [next]);
}

#[test]
fn the_slot_of_a_rollout_that_is_over_is_not_one_for_the_next() {
    let mut rollout_slots = RolloutSlots::new(0);
    let (one, two, three) = (workload("a", "1"), workload("a", "2"), workload("a", "3"));
    for name in [&one, &two] {
        rollout_slots.restore(name, &[budget("web", 2)], at(0));
    }
    // The limit is lowered while both roll, and then the second is done and wants to roll again.
    let lower = [budget("web", 1)];
    for name in [&one, &two] {
        rollout_slots.mark_rolling(name, &lower, at(1));
    }
    assert_eq!(rollout_slots.expire(&two), []);
    assert!(!is_now(rollout_slots.acquire(&two, &lower)));
    assert!(!is_now(rollout_slots.acquire(&three, &lower)));
    // It was called: its turn is not over before it has begun.
    assert_eq!(rollout_slots.release(&one), std::slice::from_ref(&two));
    assert_eq!(rollout_slots.expire(&two), []);
    assert!(is_now(rollout_slots.acquire(&two, &lower)));
}

#[test]
fn what_only_says_that_it_rolls_takes_nobodys_place() {
    let mut rollout_slots = RolloutSlots::new(2);
    let (asked, waits) = (workload("a", "asked"), workload("b", "waits"));
    for settings in ["1", "2", "3"] {
        rollout_slots.mark_rolling(&workload("evil", settings), &[budget("own", 9)], at(1));
    }
    assert!(
        !is_now(rollout_slots.acquire(&asked, &[])),
        "there was room for two, and they say that they roll"
    );
    assert_eq!(
        rollout_slots.release_cluster_slot(&workload("evil", "1")),
        std::slice::from_ref(&asked)
    );
    rollout_slots.acquire(&waits, &[]);
    // It says that it is complete, and then that it rolls again.
    assert_eq!(
        rollout_slots.release(&workload("evil", "2")),
        std::slice::from_ref(&waits)
    );
    rollout_slots.mark_rolling(&workload("evil", "2"), &[budget("own", 9)], at(2));
    assert_eq!(rollout_slots.release(&asked), []);
    assert!(
        is_now(rollout_slots.acquire(&asked, &[])),
        "the place of one that asked"
    );
}

#[test]
fn how_long_it_rolls_is_counted_from_when_that_was_seen() {
    let mut rollout_slots = RolloutSlots::new(2);
    let one = workload("a", "1");
    rollout_slots.acquire(&one, &[]);
    assert_eq!(rollout_slots.rolling_since(&one), None);
    rollout_slots.mark_rolling(&one, &[budget("web", 2)], at(5));
    rollout_slots.mark_rolling(&one, &[], at(9));
    rollout_slots.update_budgets(&one, &[budget("web", 1)], at(12));
    assert_eq!(rollout_slots.rolling_since(&one), Some(at(5)));
    rollout_slots.release_cluster_slot(&one);
    rollout_slots.mark_rolling(&one, &[], at(20));
    assert_eq!(rollout_slots.rolling(), 1);
    for n in 0..2 {
        assert!(
            is_now(rollout_slots.acquire(&workload("b", &n.to_string()), &[])),
            "it lingers still"
        );
    }
    rollout_slots.release(&one);
    assert_eq!(rollout_slots.rolling_since(&one), None);
}

fn budget(name: &str, limit: usize) -> Budget {
    Budget {
        policy: PolicyRef {
            namespace: None,
            name: Name::from(name),
        },
        limit,
    }
}

#[test]
fn the_budget_of_a_policy_holds_its_own_and_nobody_else() {
    let mut rollout_slots = RolloutSlots::new(3);
    let of_policy = [budget("web", 1)];
    let names: Vec<WorkloadRef> = (0..5).map(|n| workload("a", &n.to_string())).collect();
    assert!(is_now(rollout_slots.acquire(&names[0], &of_policy)));
    let AcquireOutcome::Queued { full: Some(full), .. } = rollout_slots.acquire(&names[1], &of_policy) else {
        panic!("it has to wait for its policy");
    };
    assert_eq!(full.name.as_str(), "web");
    assert!(
        is_now(rollout_slots.acquire(&names[2], &[])),
        "another one is not kept waiting by it"
    );
    assert!(is_now(rollout_slots.acquire(&names[3], &[])));
    assert_eq!(
        rollout_slots.acquire(&names[4], &[]),
        later(3, 2),
        "the cluster's budget is used up"
    );
    assert_eq!(
        rollout_slots.release(&names[2]),
        [names[4].clone()],
        "the first one waits for its policy"
    );
    assert_eq!(rollout_slots.release(&names[0]), [names[1].clone()]);
}

#[test]
fn whoever_rolls_for_long_keeps_only_its_own_policy_waiting() {
    let mut rollout_slots = RolloutSlots::new(1);
    let of_policy = [budget("slow", 1)];
    let names: Vec<WorkloadRef> = (0..4).map(|n| workload("a", &n.to_string())).collect();
    assert!(is_now(rollout_slots.acquire(&names[0], &of_policy)));
    rollout_slots.acquire(&names[1], &of_policy);
    rollout_slots.acquire(&names[2], &[]);
    assert_eq!(rollout_slots.release_cluster_slot(&names[0]), [names[2].clone()]);
    assert_eq!(rollout_slots.release_cluster_slot(&names[0]), [], "once");
    assert!(!is_now(rollout_slots.acquire(&names[3], &[])), "there was one place");
    assert_eq!(rollout_slots.release(&names[0]), [], "that of the cluster is taken");
    assert_eq!(rollout_slots.release(&names[2]).len(), 1);
}

#[test]
fn a_limit_that_was_lifted_holds_for_those_who_ask_again() {
    let mut rollout_slots = RolloutSlots::new(0);
    let (one, two) = (workload("a", "1"), workload("a", "2"));
    rollout_slots.acquire(&one, &[budget("web", 1)]);
    assert!(!is_now(rollout_slots.acquire(&two, &[budget("web", 1)])));
    assert!(is_now(rollout_slots.acquire(&two, &[budget("web", 2)])));
}

/// Two of three namespaces share a policy.
fn budgets_of(workload: &WorkloadRef, limit: usize) -> Vec<Budget> {
    if workload.namespace.as_str() == "n0" {
        Vec::new()
    } else {
        vec![budget("shared", limit)]
    }
}

proptest! {
    /// Whatever is asked and given back in whatever order: never more than the limit, nobody is
    /// forgotten, and nobody's room stays empty while somebody waits.
    #[test]
    fn never_more_than_the_limit_and_nobody_is_forgotten(
        limit in 1_usize..5,
        of_policy in 1_usize..4,
        steps in proptest::collection::vec((0_u8..4, 0_usize..3, 0_usize..6), 0..200),
    ) {
        let mut rollout_slots = RolloutSlots::new(limit);
        let mut has: BTreeSet<WorkloadRef> = BTreeSet::new();
        let mut waits: BTreeSet<WorkloadRef> = BTreeSet::new();
        let mut called: BTreeSet<WorkloadRef> = BTreeSet::new();
        for (step, namespace, name) in steps {
            let one = workload(&format!("n{namespace}"), &name.to_string());
            let turns = if step == 0 {
                has.remove(&one);
                waits.remove(&one);
                called.remove(&one);
                rollout_slots.release(&one)
            } else {
                match rollout_slots.acquire(&one, &budgets_of(&one, of_policy)) {
                    AcquireOutcome::Granted => {
                        waits.remove(&one);
                        called.remove(&one);
                        has.insert(one);
                    }
                    AcquireOutcome::Queued { .. } => {
                        waits.insert(one);
                    }
                }
                Vec::new()
            };
            for turn in turns {
                prop_assert!(waits.remove(&turn), "{turn:?} was called and did not wait");
                called.insert(turn);
            }
            prop_assert!(has.len() <= limit, "{} of {limit}", has.len());
            let of_it = |it: &&WorkloadRef| !budgets_of(it, of_policy).is_empty();
            prop_assert!(has.iter().filter(of_it).count() <= of_policy);
            prop_assert_eq!(has.len() + called.len(), rollout_slots.rolling());
            let room = has.len() + called.len() < limit;
            let free = has.iter().chain(&called).filter(of_it).count() < of_policy;
            let could = waits.iter().any(|it| room && (free || !of_it(&it)));
            prop_assert!(!could, "room, and somebody waits");
        }
        // In the end everybody gets a turn.
        for _ in 0..200 {
            let Some(one) = has.iter().chain(&called).next().cloned() else { break };
            if called.remove(&one) {
                prop_assert!(is_now(rollout_slots.acquire(&one, &budgets_of(&one, of_policy))));
                has.insert(one);
                continue;
            }
            has.remove(&one);
            for turn in rollout_slots.release(&one) {
                waits.remove(&turn);
                called.insert(turn);
            }
        }
        prop_assert!(waits.is_empty(), "{waits:?} wait for ever");
    }
}
