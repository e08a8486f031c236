//! What the patterns of workloads say of sources, remembered.
//!
//! What a pattern says depends on the source's name only, so each workload and source have to be compared once,
//! until the workload asks for something else. A result takes two bits. Names are numbered by namespace as they
//! are asked for; when far more have a number than there are sources, all numbers of the namespace are given
//! anew. Selections that cost little are compared each time.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use windlass_core::types::name::{Name, Namespace, SourceKind, SourceRef};
use windlass_core::workload::optin::{Meant, OptIn, Verdict};

use super::Index;
use crate::index::entry::WorkloadEntry;

/// Up to this many steps comparing is as cheap as looking up what is remembered.
const CHEAP: usize = 64;

/// Steps after which a decision that is not made yet lets others go first: a few milliseconds.
pub(crate) const SLICE: usize = 1 << 21;

/// Names with numbers that are kept however few sources there are: pod templates may refer to some that do not
/// exist.
const NUMBERED: usize = 16 * 1024;

/// Results in one word.
const IN_A_WORD: usize = 32;

/// The names of each namespace, numbered.
#[derive(Default)]
pub(crate) struct Numbers {
    namespaces: RefCell<HashMap<Namespace, Numbered>>,
    /// How often numbers were given anew.
    epochs: Cell<u64>,
    /// What comparisons have cost so far, in steps.
    steps: Cell<usize>,
}

#[derive(Default)]
struct Numbered {
    epoch: u64,
    numbers: HashMap<(SourceKind, Name), usize>,
}

/// What one workload's patterns say.
#[derive(Default)]
pub struct Verdicts {
    /// Of which kinds it is remembered.
    configmaps: bool,
    secrets: bool,
    /// How many slices in a row were not enough.
    slices: Cell<u32>,
    known: RefCell<HashMap<Namespace, Known>>,
}

#[derive(Default)]
struct Known {
    epoch: u64,
    words: Vec<u64>,
}

impl Verdicts {
    /// `None`: nothing has to be remembered.
    pub(crate) fn of(opt_in: &OptIn) -> Option<Self> {
        let (configmaps, secrets) = (opt_in.configmaps.cost() > CHEAP, opt_in.secrets.cost() > CHEAP);
        (configmaps || secrets).then(|| Self {
            configmaps,
            secrets,
            slices: Cell::default(),
            known: RefCell::default(),
        })
    }

    fn remembers(&self, kind: SourceKind) -> bool {
        match kind {
            SourceKind::ConfigMap => self.configmaps,
            SourceKind::Secret => self.secrets,
        }
    }
}

impl Known {
    fn get(&self, number: usize) -> Option<Verdict> {
        let word = self.words.get(number / IN_A_WORD)?;
        match word >> (number % IN_A_WORD * 2) & 0b11 {
            0b01 => Some(Verdict::Never),
            0b10 => Some(Verdict::IfReferenced),
            0b11 => Some(Verdict::Named),
            _ => None,
        }
    }

    fn set(&mut self, number: usize, verdict: Verdict) {
        let bits: u64 = match verdict {
            Verdict::Never => 0b01,
            Verdict::IfReferenced => 0b10,
            Verdict::Named => 0b11,
        };
        let at = number / IN_A_WORD;
        if self.words.len() <= at {
            self.words.resize(at + 1, 0);
        }
        if let Some(word) = self.words.get_mut(at) {
            *word |= bits << (number % IN_A_WORD * 2);
        }
    }
}

impl Index {
    /// How a source counts for a workload; `None`: not at all.
    pub(crate) fn meant(
        &self,
        entry: &WorkloadEntry,
        source: &SourceRef,
        referenced: bool,
        marked: bool,
    ) -> Option<Meant> {
        let selection = entry.opt_in.as_ref()?.selection(source.kind);
        selection.meant_by(self.verdict(entry, source)?, referenced, marked)
    }

    /// Whether one of a workload's patterns names the source and nothing excludes it.
    pub(crate) fn names_by_pattern(&self, entry: &WorkloadEntry, source: &SourceRef) -> bool {
        entry.has_patterns() && self.meant(entry, source, false, false) == Some(Meant::Whole)
    }

    fn verdict(&self, entry: &WorkloadEntry, source: &SourceRef) -> Option<Verdict> {
        let selection = entry.opt_in.as_ref()?.selection(source.kind);
        let compare = || {
            let (verdict, steps) = selection.verdict(&entry.workload.reference.namespace, source);
            self.numbers.steps.set(self.numbers.steps.get().saturating_add(steps));
            verdict
        };
        let Some(verdicts) = entry.verdicts.as_ref().filter(|it| it.remembers(source.kind)) else {
            return Some(compare());
        };
        let (epoch, number) = self.number(source);
        let mut known = verdicts.known.borrow_mut();
        let known = known.entry(source.namespace.clone()).or_default();
        if known.epoch != epoch {
            *known = Known {
                epoch,
                ..Known::default()
            };
        }
        Some(known.get(number).unwrap_or_else(|| {
            let verdict = compare();
            known.set(number, verdict);
            verdict
        }))
    }

    fn number(&self, source: &SourceRef) -> (u64, usize) {
        let mut namespaces = self.numbers.namespaces.borrow_mut();
        let numbered = namespaces.entry(source.namespace.clone()).or_default();
        let name = (source.kind, source.name.clone());
        if let Some(number) = numbered.numbers.get(&name) {
            return (numbered.epoch, *number);
        }
        if numbered.numbers.is_empty() || numbered.numbers.len() >= NUMBERED + 2 * self.sources.len() {
            numbered.epoch = self.numbers.epochs.get() + 1;
            self.numbers.epochs.set(numbered.epoch);
            numbered.numbers.clear();
        }
        let number = numbered.numbers.len();
        numbered.numbers.insert(name, number);
        (numbered.epoch, number)
    }

    /// Nobody's patterns look for sources there any more.
    pub(crate) fn forget_numbers(&self, namespace: &Namespace) {
        self.numbers.namespaces.borrow_mut().remove(namespace);
    }

    /// Compares the patterns of a workload with what there is, as far as a slice goes.
    ///
    /// # Errors
    /// When something is left to compare: how many slices have been done in a row.
    pub fn match_sources(&self, entry: &WorkloadEntry) -> Result<(), u32> {
        let Some(verdicts) = &entry.verdicts else {
            return Ok(());
        };
        if self.match_slice(entry) {
            verdicts.slices.set(0);
            return Ok(());
        }
        verdicts.slices.set(verdicts.slices.get().saturating_add(1));
        Err(verdicts.slices.get())
    }

    /// Gives whether nothing is left to compare.
    fn match_slice(&self, entry: &WorkloadEntry) -> bool {
        let begun = self.numbers.steps.get();
        let is_over = |source: &SourceRef| {
            let _ = self.verdict(entry, source);
            self.numbers.steps.get().saturating_sub(begun) > SLICE
        };
        let own = &entry.workload.reference.namespace;
        if entry.uses.iter().any(|used| is_over(&used.source(own))) {
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
        self.numbers.steps.get()
    }

    /// How many names of a namespace have a number.
    #[cfg(test)]
    pub(crate) fn numbered(&self, namespace: &Namespace) -> usize {
        let namespaces = self.numbers.namespaces.borrow();
        namespaces.get(namespace).map_or(0, |it| it.numbers.len())
    }
}
