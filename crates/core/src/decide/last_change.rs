//! When sources last changed. Managed fields cannot tell when a key was removed, so their time counts
//! only where no key can have been.

use super::{Case, SourceView};
use crate::content::baseline::Baseline;
use crate::content::content_time::ContentTime;
use crate::content::digest::Hint;
use crate::types::time::Second;
use crate::workload::reference::ConsumedKeys;

/// When the last of these sources was written; `None` when that cannot be told of each.
///
/// A source that is gone left no trace of its going, and one may have no trace of its writing:
/// `otherwise` is a time by which that is known to have happened.
pub(super) fn last_change(
    case: &Case<'_>,
    which: impl Iterator<Item = usize>,
    otherwise: Option<Second>,
) -> Option<Second> {
    let which = which.filter(|at| *at < case.input.sources.len());
    last_of(which.map(|at| latest(case, at).or(otherwise)))
}

/// `None` when one of them is not known.
fn last_of(mut times: impl Iterator<Item = Option<Second>>) -> Option<Second> {
    times.try_fold(Second::new(0), |last, time| Some(last.max(time?)))
}

fn believed(written: ContentTime, doubtful: bool) -> Option<Second> {
    if doubtful { written.by() } else { written.at() }
}

/// When all of these sources were written last, as far as a baseline that there is no content to compare with with
/// still tells.
pub(super) fn last_change_of_all(sources: &[SourceView<'_>], baseline: Option<&Baseline>) -> Option<Second> {
    let time = |view: &SourceView<'_>| {
        let doubtful = baseline.is_some_and(|baseline| is_unexplained(baseline, view, true));
        believed(view.source?.written, doubtful)
    };
    last_of(sources.iter().map(time))
}

/// The latest time at which a source can have come to hold what it holds.
pub(super) fn latest(case: &Case<'_>, at: usize) -> Option<Second> {
    let view = case.input.sources.get(at)?;
    let written = view.source?.written;
    let changed = case.difference.changed.contains(&at);
    let doubtful =
        is_unexplained(case.baseline, view, changed) || (changed && !written.is_exact() && lost_keys(case, at));
    believed(written, doubtful)
}

/// Whether a source that reads as recorded may have held a key in between of which no time is left.
pub(super) fn may_have_lost_keys(case: &Case<'_>, view: &SourceView<'_>) -> bool {
    is_unexplained(case.baseline, view, false)
}

/// Whether the version of a source is later than all that the baseline knows, without a time that would
/// explain it: one of content, or, if it reads as recorded, one of anything.
fn is_unexplained(baseline: &Baseline, view: &SourceView<'_>, changed: bool) -> bool {
    let Some(source) = view.source else { return false };
    let recorded = Second::from(baseline.at);
    let known = baseline.written.unwrap_or(recorded);
    let by_content = source.written.at().is_none_or(|at| at > known);
    let by_anything = !changed && source.written.touched_since(recorded);
    // A later version that was seen to leave the content as it is does not count.
    let moved = view.content_version.min(source.version) > baseline.horizon;
    moved && !by_content && !by_anything && !source.written.is_exact() && may_lack_keys(view)
}

/// A key that is there was written when its managers say, at the latest. Only of one that is not can it
/// have been later.
fn may_lack_keys(view: &SourceView<'_>) -> bool {
    match &view.used.consumed {
        ConsumedKeys::Whole => true,
        ConsumedKeys::Keys(keys) => keys.iter().any(|key| {
            let contents = view.source.map(|source| &source.contents);
            contents.is_none_or(|contents| contents.get(key.as_str()).is_none())
        }),
    }
}

/// Whether the baseline knows a key that is gone, or cannot tell.
fn lost_keys(case: &Case<'_>, at: usize) -> bool {
    let (Some(view), Some(present)) = (case.input.sources.get(at), case.present.get(at)) else {
        return false;
    };
    let namespace = &case.input.workload.reference.namespace;
    let before = case.baseline.hints(view.reference, present.key_strategy, namespace);
    if before.is_empty() {
        // Too many keys, or too many sources, for a hint of each.
        return may_lack_keys(view);
    }
    let mut left: Vec<u8> = match view.source {
        // More keys than there are hints for.
        Some(source) if present.hints.is_empty() => {
            let keys = source.contents.iter().map(|(key, _)| key);
            keys.filter(|key| view.used.counts(key)).map(Hint::name_tag).collect()
        }
        _ => present.hints.iter().map(|hint| hint.tag()).collect(),
    };
    before
        .iter()
        .any(|hint| match left.iter().position(|tag| *tag == hint.tag()) {
            Some(found) => {
                left.swap_remove(found);
                false
            }
            None => true,
        })
}
