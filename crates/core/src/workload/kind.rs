//! The table of workload kinds: where the pod template is, and how a rollout shows its progress.
//!
//! What else has to know the kinds is made from the rows: help, labels of metrics, and, by `cargo xtask generate`, the
//! chart's rights and values. Rows of kinds that an operator names by flag are made while the process runs, once what
//! the API server calls them is known.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde_json::Value;

mod rollout_status;
#[cfg(test)]
mod tests;

/// A row of the table. Two are equal when they are of the same group and kind.
#[derive(Clone, Copy)]
pub struct KindId(&'static Kind);

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
    /// What tells one rolled out template from the next.
    pub revision: RevisionSource,
    /// Where the templates that were rolled out before are kept.
    pub history: RevisionHistory,
    /// When pods get a changed template.
    pub pods: PodReplacement,
    /// Where it may name another object that has the template in its stead.
    pub delegate: Option<TemplateReference>,
    /// Whether patches know lists of named items, which those of custom resources do not.
    pub strategic_patch: bool,
    /// Reads the kind's own evidence.
    rollout_status: fn(&WorkloadObject<'_>) -> RolloutStatus,
}

/// What tells one rolled out template from the next: a number that grows with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionSource {
    /// An annotation that the kind's controller counts in.
    Annotation(&'static str),
    /// `metadata.generation`, for kinds where no write to metadata moves it. It moves with other
    /// fields than the template as well, so it proves that nothing was rolled, never that something was.
    Generation,
}

/// Where the templates that were rolled out before are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevisionHistory {
    /// `ReplicaSet`s, numbered by this annotation.
    ReplicaSets(&'static str),
    /// `ControllerRevision`s.
    ControllerRevisions,
    /// Nowhere that we know of.
    Nowhere,
}

impl RevisionHistory {
    /// The objects of [`APPS`] that keep it: Kubernetes' word for them, and their name in URLs and RBAC rules.
    #[must_use]
    pub fn objects(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::ReplicaSets(_) => Some(("ReplicaSet", "replicasets")),
            Self::ControllerRevisions => Some(("ControllerRevision", "controllerrevisions")),
            Self::Nowhere => None,
        }
    }
}

/// How an object names another one that has the pod template in its stead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateReference {
    /// Field names from the object's root down to the reference.
    pub path: &'static [&'static str],
    /// The built-in kind that it names.
    pub target: &'static str,
}

/// When pods get a changed template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodReplacement {
    /// The kind's controller replaces them.
    Replaced,
    /// Those that run end by themselves, and the next ones start with what is there then.
    NextRun,
}

/// The group of most kinds, and of what keeps their revisions.
pub const APPS: &str = "apps";

const DEPLOYMENT_REVISION: &str = "deployment.kubernetes.io/revision";
const ROLLOUT_REVISION: &str = "rollout.argoproj.io/revision";
const DAEMON_SET_REVISION: &str = "deprecated.daemonset.template.generation";

/// Annotations by which kinds count their revisions.
pub const REVISION_ANNOTATIONS: &[&str] = &[DEPLOYMENT_REVISION, ROLLOUT_REVISION, DAEMON_SET_REVISION];

/// `apps/v1` Deployment.
pub const DEPLOYMENT: KindId = KindId(&KINDS[0]);

/// All kinds that are served without being described.
pub static KINDS: [Kind; 5] = [
    Kind {
        group: APPS,
        version: "v1",
        kind: "Deployment",
        plural: "deployments",
        template: &["spec", "template"],
        revision: RevisionSource::Annotation(DEPLOYMENT_REVISION),
        history: RevisionHistory::ReplicaSets(DEPLOYMENT_REVISION),
        pods: PodReplacement::Replaced,
        delegate: None,
        strategic_patch: true,
        rollout_status: rollout_status::deployment,
    },
    Kind {
        group: APPS,
        version: "v1",
        kind: "StatefulSet",
        plural: "statefulsets",
        template: &["spec", "template"],
        revision: RevisionSource::Generation,
        history: RevisionHistory::ControllerRevisions,
        pods: PodReplacement::Replaced,
        delegate: None,
        strategic_patch: true,
        rollout_status: rollout_status::stateful_set,
    },
    Kind {
        group: APPS,
        version: "v1",
        kind: "DaemonSet",
        plural: "daemonsets",
        template: &["spec", "template"],
        revision: RevisionSource::Annotation(DAEMON_SET_REVISION),
        history: RevisionHistory::ControllerRevisions,
        pods: PodReplacement::Replaced,
        delegate: None,
        strategic_patch: true,
        rollout_status: rollout_status::daemon_set,
    },
    Kind {
        group: "batch",
        version: "v1",
        kind: "CronJob",
        plural: "cronjobs",
        template: &["spec", "jobTemplate", "spec", "template"],
        revision: RevisionSource::Generation,
        history: RevisionHistory::Nowhere,
        pods: PodReplacement::NextRun,
        delegate: None,
        strategic_patch: true,
        rollout_status: rollout_status::next_run,
    },
    Kind {
        group: "argoproj.io",
        version: "v1alpha1",
        kind: "Rollout",
        plural: "rollouts",
        template: &["spec", "template"],
        revision: RevisionSource::Annotation(ROLLOUT_REVISION),
        history: RevisionHistory::ReplicaSets(ROLLOUT_REVISION),
        pods: PodReplacement::Replaced,
        delegate: Some(TemplateReference {
            path: &["spec", "workloadRef"],
            target: "Deployment",
        }),
        strategic_patch: false,
        rollout_status: rollout_status::rollout,
    },
];

impl KindId {
    #[must_use]
    pub fn row(self) -> &'static Kind {
        self.0
    }

    /// Whether it is a custom resource, and there as long as its definition is.
    #[must_use]
    pub fn is_custom(self) -> bool {
        self.0.group.contains('.')
    }

    /// The kinds of [`KINDS`].
    pub fn built_in() -> impl ExactSizeIterator<Item = Self> {
        KINDS.iter().map(Self)
    }

    /// A built-in kind by its word.
    #[must_use]
    pub fn named(kind: &str) -> Option<Self> {
        Self::built_in().find(|known| known.row().kind == kind)
    }

    /// A row for a kind that an operator described. It stays for as long as the process runs, so
    /// each is to be made once.
    #[must_use]
    pub fn described(group: &str, version: &str, kind: &str, plural: &str, template: &[String]) -> Self {
        let fields: Vec<&'static str> = template.iter().map(|field| forever(field)).collect();
        Self(Box::leak(Box::new(Kind {
            group: forever(group),
            version: forever(version),
            kind: forever(kind),
            plural: forever(plural),
            template: fields.leak(),
            revision: RevisionSource::Generation,
            history: RevisionHistory::Nowhere,
            pods: PodReplacement::Replaced,
            delegate: None,
            strategic_patch: false,
            rollout_status: rollout_status::any,
        })))
    }

    fn identity(self) -> (&'static str, &'static str) {
        (self.0.group, self.0.kind)
    }
}

fn forever(text: &str) -> &'static str {
    text.to_owned().leak()
}

impl PartialEq for KindId {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0) || self.identity() == other.identity()
    }
}

impl Eq for KindId {}

impl PartialOrd for KindId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KindId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        if std::ptr::eq(self.0, other.0) {
            return std::cmp::Ordering::Equal;
        }
        self.identity().cmp(&other.identity())
    }
}

impl Hash for KindId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.kind.hash(state);
    }
}

impl fmt::Debug for KindId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind)
    }
}

/// The parts of a workload object that evidence is read from.
pub struct WorkloadObject<'a> {
    /// `metadata.generation`.
    pub generation: i64,
    /// The number that [`RevisionSource`] names.
    pub revision: Option<u64>,
    /// `spec`.
    pub spec: &'a Value,
    /// `status`.
    pub status: &'a Value,
}

/// How far the kind's own controller has come with the present pod template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutProgress {
    /// Every pod is of the present template.
    Complete,
    /// Pods are being replaced.
    Progressing,
    /// The kind's controller gave it up.
    Failed,
    /// Pods of an older template stay until somebody does something.
    Waiting(RolloutWait),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutWait {
    /// For pods to be deleted: `updateStrategy: OnDelete`.
    Delete,
    /// For the `partition` to be lowered.
    Partition,
    /// For a paused canary to be promoted.
    Promotion,
}

/// What a workload's own controller says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolloutStatus {
    /// Counts the templates that were rolled out. `None`: none has been yet.
    pub revision: Option<u64>,
    /// How far the present one has come.
    pub progress: RolloutProgress,
    /// Template changes do not roll.
    pub paused: bool,
    /// No pod is wanted and none exists.
    pub empty: bool,
}

impl Kind {
    /// Reads the evidence of an object of this kind.
    #[must_use]
    pub fn rollout_status(&self, object: &WorkloadObject<'_>) -> RolloutStatus {
        (self.rollout_status)(object)
    }

    /// The revision by annotations and generation.
    #[must_use]
    pub fn revision<'a>(&self, get: impl Fn(&str) -> Option<&'a str>, generation: i64) -> Option<u64> {
        match self.revision {
            RevisionSource::Annotation(name) => get(name)?.parse().ok(),
            RevisionSource::Generation => u64::try_from(generation).ok().filter(|number| *number > 0),
        }
    }
}
