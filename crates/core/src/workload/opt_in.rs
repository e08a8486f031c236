//! What a workload asks for: which sources count for it, and what a change of them does.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;

use super::pattern::Pattern;
use crate::annotation::{self, Annotation};
use crate::types::glob::{Candidate, is_pattern};
use crate::types::name::{Namespace, SourceKind, SourceRef};

#[cfg(test)]
mod tests;

crate::words! {
    /// What a change does to a workload, in the words of manifests.
    #[derive(Default)]
    pub enum Strategy {
        /// Its pods are replaced by a rollout.
        #[default]
        Restart = "Restart",
        /// The kubelet writes the files of running pods.
        InPlace = "InPlace",
        /// In place where the application is known to take it, else a rollout.
        Auto = "Auto",
        /// Nothing.
        Ignore = "Ignore",
    }
}

/// In whose words a workload asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Our own annotations.
    #[default]
    Windlass,
    Reloader,
    Wave,
}

/// A workload that asked for Windlass, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptIn {
    /// In whose words.
    pub origin: Origin,
    /// The policy that it names.
    pub policy: Option<Box<str>>,
    /// What a change does; `None`: as the policy says.
    pub strategy: Option<Strategy>,
    /// Which `ConfigMap`s count.
    pub configmaps: Selection,
    /// Which Secrets count.
    pub secrets: Selection,
    /// An Argo Rollout is restarted by `spec.restartAt` instead of its template.
    pub restart_at: bool,
    /// How long a Deployment stays paused after a restart.
    pub pause: Option<SignedDuration>,
    /// What of its annotations is left out because it cannot be used.
    pub left_out: Box<[InvalidAnnotation]>,
}

/// Which sources of one kind count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those that the pod template refers to.
    pub referenced: ReferenceFilter,
    /// Of these only some; `None`: each.
    pub included: Option<Box<[Pattern]>>,
    /// These, whether referred to or not, with all their keys.
    pub named: Box<[Pattern]>,
    /// But never these.
    pub excluded: Box<[Pattern]>,
}

/// Whether a reference in the pod template counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReferenceFilter {
    #[default]
    All,
    /// Where the source is marked for it.
    Marked,
    None,
}

/// How a source is meant by a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceScope {
    Whole,
    /// As the pod template refers to it.
    AsReferenced,
}

impl OptIn {
    /// Which sources of this kind count.
    #[must_use]
    pub fn selection(&self, kind: SourceKind) -> &Selection {
        match kind {
            SourceKind::ConfigMap => &self.configmaps,
            SourceKind::Secret => &self.secrets,
        }
    }
}

impl Selection {
    /// One by which nothing counts.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            referenced: ReferenceFilter::None,
            ..Self::default()
        }
    }

    /// Whether nothing can count by it.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.referenced == ReferenceFilter::None && self.named.is_empty()
    }

    /// Whether a source is excluded, for a workload in the namespace `own`.
    #[must_use]
    pub fn excludes(&self, own: &Namespace, source: &SourceRef) -> bool {
        // What is known of the name is found out once for all patterns.
        let name = Candidate::new(source.name.as_str());
        self.excluded
            .iter()
            .any(|pattern| pattern.names(own, &source.namespace, &name))
    }

    /// How a source counts; `None`: not at all. `referenced`: the pod template refers to it.
    /// `marked`: it bears the mark that [`ReferenceFilter::Marked`] asks for.
    #[cfg(test)]
    pub(crate) fn source_scope(
        &self,
        own: &Namespace,
        source: &SourceRef,
        referenced: bool,
        marked: bool,
    ) -> Option<SourceScope> {
        self.scope_for(self.pattern_match(own, source).0, referenced, marked)
    }

    /// How a source counts of which its patterns say this; `None`: not at all. `referenced`: the pod template
    /// refers to it. `marked`: it bears the mark that [`ReferenceFilter::Marked`] asks for.
    #[must_use]
    pub fn scope_for(&self, verdict: PatternMatch, referenced: bool, marked: bool) -> Option<SourceScope> {
        let counts = referenced
            && match self.referenced {
                ReferenceFilter::All => true,
                ReferenceFilter::Marked => marked,
                ReferenceFilter::None => false,
            };
        match verdict {
            PatternMatch::Named => Some(SourceScope::Whole),
            PatternMatch::IfReferenced => counts.then_some(SourceScope::AsReferenced),
            PatternMatch::Never => None,
        }
    }

    /// What its patterns say of a source, and what it took to find out, in steps. Depends on nothing but the
    /// source's name.
    #[must_use]
    pub fn pattern_match(&self, own: &Namespace, source: &SourceRef) -> (PatternMatch, usize) {
        let name = Candidate::new(source.name.as_str());
        let any = |patterns: &[Pattern]| patterns.iter().any(|it| it.names(own, &source.namespace, &name));
        let verdict = if any(&self.excluded) {
            PatternMatch::Never
        } else if any(&self.named) {
            PatternMatch::Named
        } else if self.included.as_deref().is_none_or(any) {
            PatternMatch::IfReferenced
        } else {
            PatternMatch::Never
        };
        (verdict, name.steps())
    }

    /// What it costs at most to find that out for one source, in steps.
    #[must_use]
    pub fn cost(&self) -> usize {
        let included = self.included.iter().flatten();
        let patterns = self.excluded.iter().chain(&self.named).chain(included);
        patterns.map(Pattern::cost).sum()
    }
}

/// What the patterns of a selection say of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternMatch {
    /// It does not count.
    Never,
    /// It counts if the pod template refers to it.
    IfReferenced,
    /// It counts whether referred to or not, as a whole.
    Named,
}

/// An annotation whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAnnotation {
    annotation: Box<str>,
    given: Box<str>,
    accepted: &'static str,
}

impl fmt::Display for InvalidAnnotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "annotation {} has {}; accepted: {}",
            self.annotation, self.given, self.accepted
        )
    }
}

impl std::error::Error for InvalidAnnotation {}

impl InvalidAnnotation {
    pub(crate) fn new(annotation: &str, value: &str, accepted: &'static str) -> Self {
        // A value is somebody's text of up to 256 KiB, and this goes into logs and Events.
        let value: String = value.chars().take(64).collect();
        Self::beyond(annotation, &format!("the value {value:?}"), accepted)
    }

    /// A value of one of ours that is not among those of its row.
    fn of(annotation: Annotation, value: &str) -> Self {
        let row = annotation.row();
        Self::new(row.key, value, row.value)
    }

    /// More than may be.
    pub(crate) fn beyond(annotation: &str, given: &str, accepted: &'static str) -> Self {
        Self {
            annotation: annotation.into(),
            given: given.into(),
            accepted,
        }
    }
}

/// What a workload asks for, or why that cannot be told. `Ok(None)`: nothing.
pub type OptInResult = Result<Option<Arc<OptIn>>, Box<InvalidAnnotation>>;

/// A workload's annotations, by lookup.
pub struct Annotations<'a> {
    pub workload: &'a dyn Fn(&str) -> Option<&'a str>,
    /// Of its pod template.
    pub template: &'a dyn Fn(&str) -> Option<&'a str>,
}

/// Whose annotations count besides our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compat {
    /// Reloader's.
    pub reloader: bool,
    /// Wave's.
    pub wave: bool,
    /// As Reloader's "auto reload all": workloads without any annotation count as well.
    pub auto_reload_all: bool,
}

/// How annotations are read, the same for all workloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnnotationOptions {
    /// Whose annotations besides our own count.
    pub compat: Compat,
    /// `namespace/name` may name a source of another namespace.
    pub cross_namespace: bool,
}

/// What our own annotations say.
pub(super) enum OwnAnnotations {
    OptInResult(OptIn),
    HandsOff,
    Silent,
}

pub(super) fn own(
    annotations: &Annotations<'_>,
    namespace: &Namespace,
    reading: AnnotationOptions,
) -> Result<OwnAnnotations, InvalidAnnotation> {
    let get = annotations.workload;
    match get(annotation::ENABLED) {
        Some("true") => {}
        Some("false") => return Ok(OwnAnnotations::HandsOff),
        Some(other) => {
            return Err(InvalidAnnotation::of(Annotation::Enabled, other));
        }
        // Whoever names a policy wants it.
        None if get(annotation::POLICY).is_some() => {}
        None => return Ok(OwnAnnotations::Silent),
    }
    own_words(annotations, namespace, reading).map(OwnAnnotations::OptInResult)
}

/// What a workload's annotations ask for should a policy select it, which they do not do themselves.
///
/// # Errors
/// As [`read`](super::asked::read).
pub fn if_selected(
    annotations: &Annotations<'_>,
    namespace: &Namespace,
    reading: AnnotationOptions,
) -> Result<OptIn, InvalidAnnotation> {
    own_words(annotations, namespace, reading)
}

fn own_words(
    annotations: &Annotations<'_>,
    namespace: &Namespace,
    reading: AnnotationOptions,
) -> Result<OptIn, InvalidAnnotation> {
    let mut opt_in = OptIn::default();
    for &annotation in Annotation::ALL {
        let key = annotation.key();
        let Some(value) = (annotations.workload)(key) else {
            continue;
        };
        let invalid = || InvalidAnnotation::of(annotation, value);
        let list = || names(key, Some(value), namespace, reading.cross_namespace);
        match annotation {
            Annotation::Policy if !is_subdomain(value) => return Err(invalid()),
            Annotation::Policy => opt_in.policy = Some(value.into()),
            Annotation::Strategy => opt_in.strategy = Some(Strategy::named(value).ok_or_else(invalid)?),
            Annotation::ConfigMaps => opt_in.configmaps.named = list()?,
            Annotation::Secrets => opt_in.secrets.named = list()?,
            Annotation::ExcludeConfigMaps => opt_in.configmaps.excluded = list()?,
            Annotation::ExcludeSecrets => opt_in.secrets.excluded = list()?,
            // `own` reads the first, ManualOverrides::from_annotations the next three, and the adapter those of
            // sources. What Windlass writes asks for nothing.
            Annotation::Enabled
            | Annotation::Resume
            | Annotation::Skip
            | Annotation::RestartNow
            | Annotation::Ignore
            | Annotation::AllowFrom
            | Annotation::Observed
            | Annotation::ConfigDigest
            | Annotation::Cause
            | Annotation::Nudge => {}
        }
    }
    Ok(opt_in)
}

impl Strategy {
    fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == word)
    }
}

/// Entries of a list in one annotation. The API server lets through 256 KiB, which are sixty thousand names,
/// and each is compared with each source that the workload uses.
pub const LIST_ENTRIES: usize = 256;
/// Bytes of such a list.
pub const LIST_BYTES: usize = 16 * 1024;
/// Bytes of the entries with wildcards among them: each is compared with each source of the namespace, while
/// plain names cost nothing to speak of.
pub const WILDCARD_BYTES: usize = 4 * 1024;
pub(crate) const LIST_LIMITS: &str = "a list of at most 256 entries and 16 KiB";
const WILDCARD_LIMIT: &str = "at most 4 KiB of entries with * or ? in one list";

const OWN_NAMES: &str = "a comma-separated list of names of this namespace, * and ? as wildcards; names of other \
                         namespaces need --allow-cross-namespace";
const ALL_NAMES: &str = "a comma-separated list of NAME or NAMESPACE/NAME, * and ? as wildcards in NAME";

/// A comma list of `name` or `namespace/name`.
pub(crate) fn names(
    annotation: &str,
    value: Option<&str>,
    own: &Namespace,
    cross_namespace: bool,
) -> Result<Box<[Pattern]>, InvalidAnnotation> {
    if let Some(long) = value.filter(|value| is_long(value)) {
        let given = format!("{} entries in {} bytes", entries(value).count(), long.len());
        return Err(InvalidAnnotation::beyond(annotation, &given, LIST_LIMITS));
    }
    let wildcards: usize = entries(value).filter(|entry| is_pattern(entry)).map(str::len).sum();
    if wildcards > WILDCARD_BYTES {
        let given = format!("{wildcards} bytes of entries with wildcards");
        return Err(InvalidAnnotation::beyond(annotation, &given, WILDCARD_LIMIT));
    }
    entries(value)
        .map(|entry| {
            name_pattern(entry, own, cross_namespace).ok_or_else(|| unusable_name(annotation, entry, cross_namespace))
        })
        .collect()
}

pub(crate) fn unusable_name(annotation: &str, entry: &str, cross_namespace: bool) -> InvalidAnnotation {
    InvalidAnnotation::new(annotation, entry, if cross_namespace { ALL_NAMES } else { OWN_NAMES })
}

/// The entries of a comma list.
pub(crate) fn entries(value: Option<&str>) -> impl Iterator<Item = &str> {
    value
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

fn is_long(list: &str) -> bool {
    list.len() > LIST_BYTES || entries(Some(list)).nth(LIST_ENTRIES).is_some()
}

/// Of a comma list that somebody else's rules read, as much as is within the limits; the rest is said to be
/// left out.
pub(crate) fn entries_within_limits<'a>(
    annotation: &str,
    value: Option<&'a str>,
    left_out: &mut Vec<InvalidAnnotation>,
) -> Vec<&'a str> {
    let mut bytes = 0;
    let kept: Vec<&str> = entries(value)
        .take(LIST_ENTRIES)
        .take_while(|entry| {
            bytes += entry.len();
            bytes <= LIST_BYTES
        })
        .collect();
    if let Some(beyond) = entries(value).nth(kept.len()) {
        let accepted = "at most 256 entries and 16 KiB; this entry and later ones are ignored";
        left_out.push(InvalidAnnotation::new(annotation, beyond, accepted));
    }
    kept
}

/// The namespaces that a source allows. One that names too many allows none: to allow some of them would be
/// to choose. What can be no namespace is none.
#[must_use]
pub fn allowed_namespaces(list: &str) -> Box<[Namespace]> {
    if is_long(list) {
        return Box::default();
    }
    let named = entries(Some(list)).filter(|name| is_namespace(name));
    named.map(Namespace::from).collect()
}

pub(crate) fn name_pattern(entry: &str, own: &Namespace, cross_namespace: bool) -> Option<Pattern> {
    let (namespace, name) = match entry.split_once('/') {
        Some((of, name)) if of == own.as_str() => (None, name),
        Some((of, name)) if cross_namespace && is_namespace(of) => (Some(Namespace::from(of)), name),
        Some(_) => return None,
        None => (None, entry),
    };
    Pattern::glob(namespace, name)
}

/// A DNS-1123 subdomain, as most objects are named.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_namespace)
}

/// A DNS-1123 label.
fn is_namespace(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}
