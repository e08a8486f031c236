//! How annotations name sources: by name, by wildcard, by regular expression.

use super::glob;
use super::name::{Name, Namespace, SourceKind, SourceRef};

#[cfg(test)]
mod tests;

/// Bytes of a compiled expression: it comes from whoever may annotate a workload, and one that
/// repeats itself a million times would take as much memory.
const EXPRESSION_BYTES: usize = 16 * 1024;

/// Names one source or several.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The namespace, where it is another one than the workload's own.
    pub namespace: Option<Namespace>,
    text: Box<str>,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    Name,
    Glob,
    Expression(Box<regex_lite::Regex>),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.namespace == other.namespace
            && self.text == other.text
            && std::mem::discriminant(&self.matcher) == std::mem::discriminant(&other.matcher)
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// A name, `*` and `?` standing for any text and any character. `None` when no object can have
    /// such a name.
    #[must_use]
    pub fn glob(namespace: Option<Namespace>, text: &str) -> Option<Self> {
        is_name_or_glob(text).then(|| Self {
            namespace,
            text: text.into(),
            matcher: if glob::is_pattern(text) {
                Matcher::Glob
            } else {
                Matcher::Name
            },
        })
    }

    /// An expression that has to match the whole name. `None` when it is none, or too large.
    #[must_use]
    pub fn expression(text: &str) -> Option<Self> {
        // Nearly all of them are plain names; but a dot stands for any character.
        let plain = text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        let matcher = if plain {
            Matcher::Name
        } else {
            let compile = |text: &str| {
                let mut builder = regex_lite::RegexBuilder::new(text);
                builder.size_limit(EXPRESSION_BYTES).build().ok()
            };
            // By itself first: a text like `a)|(b` is an expression only within our parentheses.
            compile(text)?;
            Matcher::Expression(Box::new(compile(&format!("^(?:{text})$"))?))
        };
        Some(Self {
            namespace: None,
            text: text.into(),
            matcher,
        })
    }

    /// The one source that it names, if it is a plain name.
    #[must_use]
    pub fn name(&self) -> Option<Name> {
        matches!(self.matcher, Matcher::Name).then(|| Name::from(&*self.text))
    }

    /// Whether it names the source, seen from a workload in the namespace `own`.
    #[must_use]
    pub fn matches(&self, own: &Namespace, source: &SourceRef) -> bool {
        *self.namespace.as_ref().unwrap_or(own) == source.namespace
            && match &self.matcher {
                Matcher::Name => *self.text == *source.name.as_str(),
                Matcher::Glob => glob::matches(&self.text, source.name.as_str()),
                Matcher::Expression(expression) => expression.is_match(source.name.as_str()),
            }
    }

    /// What it says, with its namespace: for people.
    #[must_use]
    pub fn describe(&self, kind: SourceKind) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", kind.word(), self.text),
            None => format!("{} {}", kind.word(), self.text),
        }
    }
}

/// DNS-1123 subdomain characters, wildcards allowed in place of any of them.
fn is_name_or_glob(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.*?".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c != '-' && c != '.');
    name.len() <= 253 && name.chars().all(allowed) && edge(name.chars().next()) && edge(name.chars().next_back())
}

/// Whether there can be such a key in a ConfigMap or a Secret, wildcards allowed in place of any
/// character (`IsConfigMapKey` of the API server).
#[must_use]
pub fn is_key_or_glob(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.*?".contains(c);
    (1..=253).contains(&key.len()) && key.chars().all(allowed) && key != "." && !key.starts_with("..")
}
