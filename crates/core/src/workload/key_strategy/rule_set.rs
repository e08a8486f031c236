//! The rules of one policy, ready to be compared with keys at a bounded cost.
//!
//! Keys that rules name exactly are found by a binary search. Patterns are compared one by one, which costs
//! [`RuleSet::cost`] steps for a key at most; where that is much, the result is remembered.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::Rule;
use crate::types::glob::{Candidate, Glob, is_pattern};
use crate::types::name::{Name, SourceKind};
use crate::workload::opt_in::Strategy;

/// Rules of one policy: as many as fit in a [`RuleMask`]. What is compiled from a policy has no more.
pub const RULES: usize = 64;

/// Some of the rules, a bit for each.
pub type RuleMask = u64;

/// Up to this many steps comparing is as cheap as looking up what was remembered.
const CHEAP: usize = 64;

/// Results that are remembered at most, for all policies together: 2 MiB with long keys.
const REMEMBERED: usize = 16 * 1024;

/// The rules of one policy.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Box<[Rule]>,
    /// For each rule its name, where that is a pattern, and the keys that are.
    patterns: Box<[Patterns]>,
    /// Keys that rules name exactly, sorted, and which rules do.
    exact: Box<[(Box<str>, RuleMask)]>,
    cost: usize,
    bytes: usize,
    memo: OnceLock<(u64, Arc<RuleMemo>)>,
}

#[derive(Debug)]
struct Patterns {
    name: Glob,
    keys: Box<[Glob]>,
}

impl PartialEq for RuleSet {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl Eq for RuleSet {}

impl Hash for RuleSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rules.hash(state);
    }
}

impl FromIterator<Rule> for RuleSet {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        let rules: Box<[Rule]> = rules.into_iter().take(RULES).collect();
        let patterns: Box<[Patterns]> = rules
            .iter()
            .map(|rule| Patterns {
                name: Glob::new(&rule.name),
                keys: rule
                    .keys
                    .iter()
                    .filter(|key| is_pattern(key))
                    .map(|key| Glob::new(key))
                    .collect(),
            })
            .collect();
        let mut exact: BTreeMap<&str, RuleMask> = BTreeMap::new();
        for (at, rule) in rules.iter().enumerate() {
            for key in rule.keys.iter().filter(|key| !is_pattern(key)) {
                *exact.entry(key).or_default() |= 1 << at;
            }
        }
        let exact = exact.into_iter().map(|(key, rules)| (key.into(), rules)).collect();
        let globs = patterns.iter().flat_map(|it| it.keys.iter().chain([&it.name]));
        let texts = rules.iter().flat_map(|rule| rule.keys.iter().chain([&rule.name]));
        Self {
            cost: globs.map(Glob::cost).sum(),
            bytes: texts.map(|text| text.len()).sum(),
            exact,
            patterns,
            rules,
            memo: OnceLock::new(),
        }
    }
}

impl RuleSet {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What comparing one key, or one source's name, with all of them costs at most, in steps.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Bytes of all their names and keys: the digest of what counts goes over them for each source.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// From now on results are remembered there.
    pub fn remember_in(&self, memo: &Arc<RuleMemo>) {
        self.memo.get_or_init(|| (memo.lock().next_set(), memo.clone()));
    }

    pub(in crate::workload) fn about(&self, kind: SourceKind, name: &Name) -> RuleMask {
        let name = Candidate::new(name.as_str());
        let rules = self.rules.iter().zip(&self.patterns).enumerate();
        let about =
            rules.filter(|(_, (rule, patterns))| rule.kind.is_none_or(|of| of == kind) && patterns.name.matches(&name));
        about.fold(0, |mask, (at, _)| mask | 1 << at)
    }

    /// Some of them, in order.
    pub(super) fn among(&self, mask: RuleMask) -> impl Iterator<Item = &Rule> {
        let rules = self.rules.iter().enumerate();
        rules.filter(move |(at, _)| mask & 1 << at != 0).map(|(_, rule)| rule)
    }

    /// What the first of these rules that is about the key says. `None`: none is.
    pub(super) fn strategy(&self, mask: RuleMask, key: &str) -> Option<Strategy> {
        let rule = match self.memo.get() {
            Some((set, memo)) if self.cost > CHEAP => memo.first((*set, mask), key, || self.first(mask, key)),
            Some(_) | None => self.first(mask, key).0,
        };
        self.rules.get(rule?).map(|rule| rule.strategy)
    }

    /// The first of these rules that is about the key, and the steps that it took to find.
    fn first(&self, mask: RuleMask, key: &str) -> (Option<usize>, usize) {
        let name = Candidate::new(key);
        let named = self.exact.binary_search_by(|(exact, _)| (**exact).cmp(key));
        let named = named.ok().and_then(|at| self.exact.get(at));
        let named = named.map_or(0, |(_, rules)| rules & mask);
        let before = |at: usize| named == 0 || at < named.trailing_zeros() as usize;
        let mut patterns = self.patterns.iter().enumerate();
        let fits = patterns.find(|(at, patterns)| {
            before(*at) && mask & 1 << at != 0 && patterns.keys.iter().any(|key| key.matches(&name))
        });
        let named = (named != 0).then(|| named.trailing_zeros() as usize);
        (fits.map(|(at, _)| at).or(named), name.steps())
    }
}

/// Which rule is about which key, remembered for all policies: one decision asks several times, and the next
/// one asks the same.
#[derive(Debug, Default)]
pub struct RuleMemo(Mutex<Memo>);

#[derive(Debug, Default)]
struct Memo {
    sets: u64,
    steps: usize,
    remembered: usize,
    found: HashMap<(u64, RuleMask), HashMap<Box<str>, Option<u8>>>,
}

impl Memo {
    fn next_set(&mut self) -> u64 {
        self.sets += 1;
        self.sets
    }
}

impl RuleMemo {
    /// What all comparisons so far have cost.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.lock().steps
    }

    fn first(&self, rules: (u64, RuleMask), key: &str, find: impl FnOnce() -> (Option<usize>, usize)) -> Option<usize> {
        if let Some(found) = self.lock().found.get(&rules).and_then(|keys| keys.get(key)) {
            return found.map(usize::from);
        }
        let (found, steps) = find();
        let mut memo = self.lock();
        if memo.remembered >= REMEMBERED {
            memo.remembered = 0;
            memo.found.clear();
        }
        memo.steps = memo.steps.saturating_add(steps);
        memo.remembered += 1;
        let keys = memo.found.entry(rules).or_default();
        keys.insert(key.into(), found.and_then(|at| u8::try_from(at).ok()));
        found
    }

    fn lock(&self) -> MutexGuard<'_, Memo> {
        // Each step on it is complete by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
