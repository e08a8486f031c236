//! How each kind's own controller says how far it has come, read as `kubectl rollout status` does.

use jiff::Timestamp;
use serde_json::Value;

use super::{RolloutProgress, RolloutStatus, RolloutWait, WorkloadObject};

fn number(value: &Value, field: &str) -> Option<i64> {
    value.get(field).and_then(Value::as_i64)
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

fn condition<'a>(status: &'a Value, named: &str) -> Option<&'a Value> {
    status
        .get("conditions")
        .and_then(Value::as_array)?
        .iter()
        .find(|condition| text(condition, "type") == Some(named))
}

/// Whether the kind's controller has seen what `spec` says now.
fn seen(object: &WorkloadObject<'_>) -> bool {
    number(object.status, "observedGeneration").unwrap_or(0) >= object.generation
}

/// With one difference to kubectl: once the controller has said `NewReplicaSetAvailable`, a pod that
/// becomes unready later does not reopen the rollout.
pub(super) fn deployment(object: &WorkloadObject<'_>) -> RolloutStatus {
    let (spec, status) = (object.spec, object.status);
    let wanted = number(spec, "replicas").unwrap_or(1);
    let have = number(status, "replicas").unwrap_or(0);
    let updated = number(status, "updatedReplicas").unwrap_or(0);
    let available = number(status, "availableReplicas").unwrap_or(0);
    let reason = condition(status, "Progressing").and_then(|condition| text(condition, "reason"));
    let progress = if !seen(object) {
        RolloutProgress::Progressing
    } else if reason == Some("ProgressDeadlineExceeded") {
        RolloutProgress::Failed
    } else if updated >= wanted && have == updated && (available >= updated || reason == Some("NewReplicaSetAvailable"))
    {
        RolloutProgress::Complete
    } else {
        RolloutProgress::Progressing
    };
    RolloutStatus {
        revision: object.revision,
        progress,
        paused: spec.get("paused").and_then(Value::as_bool).unwrap_or(false),
        empty: seen(object) && wanted == 0 && have == 0,
    }
}

/// Its controller sets `currentRevision` to `updateRevision` when all pods are replaced and ready,
/// which is how a rollout that was complete once stays so.
pub(super) fn stateful_set(object: &WorkloadObject<'_>) -> RolloutStatus {
    let (spec, status) = (object.spec, object.status);
    let wanted = number(spec, "replicas").unwrap_or(1);
    let have = number(status, "replicas").unwrap_or(0);
    let updated = number(status, "updatedReplicas").unwrap_or(0);
    let strategy = spec.get("updateStrategy").unwrap_or(&Value::Null);
    let partition = strategy
        .get("rollingUpdate")
        .and_then(|rolling| number(rolling, "partition"))
        .unwrap_or(0);
    let whole = text(status, "currentRevision") == text(status, "updateRevision");
    let progress = if !seen(object) {
        RolloutProgress::Progressing
    } else if text(strategy, "type") == Some("OnDelete") {
        waiting_unless(updated >= wanted, RolloutWait::Delete)
    } else if partition > 0 && updated >= (wanted - partition).max(0) {
        waiting_unless(whole || updated >= wanted, RolloutWait::Partition)
    } else if whole && updated >= wanted {
        RolloutProgress::Complete
    } else {
        RolloutProgress::Progressing
    };
    RolloutStatus {
        revision: object.revision,
        progress,
        paused: false,
        empty: seen(object) && wanted == 0 && have == 0,
    }
}

pub(super) fn daemon_set(object: &WorkloadObject<'_>) -> RolloutStatus {
    let (spec, status) = (object.spec, object.status);
    let wanted = number(status, "desiredNumberScheduled").unwrap_or(0);
    let have = number(status, "currentNumberScheduled").unwrap_or(0);
    let updated = number(status, "updatedNumberScheduled").unwrap_or(0);
    let available = number(status, "numberAvailable").unwrap_or(0);
    let strategy = spec.get("updateStrategy").unwrap_or(&Value::Null);
    let progress = if !seen(object) {
        RolloutProgress::Progressing
    } else if text(strategy, "type") == Some("OnDelete") {
        waiting_unless(updated >= wanted, RolloutWait::Delete)
    } else if updated >= wanted && available >= wanted {
        RolloutProgress::Complete
    } else {
        RolloutProgress::Progressing
    };
    RolloutStatus {
        revision: object.revision,
        progress,
        paused: false,
        empty: seen(object) && wanted == 0 && have == 0,
    }
}

fn waiting_unless(complete: bool, waiting: RolloutWait) -> RolloutProgress {
    if complete {
        RolloutProgress::Complete
    } else {
        RolloutProgress::Waiting(waiting)
    }
}

/// Nothing is ever rolled, so nothing is ever under way.
pub(super) fn next_run(object: &WorkloadObject<'_>) -> RolloutStatus {
    RolloutStatus {
        revision: object.revision,
        progress: RolloutProgress::Complete,
        paused: false,
        empty: false,
    }
}

/// Argo's controller says it in `status.phase`; it writes `observedGeneration` as text
/// (<https://argo-rollouts.readthedocs.io/en/stable/features/specification/>).
pub(super) fn rollout(object: &WorkloadObject<'_>) -> RolloutStatus {
    let (spec, status) = (object.spec, object.status);
    let wanted = number(spec, "replicas").unwrap_or(1);
    let have = number(status, "replicas").unwrap_or(0);
    let seen = match status.get("observedGeneration") {
        Some(Value::String(text)) => text.parse().is_ok_and(|seen: i64| seen >= object.generation),
        Some(Value::Number(number)) => number.as_i64().is_some_and(|seen| seen >= object.generation),
        _ => false,
    };
    let restarting = match (text(spec, "restartAt"), text(status, "restartedAt")) {
        (Some(asked), Some(done)) => !is_same_second(asked, done),
        (asked, _) => asked.is_some(),
    };
    let progress = match text(status, "phase") {
        _ if !seen => RolloutProgress::Progressing,
        Some("Degraded") => RolloutProgress::Failed,
        Some("Paused") => RolloutProgress::Waiting(RolloutWait::Promotion),
        Some("Healthy") if !restarting => RolloutProgress::Complete,
        _ => RolloutProgress::Progressing,
    };
    RolloutStatus {
        revision: object.revision,
        progress,
        paused: spec.get("paused").and_then(Value::as_bool).unwrap_or(false),
        empty: seen && wanted == 0 && have == 0,
    }
}

/// Argo writes the time in its own form, whatever form it was asked in.
fn is_same_second(asked: &str, done: &str) -> bool {
    let second = |text: &str| text.parse().ok().map(Timestamp::as_second);
    asked == done || second(asked).is_some_and(|asked| second(done) == Some(asked))
}

/// By the conventions that most controllers keep
/// (<https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>). A status that
/// says nothing holds nothing up.
pub(super) fn any(object: &WorkloadObject<'_>) -> RolloutStatus {
    let (spec, status) = (object.spec, object.status);
    let behind = number(status, "observedGeneration").is_some_and(|seen| seen < object.generation);
    let is = |named: &str, value: &str| condition(status, named).and_then(|it| text(it, "status")) == Some(value);
    let replicas = number(spec, "replicas");
    let updated = number(status, "updatedReplicas");
    let lacking = updated
        .zip(replicas.or_else(|| number(status, "replicas")))
        .is_some_and(|(updated, wanted)| updated < wanted);
    let progress = if behind {
        RolloutProgress::Progressing
    } else if is("Stalled", "True") {
        RolloutProgress::Failed
    } else if is("Reconciling", "True") || is("Ready", "False") || lacking {
        RolloutProgress::Progressing
    } else {
        RolloutProgress::Complete
    };
    RolloutStatus {
        revision: object.revision,
        progress,
        paused: spec.get("paused").and_then(Value::as_bool).unwrap_or(false),
        empty: !behind && replicas == Some(0) && number(status, "replicas").unwrap_or(0) == 0,
    }
}
