//! The table of workload kinds: where the pod template is, and how a rollout shows its progress.
//!
//! A kind is a row here and nothing else anywhere.

use serde_json::Value;

/// A row of [`KINDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindId(u8);

/// What the rules and the adapters must know of a kind of workload.
#[derive(Debug)]
pub struct Kind {
    /// API group.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Kubernetes' word for it.
    pub kind: &'static str,
    /// Its name in URLs and RBAC rules.
    pub plural: &'static str,
    /// Field names from the object's root down to the pod template.
    pub template: &'static [&'static str],
    /// Reads the kind's own evidence.
    evidence: fn(&Object<'_>) -> Evidence,
}

/// All kinds that are served.
pub const KINDS: &[Kind] = &[Kind {
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    template: &["spec", "template"],
    evidence: deployment,
}];

/// `apps/v1` Deployment.
pub const DEPLOYMENT: KindId = KindId(0);

impl KindId {
    /// The row.
    #[must_use]
    pub fn row(self) -> &'static Kind {
        KINDS
            .get(usize::from(self.0))
            .expect("ids are only made in this file, one for each row")
    }
}

/// The parts of a workload object that evidence is read from.
pub struct Object<'a> {
    /// `metadata.generation`.
    pub generation: i64,
    /// The kind's revision annotation, if it has one.
    pub revision: Option<&'a str>,
    /// `spec`.
    pub spec: &'a Value,
    /// `status`.
    pub status: &'a Value,
}

/// How far the kind's own controller has come with the present pod template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Every pod is of the present template.
    Complete,
    /// Pods are being replaced.
    Progressing,
    /// The kind's controller gave it up.
    Failed,
}

/// What a workload's own controller says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Counts the templates that were rolled out. `None`: none has been yet.
    pub revision: Option<u64>,
    /// How far the present one has come.
    pub progress: Progress,
    /// Template changes do not roll.
    pub paused: bool,
    /// No pod is wanted and none exists.
    pub empty: bool,
}

impl Kind {
    /// Reads the evidence of an object of this kind.
    #[must_use]
    pub fn evidence(&self, object: &Object<'_>) -> Evidence {
        (self.evidence)(object)
    }
}

/// As `kubectl rollout status` reads it, with one difference: once the controller has said
/// `NewReplicaSetAvailable`, a pod that becomes unready later does not reopen the rollout.
fn deployment(object: &Object<'_>) -> Evidence {
    let number = |value: &Value, field: &str| value.get(field).and_then(Value::as_i64);
    let (spec, status) = (object.spec, object.status);
    let wanted = number(spec, "replicas").unwrap_or(1);
    let have = number(status, "replicas").unwrap_or(0);
    let updated = number(status, "updatedReplicas").unwrap_or(0);
    let available = number(status, "availableReplicas").unwrap_or(0);
    let seen = number(status, "observedGeneration").unwrap_or(0) >= object.generation;
    let said = status
        .get("conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some("Progressing"));
    let reason = said
        .and_then(|condition| condition.get("reason"))
        .and_then(Value::as_str);
    let progress = if !seen {
        Progress::Progressing
    } else if reason == Some("ProgressDeadlineExceeded") {
        Progress::Failed
    } else if updated >= wanted && have == updated && (available >= updated || reason == Some("NewReplicaSetAvailable"))
    {
        Progress::Complete
    } else {
        Progress::Progressing
    };
    Evidence {
        revision: object.revision.and_then(|text| text.parse().ok()),
        progress,
        paused: spec.get("paused").and_then(Value::as_bool).unwrap_or(false),
        empty: seen && wanted == 0 && have == 0,
    }
}
