//! Immutable sources that were replaced: a kubelet may go on serving the old one.

use super::Case;
use crate::content::baseline::PresentSource;
use crate::types::time::Second;

/// Whether the source, whose content changed, is or was immutable and is another one than before: a kubelet that
/// still holds the old one goes on serving it, whatever the new one is
/// (<https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-immutable>).
pub(super) fn replaced(case: &Case<'_>, at: usize) -> bool {
    let Some(source) = case.input.sources.get(at).and_then(|view| view.source) else {
        return false;
    };
    let since = source.immutable_since().max(source.after_immutable());
    let is_another = since.is_some_and(|created| created >= Second::from(case.baseline.at));
    // The content of an immutable object does not change.
    is_another || (was_immutable(case, at) && case.baseline.tells_apart(case.present.len()))
}

/// Whether a kubelet may have an immutable object of that source, by the baseline.
pub(super) fn was_immutable(case: &Case<'_>, at: usize) -> bool {
    let label = |present: &PresentSource<'_>| case.key.label(present.source, present.tag);
    let label = case.present.get(at).map(label);
    label.is_some_and(|label| case.baseline.immutable.contains(&label))
}
