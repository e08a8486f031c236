//! What is known of the cluster: small values, fed by watch events, and nothing else.
//!
//! A map of sources, a map of workloads, and the way back from a source to the workloads that use
//! it. Applying an event says which workloads have to be decided again. An older version never
//! replaces a newer one, and a list is a comparison, not a new beginning.
//!
//! | file | holds |
//! |---|---|
//! | [`watches`] | which watches feed it, and what their lists leave out |
//! | [`namespaces`] | which namespaces belong to it at all |
//! | [`source_entry`] | what is known of one source |
//! | [`sources`] | sources coming, changing, going |
//! | [`workloads`] | workloads the same, and who uses what |
//! | [`failures`] | who failed, for the sake of those who wait for the same change |
//! | [`waves`] | who goes before whom |
//! | [`policy_status`] | what is said of each policy |
//! | [`policies`] | which policies hold for which workload |
//! | [`propagating`] | files of running pods that are being brought up to date |
//! | [`delegations`] | Argo Rollouts that run another object's template |
//! | [`interner`] | names that many objects repeat, each kept once |
//! | [`matching`] | what patterns say of sources |
//! | [`pattern_cache`] | the same, remembered |

pub mod entry;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use windlass_core::decide::{RolloutFailure, SourceView};
use windlass_core::policy::effective_policy::{EffectivePolicy, PolicyDefaults};
use windlass_core::reason::{Reason, State};
use windlass_core::types::name::{Namespace, SourceKind, SourceRef, Version, WorkloadRef};
use windlass_core::workload::Source;
use windlass_core::workload::opt_in::{AnnotationOptions, OptIn};
use windlass_core::workload::reference::{ConsumedKeys, Use, Uses};

use crate::index::entry::WorkloadEntry;
use crate::k8s::wire::Delegation;
use crate::scope::SourceKinds;

mod delegations;
mod failures;
mod interner;
mod matching;
mod namespaces;
mod pattern_cache;
mod policies;
mod policy_status;
mod propagating;
mod source_entry;
mod sources;
#[cfg(test)]
mod tests;
mod watches;
mod waves;
mod workloads;

use self::interner::Interner;
use self::namespaces::SelectedNamespaces;
pub use self::namespaces::SelectionStage;
pub use self::pattern_cache::PatternCache;
use self::pattern_cache::SourceNumbers;
pub use self::policies::PolicyEffect;
use self::policies::PolicyIndex;
pub use self::policy_status::DueStatus;
pub use self::propagating::PropagationState;
use self::source_entry::{ContentState, SourceEntry};
use self::watches::WatchState;
pub use self::watches::{WatchId, WatchedKind};
pub use self::waves::is_done;

/// What holds for the whole index.
#[derive(Clone, Copy, Debug)]
pub struct IndexSettings {
    /// How annotations are read.
    pub annotation_options: AnnotationOptions,
    /// Kinds of sources that count.
    pub sources: SourceKinds,
    /// Sources are watched by a label: one that is not seen may well be there.
    pub selected_sources: bool,
    /// Baselines are kept here and nowhere else, because nothing is written.
    pub observe_only: bool,
    /// What holds where no policy says otherwise.
    pub policy_defaults: PolicyDefaults,
}

impl Default for IndexSettings {
    fn default() -> Self {
        Self {
            annotation_options: AnnotationOptions::default(),
            sources: SourceKinds {
                configmaps: true,
                secrets: true,
            },
            selected_sources: false,
            observe_only: false,
            policy_defaults: PolicyDefaults::default(),
        }
    }
}

impl IndexSettings {
    /// Whether sources of this kind count.
    #[must_use]
    pub fn counts(self, kind: SourceKind) -> bool {
        match kind {
            SourceKind::ConfigMap => self.sources.configmaps,
            SourceKind::Secret => self.sources.secrets,
        }
    }
}

/// Everything.
#[derive(Default)]
pub struct Index {
    settings: IndexSettings,
    // Boxed, because the free room of a map is as large as what is in it.
    sources: BTreeMap<SourceRef, Box<SourceEntry>>,
    // In order, as the sources are: what follows from the same events is the same.
    workloads: BTreeMap<WorkloadRef, Box<WorkloadEntry>>,
    used_by: HashMap<SourceRef, Vec<WorkloadRef>>,
    /// Workloads that name sources by pattern, by the namespace of the sources.
    by_pattern: HashMap<Namespace, Vec<WorkloadRef>>,
    /// By whose template is run.
    delegations: HashMap<WorkloadRef, Box<DelegationEntry>>,
    watches: Vec<WatchState>,
    selected: Option<SelectedNamespaces>,
    policies: PolicyIndex,
    /// What holds where no policy says otherwise.
    default_policy: Arc<EffectivePolicy>,
    failures: Vec<RolloutFailure>,
    /// Whether all first lists have been complete.
    started: bool,
    present_sources: HashMap<SourceKind, usize>,
    texts: Interner,
    numbers: SourceNumbers,
    /// Most workloads ask for the same; each is kept once.
    known_opt_ins: Vec<Arc<OptIn>>,
    /// What has to be read from the API server, because no watch brings it.
    wanted: Vec<FetchRequest>,
    /// Who waited for a workload that is gone.
    called: Vec<WorkloadRef>,
}

/// A delegation, and in which list it was seen last.
struct DelegationEntry {
    delegation: Delegation,
    generation: u32,
}

/// An object that has to be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FetchRequest {
    /// A source's content.
    Source(SourceRef),
    /// A workload that asks for nothing itself.
    Workload(WorkloadRef),
}

/// How an object was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// In a list: what happened before it is not known.
    Listed,
    /// As one event among all.
    Watched,
}

/// What counts for a workload now.
#[derive(Debug, Default)]
pub struct CountedSources {
    /// Each source with what of it counts, sorted.
    pub uses: Vec<(SourceRef, Use)>,
    /// Sources of other namespaces that it names and that do not allow it, or do not exist.
    pub not_shared: Vec<SourceRef>,
    /// Sources whose content has to be read first.
    pub unread: Vec<SourceRef>,
    /// Sources whose content could not be read, with the reason.
    pub unreadable: Vec<(SourceRef, Box<str>)>,
    /// Keys that are to be in place and cannot be, in words.
    pub unsupported_keys: Vec<String>,
    /// Why its keys are not sorted: it would take too much work.
    pub excess: Option<String>,
}

/// Steps that it may take to compare the rules of a policy with all keys that a workload uses, some ten
/// milliseconds. What is beyond is not done, and the workload is held: nobody else's decision has to wait for it.
pub const MOST_RULE_STEPS: usize = 1 << 23;

/// Different opt-ins that are kept to be shared; beyond them each workload has its own.
const SHARED_OPT_INS: usize = 64;

impl Index {
    /// An empty one.
    #[must_use]
    pub fn new(rules: IndexSettings) -> Self {
        Self {
            default_policy: Arc::new(EffectivePolicy::from_defaults(&rules.policy_defaults)),
            settings: rules,
            ..Self::default()
        }
    }

    /// What holds for all of it.
    #[must_use]
    pub fn settings(&self) -> IndexSettings {
        self.settings
    }

    /// What has to be read since the last call.
    pub fn take_fetch_requests(&mut self) -> Vec<FetchRequest> {
        std::mem::take(&mut self.wanted)
    }

    /// Who has to be decided again since the last call, because what they waited for is gone.
    pub fn take_called(&mut self) -> Vec<WorkloadRef> {
        std::mem::take(&mut self.called)
    }

    fn intern_opt_in(&mut self, opt_in: &mut Arc<OptIn>) {
        if let Some(known) = self.known_opt_ins.iter().find(|known| *known == opt_in) {
            opt_in.clone_from(known);
            return;
        }
        if self.known_opt_ins.len() == SHARED_OPT_INS {
            // Nobody asks for these any more.
            self.known_opt_ins.retain(|known| Arc::strong_count(known) > 1);
        }
        if self.known_opt_ins.len() < SHARED_OPT_INS {
            self.known_opt_ins.push(opt_in.clone());
        }
    }

    /// Whether a workload in `own` may use the source at all.
    fn is_shared_with(&self, own: &Namespace, source: &SourceRef) -> bool {
        // One that is not there is missing in its own namespace, and nobody's elsewhere.
        let known = self.sources.get(source);
        *own == source.namespace || known.is_some_and(|known| self.may_use(own, known.source()))
    }

    fn may_use(&self, own: &Namespace, source: &Source) -> bool {
        *own == source.reference.namespace || (self.settings.annotation_options.cross_namespace && source.allows(own))
    }

    /// What counts for a workload now: patterns spelled out, marks looked at.
    #[must_use]
    pub fn counted_sources(&self, entry: &WorkloadEntry) -> CountedSources {
        let Some(opt_in) = entry.opt_in() else {
            return CountedSources::default();
        };
        let own = &entry.workload().reference.namespace;
        let mut found = CountedSources::default();
        let mut uses = Uses::default();
        for used in entry.uses() {
            let source = used.source(own);
            let known = self.sources.get(&source);
            let marked = known.is_some_and(|known| known.source().is_matched());
            if !self.is_shared_with(own, &source) {
                found.not_shared.push(source);
            } else if self.source_scope(entry, &source, true, marked).is_some() {
                uses.add(used);
            }
        }
        if entry.has_patterns() {
            for (kind, namespace) in entry.pattern_places() {
                for (source, known) in self.sources_of(kind, &namespace) {
                    if !known.is_gone() && self.names_by_pattern(entry, source) && self.is_shared_with(own, source) {
                        let elsewhere = (*own != source.namespace).then(|| source.namespace.clone());
                        uses.name_whole(elsewhere, kind, source.name.clone());
                    }
                }
            }
        }
        let uses = self.split_keys(entry, opt_in, uses.finish(), &mut found);
        for used in uses {
            let source = used.source(own);
            // What went before anybody read it is missing, and nobody has to wait for it.
            let known = self.sources.get(&source).filter(|known| !known.is_over());
            match known.map(|known| known.content()) {
                Some(ContentState::Unread) => found.unread.push(source.clone()),
                Some(ContentState::Unreadable(why)) => found.unreadable.push((source.clone(), why.into())),
                Some(ContentState::Read) | None => {}
            }
            found.uses.push((source, used));
        }
        found
    }

    /// What is used, by class.
    fn split_keys(
        &self,
        entry: &WorkloadEntry,
        opt_in: &OptIn,
        uses: Box<[Use]>,
        found: &mut CountedSources,
    ) -> Vec<Use> {
        let effective_policy = self.effective_policy(entry);
        let sorting = effective_policy.key_rules(opt_in);
        if sorting.is_plain() {
            return uses.into();
        }
        found.excess = self.rule_excess(entry, effective_policy, &uses);
        if found.excess.is_some() {
            return uses.into();
        }
        let mut sorted = Vec::with_capacity(uses.len());
        for used in uses {
            found.unsupported_keys.extend(sorting.split(used, &mut sorted));
        }
        sorted
    }

    /// What is beyond [`MOST_RULE_STEPS`], in words.
    fn rule_excess(&self, entry: &WorkloadEntry, effective_policy: &EffectivePolicy, uses: &[Use]) -> Option<String> {
        let own = &entry.workload().reference.namespace;
        let keys: usize = uses
            .iter()
            .map(|used| match &used.consumed {
                ConsumedKeys::Keys(keys) => keys.len(),
                ConsumedKeys::Whole => {
                    let known = self.sources.get(&used.source(own));
                    known.map_or(0, |known| known.source().contents.iter().len())
                }
            })
            .sum();
        let rules = &effective_policy.rules;
        let for_keys = rules.cost().saturating_mul(keys.saturating_add(uses.len()));
        let steps = for_keys.saturating_add(rules.bytes().saturating_mul(uses.len()));
        let policy = effective_policy.policy.as_ref()?;
        (steps > MOST_RULE_STEPS).then(|| {
            format!(
                "{policy}: spec.rules: too many wildcards; matching takes {} steps per key and {} per source, {steps} steps for \
                 {keys} keys of {} sources; accepted: at most {MOST_RULE_STEPS}. Use fewer wildcards in rules",
                rules.cost(),
                rules.cost() + rules.bytes(),
                uses.len(),
            )
        })
    }

    /// What holds for a workload.
    #[must_use]
    pub fn effective_policy<'a>(&'a self, entry: &'a WorkloadEntry) -> &'a EffectivePolicy {
        entry.effective_policy().unwrap_or(&self.default_policy)
    }

    fn sources_of<'a>(
        &'a self,
        kind: SourceKind,
        namespace: &Namespace,
    ) -> impl Iterator<Item = (&'a SourceRef, &'a SourceEntry)> {
        let first = SourceRef {
            namespace: namespace.clone(),
            kind,
            name: windlass_core::types::name::Name::from(""),
        };
        let place = (namespace.clone(), kind);
        self.sources
            .range(first..)
            .take_while(move |(source, _)| source.namespace == place.0 && source.kind == place.1)
            .map(|(source, entry)| (source, &**entry))
    }

    /// The sources of a workload as they are now; those marked to be ignored do not count.
    #[must_use]
    pub fn views<'a>(&'a self, counted: &'a CountedSources, verified: Version) -> Vec<SourceView<'a>> {
        counted
            .uses
            .iter()
            .filter_map(|(reference, used)| {
                let entry = self.sources.get(reference);
                let source = entry.filter(|entry| !entry.is_gone()).map(|entry| entry.source());
                match source {
                    Some(source) if self.is_ignored(source) => return None,
                    None if self.settings.selected_sources => return None,
                    Some(_) | None => {}
                }
                Some(SourceView {
                    reference,
                    used,
                    source,
                    content_version: entry.map(|entry| entry.content_version()).unwrap_or_default(),
                    unseen_since: entry.and_then(|entry| entry.unseen_since(verified)),
                })
            })
            .collect()
    }

    // ---- counting -------------------------------------------------------------------------------

    /// Notes where a workload stands.
    pub fn set_status(&mut self, reference: &WorkloadRef, status: (State, Reason)) {
        let Some(entry) = self.workloads.get_mut(reference) else {
            return;
        };
        let before = entry.set_status(status);
        self.policies.news |= before != Some(status) && entry.is_governed();
    }

    /// How many sources of a kind there are.
    #[must_use]
    pub fn source_count(&self, kind: SourceKind) -> usize {
        self.present_sources.get(&kind).copied().unwrap_or(0)
    }
}
