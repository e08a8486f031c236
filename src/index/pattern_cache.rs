//! What the patterns of workloads say of sources, remembered.
//!
//! What a pattern says depends on the source's name only, so each workload and source have to be compared once,
//! until the workload asks for something else. A result takes two bits. Names are numbered by namespace as they
//! are asked for; when far more have a number than there are sources, all numbers of the namespace are given
//! anew. Selections that cost little are compared each time.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use windlass_core::types::name::{Name, Namespace, SourceKind, SourceRef};
use windlass_core::workload::opt_in::{OptIn, PatternMatch};

/// Up to this many steps comparing is as cheap as looking up what is remembered.
const CHEAP: usize = 64;

/// Names with numbers that are kept however few sources there are: pod templates may refer to some that do not
/// exist.
const NUMBERED: usize = 16 * 1024;

/// Results in one word.
const IN_A_WORD: usize = 32;

/// The names of each namespace, numbered.
#[derive(Default)]
pub(crate) struct SourceNumbers {
    namespaces: RefCell<HashMap<Namespace, NamespaceNumbers>>,
    /// How often numbers were given anew.
    epochs: Cell<u64>,
    /// What comparisons have cost so far, in steps.
    steps: Cell<usize>,
}

impl SourceNumbers {
    /// Of a source, with the epoch in which it holds. `present`: how many sources there are.
    pub(super) fn number(&self, source: &SourceRef, present: usize) -> (u64, usize) {
        let mut namespaces = self.namespaces.borrow_mut();
        let numbered = namespaces.entry(source.namespace.clone()).or_default();
        let name = (source.kind, source.name.clone());
        if let Some(number) = numbered.numbers.get(&name) {
            return (numbered.epoch, *number);
        }
        if numbered.numbers.is_empty() || numbered.numbers.len() >= NUMBERED + 2 * present {
            numbered.epoch = self.epochs.get() + 1;
            self.epochs.set(numbered.epoch);
            numbered.numbers.clear();
        }
        let number = numbered.numbers.len();
        numbered.numbers.insert(name, number);
        (numbered.epoch, number)
    }

    /// Nobody's patterns look for sources there any more.
    pub(super) fn forget(&self, namespace: &Namespace) {
        self.namespaces.borrow_mut().remove(namespace);
    }

    /// What comparisons have cost so far, in steps.
    pub(super) fn steps(&self) -> usize {
        self.steps.get()
    }

    /// A comparison cost so many more.
    pub(super) fn add_steps(&self, steps: usize) {
        self.steps.set(self.steps.get().saturating_add(steps));
    }

    /// How many names of a namespace have a number.
    #[cfg(test)]
    pub(super) fn numbered(&self, namespace: &Namespace) -> usize {
        let namespaces = self.namespaces.borrow();
        namespaces.get(namespace).map_or(0, |it| it.numbers.len())
    }
}

#[derive(Default)]
struct NamespaceNumbers {
    epoch: u64,
    numbers: HashMap<(SourceKind, Name), usize>,
}

/// What one workload's patterns say.
#[derive(Default)]
pub struct PatternCache {
    /// Of which kinds it is remembered.
    configmaps: bool,
    secrets: bool,
    /// How many slices in a row were not enough.
    slices: Cell<u32>,
    known: RefCell<HashMap<Namespace, CachedMatches>>,
}

#[derive(Default)]
struct CachedMatches {
    epoch: u64,
    words: Vec<u64>,
}

impl PatternCache {
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

    /// The verdict on a source of this number; compares what was not compared yet.
    pub(super) fn remembered(
        &self,
        source: &SourceRef,
        (epoch, number): (u64, usize),
        compare: impl FnOnce() -> PatternMatch,
    ) -> PatternMatch {
        let mut known = self.known.borrow_mut();
        let known = known.entry(source.namespace.clone()).or_default();
        if known.epoch != epoch {
            *known = CachedMatches {
                epoch,
                ..CachedMatches::default()
            };
        }
        known.get(number).unwrap_or_else(|| {
            let pattern_match = compare();
            known.set(number, pattern_match);
            pattern_match
        })
    }

    /// Nothing is left to compare.
    pub(super) fn complete(&self) {
        self.slices.set(0);
    }

    /// One more slice was not enough. Gives how many in a row.
    pub(super) fn incomplete(&self) -> u32 {
        self.slices.set(self.slices.get().saturating_add(1));
        self.slices.get()
    }

    pub(super) fn remembers(&self, kind: SourceKind) -> bool {
        match kind {
            SourceKind::ConfigMap => self.configmaps,
            SourceKind::Secret => self.secrets,
        }
    }
}

impl CachedMatches {
    fn get(&self, number: usize) -> Option<PatternMatch> {
        let word = self.words.get(number / IN_A_WORD)?;
        match word >> (number % IN_A_WORD * 2) & 0b11 {
            0b01 => Some(PatternMatch::Never),
            0b10 => Some(PatternMatch::IfReferenced),
            0b11 => Some(PatternMatch::Named),
            _ => None,
        }
    }

    fn set(&mut self, number: usize, pattern_match: PatternMatch) {
        let bits: u64 = match pattern_match {
            PatternMatch::Never => 0b01,
            PatternMatch::IfReferenced => 0b10,
            PatternMatch::Named => 0b11,
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
