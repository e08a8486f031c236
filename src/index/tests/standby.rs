//! What a replica keeps of the changes that it sees while another one writes.

use std::collections::BTreeMap;

use windlass_core::content::baseline::{Baseline, RecordedDigests};

use super::*;

fn baseline(horizon: u64, stale: Option<Timestamp>) -> Value {
    let baseline = Baseline {
        installation: "ops/windlass".into(),
        key: "k1".into(),
        uid: Uid::from("1"),
        at: now(),
        horizon: Version::new(horizon),
        written: None,
        revision: 1,
        shape: [0; 6],
        recorded: RecordedDigests::Combined(windlass_core::content::digest::Digest([0; 16]), Box::default()),
        stale,
        held: None,
        restarts: Vec::new(),
        template_digest: None,
        reverts: 0,
        flaps: 0,
        in_place: None,
        last_override: None,
        excused: false,
        undone: BTreeMap::new(),
        marks: Vec::new(),
        immutable: Vec::new(),
    };
    json!({ "windlass.dev/enabled": "true", "windlass.dev/observed": baseline.print() })
}

/// A workload whose source was changed at version 9, and then the leader wrote this baseline.
fn changed_then(annotations: Value) -> Fed {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    fed.workload(deployment("web", "1", 6, baseline(5, None), env("web", "a")));
    fed.see(config_map("web", "u", 9, &[("a", "2")]));
    fed.index.forget_dealt_with(&reference("web"));
    assert_eq!(fed.change_keys("web"), ["a"], "the baseline is from before it");
    fed.workload(deployment("web", "1", 10, annotations, env("web", "a")));
    fed.index.forget_dealt_with(&reference("web"));
    fed
}

#[test]
fn a_change_that_the_leader_has_dealt_with_is_let_go() {
    assert!(changed_then(baseline(9, None)).entry("web").pending_change().is_none());
}

#[test]
fn a_change_that_the_leader_has_not_seen_yet_is_kept() {
    assert_eq!(changed_then(baseline(8, None)).change_keys("web"), ["a"]);
}

#[test]
fn a_change_that_waits_is_kept() {
    assert_eq!(changed_then(baseline(9, Some(now()))).change_keys("web"), ["a"]);
}

#[test]
fn a_source_that_went_since_is_kept_in_mind() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    fed.workload(deployment("web", "1", 6, baseline(5, None), env("web", "a")));
    fed.see(config_map("web", "u", 9, &[("a", "2")]));
    fed.lose("web", 10);
    fed.workload(deployment("web", "1", 11, baseline(10, None), env("web", "a")));
    fed.index.forget_dealt_with(&reference("web"));
    assert_eq!(fed.change_keys("web"), ["a"]);
}
