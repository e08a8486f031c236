//! How annotations name sources: by name, by wildcard, by regular expression.

use crate::types::glob::{self, Candidate, Glob};
use crate::types::name::{Name, Namespace, SourceKind};

#[cfg(test)]
mod tests;

/// Bytes of a compiled expression: it comes from anyone who may annotate a workload, and one that repeats a
/// part a million times would take as much memory.
const EXPRESSION_BYTES: usize = 16 * 1024;

/// The least that an expression is taken for.
const LEAST_EXPRESSION_BYTES: usize = 256;

/// What comparing one byte of a compiled expression with a long name costs, in the steps of a [`Glob`]: a state
/// takes 32 bytes, and each may be looked at for each character.
const STEPS_PER_EXPRESSION_BYTE: usize = 64;

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
    Glob(Box<Glob>),
    Expression(Box<Expression>),
}

#[derive(Clone, Debug)]
struct Expression {
    compiled: regex_lite::Regex,
    /// What it takes at most, a power of two.
    bytes: usize,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.namespace == other.namespace
            && self.text == other.text
            && match (&self.matcher, &other.matcher) {
                (Matcher::Name, Matcher::Name) | (Matcher::Expression(_), Matcher::Expression(_)) => true,
                // The same text means one thing as a glob and another as an expression.
                (Matcher::Glob(one), Matcher::Glob(other)) => one == other,
                (Matcher::Name | Matcher::Glob(_) | Matcher::Expression(_), _) => false,
            }
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
                Matcher::Glob(Box::new(Glob::new(text)))
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
        } else if let Some(glob) = as_glob(text) {
            Matcher::Glob(Box::new(Glob::new(&glob)))
        } else {
            Matcher::Expression(Box::new(Expression::compile(text)?))
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

    /// Whether it names a source of that namespace, seen from a workload in the namespace `own`. What is known of
    /// the source's name serves several patterns.
    #[must_use]
    pub fn names(&self, own: &Namespace, namespace: &Namespace, name: &Candidate<'_>) -> bool {
        *self.namespace.as_ref().unwrap_or(own) == *namespace
            && match &self.matcher {
                Matcher::Name => *self.text == *name.as_str(),
                Matcher::Glob(glob) => glob.matches(name),
                Matcher::Expression(expression) => {
                    name.add_steps(expression.cost());
                    expression.compiled.is_match(name.as_str())
                }
            }
    }

    /// What comparing it with one name costs at most, in steps. A plain name costs nothing to speak of.
    #[must_use]
    pub fn cost(&self) -> usize {
        match &self.matcher {
            Matcher::Name => 0,
            Matcher::Glob(glob) => glob.cost(),
            Matcher::Expression(expression) => expression.cost(),
        }
    }

    /// Its bytes, if it has wildcards.
    #[must_use]
    pub fn wildcard_bytes(&self) -> usize {
        match &self.matcher {
            Matcher::Glob(glob) => glob.as_str().len(),
            Matcher::Name | Matcher::Expression(_) => 0,
        }
    }

    /// What it takes compiled, if it is an expression that is no simpler pattern.
    #[must_use]
    pub fn expression_bytes(&self) -> usize {
        match &self.matcher {
            Matcher::Expression(expression) => expression.bytes,
            Matcher::Name | Matcher::Glob(_) => 0,
        }
    }

    /// What it says, with its namespace: for people.
    #[must_use]
    pub fn describe(&self, kind: SourceKind) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", kind.as_str(), self.text),
            None => format!("{} {}", kind.as_str(), self.text),
        }
    }
}

impl Expression {
    fn compile(text: &str) -> Option<Self> {
        let compile = |text: &str, limit: usize| {
            let mut builder = regex_lite::RegexBuilder::new(text);
            builder.size_limit(limit).build().ok()
        };
        // By itself first: a text like `a)|(b` is an expression only within our parentheses.
        compile(text, EXPRESSION_BYTES)?;
        let text = format!("^(?:{text})$");
        // The library does not tell how large it is.
        let limits = std::iter::successors(Some(LEAST_EXPRESSION_BYTES), |limit| Some(limit * 2));
        let mut limits = limits.take_while(|limit| *limit <= EXPRESSION_BYTES);
        limits.find_map(|bytes| {
            let compiled = compile(&text, bytes)?;
            Some(Self { compiled, bytes })
        })
    }

    fn cost(&self) -> usize {
        self.bytes * STEPS_PER_EXPRESSION_BYTE
    }
}

/// What most expressions are: plain characters, `.`, `.*` and `.+`, which a glob says as well. `None`: it
/// says more.
fn as_glob(text: &str) -> Option<String> {
    let text = text.strip_prefix('^').unwrap_or(text);
    let mut glob = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '.' => {
                let repeated = rest.next_if(|c| matches!(c, '*' | '+'));
                glob.push_str(match repeated {
                    Some('*') => "*",
                    Some(_) => "?*",
                    None => "?",
                });
            }
            '\\' => glob.push(rest.next_if(|c| matches!(c, '.' | '-'))?),
            '$' if rest.peek().is_none() => {}
            c if c.is_ascii_alphanumeric() || c == '-' => glob.push(c),
            _ => return None,
        }
        // What is repeated otherwise, or reluctantly, is said by an expression only.
        if rest.peek().is_some_and(|c| matches!(c, '*' | '+' | '?' | '{')) {
            return None;
        }
    }
    Some(glob)
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
