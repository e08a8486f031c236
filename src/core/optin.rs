//! What a workload's own annotations ask for.

use std::fmt;

use super::annotation;
use super::glob;
use super::name::Namespace;

#[cfg(test)]
mod tests;

/// What a change does to a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Its pods are replaced by a rollout.
    #[default]
    Restart,
    /// Nothing.
    Ignore,
}

/// A workload that asked for Windlass, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OptIn {
    /// What a change does.
    pub strategy: Strategy,
    /// Names and patterns of `ConfigMap`s that count besides those of the template.
    pub configmaps: Box<[Box<str>]>,
    /// Names and patterns of `ConfigMap`s that do not count.
    pub exclude_configmaps: Box<[Box<str>]>,
}

impl OptIn {
    /// Whether an exclusion covers the `ConfigMap`.
    #[must_use]
    pub fn excludes_configmap(&self, name: &str) -> bool {
        self.exclude_configmaps
            .iter()
            .any(|pattern| glob::matches(pattern, name))
    }
}

/// An annotation whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAnnotation {
    annotation: &'static str,
    value: Box<str>,
    accepted: &'static str,
}

impl fmt::Display for InvalidAnnotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "annotation {} has the value {:?}; accepted: {}",
            self.annotation, self.value, self.accepted
        )
    }
}

impl std::error::Error for InvalidAnnotation {}

impl InvalidAnnotation {
    fn new(annotation: &'static str, value: &str, accepted: &'static str) -> Self {
        // A value is somebody's text of up to 256 KiB, and this goes into logs and Events.
        Self {
            annotation,
            value: value.chars().take(64).collect::<String>().into(),
            accepted,
        }
    }
}

/// Reads a workload's annotations, given by lookup. `None`: it did not ask for Windlass.
///
/// # Errors
/// The first annotation whose value is not among those accepted.
pub fn read<'a>(
    get: impl Fn(&str) -> Option<&'a str>,
    namespace: &Namespace,
) -> Result<Option<OptIn>, InvalidAnnotation> {
    match get(annotation::ENABLED) {
        Some("true") => {}
        Some("false") => return Ok(None),
        Some(other) => {
            return Err(InvalidAnnotation::new(
                annotation::ENABLED,
                other,
                "\"true\", \"false\"",
            ));
        }
        // A named policy opts in as well; without the kind being served here there is nothing that it
        // could name, and falling back to something looser is what a policy must never do.
        None if get(annotation::POLICY).is_some() => {}
        None => return Ok(None),
    }
    if let Some(name) = get(annotation::POLICY) {
        return Err(InvalidAnnotation::new(
            annotation::POLICY,
            name,
            "no annotation, because this version serves no RolloutPolicy; remove it to go on",
        ));
    }
    let strategy = match get(annotation::STRATEGY) {
        None | Some("Restart") => Strategy::Restart,
        Some("Ignore") => Strategy::Ignore,
        Some(other) => {
            return Err(InvalidAnnotation::new(
                annotation::STRATEGY,
                other,
                "Restart, Ignore (InPlace and Auto are not served by this version)",
            ));
        }
    };
    Ok(Some(OptIn {
        strategy,
        configmaps: names(annotation::CONFIGMAPS, get(annotation::CONFIGMAPS), namespace)?,
        exclude_configmaps: names(
            annotation::EXCLUDE_CONFIGMAPS,
            get(annotation::EXCLUDE_CONFIGMAPS),
            namespace,
        )?,
    }))
}

/// What a list of names may hold, in words for people.
const NAMES: &str = "a comma-separated list of ConfigMap names of this namespace, * and ? as wildcards";

fn names(
    annotation: &'static str,
    value: Option<&str>,
    namespace: &Namespace,
) -> Result<Box<[Box<str>]>, InvalidAnnotation> {
    let Some(value) = value else {
        return Ok(Box::default());
    };
    value
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let name = match entry.split_once('/') {
                Some((of, name)) if of == namespace.as_str() => name,
                Some(_) => return Err(InvalidAnnotation::new(annotation, entry, NAMES)),
                None => entry,
            };
            if is_name_or_pattern(name) {
                Ok(name.into())
            } else {
                Err(InvalidAnnotation::new(annotation, entry, NAMES))
            }
        })
        .collect()
}

/// DNS-1123 subdomain characters, wildcards allowed in place of any of them.
fn is_name_or_pattern(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.*?".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c != '-' && c != '.');
    name.len() <= 253 && name.chars().all(allowed) && edge(name.chars().next()) && edge(name.chars().next_back())
}
