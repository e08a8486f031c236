//! What changed, by name: sources and keys, never content.

use std::fmt;

use serde::Serialize;

use super::{Case, Input, Reason};
use crate::content::cause::{self, CauseSource};
use crate::types::name::{Key, SourceKind, SourceRef};
use crate::types::text::some_of;
use crate::workload::reference::ConsumedKeys;

/// The sources of a workload that changed, and their keys as far as they are known.
pub(super) struct ChangedSources<'a>(Vec<(&'a SourceRef, Vec<Key>)>);

impl<'a> ChangedSources<'a> {
    pub(super) fn of(case: &Case<'a>) -> Self {
        let mut found: Vec<(&SourceRef, Vec<Key>)> = changed_positions(case)
            .into_iter()
            .filter_map(|at| Some((case.input.sources.get(at)?, case.present.get(at)?)))
            .map(|(view, present)| {
                let before = case.baseline.hints(
                    view.reference,
                    view.used.key_strategy,
                    &case.input.workload.reference.namespace,
                );
                let keys = if before.is_empty() || present.hints.is_empty() {
                    seen_live(case, view.reference)
                } else {
                    let names = view.source.into_iter().flat_map(|source| source.contents.iter());
                    let counted = names.map(|(name, _)| name).filter(|name| view.used.counts(name));
                    let mut keys: Vec<Key> = counted
                        .zip(&present.hints)
                        .filter(|(_, hint)| !before.contains(hint))
                        .map(|(name, _)| Key::from(name))
                        .collect();
                    keys.extend(gone(
                        view.source,
                        &view.used.consumed,
                        before.len(),
                        present.hints.len(),
                    ));
                    if keys.is_empty() {
                        seen_live(case, view.reference)
                    } else {
                        keys
                    }
                };
                (view.reference, keys)
            })
            .collect();
        // Changed there and back: only what was seen can be named.
        if found.is_empty() {
            for view in case.input.sources {
                let keys = seen_live(case, view.reference);
                if !keys.is_empty() {
                    found.push((view.reference, keys));
                }
            }
        }
        Self(found)
    }

    /// Which ones.
    pub(super) fn sources(&self) -> impl Iterator<Item = &SourceRef> {
        self.0.iter().map(|(source, _)| *source)
    }

    /// The annotation that says why a template was changed.
    pub(super) fn cause(&self, input: &Input<'_>, reason: Reason) -> String {
        let key = input.ring.newest();
        let because = self.0.iter().map(|(source, keys)| {
            let view = input.sources.iter().find(|view| view.reference == *source);
            CauseSource {
                source,
                keys,
                digest: view
                    .and_then(|view| view.source)
                    .map(|present| key.whole(source, &present.contents)),
            }
        });
        let own = &input.workload.reference.namespace;
        cause::print(input.now, reason.as_str(), key.id(), own, because)
    }

    /// The annotation by which Reloader says what it restarted a workload for. Its hash is our
    /// keyed digest: a plain one would let people test guesses.
    pub(super) fn reloaded_from(&self, input: &Input<'_>, digest: &str) -> Option<String> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Mark<'a> {
            #[serde(rename = "type")]
            of: &'static str,
            name: &'a str,
            namespace: &'a str,
            hash: &'a str,
            container_refs: [&'a str; 0],
            observed_at: i64,
        }
        let first = input.sources.first().map(|view| view.reference);
        let source = self.0.first().map(|(source, _)| *source).or(first)?;
        let mark = Mark {
            of: match source.kind {
                SourceKind::ConfigMap => "CONFIGMAP",
                SourceKind::Secret => "SECRET",
            },
            name: source.name.as_str(),
            namespace: source.namespace.as_str(),
            hash: digest,
            container_refs: [],
            observed_at: input.now.as_second(),
        };
        serde_json::to_string(&mark).ok()
    }
}

/// Those that changed. Where the baseline cannot tell them apart, those of them that were written since.
pub(super) fn changed_positions(case: &Case<'_>) -> Vec<usize> {
    let changed = &case.difference.changed;
    if !case.baseline.tells_apart(case.present.len()) {
        let written = |at: &usize| {
            let view = case.input.sources.get(*at);
            view.is_some_and(|view| view.content_version > case.baseline.horizon)
        };
        let written: Vec<usize> = changed.iter().copied().filter(written).collect();
        if !written.is_empty() {
            return written;
        }
    }
    changed.clone()
}

/// What was seen to change, where there is no baseline to compare with.
pub(super) fn seen(change: &super::PendingChange) -> String {
    let mut found: Vec<(&SourceRef, Vec<Key>)> = Vec::new();
    for (source, key) in &change.keys {
        match found.iter_mut().find(|(of, _)| *of == source) {
            Some((_, keys)) => keys.push(key.clone()),
            None => found.push((source, vec![key.clone()])),
        }
    }
    ChangedSources(found).to_string()
}

fn seen_live(case: &Case<'_>, source: &SourceRef) -> Vec<Key> {
    let live = case.input.change.into_iter().flat_map(|change| &change.keys);
    live.filter(|(of, _)| of == source)
        .map(|(_, key)| key.clone())
        .collect()
}

/// Keys that the template names and that are gone. Of a source that is read whole the names of gone
/// keys are not kept anywhere.
fn gone(source: Option<&crate::workload::Source>, consumed: &ConsumedKeys, before: usize, now: usize) -> Vec<Key> {
    match (consumed, source) {
        (ConsumedKeys::Keys(keys), Some(source)) if before > now => keys
            .iter()
            .filter(|key| source.contents.get(key.as_str()).is_none())
            .cloned()
            .collect(),
        _ => Vec::new(),
    }
}

impl fmt::Display for ChangedSources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> = self
            .0
            .iter()
            .map(|(source, keys)| match keys.as_slice() {
                [] => source.to_string(),
                [one] => format!("{source} (key {one})"),
                more => format!("{source} (keys {})", some_of(more)),
            })
            .collect();
        f.write_str(&some_of(&named))
    }
}
