//! Which sources and keys a policy is about, and what a change of them leads to.

#![expect(
    clippy::doc_markdown,
    reason = "the comments are the descriptions that kubectl explain shows, where backticks are noise"
)]

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_core::policy::effective_policy::SourceFilter;
use windlass_core::types::glob::is_pattern;
use windlass_core::types::name;
use windlass_core::workload::key_strategy::{self, RuleSet};
use windlass_core::workload::opt_in;
use windlass_core::workload::pattern::{Pattern, is_key_or_glob};

use super::schema::{KEY_PATTERN, NAME_PATTERN, rule};
use super::validate::{Invalid, at_most};

/// Entries of a list of patterns, and of rules.
const ENTRIES: usize = 64;
/// Bytes of all names and keys of the rules.
const RULE_BYTES: usize = 16 * 1024;
/// Bytes of those among them that have wildcards; the same for all names under `sources`. Each is compared with
/// each key, or with each source of the namespace, while plain names cost nothing to speak of.
const WILDCARD_BYTES: usize = 4 * 1024;

const NO_SUCH_NAME: &str = "not a possible object name; accepted: a name, with * and ? as wildcards";
const NO_SUCH_KEY: &str = "not a possible key of a ConfigMap or Secret; accepted: letters, digits, '-', '_' and '.', \
                           not '.' alone nor '..' at its beginning, * and ? as wildcards";

/// Which sources to watch. Names with wildcards have at most 4 KiB in total.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rule(
    &(["include", "exclude", "extra"]
        .map(|list| format!(
            "(has(self.{list}) ? self.{list}.filter(it, it.name.contains('*') || it.name.contains('?'))\
             .map(it, size(it.name)).sum() : 0)"
        ))
        .join(" + ")
        + " <= 4096"),
    "sources must have at most 4096 bytes of names with wildcards",
)))]
pub struct Sources {
    /// Limits the sources that the pod template refers to; at most 64. Empty: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub include: Vec<SourcePattern>,
    /// Sources to ignore, even if they are named elsewhere; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub exclude: Vec<SourcePattern>,
    /// More sources to watch that the pod template does not refer to; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub extra: Vec<SourcePattern>,
}

/// Sources of the workload's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourcePattern {
    /// ConfigMap or Secret.
    pub kind: SourceKind,
    /// Name of the object; * matches any text and ? one character.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
}

/// What kind of object a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(description = "")]
pub enum SourceKind {
    /// `v1/ConfigMap`.
    ConfigMap,
    /// `v1/Secret`.
    Secret,
}

impl From<SourceKind> for name::SourceKind {
    fn from(kind: SourceKind) -> Self {
        match kind {
            SourceKind::ConfigMap => Self::ConfigMap,
            SourceKind::Secret => Self::Secret,
        }
    }
}

/// How a change is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(description = "")]
pub enum Strategy {
    /// In place where the pod can take it, otherwise a restart.
    Auto,
    /// A rollout.
    Restart,
    /// New files in the running pods.
    InPlace,
    /// Nothing.
    Ignore,
}

impl From<Strategy> for opt_in::Strategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Auto => Self::Auto,
            Strategy::Restart => Self::Restart,
            Strategy::InPlace => Self::InPlace,
            Strategy::Ignore => Self::Ignore,
        }
    }
}

/// How a change of some keys is applied.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// ConfigMap or Secret; unset: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SourceKind>,
    /// Name of the object; * matches any text and ? one character; default *.
    #[serde(default = "every_name")]
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Keys of the object; * matches any text and ? one character; from 1 to 64.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253), regex(pattern = KEY_PATTERN)))]
    pub keys: Vec<String>,
    /// How a change of these keys is applied: Auto, Restart, InPlace or Ignore.
    pub strategy: Strategy,
}

fn every_name() -> String {
    "*".to_owned()
}

/// The rules of a policy.
pub(super) fn compile_rules(rules: &[Rule]) -> Result<Arc<RuleSet>, Invalid> {
    at_most(ENTRIES, rules.len(), "rules", "rules")?;
    for (at, rule) in rules.iter().enumerate() {
        at_most(ENTRIES, rule.keys.len(), &format!("rules[{at}].keys"), "keys")?;
    }
    let texts = || rules.iter().flat_map(|rule| rule.keys.iter().chain([&rule.name]));
    at_most(RULE_BYTES, bytes(texts()), "rules", "bytes of names and keys")?;
    at_most(WILDCARD_BYTES, wildcard_bytes(texts()), "rules", WITH_WILDCARDS)?;
    let rules = rules.iter().enumerate();
    let rules = rules.map(|(at, rule)| rule.compile(&format!("rules[{at}]")));
    rules.collect::<Result<RuleSet, _>>().map(Arc::new)
}

const WITH_WILDCARDS: &str = "bytes of names and keys with wildcards";

fn bytes<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    texts.map(String::len).sum()
}

fn wildcard_bytes<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    bytes(texts.filter(|text| is_pattern(text)))
}

impl Rule {
    fn compile(&self, field: &str) -> Result<key_strategy::Rule, Invalid> {
        let Self {
            kind,
            name,
            keys,
            strategy,
        } = self;
        // A rule that fits nothing leaves what it is about to the default, which restarts.
        let names_nothing = || Invalid::new(format!("{field}.name"), NO_SUCH_NAME);
        Pattern::glob(None, name).ok_or_else(names_nothing)?;
        if let Some(at) = keys.iter().position(|key| !is_key_or_glob(key)) {
            return Err(Invalid::new(format!("{field}.keys[{at}]"), NO_SUCH_KEY));
        }
        Ok(key_strategy::Rule {
            kind: kind.map(Into::into),
            name: name.as_str().into(),
            keys: keys.iter().map(|key| key.as_str().into()).collect(),
            strategy: (*strategy).into(),
        })
    }
}

impl Sources {
    pub(super) fn compile(&self) -> Result<SourceFilter, Invalid> {
        let Self {
            include,
            exclude,
            extra,
        } = self;
        let lists = [("include", include), ("exclude", exclude), ("extra", extra)];
        for (field, patterns) in lists {
            at_most(ENTRIES, patterns.len(), &format!("sources.{field}"), "entries")?;
        }
        let names = lists.iter().flat_map(|(_, patterns)| patterns.iter());
        let given = wildcard_bytes(names.map(|pattern| &pattern.name));
        at_most(WILDCARD_BYTES, given, "sources", "bytes of names with wildcards")?;
        Ok(SourceFilter {
            include: patterns("include", include)?,
            exclude: patterns("exclude", exclude)?,
            extra: patterns("extra", extra)?,
        })
    }
}

fn patterns(field: &str, patterns: &[SourcePattern]) -> Result<Box<[(name::SourceKind, Pattern)]>, Invalid> {
    patterns
        .iter()
        .enumerate()
        .map(|(at, SourcePattern { kind, name })| {
            let names_nothing = || Invalid::new(format!("sources.{field}[{at}].name"), NO_SUCH_NAME);
            let pattern = Pattern::glob(None, name).ok_or_else(names_nothing)?;
            Ok(((*kind).into(), pattern))
        })
        .collect()
}
