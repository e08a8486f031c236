//! The rules of a `RolloutPolicy` that fit: `crds/rolloutpolicies.windlass.dev.yaml` has their limits.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Kind, slot::Slot};

/// Most keys of one rule.
const KEYS: usize = 64;
/// Most rules of one policy.
const RULES: usize = 64;

/// Kind of the object that holds the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum SourceKind {
    /// A `ConfigMap`.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// One of the `rules` of a `RolloutPolicy`; serializes as it is written there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PolicyRule {
    /// Kind of the object.
    pub kind: SourceKind,
    /// Name of the object.
    pub name: String,
    /// Keys of flags, in the order of registration. A flag with `-` or `_` in its name has several.
    pub keys: Vec<String>,
    /// `Restart` or `InPlace`.
    pub strategy: &'static str,
}

/// Why there are no rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// Not a name of an object, and no pattern of one either.
    #[error("{0:?} is not a possible object name; accepted: 1 to 253 of a-z, 0-9, '-', '.', '*' and '?'")]
    Name(String),
    /// A policy has at most 64 rules with 64 keys each.
    #[error("more keys than the {RULES} rules of a policy can hold")]
    TooMany,
}

pub(super) fn policy_rules(slots: &[Slot], kind: SourceKind, name: &str) -> Result<Vec<PolicyRule>, RulesError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.*?".contains(&byte);
    if name.is_empty() || name.len() > 253 || !name.bytes().all(allowed) {
        return Err(RulesError::Name(name.to_owned()));
    }
    let mut rules = Vec::new();
    // Their keys have nothing in common, so the order of the rules does not matter.
    for (flags, strategy) in [(Kind::Static, "Restart"), (Kind::Dynamic, "InPlace")] {
        let slots = slots.iter().filter(|slot| slot.kind == flags);
        let keys: Vec<_> = slots.flat_map(|slot| slot.name.keys()).collect();
        rules.extend(keys.chunks(KEYS).map(|keys| PolicyRule {
            kind,
            name: name.to_owned(),
            keys: keys.to_vec(),
            strategy,
        }));
    }
    if rules.len() > RULES {
        return Err(RulesError::TooMany);
    }
    Ok(rules)
}

/// The rules as YAML, to be pasted under the `spec` of a `RolloutPolicy`.
#[must_use]
pub fn rules_yaml(rules: &[PolicyRule]) -> String {
    if rules.is_empty() {
        return "rules: []\n".to_owned();
    }
    let mut text = "rules:\n".to_owned();
    for rule in rules {
        let PolicyRule {
            kind,
            name,
            keys,
            strategy,
        } = rule;
        // Names and keys have no character that a quoted text would have to escape.
        let _ = write!(
            text,
            "- kind: {kind:?}\n  name: \"{name}\"\n  strategy: {strategy}\n  keys:\n"
        );
        for key in keys {
            let _ = writeln!(text, "  - \"{key}\"");
        }
    }
    text
}
