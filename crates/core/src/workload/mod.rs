//! What is known of a workload and of its sources, as plain values.

pub mod asked;
pub mod class;
pub mod kind;
pub mod optin;
pub mod pattern;
pub mod proof;
pub mod reference;
mod sorting;
pub mod template;

use std::sync::Arc;

use super::content::Contents;
use crate::compat::marks::Marks;
use crate::content::cause::Cause;
use crate::content::content_time::ContentTime;
use crate::policy::lever::Levers;
use crate::types::labels::Labels;
use crate::types::name::{Namespace, SourceRef, Uid, Version, WorkloadRef};
use crate::types::time::Second;
use crate::workload::kind::Evidence;
use crate::workload::optin::{Asked, InvalidAnnotation, OptIn};
use crate::workload::reference::Use;
use crate::workload::template::Fingerprint;

/// A workload as the cluster shows it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Which one.
    pub reference: WorkloadRef,
    /// Which one of that name.
    pub uid: Uid,
    /// The version that all of this was read at.
    pub version: Version,
    /// What its annotations ask for. `Ok(None)`: nothing.
    pub opt_in: Asked,
    /// The baseline annotation, as it stands. Shared with whoever remembers it.
    pub observed: Option<Arc<str>>,
    /// Our digest on its pod template.
    pub witness: Option<Box<str>>,
    /// What its pod template reads.
    pub uses: Arc<[Use]>,
    /// Its pod template without our annotations.
    pub fingerprint: Fingerprint,
    /// What its own controller says.
    pub evidence: Evidence,
    /// What few have.
    pub rare: Option<Box<Rare>>,
}

/// What few workloads have: kept apart, because there are thousands of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rare {
    /// The object that manages it, as `KIND NAME`.
    pub owner: Option<Box<str>>,
    /// What Reloader and Wave left on it.
    pub marks: Option<Box<Marks>>,
    /// Since when it is paused in Reloader's way.
    pub paused_at: Option<Second>,
    /// The Argo Rollout that runs its pods instead of its own controller.
    pub runs_for: Option<RunsFor>,
    /// Its labels, for policies to select it by. `None`: not kept.
    pub labels: Option<Labels>,
    /// Windlass is to keep its hands off, whatever a policy selects.
    pub hands_off: bool,
    /// What its annotations say should a policy select it, where they do not ask themselves.
    pub if_selected: Option<Box<IfSelected>>,
    /// What a person wants.
    pub levers: Option<Box<Levers>>,
    /// What it was restarted for, while that is not complete.
    pub cause: Option<Box<Cause>>,
}

/// What a workload's annotations say should a policy select it.
pub type IfSelected = Result<Arc<OptIn>, Box<InvalidAnnotation>>;

impl Rare {
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
        self.rare.as_ref()?.owner.as_deref()
    }

    /// What Reloader and Wave left on it.
    #[must_use]
    pub fn marks(&self) -> Option<&Marks> {
        self.rare.as_ref()?.marks.as_deref()
    }

    /// Since when it is paused in Reloader's way.
    #[must_use]
    pub fn paused_at(&self) -> Option<Second> {
        self.rare.as_ref()?.paused_at
    }

    /// Its labels, where they are kept.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels> {
        self.rare.as_ref()?.labels.as_ref()
    }

    /// What a person wants.
    #[must_use]
    pub fn levers(&self) -> Option<&Levers> {
        self.rare.as_ref()?.levers.as_deref()
    }

    /// What it was restarted for, while that is not complete.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        self.rare.as_ref()?.cause.as_deref()
    }

    /// The Argo Rollout that runs its pods instead of its own controller.
    #[must_use]
    pub fn runs_for(&self) -> Option<&RunsFor> {
        self.rare.as_ref()?.runs_for.as_ref()
    }
}

/// An object that runs the pods of another one's template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunsFor {
    /// Which one.
    pub reference: WorkloadRef,
    /// Which one of that name.
    pub uid: Uid,
}

/// A source as the cluster shows it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Which one.
    pub reference: SourceRef,
    /// Which one of that name.
    pub uid: Uid,
    /// The version that all of this was read at.
    pub version: Version,
    /// What its annotations say; few sources have any.
    pub marks: Option<Box<SourceMarks>>,
    /// Its keys.
    pub contents: Contents,
    /// When its content came to be what it is, by the API server's clock.
    pub written: ContentTime,
}

/// What the annotations of a source say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMarks {
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

impl SourceMarks {
    /// Only if there is anything in it.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

impl Source {
    fn has(&self, mark: impl FnOnce(&SourceMarks) -> bool) -> bool {
        self.marks.as_deref().is_some_and(mark)
    }

    /// Whether its changes never count, by our own word or, where we stand in for it, by Reloader's.
    #[must_use]
    pub fn is_ignored(&self, reloader: bool) -> bool {
        self.has(|marks| marks.ignored || (reloader && marks.ignored_by_reloader))
    }

    /// When it was created, if it is immutable.
    #[must_use]
    pub fn immutable_since(&self) -> Option<Second> {
        self.marks.as_deref()?.immutable
    }

    /// When it was seen to take the place of an immutable one.
    #[must_use]
    pub fn after_immutable(&self) -> Option<Second> {
        self.marks.as_deref()?.after_immutable
    }

    /// Notes what it came after.
    pub fn follow(&mut self, before: &Self, now: Second) {
        let after = if before.uid == self.uid || before.immutable_since().is_none() {
            before.after_immutable()
        } else {
            Some(now)
        };
        if after.is_some() {
            self.marks.get_or_insert_default().after_immutable = after;
        }
    }

    /// Whether its annotations say the same.
    #[must_use]
    pub fn has_marks_of(&self, other: &Self) -> bool {
        let said = |source: &Self| {
            let marks = source.marks.as_deref().cloned().unwrap_or_default();
            SourceMarks {
                immutable: None,
                after_immutable: None,
                ..marks
            }
        };
        self.marks == other.marks || said(self) == said(other)
    }

    /// Whether it bears the mark that Reloader's `search` asks for.
    #[must_use]
    pub fn is_matched(&self) -> bool {
        self.has(|marks| marks.matched)
    }

    /// Takes its consent to others for not given: it need not be kept where nobody may ask for it.
    pub fn disregard_consent(&mut self) {
        if let Some(marks) = self.marks.take() {
            let allow_from = Box::default();
            self.marks = SourceMarks { allow_from, ..*marks }.boxed();
        }
    }

    /// Whether workloads of another namespace may name it.
    #[must_use]
    pub fn allows(&self, namespace: &Namespace) -> bool {
        self.has(|marks| marks.allow_from.contains(namespace))
    }
}
