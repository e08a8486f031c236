//! What a change of one key does: the rules of a policy sort the keys of each source into classes.
//!
//! A key is in one class and never in two. Which one follows from the rules, first match wins, and
//! from how the pods read it: what is fixed when a container starts cannot change in place.

use std::sync::Arc;

use super::optin::Strategy;
use crate::types::name::{Key, SourceKind};

mod rule_set;
#[cfg(test)]
mod tests;

pub(super) use rule_set::RuleMask;
pub use rule_set::{RuleMemo, RuleSet};

/// What a change of a key does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Its pods are replaced.
    #[default]
    Restart,
    /// The kubelet writes the files of running pods.
    InPlace,
}

impl Class {
    /// The other one.
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
pub enum Fixed {
    /// Each.
    All,
    /// None: they are only mounted.
    None,
    /// These, sorted.
    Keys(Box<[Key]>),
}

impl Fixed {
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
pub struct Sorting<'a> {
    /// First match wins.
    pub rules: &'a Arc<RuleSet>,
    /// For keys that no rule is about.
    pub default: Strategy,
    /// Whether somebody tells the application of new files.
    pub told: bool,
}

/// The keys of one source that are sorted into one class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sorted {
    rules: Arc<RuleSet>,
    about: RuleMask,
    default: Strategy,
    told: bool,
    fixed: Fixed,
    class: Class,
}

impl Sorted {
    /// Whether the key is one of them.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        let sorting = Sorting {
            rules: &self.rules,
            default: self.default,
            told: self.told,
        };
        sorting.class(self.about, key, &self.fixed) == Some(self.class)
    }

    /// Everything that decides that, piece by piece.
    pub fn encode(&self, mut piece: impl FnMut(&str)) {
        for rule in self.rules.among(self.about) {
            piece(rule.strategy.word());
            rule.keys.iter().for_each(|key| piece(key));
            piece("");
        }
        piece(self.default.word());
        piece(if self.told { "told" } else { "" });
        match &self.fixed {
            Fixed::All => piece("all"),
            Fixed::None => piece("none"),
            Fixed::Keys(keys) => keys.iter().for_each(|key| piece(key.as_str())),
        }
    }
}

impl Sorting<'_> {
    /// Whether every key restarts, as it is without any policy. `Ignore` for all is decided elsewhere.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.rules.is_empty()
            && match self.default {
                Strategy::Restart | Strategy::Ignore => true,
                Strategy::Auto => !self.told,
                Strategy::InPlace => false,
            }
    }

    pub(super) fn wanted(&self, about: RuleMask, key: &str) -> Strategy {
        self.rules.strategy(about, key).unwrap_or(self.default)
    }

    /// `None`: it does not count.
    pub(super) fn class(&self, about: RuleMask, key: &str, fixed: &Fixed) -> Option<Class> {
        match self.wanted(about, key) {
            Strategy::Ignore => None,
            Strategy::InPlace if !fixed.contains(key) => Some(Class::InPlace),
            Strategy::Auto if self.told && !fixed.contains(key) => Some(Class::InPlace),
            Strategy::Restart | Strategy::InPlace | Strategy::Auto => Some(Class::Restart),
        }
    }

    pub(super) fn strategies(&self, about: RuleMask) -> impl Iterator<Item = Strategy> {
        let rules = self.rules.among(about).map(|rule| rule.strategy);
        rules.chain([self.default])
    }

    /// Whether a key of that strategy may be in the class.
    fn can(&self, strategy: Strategy, class: Class, fixed: &Fixed) -> bool {
        match (strategy, class) {
            (Strategy::Ignore, _) | (Strategy::Restart, Class::InPlace) => false,
            (Strategy::Restart, Class::Restart) => true,
            (Strategy::InPlace, Class::InPlace) => *fixed != Fixed::All,
            (Strategy::InPlace, Class::Restart) => *fixed != Fixed::None,
            (Strategy::Auto, Class::InPlace) => self.told && *fixed != Fixed::All,
            (Strategy::Auto, Class::Restart) => !self.told || *fixed != Fixed::None,
        }
    }

    /// Where all keys are read, those to come included: `None` if none can be of the class, and else
    /// what tells those that are, unless all are.
    #[allow(clippy::option_option)] // Both say something.
    pub(super) fn whole(&self, class: Class, about: RuleMask, fixed: &Fixed) -> Option<Option<Sorted>> {
        let strategies = || self.strategies(about);
        let possible = |class| strategies().any(|strategy| self.can(strategy, class, fixed));
        if !possible(class) {
            return None;
        }
        let some_do_not = strategies().any(|strategy| strategy == Strategy::Ignore);
        if !some_do_not && !possible(class.other()) {
            return Some(None);
        }
        Some(Some(Sorted {
            rules: self.rules.clone(),
            about,
            default: self.default,
            told: self.told,
            fixed: fixed.clone(),
            class,
        }))
    }
}
