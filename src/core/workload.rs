//! What is known of a workload and of its sources, as plain values.

use std::sync::Arc;

use super::content::Contents;
use super::kind::Evidence;
use super::marks::Marks;
use super::name::{Namespace, SourceRef, Uid, Version, WorkloadRef};
use super::optin::Asked;
use super::reference::Use;
use super::template::Fingerprint;
use super::time::Second;

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
    /// The object that manages it, as `KIND NAME`.
    pub owner: Option<Box<str>>,
    /// What Reloader and Wave left on it.
    pub marks: Option<Box<Marks>>,
    /// Since when it is paused in Reloader's way.
    pub paused_at: Option<Second>,
    /// The Argo Rollout that runs its pods instead of its own controller.
    pub runs_for: Option<Box<RunsFor>>,
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
    /// Marked so that its changes never count.
    pub ignored: bool,
    /// Marked so in Reloader's words.
    pub ignored_by_reloader: bool,
    /// Bears the mark that Reloader's `search` asks for.
    pub marked: bool,
    /// The other namespaces whose workloads may name it.
    pub allow_from: Box<[Namespace]>,
    /// Its keys.
    pub contents: Contents,
    /// The latest time at which a field manager wrote its content, by the API server's clock.
    /// Writes to labels by the same manager move it too, so it is never too early. `None` when
    /// nobody left a trace.
    pub changed_at: Option<Second>,
}
