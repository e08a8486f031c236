//! What a change of one key does: the rules of a policy sort the keys of each source into classes.
//!
//! A key is in one class and never in two. Which one follows from the rules, first match wins, and
//! from how the pods read it: what is fixed when a container starts cannot change in place.

use std::sync::Arc;

use super::opt_in::Strategy;
use crate::types::name::{Key, SourceKind};

mod rule_set;
#[cfg(test)]
mod tests;

pub(super) use rule_set::RuleMask;
pub use rule_set::{RuleMemo, RuleSet};

/// What a change of a key does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyStrategy {
    /// Its pods are replaced.
    #[default]
    Restart,
    /// The kubelet writes the files of running pods.
    InPlace,
}

impl KeyStrategy {
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Restart => Self::InPlace,
            Self::InPlace => Self::Restart,
        }
    }
}

/// Which keys are fixed from the start of a container on: read, be it among others, through a channel
/// that never updates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FixedKeys {
    All,
    /// None: they are only mounted.
    None,
    /// These, sorted.
    Keys(Box<[Key]>),
}

impl FixedKeys {
    /// Whether that key is.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Keys(keys) => keys.binary_search_by(|known| known.as_str().cmp(key)).is_ok(),
        }
    }
}

/// What a policy says of some keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Of which kind of sources; `None`: both.
    pub kind: Option<SourceKind>,
    /// Of which sources: a name, `*` and `?` as wildcards.
    pub name: Box<str>,
    /// Which keys, wildcards the same.
    pub keys: Box<[Box<str>]>,
    /// What a change of them does.
    pub strategy: Strategy,
}

/// How keys are sorted for one workload.
#[derive(Clone, Copy, Debug)]
pub struct KeyRules<'a> {
    /// First match wins.
    pub rules: &'a Arc<RuleSet>,
    /// For keys that no rule is about.
    pub default: Strategy,
    /// Whether somebody tells the application of new files.
    pub notifies_app: bool,
}

/// The keys of one source that are sorted into one class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeySubset {
    rules: Arc<RuleSet>,
    about: RuleMask,
    default: Strategy,
    notifies_app: bool,
    fixed: FixedKeys,
    strategy: KeyStrategy,
}

impl KeySubset {
    /// Whether the key is one of them.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        let key_rules = KeyRules {
            rules: &self.rules,
            default: self.default,
            notifies_app: self.notifies_app,
        };
        key_rules.key_strategy(self.about, key, &self.fixed) == Some(self.strategy)
    }

    /// Everything that decides that, piece by piece.
    pub fn encode(&self, mut piece: impl FnMut(&str)) {
        for rule in self.rules.among(self.about) {
            piece(rule.strategy.as_str());
            rule.keys.iter().for_each(|key| piece(key));
            piece("");
        }
        piece(self.default.as_str());
        piece(if self.notifies_app { "told" } else { "" });
        match &self.fixed {
            FixedKeys::All => piece("all"),
            FixedKeys::None => piece("none"),
            FixedKeys::Keys(keys) => keys.iter().for_each(|key| piece(key.as_str())),
        }
    }
}

impl KeyRules<'_> {
    /// Whether every key restarts, as it is without any policy. `Ignore` for all is decided elsewhere.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.rules.is_empty()
            && match self.default {
                Strategy::Restart | Strategy::Ignore => true,
                Strategy::Auto => !self.notifies_app,
                Strategy::InPlace => false,
            }
    }

    pub(super) fn wanted(&self, about: RuleMask, key: &str) -> Strategy {
        self.rules.strategy(about, key).unwrap_or(self.default)
    }

    /// `None`: it does not count.
    pub(super) fn key_strategy(&self, about: RuleMask, key: &str, fixed: &FixedKeys) -> Option<KeyStrategy> {
        match self.wanted(about, key) {
            Strategy::Ignore => None,
            Strategy::InPlace if !fixed.contains(key) => Some(KeyStrategy::InPlace),
            Strategy::Auto if self.notifies_app && !fixed.contains(key) => Some(KeyStrategy::InPlace),
            Strategy::Restart | Strategy::InPlace | Strategy::Auto => Some(KeyStrategy::Restart),
        }
    }

    pub(super) fn strategies(&self, about: RuleMask) -> impl Iterator<Item = Strategy> {
        let rules = self.rules.among(about).map(|rule| rule.strategy);
        rules.chain([self.default])
    }

    /// Whether a key of that strategy may be in the class.
    fn can(&self, strategy: Strategy, key_strategy: KeyStrategy, fixed: &FixedKeys) -> bool {
        match (strategy, key_strategy) {
            (Strategy::Ignore, _) | (Strategy::Restart, KeyStrategy::InPlace) => false,
            (Strategy::Restart, KeyStrategy::Restart) => true,
            (Strategy::InPlace, KeyStrategy::InPlace) => *fixed != FixedKeys::All,
            (Strategy::InPlace, KeyStrategy::Restart) => *fixed != FixedKeys::None,
            (Strategy::Auto, KeyStrategy::InPlace) => self.notifies_app && *fixed != FixedKeys::All,
            (Strategy::Auto, KeyStrategy::Restart) => !self.notifies_app || *fixed != FixedKeys::None,
        }
    }

    /// Where all keys are read, those to come included: `None` if none can be of the class, and else
    /// what tells those that are, unless all are.
    #[allow(clippy::option_option)] // Both say something.
    pub(super) fn whole(
        &self,
        key_strategy: KeyStrategy,
        about: RuleMask,
        fixed: &FixedKeys,
    ) -> Option<Option<KeySubset>> {
        let strategies = || self.strategies(about);
        let possible = |key_strategy| strategies().any(|strategy| self.can(strategy, key_strategy, fixed));
        if !possible(key_strategy) {
            return None;
        }
        let some_do_not = strategies().any(|strategy| strategy == Strategy::Ignore);
        if !some_do_not && !possible(key_strategy.other()) {
            return Some(None);
        }
        Some(Some(KeySubset {
            rules: self.rules.clone(),
            about,
            default: self.default,
            notifies_app: self.notifies_app,
            fixed: fixed.clone(),
            strategy: key_strategy,
        }))
    }
}
