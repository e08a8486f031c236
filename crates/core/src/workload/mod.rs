//! What is known of a workload and of its sources, as plain values.

pub mod asked;
pub mod key_strategy;
pub mod kind;
pub mod opt_in;
pub mod pattern;
pub mod reference;
pub mod rollout_history;
mod sorting;
pub mod template;

use std::sync::Arc;

use super::content::Contents;
use crate::compat::marks::ControllerMarks;
use crate::content::cause::Cause;
use crate::content::content_time::ContentTime;
use crate::policy::manual_override::ManualOverrides;
use crate::types::labels::Labels;
use crate::types::name::{Namespace, SourceRef, Uid, Version, WorkloadRef};
use crate::types::time::Second;
use crate::workload::kind::RolloutStatus;
use crate::workload::opt_in::{InvalidAnnotation, OptIn, OptInResult};
use crate::workload::reference::Use;
use crate::workload::template::Fingerprint;

/// A workload as the cluster shows it.
#[derive(Clone, Debug)]
pub struct Workload {
    pub reference: WorkloadRef,
    pub uid: Uid,
    /// The version that all of this was read at.
    pub version: Version,
    /// What its annotations ask for. `Ok(None)`: nothing.
    pub opt_in: OptInResult,
    /// The baseline annotation, as it stands. Shared with whoever remembers it.
    pub observed: Option<Arc<str>>,
    /// Our digest on its pod template.
    pub template_digest: Option<Box<str>>,
    /// What its pod template reads.
    pub uses: Arc<[Use]>,
    /// Its pod template without our annotations.
    pub fingerprint: Fingerprint,
    /// What its own controller says.
    pub rollout_status: RolloutStatus,
    /// What few have.
    pub extras: Option<Box<WorkloadExtras>>,
}

/// What few workloads have: kept apart, because there are thousands of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadExtras {
    /// The object that manages it, as `KIND NAME`.
    pub owner: Option<Box<str>>,
    /// What Reloader and Wave left on it.
    pub marks: Option<Box<ControllerMarks>>,
    /// Since when it is paused in Reloader's way.
    pub paused_at: Option<Second>,
    /// The Argo Rollout that runs its pods instead of its own controller.
    pub delegate: Option<Delegate>,
    /// Its labels, for policies to select it by. `None`: not kept.
    pub labels: Option<Labels>,
    /// Windlass is to keep its hands off, whatever a policy selects.
    pub hands_off: bool,
    /// What its annotations say should a policy select it, where they do not ask themselves.
    pub opt_in_if_selected: Option<Box<OptInIfSelected>>,
    /// What a person wants.
    pub manual_overrides: Option<Box<ManualOverrides>>,
    /// What it was restarted for, while that is not complete.
    pub cause: Option<Box<Cause>>,
}

/// What a workload's annotations say should a policy select it.
pub type OptInIfSelected = Result<Arc<OptIn>, Box<InvalidAnnotation>>;

impl WorkloadExtras {
    /// Only if there is anything in it.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

impl Workload {
    /// The object that manages it, as `KIND NAME`.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.extras.as_ref()?.owner.as_deref()
    }

    /// What Reloader and Wave left on it.
    #[must_use]
    pub fn marks(&self) -> Option<&ControllerMarks> {
        self.extras.as_ref()?.marks.as_deref()
    }

    /// Since when it is paused in Reloader's way.
    #[must_use]
    pub fn paused_at(&self) -> Option<Second> {
        self.extras.as_ref()?.paused_at
    }

    /// Its labels, where they are kept.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels> {
        self.extras.as_ref()?.labels.as_ref()
    }

    /// What a person wants.
    #[must_use]
    pub fn manual_overrides(&self) -> Option<&ManualOverrides> {
        self.extras.as_ref()?.manual_overrides.as_deref()
    }

    /// What it was restarted for, while that is not complete.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        self.extras.as_ref()?.cause.as_deref()
    }

    /// The Argo Rollout that runs its pods instead of its own controller.
    #[must_use]
    pub fn delegate(&self) -> Option<&Delegate> {
        self.extras.as_ref()?.delegate.as_ref()
    }
}

/// An object that runs the pods of another one's template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegate {
    pub reference: WorkloadRef,
    pub uid: Uid,
}

/// A source as the cluster shows it.
#[derive(Clone, Debug)]
pub struct Source {
    pub reference: SourceRef,
    pub uid: Uid,
    /// The version that all of this was read at.
    pub version: Version,
    /// What its annotations say; few sources have any.
    pub annotations: Option<Box<SourceAnnotations>>,
    /// Its keys.
    pub contents: Contents,
    /// When its content came to be what it is, by the API server's clock.
    pub written: ContentTime,
}

/// What the annotations of a source say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceAnnotations {
    /// Its changes never count.
    pub ignored: bool,
    /// The same in Reloader's words.
    pub ignored_by_reloader: bool,
    /// It bears the mark that Reloader's `search` asks for.
    pub matched: bool,
    /// The other namespaces whose workloads may name it.
    pub allow_from: Box<[Namespace]>,
    /// It is immutable, and was created then.
    pub immutable: Option<Second>,
    /// It took the place of an immutable one, and was seen to do so then.
    pub after_immutable: Option<Second>,
}

impl SourceAnnotations {
    /// Only if there is anything in it.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

impl Source {
    fn has(&self, mark: impl FnOnce(&SourceAnnotations) -> bool) -> bool {
        self.annotations.as_deref().is_some_and(mark)
    }

    /// Whether its changes never count, by our own word or, where we stand in for it, by Reloader's.
    #[must_use]
    pub fn is_ignored(&self, reloader: bool) -> bool {
        self.has(|marks| marks.ignored || (reloader && marks.ignored_by_reloader))
    }

    /// When it was created, if it is immutable.
    #[must_use]
    pub fn immutable_since(&self) -> Option<Second> {
        self.annotations.as_deref()?.immutable
    }

    /// When it was seen to take the place of an immutable one.
    #[must_use]
    pub fn after_immutable(&self) -> Option<Second> {
        self.annotations.as_deref()?.after_immutable
    }

    /// Notes what it came after.
    pub fn follow(&mut self, before: &Self, now: Second) {
        let after = if before.uid == self.uid || before.immutable_since().is_none() {
            before.after_immutable()
        } else {
            Some(now)
        };
        if after.is_some() {
            self.annotations.get_or_insert_default().after_immutable = after;
        }
    }

    /// Whether its annotations say the same.
    #[must_use]
    pub fn has_annotations_of(&self, other: &Self) -> bool {
        let said = |source: &Self| {
            let marks = source.annotations.as_deref().cloned().unwrap_or_default();
            SourceAnnotations {
                immutable: None,
                after_immutable: None,
                ..marks
            }
        };
        self.annotations == other.annotations || said(self) == said(other)
    }

    /// Whether it bears the mark that Reloader's `search` asks for.
    #[must_use]
    pub fn is_matched(&self) -> bool {
        self.has(|marks| marks.matched)
    }

    /// Takes its consent to others for not given: it need not be kept where nobody may ask for it.
    pub fn disregard_consent(&mut self) {
        if let Some(marks) = self.annotations.take() {
            let allow_from = Box::default();
            self.annotations = SourceAnnotations { allow_from, ..*marks }.boxed();
        }
    }

    /// Whether workloads of another namespace may name it.
    #[must_use]
    pub fn allows(&self, namespace: &Namespace) -> bool {
        self.has(|marks| marks.allow_from.contains(namespace))
    }
}
