use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use serde_json::json;

use super::*;

/// The generation that every object here has.
const GENERATION: i64 = 4;

fn rollout_status(kind: KindId, spec: Value, status: Value) -> RolloutStatus {
    kind.row().rollout_status(&WorkloadObject {
        generation: GENERATION,
        revision: Some(7),
        spec: &spec,
        status: &status,
    })
}

fn named(kind: &str) -> KindId {
    KindId::named(kind).expect("a built-in kind")
}

fn described(group: &str, version: &str, kind: &str) -> KindId {
    KindId::described(
        group,
        version,
        kind,
        "things",
        &["spec".to_owned(), "template".to_owned()],
    )
}

/// The status of an object whose controller has seen the present generation.
fn seen(mut status: Value) -> Value {
    status["observedGeneration"] = GENERATION.into();
    status
}

/// The same, one generation behind.
fn behind(mut status: Value) -> Value {
    status["observedGeneration"] = (GENERATION - 1).into();
    status
}

type Rows = Vec<(&'static str, Value, Value, RolloutProgress)>;

fn check(kind: KindId, rows: Rows) {
    for (sentence, spec, status, expected) in rows {
        assert_eq!(
            rollout_status(kind, spec, status).progress,
            expected,
            "{kind:?}: {sentence}"
        );
    }
}

#[test]
fn the_progress_of_a_deployment() {
    let status = |replicas: i64, updated: i64, available: i64, reason: &str| {
        json!({
            "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available,
            "conditions": [{ "type": "Available", "reason": "Any" }, { "type": "Progressing", "reason": reason }],
        })
    };
    let of = |replicas: i64| json!({ "replicas": replicas });
    check(
        DEPLOYMENT,
        vec![
            (
                "every pod is new and available",
                of(3),
                seen(status(3, 3, 3, "ReplicaSetUpdated")),
                RolloutProgress::Complete,
            ),
            (
                "one replica is wanted if none is said",
                json!({}),
                seen(status(1, 1, 1, "")),
                RolloutProgress::Complete,
            ),
            (
                "the generation is not seen yet",
                of(3),
                behind(status(3, 3, 3, "NewReplicaSetAvailable")),
                RolloutProgress::Progressing,
            ),
            (
                "the generation was never seen",
                of(3),
                status(3, 3, 3, "NewReplicaSetAvailable"),
                RolloutProgress::Progressing,
            ),
            ("there is no status", of(3), Value::Null, RolloutProgress::Progressing),
            (
                "not every pod is new",
                of(3),
                seen(status(3, 2, 3, "ReplicaSetUpdated")),
                RolloutProgress::Progressing,
            ),
            (
                "old pods are still ending",
                of(3),
                seen(status(4, 3, 3, "ReplicaSetUpdated")),
                RolloutProgress::Progressing,
            ),
            (
                "old pods are still ending, whatever was said",
                of(3),
                seen(status(4, 3, 3, "NewReplicaSetAvailable")),
                RolloutProgress::Progressing,
            ),
            (
                "a new pod is not available",
                of(3),
                seen(status(3, 3, 2, "ReplicaSetUpdated")),
                RolloutProgress::Progressing,
            ),
            (
                "a pod fell ill after the rollout was complete",
                of(3),
                seen(status(3, 3, 2, "NewReplicaSetAvailable")),
                RolloutProgress::Complete,
            ),
            (
                "it is being scaled up",
                of(5),
                seen(status(3, 3, 3, "NewReplicaSetAvailable")),
                RolloutProgress::Progressing,
            ),
            (
                "its deadline has passed",
                of(3),
                seen(status(4, 1, 3, "ProgressDeadlineExceeded")),
                RolloutProgress::Failed,
            ),
            (
                "the deadline of the generation before has passed",
                of(3),
                behind(status(4, 1, 3, "ProgressDeadlineExceeded")),
                RolloutProgress::Progressing,
            ),
            (
                "no pod is wanted and none there",
                of(0),
                seen(json!({})),
                RolloutProgress::Complete,
            ),
            (
                "no pod is wanted and one still there",
                of(0),
                seen(status(1, 0, 0, "")),
                RolloutProgress::Progressing,
            ),
        ],
    );
}

#[test]
#[allow(clippy::too_many_lines)] // A table.
fn the_progress_of_a_stateful_set() {
    let status = |replicas: i64, updated: i64, current: &str, update: &str| {
        json!({
            "replicas": replicas, "updatedReplicas": updated, "currentRevision": current, "updateRevision": update,
        })
    };
    let on_delete = |replicas: i64| json!({ "replicas": replicas, "updateStrategy": { "type": "OnDelete" } });
    let partition = |replicas: i64, partition: i64| {
        json!({
            "replicas": replicas,
            "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": partition } },
        })
    };
    let of = |replicas: i64| json!({ "replicas": replicas });
    let (delete, lowered) = (
        RolloutProgress::Waiting(RolloutWait::Delete),
        RolloutProgress::Waiting(RolloutWait::Partition),
    );
    check(
        named("StatefulSet"),
        vec![
            (
                "its controller says that all are new",
                of(3),
                seen(status(3, 3, "b", "b")),
                RolloutProgress::Complete,
            ),
            (
                "one replica is wanted if none is said",
                json!({}),
                seen(status(1, 1, "b", "b")),
                RolloutProgress::Complete,
            ),
            (
                "the generation is not seen yet",
                of(3),
                behind(status(3, 3, "b", "b")),
                RolloutProgress::Progressing,
            ),
            (
                "not every pod is new",
                of(3),
                seen(status(3, 2, "a", "b")),
                RolloutProgress::Progressing,
            ),
            (
                "every pod is new and one not ready",
                of(3),
                seen(status(3, 3, "a", "b")),
                RolloutProgress::Progressing,
            ),
            (
                "it is being scaled up",
                of(5),
                seen(status(3, 3, "b", "b")),
                RolloutProgress::Progressing,
            ),
            (
                "OnDelete: old pods stay",
                on_delete(3),
                seen(status(3, 1, "a", "b")),
                delete,
            ),
            (
                "OnDelete: all were deleted",
                on_delete(3),
                seen(status(3, 3, "a", "b")),
                RolloutProgress::Complete,
            ),
            (
                "OnDelete: the generation is not seen yet",
                on_delete(3),
                behind(status(3, 3, "a", "b")),
                RolloutProgress::Progressing,
            ),
            (
                "partition: pods above it are being replaced",
                partition(3, 1),
                seen(status(3, 1, "a", "b")),
                RolloutProgress::Progressing,
            ),
            (
                "partition: pods above it are new",
                partition(3, 1),
                seen(status(3, 2, "a", "b")),
                lowered,
            ),
            (
                "partition: all are new in spite of it",
                partition(3, 1),
                seen(status(3, 3, "a", "b")),
                RolloutProgress::Complete,
            ),
            (
                "partition: no other template is there",
                partition(3, 1),
                seen(status(3, 3, "b", "b")),
                RolloutProgress::Complete,
            ),
            (
                "partition: above all pods",
                partition(3, 9),
                seen(status(3, 0, "a", "b")),
                lowered,
            ),
            (
                "partition of 0 is none",
                partition(3, 0),
                seen(status(3, 3, "b", "b")),
                RolloutProgress::Complete,
            ),
            (
                "partition of 0 holds nothing back",
                partition(3, 0),
                seen(status(3, 2, "a", "b")),
                RolloutProgress::Progressing,
            ),
        ],
    );
}

#[test]
fn the_progress_of_a_daemon_set() {
    let status = |wanted: i64, updated: i64, available: i64| {
        json!({
            "desiredNumberScheduled": wanted, "currentNumberScheduled": wanted, "updatedNumberScheduled": updated,
            "numberAvailable": available,
        })
    };
    let on_delete = || json!({ "updateStrategy": { "type": "OnDelete" } });
    let delete = RolloutProgress::Waiting(RolloutWait::Delete);
    check(
        named("DaemonSet"),
        vec![
            (
                "every pod is new and available",
                json!({}),
                seen(status(3, 3, 3)),
                RolloutProgress::Complete,
            ),
            (
                "the generation is not seen yet",
                json!({}),
                behind(status(3, 3, 3)),
                RolloutProgress::Progressing,
            ),
            (
                "not every pod is new",
                json!({}),
                seen(status(3, 2, 3)),
                RolloutProgress::Progressing,
            ),
            (
                "a new pod is not available",
                json!({}),
                seen(status(3, 3, 2)),
                RolloutProgress::Progressing,
            ),
            (
                "no node is meant",
                json!({}),
                seen(status(0, 0, 0)),
                RolloutProgress::Complete,
            ),
            ("OnDelete: old pods stay", on_delete(), seen(status(3, 1, 3)), delete),
            (
                "OnDelete: all were deleted",
                on_delete(),
                seen(status(3, 3, 2)),
                RolloutProgress::Complete,
            ),
            (
                "OnDelete: the generation is not seen yet",
                on_delete(),
                behind(status(3, 3, 3)),
                RolloutProgress::Progressing,
            ),
        ],
    );
}

#[test]
fn nothing_is_ever_under_way_for_a_cron_job() {
    check(
        named("CronJob"),
        vec![
            (
                "no status",
                json!({ "schedule": "* * * * *" }),
                Value::Null,
                RolloutProgress::Complete,
            ),
            (
                "a job is running",
                json!({}),
                json!({ "active": [{}] }),
                RolloutProgress::Complete,
            ),
            (
                "suspended",
                json!({ "suspend": true }),
                json!({}),
                RolloutProgress::Complete,
            ),
        ],
    );
    let found = rollout_status(named("CronJob"), json!({ "suspend": true }), json!({}));
    assert!(!found.paused && !found.empty);
}

#[test]
#[allow(clippy::too_many_lines)] // A table.
fn the_progress_of_a_rollout() {
    // Argo writes the generation as text.
    let phase = |phase: &str| json!({ "phase": phase, "observedGeneration": GENERATION.to_string() });
    let restarted = |asked: &str, done: &str| {
        let mut status = phase("Healthy");
        status["restartedAt"] = done.into();
        (json!({ "restartAt": asked }), status)
    };
    let rows = vec![
        ("healthy", json!({}), phase("Healthy"), RolloutProgress::Complete),
        (
            "progressing",
            json!({}),
            phase("Progressing"),
            RolloutProgress::Progressing,
        ),
        ("degraded", json!({}), phase("Degraded"), RolloutProgress::Failed),
        (
            "a canary is paused",
            json!({}),
            phase("Paused"),
            RolloutProgress::Waiting(RolloutWait::Promotion),
        ),
        (
            "a phase that nobody knows",
            json!({}),
            phase("Dancing"),
            RolloutProgress::Progressing,
        ),
        ("no phase", json!({}), seen(json!({})), RolloutProgress::Progressing),
        (
            "the generation may be a number",
            json!({}),
            seen(json!({ "phase": "Healthy" })),
            RolloutProgress::Complete,
        ),
        (
            "that number may be behind",
            json!({}),
            behind(json!({ "phase": "Healthy" })),
            RolloutProgress::Progressing,
        ),
        (
            "the generation is behind",
            json!({}),
            json!({ "phase": "Healthy", "observedGeneration": "3" }),
            RolloutProgress::Progressing,
        ),
        (
            "text is not compared as text",
            json!({}),
            json!({ "phase": "Healthy", "observedGeneration": "10" }),
            RolloutProgress::Complete,
        ),
        (
            "a failure of the generation before",
            json!({}),
            json!({ "phase": "Degraded", "observedGeneration": "3" }),
            RolloutProgress::Progressing,
        ),
        (
            "a hash of old versions is no generation",
            json!({}),
            json!({ "phase": "Healthy", "observedGeneration": "5f9c" }),
            RolloutProgress::Progressing,
        ),
        (
            "the generation was never seen",
            json!({}),
            json!({ "phase": "Healthy" }),
            RolloutProgress::Progressing,
        ),
        (
            "a restart is asked for and not begun",
            json!({ "restartAt": "2026-01-02T03:04:05Z" }),
            phase("Healthy"),
            RolloutProgress::Progressing,
        ),
    ];
    check(named("Rollout"), rows);
    for (sentence, (spec, status), expected) in [
        (
            "the restart is done",
            restarted("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            RolloutProgress::Complete,
        ),
        (
            "the one before is done",
            restarted("2026-01-02T03:04:05Z", "2026-01-01T03:04:05Z"),
            RolloutProgress::Progressing,
        ),
        // Found by this test: these were under way for ever.
        (
            "asked for in another zone",
            restarted("2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05Z"),
            RolloutProgress::Complete,
        ),
        (
            "asked for with a fraction",
            restarted("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05Z"),
            RolloutProgress::Complete,
        ),
        (
            "asked for in nonsense",
            restarted("soon", "2026-01-02T03:04:05Z"),
            RolloutProgress::Progressing,
        ),
        (
            "nonsense to nonsense",
            restarted("soon", "later"),
            RolloutProgress::Progressing,
        ),
    ] {
        check(named("Rollout"), vec![(sentence, spec, status, expected)]);
    }
}

#[test]
#[allow(clippy::too_many_lines)] // A table.
fn a_described_kind_is_read_by_the_common_conventions() {
    let conditions = |conditions: &[(&str, &str)]| {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(kind, status)| json!({ "type": kind, "status": status }))
            .collect();
        json!({ "conditions": conditions })
    };
    let updated = |replicas: i64, updated: i64| json!({ "replicas": replicas, "updatedReplicas": updated });
    check(
        described("example.com", "v1", "Progressed"),
        vec![
            (
                "a status that says nothing",
                json!({}),
                json!({}),
                RolloutProgress::Complete,
            ),
            ("no status", Value::Null, Value::Null, RolloutProgress::Complete),
            (
                "the generation is seen",
                json!({}),
                seen(json!({})),
                RolloutProgress::Complete,
            ),
            (
                "the generation is not seen yet",
                json!({}),
                behind(json!({})),
                RolloutProgress::Progressing,
            ),
            (
                "ready",
                json!({}),
                seen(conditions(&[("Ready", "True")])),
                RolloutProgress::Complete,
            ),
            (
                "not ready",
                json!({}),
                seen(conditions(&[("Ready", "False")])),
                RolloutProgress::Progressing,
            ),
            (
                "reconciling",
                json!({}),
                seen(conditions(&[("Ready", "True"), ("Reconciling", "True")])),
                RolloutProgress::Progressing,
            ),
            (
                "no longer reconciling",
                json!({}),
                seen(conditions(&[("Reconciling", "False")])),
                RolloutProgress::Complete,
            ),
            (
                "stalled",
                json!({}),
                seen(conditions(&[("Ready", "False"), ("Stalled", "True")])),
                RolloutProgress::Failed,
            ),
            (
                "not stalled",
                json!({}),
                seen(conditions(&[("Stalled", "False")])),
                RolloutProgress::Complete,
            ),
            (
                "stalled in the generation before",
                json!({}),
                behind(conditions(&[("Stalled", "True")])),
                RolloutProgress::Progressing,
            ),
            (
                "other conditions mean nothing",
                json!({}),
                seen(conditions(&[("Synced", "False")])),
                RolloutProgress::Complete,
            ),
            (
                "pods are missing in the new template",
                json!({ "replicas": 3 }),
                seen(updated(3, 2)),
                RolloutProgress::Progressing,
            ),
            (
                "all pods are new",
                json!({ "replicas": 3 }),
                seen(updated(3, 3)),
                RolloutProgress::Complete,
            ),
            (
                "what is wanted is said by the status alone",
                json!({}),
                seen(updated(3, 2)),
                RolloutProgress::Progressing,
            ),
            (
                "what is wanted is not what is there",
                json!({ "replicas": 2 }),
                seen(updated(3, 2)),
                RolloutProgress::Complete,
            ),
            (
                "new pods are not counted at all",
                json!({ "replicas": 3 }),
                seen(json!({ "replicas": 3 })),
                RolloutProgress::Complete,
            ),
        ],
    );
}

#[test]
fn paused_is_what_the_spec_says() {
    for kind in [DEPLOYMENT, named("Rollout"), described("example.com", "v1", "Paused")] {
        let paused = |spec: Value| rollout_status(kind, spec, seen(json!({}))).paused;
        assert!(paused(json!({ "paused": true })), "{kind:?}");
        assert!(!paused(json!({ "paused": false })), "{kind:?}");
        assert!(!paused(json!({})), "{kind:?}");
    }
    for kind in ["StatefulSet", "DaemonSet", "CronJob"] {
        assert!(
            !rollout_status(named(kind), json!({ "paused": true }), seen(json!({}))).paused,
            "{kind}"
        );
    }
}

#[test]
fn empty_is_where_no_pod_is_wanted_and_none_is_left() {
    for kind in [
        DEPLOYMENT,
        named("StatefulSet"),
        named("Rollout"),
        described("example.com", "v1", "Empty"),
    ] {
        let empty = |spec: Value, status: Value| rollout_status(kind, spec, status).empty;
        let none = json!({ "replicas": 0 });
        assert!(empty(none.clone(), seen(json!({ "replicas": 0 }))), "{kind:?}");
        assert!(empty(none.clone(), seen(json!({}))), "{kind:?}");
        assert!(!empty(none.clone(), seen(json!({ "replicas": 1 }))), "{kind:?}");
        assert!(!empty(none.clone(), behind(json!({ "replicas": 0 }))), "{kind:?}");
        assert!(!empty(json!({}), seen(json!({ "replicas": 0 }))), "{kind:?}");
        assert!(
            !empty(json!({ "replicas": 1 }), seen(json!({ "replicas": 0 }))),
            "{kind:?}"
        );
    }
    let daemons = |wanted: i64, have: i64| json!({ "desiredNumberScheduled": wanted, "currentNumberScheduled": have });
    let empty = |status: Value| rollout_status(named("DaemonSet"), json!({}), status).empty;
    assert!(empty(seen(daemons(0, 0))));
    assert!(!empty(seen(daemons(0, 1))));
    assert!(!empty(seen(daemons(1, 0))));
    assert!(!empty(behind(daemons(0, 0))));
}

#[test]
fn evidence_carries_the_revision() {
    for kind in KindId::built_in().chain([described("example.com", "v1", "Counted")]) {
        assert_eq!(rollout_status(kind, json!({}), json!({})).revision, Some(7), "{kind:?}");
    }
}

#[test]
fn where_each_kind_has_its_revision_from() {
    let annotations =
        |annotation: &'static str, value: &'static str| move |name: &str| (name == annotation).then_some(value);
    for (kind, annotation) in [
        ("Deployment", "deployment.kubernetes.io/revision"),
        ("DaemonSet", "deprecated.daemonset.template.generation"),
        ("Rollout", "rollout.argoproj.io/revision"),
    ] {
        let row = named(kind).row();
        assert_eq!(row.revision(annotations(annotation, "12"), 4), Some(12), "{kind}");
        assert_eq!(row.revision(annotations(annotation, "x"), 4), None, "{kind}");
        assert_eq!(row.revision(annotations("other", "12"), 4), None, "{kind}");
        assert!(REVISION_ANNOTATIONS.contains(&annotation), "{kind}");
        assert!(crate::annotation::is_read(annotation), "{kind}");
    }
    for kind in [
        named("StatefulSet"),
        named("CronJob"),
        described("example.com", "v1", "Generated"),
    ] {
        let row = kind.row();
        assert_eq!(row.revision(|_| Some("12"), 4), Some(4), "{kind:?}");
        assert_eq!(row.revision(|_| Some("12"), 0), None, "{kind:?}");
        assert_eq!(row.revision(|_| Some("12"), -1), None, "{kind:?}");
    }
}

#[test]
fn built_in_kinds_are_found_by_their_word() {
    for kind in KindId::built_in() {
        assert_eq!(KindId::named(kind.row().kind), Some(kind));
    }
    assert_eq!(KindId::named("Job"), None);
    assert_eq!(KindId::named("deployment"), None);
    assert_eq!(named("Deployment"), DEPLOYMENT);
}

#[test]
fn a_kind_is_its_group_and_its_word() {
    let one = described("example.com", "v1", "Fleet");
    let table = [
        ("made twice", described("example.com", "v1", "Fleet"), true),
        ("another version", described("example.com", "v2", "Fleet"), true),
        ("another group", described("example.org", "v1", "Fleet"), false),
        ("another word", described("example.com", "v1", "Float"), false),
    ];
    let hashes = RandomState::new();
    for (sentence, other, same) in table {
        assert_eq!(one == other, same, "{sentence}");
        assert_eq!(one.cmp(&other).is_eq(), same, "{sentence}");
        assert_eq!(one.cmp(&other), other.cmp(&one).reverse(), "{sentence}");
        assert_eq!(
            BTreeSet::from([one, other]).len(),
            if same { 1 } else { 2 },
            "{sentence}"
        );
        if same {
            assert_eq!(hashes.hash_one(one), hashes.hash_one(other), "{sentence}");
        }
    }
    assert_ne!(described("example.com", "v1", "Deployment"), DEPLOYMENT);
    assert_eq!(described("apps", "v1", "Deployment"), DEPLOYMENT);
}

#[test]
fn a_described_kind_promises_nothing_that_only_built_in_kinds_have() {
    let row = described("example.com", "v1", "Modest").row();
    assert_eq!(
        (row.group, row.version, row.kind, row.plural),
        ("example.com", "v1", "Modest", "things")
    );
    assert_eq!(row.template, ["spec", "template"]);
    assert_eq!(
        (row.history, row.pods, row.delegate),
        (RevisionHistory::Nowhere, PodReplacement::Replaced, None)
    );
    assert!(!row.strategic_patch, "custom resources know no lists of named items");
}
