//! Who failed, and for how long that holds the others.

use std::collections::BTreeMap;

use windlass_core::content::baseline::{Baseline, RecordedDigests, Uncertainty};
use windlass_core::reason::{Reason, State};

use super::*;

const FAILED: (State, Reason) = (State::Failed, Reason::RolloutFailed);
const UNDONE: (State, Reason) = (State::Held, Reason::RolledBack);

fn baseline(change: impl Fn(&mut Baseline)) -> String {
    let mut baseline = Baseline {
        installation: "ops/windlass".into(),
        key: "k1".into(),
        uid: Uid::from("web"),
        at: now(),
        horizon: Version::new(5),
        written: None,
        revision: 2,
        shape: [0; 6],
        recorded: RecordedDigests::Combined(windlass_core::content::digest::Digest([0; 16]), Box::default()),
        stale: None,
        held: None,
        restarts: vec![NOW],
        template_digest: None,
        reverts: 0,
        flaps: 0,
        in_place: None,
        last_override: Some(now()),
        excused: false,
        undone: BTreeMap::new(),
        marks: Vec::new(),
        immutable: Vec::new(),
    };
    change(&mut baseline);
    baseline.print()
}

fn undone() -> String {
    baseline(|it| {
        it.held = Some(Uncertainty::Undone);
        it.undone.insert("ConfigMap/app".to_owned(), [0; 6]);
    })
}

/// `web` as it rolls, restarted for that content of `app`; `None`: with the template before.
fn web(baseline: &str, content: Option<&str>) -> Workload {
    let cause = content.map(|digest| {
        json!({
            "at": "2026-01-01T00:00:00Z", "reason": "Restarted", "key": "k1",
            "sources": [{ "kind": "ConfigMap", "name": "app", "digest": digest }],
        })
    });
    let annotations = cause.map_or(json!({}), |cause| json!({ "windlass.dev/cause": cause.to_string() }));
    let object = json!({
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "web", "resourceVersion": "10", "generation": 3,
            "annotations": {
                "windlass.dev/enabled": "true", "windlass.dev/observed": baseline,
                "deployment.kubernetes.io/revision": "2",
            },
        },
        "spec": {
            "replicas": 1,
            "template": { "metadata": { "annotations": annotations }, "spec": { "containers": [env("app", "a")] } },
        },
        "status": { "observedGeneration": 3, "replicas": 2, "updatedReplicas": 1, "unavailableReplicas": 1 },
    });
    serde_json::from_str::<WatchedWorkload>(&object.to_string())
        .expect("it decodes")
        .workload(DEPLOYMENT, AnnotationOptions::default())
}

/// `web` failed after it was restarted for content `AAAAAAAA`; `other` waits for the same.
fn fed(baseline: &str) -> Fed {
    let mut fed = Fed::new();
    fed.see(config_map("app", "u", 5, &[("a", "B")]));
    fed.workload(web(baseline, Some("AAAAAAAA")));
    let enabled = json!({ "windlass.dev/enabled": "true" });
    fed.workload(deployment("other", "2", 6, enabled, env("app", "a")));
    fed.index.set_status(&reference("other"), (State::Held, Reason::Halted));
    stand(&mut fed, FAILED);
    fed
}

/// Gives those that may go on.
fn stand(fed: &mut Fed, status: (State, Reason)) -> Vec<String> {
    fed.index.set_status(&reference("web"), status);
    names(&fed.index.note_failure(&reference("web")))
}

fn failures(fed: &Fed) -> usize {
    fed.index.failures_for(&Namespace::from("shop")).len()
}

#[test]
fn one_that_failed_has_failed_until_it_recovers() {
    let mut fed = fed(&baseline(|_| ()));
    assert_eq!(failures(&fed), 1);
    for status in [(State::Pending, Reason::MinInterval), (State::Rolling, Reason::Rolling)] {
        assert!(stand(&mut fed, status).is_empty());
        assert_eq!(failures(&fed), 1, "{status:?}");
    }
    assert_eq!(stand(&mut fed, (State::Current, Reason::Unchanged)), ["other"]);
    assert_eq!(failures(&fed), 0);
}

#[test]
fn taking_it_back_makes_nothing_good() {
    let mut fed = fed(&baseline(|_| ()));
    fed.workload(web(&baseline(|_| ()), None));
    for status in [
        (State::Settling, Reason::Proving),
        (State::Rolling, Reason::Absorbing),
        UNDONE,
    ] {
        assert!(stand(&mut fed, status).is_empty());
        assert_eq!(failures(&fed), 1, "{status:?}");
    }
    fed.workload(web(&undone(), None));
    stand(&mut fed, UNDONE);
    let known = fed.index.failures_for(&Namespace::from("shop"));
    assert!(matches!(&*known, [failure] if failure.undone), "{known:?}");
    assert_eq!(stand(&mut fed, (State::Current, Reason::PodsUpToDate)), ["other"]);
}

#[test]
fn what_was_taken_back_is_on_record() {
    let mut fed = Fed::new();
    fed.workload(web(&undone(), None));
    fed.index.note_failure(&reference("web"));
    assert_eq!(failures(&fed), 1, "before anything was decided");
}

#[test]
fn another_restart_is_for_another_content() {
    let mut fed = fed(&baseline(|_| ()));
    fed.workload(web(&baseline(|_| ()), Some("BBBBBBBB")));
    assert_eq!(stand(&mut fed, (State::Rolling, Reason::Rolling)), ["other"]);
    assert_eq!(failures(&fed), 0);
}

#[test]
fn the_others_go_on_when_a_person_said_so_and_not_when_one_asked_for_its_restart() {
    // Its restart is of the second at which somebody asked for it.
    assert_eq!(failures(&fed(&baseline(|_| ()))), 1);
    assert_eq!(failures(&fed(&baseline(|it| it.excused = true))), 0);
}

#[test]
fn one_that_is_gone_holds_nobody() {
    let mut fed = fed(&baseline(|_| ()));
    fed.index.forget(&reference("web"));
    assert_eq!(names(&fed.index.take_called()), ["other"]);
    assert_eq!(failures(&fed), 0);
}
