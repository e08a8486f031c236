//! Who goes before whom, and for whom nobody has to wait any more.

use windlass_core::reason::{Reason, State};

use super::*;
use crate::k8s::wire::WatchedPolicy;

/// A policy with a first wave, the workload `first` in it, and `last` in none; both use `app`.
fn fed() -> Fed {
    let mut fed = Fed::new();
    fed.index.serve_policies();
    let wave = json!({ "selector": { "matchLabels": { "tier": "first" } } });
    let policy = json!({
        "metadata": { "name": "own", "namespace": "shop", "uid": "p", "resourceVersion": "3", "generation": 1 },
        "spec": { "workloads": { "selector": {} }, "restart": { "waves": [wave] } },
    });
    let policy: WatchedPolicy = serde_json::from_str(&policy.to_string()).expect("it decodes");
    fed.index.apply_policy(policy.policy(), policy.metadata());
    fed.see(config_map("app", "u", 5, &[("one", "A"), ("two", "A")]));
    fed.workload(labelled("first", env("app", "one")));
    fed.workload(labelled("last", env("app", "two")));
    for name in ["first", "last"] {
        stand(&mut fed, name, (State::Current, Reason::Unchanged));
    }
    fed
}

fn labelled(name: &str, container: Value) -> Workload {
    with_annotations(name, container, json!({ "windlass.dev/enabled": "true" }))
}

fn with_annotations(name: &str, container: Value, annotations: Value) -> Workload {
    let object = json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "resourceVersion": "10",
            "labels": { "tier": name }, "annotations": annotations,
        },
        "spec": { "template": { "spec": { "containers": [container] } } },
    });
    serde_json::from_str::<WatchedWorkload>(&object.to_string())
        .expect("it decodes")
        .workload(DEPLOYMENT, AnnotationOptions::default())
}

/// It was decided on what is known now.
fn stand(fed: &mut Fed, name: &str, status: (State, Reason)) {
    let reference = reference(name);
    let entry = fed.index.workload_mut(&reference).expect("it is known");
    entry.note_decided(entry.generation());
    if status.0 == State::Current {
        entry.settle_change();
    }
    fed.index.set_status(&reference, status);
}

fn ahead_of_last(fed: &Fed) -> Option<String> {
    let last = fed.entry("last");
    fed.index.earlier_wave(last, &fed.index.counted_sources(last))
}

#[test]
fn a_change_that_an_earlier_wave_does_not_use_is_not_waited_for() {
    let mut fed = fed();
    assert_eq!(
        fed.see(config_map("app", "u", 6, &[("one", "A"), ("two", "B")])),
        ["last"]
    );
    assert_eq!(ahead_of_last(&fed), None);
}

#[test]
fn an_earlier_wave_that_uses_it_by_a_pattern_only_is_waited_for() {
    let mut fed = fed();
    let named = json!({ "windlass.dev/configmaps": "flags-*" });
    for name in ["first", "last"] {
        fed.workload(with_annotations(name, env("app", "other"), named.clone()));
        stand(&mut fed, name, (State::Current, Reason::Unchanged));
    }
    fed.see(config_map("flags-x", "u", 20, &[("a", "A")]));
    assert!(ahead_of_last(&fed).is_some());
    stand(&mut fed, "first", (State::Current, Reason::Unchanged));
    assert_eq!(ahead_of_last(&fed), None);
}

#[test]
fn an_earlier_wave_is_waited_for_until_it_was_decided_on_what_came() {
    let mut fed = fed();
    fed.see(config_map("app", "u", 6, &[("one", "B"), ("two", "B")]));
    assert!(ahead_of_last(&fed).is_some());
    stand(&mut fed, "first", (State::Rolling, Reason::Rolling));
    assert!(ahead_of_last(&fed).is_some());
    stand(&mut fed, "first", (State::Current, Reason::Unchanged));
    assert_eq!(ahead_of_last(&fed), None);
}

#[test]
fn a_source_that_went_is_dealt_with_although_it_has_no_version_any_more() {
    let mut fed = fed();
    fed.lose("app", 7);
    assert!(ahead_of_last(&fed).is_some(), "not looked at since");
    stand(&mut fed, "first", (State::Current, Reason::Unchanged));
    assert_eq!(ahead_of_last(&fed), None);
}

#[test]
fn those_behind_one_that_is_gone_are_called_however_far_it_was() {
    let mut fed = fed();
    stand(&mut fed, "first", (State::Rolling, Reason::Rolling));
    stand(&mut fed, "last", (State::Pending, Reason::EarlierWave));
    fed.index.forget(&reference("first"));
    assert_eq!(names(&fed.index.take_called()), ["last"]);
}
