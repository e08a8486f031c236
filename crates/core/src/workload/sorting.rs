//! Sorting what is used of one source by class.

use super::key_strategy::{FixedKeys, KeyRules, KeyStrategy, RuleMask};
use super::opt_in::Strategy;
use super::reference::{ConsumedKeys, Use, UseExtras};
use crate::types::name::Key;
use crate::types::text::some_of;

impl KeyRules<'_> {
    /// Splits what is used of one source by class. What pods cannot start without stays, counted or
    /// not. Gives what is to be in place and cannot be.
    pub fn split(&self, used: Use, into: &mut Vec<Use>) -> Option<String> {
        let about = self.rules.about(used.kind, &used.name);
        let fixed = used.fixed();
        let unsupported_keys = self.unsupported_keys(about, &used, &fixed);
        let of_class = |key_strategy: KeyStrategy| match &used.consumed {
            ConsumedKeys::Keys(keys) => {
                let of_it = |key: &&Key| self.key_strategy(about, key.as_str(), &fixed) == Some(key_strategy);
                let keys: Box<[Key]> = keys.iter().filter(of_it).cloned().collect();
                (!keys.is_empty()).then_some((ConsumedKeys::Keys(keys), None))
            }
            ConsumedKeys::Whole => self
                .whole(key_strategy, about, &fixed)
                .map(|sorted| (ConsumedKeys::Whole, sorted)),
        };
        let mut required = used.required || !used.required_keys.is_empty();
        for key_strategy in [KeyStrategy::Restart, KeyStrategy::InPlace] {
            if let Some((consumed, sorted)) = of_class(key_strategy) {
                // Said once, however many classes there are.
                let first = std::mem::take(&mut required);
                into.push(Use {
                    key_strategy,
                    consumed,
                    required: used.required && first,
                    required_keys: if first {
                        used.required_keys.clone()
                    } else {
                        Box::default()
                    },
                    extras: sorted.map(|sorted| Box::new(UseExtras::Subset(sorted))),
                    ..used.clone()
                });
            }
        }
        if required {
            into.push(Use {
                consumed: ConsumedKeys::Keys(Box::default()),
                ..used
            });
        }
        unsupported_keys
    }

    /// What is to be in place and is read, be it among others, through a channel that never updates.
    fn unsupported_keys(&self, about: RuleMask, used: &Use, fixed: &FixedKeys) -> Option<String> {
        let in_place = |key: &&Key| self.wanted(about, key.as_str()) == Strategy::InPlace;
        let keys: Vec<&str> = match (&used.consumed, fixed) {
            (_, FixedKeys::None) => return None,
            (ConsumedKeys::Keys(keys), fixed) => keys
                .iter()
                .filter(|key| in_place(key) && fixed.contains(key.as_str()))
                .map(Key::as_str)
                .collect(),
            (_, FixedKeys::Keys(keys)) => keys.iter().filter(in_place).map(Key::as_str).collect(),
            (_, FixedKeys::All) => {
                return self
                    .strategies(about)
                    .any(|strategy| strategy == Strategy::InPlace)
                    .then(|| format!("{} {}", used.kind.as_str(), used.name));
            }
        };
        (!keys.is_empty()).then(|| format!("{} {} (keys {})", used.kind.as_str(), used.name, some_of(&keys)))
    }
}
