//! Since when the content may have been something else in between.

use super::last_change::may_have_lost_keys;
use super::{Case, PendingChange};
use crate::types::name::{Key, SourceRef};
use crate::types::time::Second;
use crate::workload::key_strategy::KeyStrategy;
use crate::workload::kind::RevisionSource;

/// Since when the content may have been something else in between, although it is as recorded now.
pub(super) fn suspect_since(case: &Case<'_>) -> Option<Second> {
    let on_record = case.baseline.stale.map(Second::from);
    // The earliest: each alone is reason enough to look at the pods that were started since.
    [suspect_of(case, &|_| true), on_record].into_iter().flatten().min()
}

/// The same for some of the sources, as far as that was seen, or not seen.
pub(super) fn suspect_of(case: &Case<'_>, which: &dyn Fn(usize) -> bool) -> Option<Second> {
    // What begins to count is taken as it is, and restarts nothing.
    let counts =
        |at: usize| which(at) && !case.difference.added.contains(&at) && case.key_strategy(at) == KeyStrategy::Restart;
    let seen = case.input.change.filter(|change| concerns(case, change, &counts));
    let recorded = Second::from(case.baseline.at);
    let older = may_be_older(case);
    let views = case.input.sources.iter().enumerate();
    let unseen = views.filter(|(at, _)| counts(*at)).filter_map(|(_, view)| {
        let source = view.source?;
        if source.version <= case.baseline.horizon {
            return None;
        }
        let unseen = view.unseen_since.map(|since| since.max(recorded));
        let from = if older { Some(recorded) } else { unseen };
        let by_time = from.filter(|from| source.written.at().is_none_or(|at| at >= *from));
        // Only while nobody watched can a key have come and gone.
        let by_keys = unseen.filter(|_| may_have_lost_keys(case, view));
        by_time.into_iter().chain(by_keys).min()
    });
    seen.map(|change| change.since).into_iter().chain(unseen).min()
}

/// Whether the baseline may be one of an older revision, which an undo brought back together with pods of
/// that revision: it does not tell what these read that were started after it was set.
fn may_be_older(case: &Case<'_>) -> bool {
    let workload = case.input.workload;
    let counts_templates = workload.reference.kind.row().revision != RevisionSource::Generation;
    let (revision, last_current) = (workload.rollout_status.revision, case.input.last_current);
    counts_templates
        && revision.unwrap_or(0) > case.baseline.revision
        && last_current.is_none_or(|last_current| last_current.revision < revision)
}

/// Whether some key that was seen to change is of these sources, or none is known.
fn concerns(case: &Case<'_>, change: &PendingChange, which: &dyn Fn(usize) -> bool) -> bool {
    let counts = |(source, key): &(SourceRef, Key)| {
        let mut views = case.input.sources.iter().enumerate();
        views.any(|(at, view)| view.reference == source && which(at) && view.used.counts(key.as_str()))
    };
    change.keys.is_empty() || change.keys.iter().any(counts)
}
