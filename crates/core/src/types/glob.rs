//! Name patterns with `*` and `?`, as in a shell, matched in bounded time.
//!
//! A pattern comes from anyone who may annotate a workload or write a policy, and a name from anyone who may
//! create a source. So the cost of a comparison is bounded and counted: a few instructions for each byte of
//! the pattern, whatever the name is. The usual patterns, `prefix*` and `*suffix`, cost one comparison.

use std::cell::{Cell, OnceCell};

#[cfg(test)]
mod tests;

/// The longest name of an object and the longest key
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>).
const LONGEST: usize = 253;
/// Words of 64 bits with a bit for each place in a name, the one behind its end included.
const WORDS: usize = LONGEST / 64 + 1;

const WILDCARDS: [char; 2] = ['*', '?'];

type Places = [u64; WORDS];

/// Whether the text is a pattern rather than a name.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text.contains(WILDCARDS)
}

/// Whether `name` fits `pattern`: `*` stands for any text, `?` for one character.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    Glob::new(pattern).matches(&Candidate::new(name))
}

/// A pattern that is ready to be compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob {
    text: Box<str>,
    /// Bytes before the first wildcard and after the last one.
    prefix: usize,
    suffix: usize,
    /// Bytes of the shortest name that fits.
    shortest: usize,
}

impl Glob {
    /// Takes any text; one without wildcards fits itself.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (first, last) = (text.find(WILDCARDS), text.rfind(WILDCARDS));
        Self {
            text: text.into(),
            prefix: first.unwrap_or(bytes.len()),
            suffix: last.map_or(0, |last| bytes.len() - last - 1),
            shortest: bytes.iter().filter(|c| **c != b'*').count(),
        }
    }

    /// The pattern itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What comparing it with one name costs at most, in steps.
    #[must_use]
    pub fn cost(&self) -> usize {
        let middle = self.middle();
        1 + if is_any_text(middle) { 0 } else { middle.len() }
    }

    /// From the first wildcard to the last one.
    fn middle(&self) -> &[u8] {
        let bytes = self.text.as_bytes();
        bytes.get(self.prefix..bytes.len() - self.suffix).unwrap_or_default()
    }

    /// Whether the name fits. What no object and no key can be called fits no pattern.
    #[must_use]
    pub fn matches(&self, name: &Candidate<'_>) -> bool {
        name.add_steps(1);
        let (text, bytes) = (self.text.as_bytes(), name.text.as_bytes());
        let (prefix, suffix) = (text.get(..self.prefix), text.get(text.len() - self.suffix..));
        let middle = self.middle();
        if middle.is_empty() {
            return text == bytes;
        }
        if bytes.len() < self.shortest
            || bytes.len() > LONGEST
            || !prefix.is_some_and(|prefix| bytes.starts_with(prefix))
            || !suffix.is_some_and(|suffix| bytes.ends_with(suffix))
        {
            return false;
        }
        is_any_text(middle) || self.middle_fits(middle, name)
    }

    /// Follows all ways at once: the places of the name that the pattern so far can end at.
    fn middle_fits(&self, middle: &[u8], name: &Candidate<'_>) -> bool {
        let end = name.text.len() - self.suffix;
        let within = up_to(end);
        let occurrences = name.occurrences();
        let mut places = only(self.prefix);
        for c in middle {
            name.add_steps(1);
            places = match c {
                b'*' => and(from_first(places), within),
                b'?' => and(one_further(places), within),
                c => one_further(and(places, occurrences.of(*c))),
            };
            if places == Places::default() {
                return false;
            }
        }
        and(places, only(end)) != Places::default()
    }
}

fn is_any_text(middle: &[u8]) -> bool {
    middle.iter().all(|c| *c == b'*')
}

/// A name while patterns are compared with it.
#[derive(Debug)]
pub struct Candidate<'a> {
    text: &'a str,
    occurrences: OnceCell<Box<Occurrences>>,
    steps: Cell<usize>,
}

impl<'a> Candidate<'a> {
    /// Of a name or a key.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            occurrences: OnceCell::new(),
            steps: Cell::new(0),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// What the comparisons so far have cost.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps.get()
    }

    /// Notes a cost.
    pub fn add_steps(&self, steps: usize) {
        self.steps.set(self.steps.get().saturating_add(steps));
    }

    fn occurrences(&self) -> &Occurrences {
        self.occurrences.get_or_init(|| {
            // As much work as the comparison of one long pattern.
            self.add_steps(self.text.len());
            Box::new(Occurrences::of_name(self.text))
        })
    }
}

/// Where each character stands in a name. Names and keys are ASCII; what is not fits no character.
#[derive(Debug)]
struct Occurrences([Places; 128]);

impl Occurrences {
    fn of_name(name: &str) -> Self {
        let mut places = [Places::default(); 128];
        for (at, c) in name.bytes().enumerate() {
            if let Some(places) = places.get_mut(usize::from(c)) {
                *places = or(*places, only(at));
            }
        }
        Self(places)
    }

    fn of(&self, c: u8) -> Places {
        self.0.get(usize::from(c)).copied().unwrap_or_default()
    }
}

fn and(mut one: Places, other: Places) -> Places {
    one.iter_mut().zip(other).for_each(|(one, other)| *one &= other);
    one
}

fn or(mut one: Places, other: Places) -> Places {
    one.iter_mut().zip(other).for_each(|(one, other)| *one |= other);
    one
}

/// This place and no other.
fn only(at: usize) -> Places {
    let mut places = Places::default();
    if let Some(word) = places.get_mut(at / 64) {
        *word = 1 << (at % 64);
    }
    places
}

/// All places from the first on to this one.
fn up_to(end: usize) -> Places {
    let mut places = Places::default();
    for (at, word) in places.iter_mut().enumerate() {
        let bits = (end + 1).saturating_sub(at * 64);
        *word = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
    }
    places
}

/// Each one place further.
fn one_further(mut places: Places) -> Places {
    let mut carried = 0;
    for word in &mut places {
        let next = *word >> 63;
        *word = *word << 1 | carried;
        carried = next;
    }
    places
}

/// The first of them and all that follow.
fn from_first(mut places: Places) -> Places {
    let mut found = false;
    for word in &mut places {
        if found {
            *word = u64::MAX;
        } else if *word != 0 {
            *word = u64::MAX << word.trailing_zeros();
            found = true;
        }
    }
    places
}
