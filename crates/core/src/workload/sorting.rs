//! Sorting what is used of one source by class.

use super::class::{Class, Fixed, RuleMask, Sorting};
use super::optin::Strategy;
use super::reference::{Consumed, Special, Use};
use crate::types::name::Key;
use crate::types::text::some_of;

impl Sorting<'_> {
    /// Splits what is used of one source by class. What pods cannot start without stays, counted or
    /// not. Gives what is to be in place and cannot be.
    pub fn sort(&self, used: Use, into: &mut Vec<Use>) -> Option<String> {
        let about = self.rules.about(used.kind, &used.name);
        let fixed = used.fixed();
        let misfit = self.misfit(about, &used, &fixed);
        let of_class = |class: Class| match &used.consumed {
            Consumed::Keys(keys) => {
                let of_it = |key: &&Key| self.class(about, key.as_str(), &fixed) == Some(class);
                let keys: Box<[Key]> = keys.iter().filter(of_it).cloned().collect();
                (!keys.is_empty()).then_some((Consumed::Keys(keys), None))
            }
            Consumed::Whole => self.whole(class, about, &fixed).map(|sorted| (Consumed::Whole, sorted)),
        };
        let mut required = used.required || !used.required_keys.is_empty();
        for class in [Class::Restart, Class::InPlace] {
            if let Some((consumed, sorted)) = of_class(class) {
                // Said once, however many classes there are.
                let first = std::mem::take(&mut required);
                into.push(Use {
                    class,
                    consumed,
                    required: used.required && first,
                    required_keys: if first {
                        used.required_keys.clone()
                    } else {
                        Box::default()
                    },
                    special: sorted.map(|sorted| Box::new(Special::Sorted(sorted))),
                    ..used.clone()
                });
            }
        }
        if required {
            into.push(Use {
                consumed: Consumed::Keys(Box::default()),
                ..used
            });
        }
        misfit
    }

    /// What is to be in place and is read, be it among others, through a channel that never updates.
    fn misfit(&self, about: RuleMask, used: &Use, fixed: &Fixed) -> Option<String> {
        let in_place = |key: &&Key| self.wanted(about, key.as_str()) == Strategy::InPlace;
        let keys: Vec<&str> = match (&used.consumed, fixed) {
            (_, Fixed::None) => return None,
            (Consumed::Keys(keys), fixed) => keys
                .iter()
                .filter(|key| in_place(key) && fixed.contains(key.as_str()))
                .map(Key::as_str)
                .collect(),
            (_, Fixed::Keys(keys)) => keys.iter().filter(in_place).map(Key::as_str).collect(),
            (_, Fixed::All) => {
                return self
                    .strategies(about)
                    .any(|strategy| strategy == Strategy::InPlace)
                    .then(|| format!("{} {}", used.kind.word(), used.name));
            }
        };
        (!keys.is_empty()).then(|| format!("{} {} (keys {})", used.kind.word(), used.name, some_of(&keys)))
    }
}
