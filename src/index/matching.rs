//! Comparing the patterns of workloads with sources, a slice at a time.

use windlass_core::types::name::{Namespace, SourceRef};
use windlass_core::workload::opt_in::{PatternMatch, SourceScope};

use super::Index;
use super::entry::WorkloadEntry;

/// Steps after which a decision that is not made yet lets others go first: a few milliseconds.
pub(crate) const SLICE: usize = 1 << 21;

impl Index {
    /// How a source counts for a workload; `None`: not at all.
    pub(crate) fn source_scope(
        &self,
        entry: &WorkloadEntry,
        source: &SourceRef,
        referenced: bool,
        marked: bool,
    ) -> Option<SourceScope> {
        let selection = entry.opt_in()?.selection(source.kind);
        selection.scope_for(self.pattern_match(entry, source)?, referenced, marked)
    }

    /// Whether one of a workload's patterns names the source and nothing excludes it.
    pub(crate) fn names_by_pattern(&self, entry: &WorkloadEntry, source: &SourceRef) -> bool {
        entry.has_patterns() && self.source_scope(entry, source, false, false) == Some(SourceScope::Whole)
    }

    fn pattern_match(&self, entry: &WorkloadEntry, source: &SourceRef) -> Option<PatternMatch> {
        let selection = entry.opt_in()?.selection(source.kind);
        let compare = || {
            let (pattern_match, steps) = selection.pattern_match(&entry.workload().reference.namespace, source);
            self.numbers.add_steps(steps);
            pattern_match
        };
        let Some(pattern_cache) = entry.pattern_cache().filter(|it| it.remembers(source.kind)) else {
            return Some(compare());
        };
        let number = self.numbers.number(source, self.sources.len());
        Some(pattern_cache.remembered(source, number, compare))
    }

    /// Nobody's patterns look for sources there any more.
    pub(crate) fn forget_numbers(&self, namespace: &Namespace) {
        self.numbers.forget(namespace);
    }

    /// Compares the patterns of a workload with what there is, as far as a slice goes.
    ///
    /// # Errors
    /// When something is left to compare: how many slices have been done in a row.
    pub fn match_sources(&self, entry: &WorkloadEntry) -> Result<(), u32> {
        let Some(pattern_cache) = entry.pattern_cache() else {
            return Ok(());
        };
        if self.match_slice(entry) {
            pattern_cache.complete();
            return Ok(());
        }
        Err(pattern_cache.incomplete())
    }

    /// Gives whether nothing is left to compare.
    fn match_slice(&self, entry: &WorkloadEntry) -> bool {
        let begun = self.numbers.steps();
        let is_over = |source: &SourceRef| {
            let _ = self.pattern_match(entry, source);
            self.numbers.steps().saturating_sub(begun) > SLICE
        };
        let own = &entry.workload().reference.namespace;
        if entry.uses().iter().any(|used| is_over(&used.source(own))) {
            return false;
        }
        let places = entry.pattern_places();
        !places
            .iter()
            .any(|(kind, namespace)| self.sources_of(*kind, namespace).any(|(source, _)| is_over(source)))
    }

    /// What comparing patterns of workloads with names of sources has cost so far, in steps.
    #[cfg(test)]
    pub(crate) fn steps(&self) -> usize {
        self.numbers.steps()
    }

    /// How many names of a namespace have a number.
    #[cfg(test)]
    pub(crate) fn numbered(&self, namespace: &Namespace) -> usize {
        self.numbers.numbered(namespace)
    }
}
