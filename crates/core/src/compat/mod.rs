//! Standing in for Reloader and Wave: their annotations, read as they read them.
//!
//! The rules are those of Reloader 1.4 and Wave 0.11, without their defects: what cannot be read is
//! left out and said, and the rest counts. `docs/migrate.md` is the guide for people.

pub mod marks;

use jiff::SignedDuration;

use super::annotation::{reloader, wave};
use crate::types::duration;
use crate::types::name::{Namespace, SourceKind};
use crate::workload::kind::{DEPLOYMENT, KindId};
use crate::workload::opt_in::{
    AnnotationOptions, Annotations, InvalidAnnotation, OptIn, Origin, ReferenceFilter, Selection, WILDCARD_BYTES,
    entries_within_limits, name_pattern, unusable_name,
};
use crate::workload::pattern::Pattern;

pub use crate::workload::opt_in::Compat;

#[cfg(test)]
mod tests;

/// What a workload asks for in the words of others. Whoever has both is taken at Reloader's.
pub(crate) fn read(
    annotations: &Annotations<'_>,
    kind: KindId,
    namespace: &Namespace,
    reading: AnnotationOptions,
) -> Option<OptIn> {
    let compat = reading.compat;
    let reloader = |all: bool| compat.reloader.then(|| reloader(annotations, kind, all)).flatten();
    let wave = || {
        compat
            .wave
            .then(|| wave(annotations, namespace, reading.cross_namespace))
            .flatten()
    };
    let all = || compat.auto_reload_all.then(|| reloader(true)).flatten();
    // "Auto reload all" is for those that say nothing: it comes after what is said to Wave.
    match reloader(false) {
        Some(asked) => all().or(Some(asked)),
        None => wave().or_else(all),
    }
}

/// Regular expressions of one workload, and what they may take together, compiled: each name is compared with
/// all of them. Those that say no more than a glob are none of them.
const EXPRESSIONS: usize = 64;
const EXPRESSIONS_BYTES: usize = 32 * 1024;

/// What the patterns of one workload may still be.
struct PatternBudget {
    expressions: usize,
    /// Compiled.
    bytes: usize,
    /// Of patterns that say no more than a glob.
    wildcard_bytes: usize,
}

impl PatternBudget {
    fn take(&mut self, pattern: &Pattern) -> Result<(), &'static str> {
        let left = |room: usize, taken: usize, beyond| room.checked_sub(taken).ok_or(beyond);
        let compiled = pattern.expression_bytes();
        let expressions = left(self.expressions, usize::from(compiled > 0), FEW_EXPRESSIONS)?;
        let bytes = left(self.bytes, compiled, SMALL_EXPRESSIONS)?;
        let wildcard_bytes = left(self.wildcard_bytes, pattern.wildcard_bytes(), FEW_WILDCARDS)?;
        *self = Self {
            expressions,
            bytes,
            wildcard_bytes,
        };
        Ok(())
    }
}

/// How Reloader calls what it has for one kind of source.
struct AnnotationNames {
    auto: &'static str,
    reload: &'static str,
    exclude: &'static str,
}

fn words(kind: SourceKind) -> AnnotationNames {
    match kind {
        SourceKind::ConfigMap => AnnotationNames {
            auto: "configmap.reloader.stakater.com/auto",
            reload: "configmap.reloader.stakater.com/reload",
            exclude: "configmaps.exclude.reloader.stakater.com/reload",
        },
        SourceKind::Secret => AnnotationNames {
            auto: "secret.reloader.stakater.com/auto",
            reload: "secret.reloader.stakater.com/reload",
            exclude: "secrets.exclude.reloader.stakater.com/reload",
        },
    }
}

fn reloader(annotations: &Annotations<'_>, kind: KindId, all: bool) -> Option<OptIn> {
    let mut left_out = Vec::new();
    let mut room = PatternBudget {
        expressions: EXPRESSIONS,
        bytes: EXPRESSIONS_BYTES,
        wildcard_bytes: WILDCARD_BYTES,
    };
    let mut selection = |kind| reloader_selection(annotations, kind, all, &mut room, &mut left_out);
    let (configmaps, secrets) = (selection(SourceKind::ConfigMap), selection(SourceKind::Secret));
    // Who names nothing but what cannot be read has asked all the same, and is told.
    if configmaps.is_nothing() && secrets.is_nothing() && left_out.is_empty() {
        return None;
    }
    let get = annotations.workload;
    let restart_at = match get(reloader::ROLLOUT_STRATEGY) {
        Some("restart") => kind.row().delegate.is_some(),
        None | Some("rollout") => false,
        Some(other) => {
            left_out.push(InvalidAnnotation::new(
                reloader::ROLLOUT_STRATEGY,
                other,
                "rollout, restart",
            ));
            false
        }
    };
    let pause = get(reloader::PAUSE_PERIOD)
        .filter(|_| kind == DEPLOYMENT)
        .and_then(|text| {
            let period = pause_period(text);
            if period.is_none() {
                let accepted = "a duration of at most 24h, such as 30s, 5m or 1h30m";
                left_out.push(InvalidAnnotation::new(reloader::PAUSE_PERIOD, text, accepted));
            }
            period
        });
    Some(OptIn {
        origin: Origin::Reloader,
        configmaps,
        secrets,
        restart_at,
        pause,
        left_out: left_out.into(),
        ..OptIn::default()
    })
}

/// A Go duration. The bound keeps a mistyped one from stopping all rollouts for years.
fn pause_period(text: &str) -> Option<SignedDuration> {
    let period = SignedDuration::try_from(duration::parse(text)?).ok()?;
    (!period.is_zero() && period <= SignedDuration::from_hours(24)).then_some(period)
}

/// The metadata's words count, all of them, as soon as one of them is there; else the template's.
fn reloader_selection(
    annotations: &Annotations<'_>,
    kind: SourceKind,
    all: bool,
    room: &mut PatternBudget,
    left_out: &mut Vec<InvalidAnnotation>,
) -> Selection {
    let words = words(kind);
    let on_workload = [words.reload, reloader::AUTO, words.auto, reloader::SEARCH]
        .iter()
        .any(|name| (annotations.workload)(name).is_some());
    let get = if on_workload {
        annotations.workload
    } else {
        annotations.template
    };
    let auto = [reloader::AUTO, words.auto].map(|name| get(name).filter(|value| !value.is_empty()));
    let referenced = if auto.iter().flatten().any(|value| is_true(value)) || (all && auto == [None, None]) {
        ReferenceFilter::All
    } else if get(reloader::SEARCH) == Some("true") {
        ReferenceFilter::Marked
    } else {
        ReferenceFilter::None
    };
    let mut expression = |entry: &str| {
        let pattern = Pattern::expression(entry).ok_or(USABLE)?;
        room.take(&pattern)?;
        Ok(pattern)
    };
    let mut named = Vec::new();
    for entry in entries_within_limits(words.reload, get(words.reload), left_out) {
        match expression(entry) {
            Ok(pattern) => named.push(pattern),
            Err(accepted) => left_out.push(InvalidAnnotation::new(words.reload, entry, accepted)),
        }
    }
    let excluded = entries_within_limits(words.exclude, (annotations.workload)(words.exclude), left_out);
    let excluded = excluded
        .into_iter()
        .filter_map(|name| Pattern::glob(None, name).filter(|pattern| pattern.name().is_some()))
        .collect();
    Selection {
        included: None,
        referenced,
        named: named.into(),
        excluded,
    }
}

const USABLE: &str = "a comma-separated list of names or regular expressions; this entry is ignored";
const FEW_EXPRESSIONS: &str = "at most 64 regular expressions on one workload; this one is ignored";
const SMALL_EXPRESSIONS: &str = "regular expressions of at most 32 KiB together, compiled; this one is ignored";
const FEW_WILDCARDS: &str = "at most 4 KiB of entries with . or .* on one workload; this one is ignored";

/// As Go's `strconv.ParseBool`.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "TRUE" | "true" | "True")
}

fn wave(annotations: &Annotations<'_>, namespace: &Namespace, cross_namespace: bool) -> Option<OptIn> {
    let get = annotations.workload;
    if get(wave::UPDATE) != Some("true") {
        return None;
    }
    let mut left_out = Vec::new();
    let mut selection = |annotation: &str| {
        let named = entries_within_limits(annotation, get(annotation), &mut left_out)
            .into_iter()
            .filter_map(|entry| {
                let pattern = name_pattern(entry, namespace, cross_namespace).filter(|it| it.name().is_some());
                if pattern.is_none() {
                    left_out.push(unusable_name(annotation, entry, cross_namespace));
                }
                pattern
            })
            .collect();
        Selection {
            named,
            ..Selection::default()
        }
    };
    let configmaps = selection(wave::EXTRA_CONFIGMAPS);
    let secrets = selection(wave::EXTRA_SECRETS);
    Some(OptIn {
        origin: Origin::Wave,
        configmaps,
        secrets,
        left_out: left_out.into(),
        ..OptIn::default()
    })
}
