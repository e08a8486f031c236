//! Which sources a workload may use: by its pod template, by name, and by pattern.

use std::sync::Arc;

use windlass_core::annotation;
use windlass_core::types::name::{Namespace, SourceKind, SourceRef};
use windlass_core::workload::opt_in::ReferenceFilter;
use windlass_core::workload::pattern::Pattern;
use windlass_core::workload::reference::{Use, Uses};

use super::WorkloadEntry;
use crate::index::{IndexSettings, PatternCache};

/// Steps that one decision may take to compare patterns with names: some tens of milliseconds, in which
/// nothing else is decided.
const MOST_STEPS: usize = 1 << 24;

impl WorkloadEntry {
    /// What counts besides patterns: the template's uses without the excluded, plus what is named.
    pub(crate) fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// What its patterns say of sources, where finding out costs more than looking it up.
    pub(crate) fn pattern_cache(&self) -> Option<&PatternCache> {
        self.pattern_cache.as_deref()
    }

    /// What follows from its pod template and what it asks for.
    pub(super) fn refresh_uses(&mut self, rules: IndexSettings) {
        self.excess = self.steps_to_exclude() > MOST_STEPS;
        let own = &self.workload.reference.namespace;
        let mut uses = Uses::default();
        if let Some(opt_in) = self.opt_in.as_ref().filter(|_| !self.excess) {
            for used in &*self.workload.uses {
                let selection = opt_in.selection(used.kind);
                let may_count = rules.counts(used.kind)
                    && selection.referenced != ReferenceFilter::None
                    && !selection.excludes(own, &used.source(own));
                if may_count {
                    uses.add(used);
                }
            }
            for kind in [SourceKind::ConfigMap, SourceKind::Secret] {
                let selection = opt_in.selection(kind);
                for (pattern, name) in selection.named.iter().filter_map(|it| Some((it, it.name()?))) {
                    let source = SourceRef {
                        namespace: pattern.namespace.as_ref().unwrap_or(own).clone(),
                        kind,
                        name,
                    };
                    if rules.counts(kind) && !selection.excludes(own, &source) {
                        uses.name_whole(pattern.namespace.clone(), kind, source.name);
                    }
                }
            }
        }
        let uses: Arc<[Use]> = uses.finish().into();
        // Stored once where it is the same, which it nearly always is.
        self.uses = if uses == self.workload.uses {
            self.workload.uses.clone()
        } else {
            uses
        };
        self.patterns = self.opt_in.as_ref().is_some_and(|opt_in| {
            let named = |kind| rules.counts(kind) && opt_in.selection(kind).named.iter().any(|it| it.name().is_none());
            named(SourceKind::ConfigMap) || named(SourceKind::Secret)
        }) && !self.excess;
        self.pattern_cache = self.opt_in.as_deref().and_then(PatternCache::of).map(Box::new);
    }

    /// Why it is not found out which of its sources count, in words.
    #[must_use]
    pub fn excess(&self) -> Option<String> {
        self.excess.then(|| {
            format!(
                "{}, {} or sources.exclude of its policy: too many wildcards; matching the sources takes {} steps, accepted: \
                 at most {MOST_STEPS}. Use fewer names with wildcards",
                annotation::EXCLUDE_CONFIGMAPS,
                annotation::EXCLUDE_SECRETS,
                self.steps_to_exclude(),
            )
        })
    }

    /// What it takes to find out which of its sources are excluded.
    fn steps_to_exclude(&self) -> usize {
        let Some(opt_in) = &self.opt_in else { return 0 };
        let steps = [SourceKind::ConfigMap, SourceKind::Secret].map(|kind| {
            let selection = opt_in.selection(kind);
            let used = self.workload.uses.iter().filter(|used| used.kind == kind).count();
            (used + selection.named.len()).saturating_mul(selection.excluded.iter().map(Pattern::cost).sum())
        });
        steps.iter().sum()
    }

    pub(crate) fn has_patterns(&self) -> bool {
        self.patterns
    }

    /// Where its patterns look for sources.
    pub(crate) fn pattern_places(&self) -> Vec<(SourceKind, Namespace)> {
        let Some(opt_in) = self.opt_in.as_ref().filter(|_| self.patterns) else {
            return Vec::new();
        };
        let own = &self.workload.reference.namespace;
        let mut places = Vec::new();
        for kind in [SourceKind::ConfigMap, SourceKind::Secret] {
            for pattern in opt_in.selection(kind).named.iter().filter(|it| it.name().is_none()) {
                let place = (kind, pattern.namespace.as_ref().unwrap_or(own).clone());
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        places
    }
}
