//! Gather: everything that one decision depends on, from the index, and from the cluster where the
//! index cannot know.

use std::sync::Arc;

use windlass_core::annotation::ALLOW_FROM;
use windlass_core::decide::{Action, Input, Plan, ReadScope, SourceView, decide};
use windlass_core::policy::effective_policy::Budget;
use windlass_core::reason::{Reason, State};
use windlass_core::types::name::{SourceRef, Uid, Version, WorkloadRef};
use windlass_core::workload::opt_in::OptIn;
use windlass_core::workload::rollout_history::RolloutHistory;

use crate::index::CountedSources;
use crate::index::entry::WorkloadEntry;
use crate::k8s::error::ApiError;
use crate::k8s::pod_history;
use crate::reader::Reader;

/// A decision together with what it was made on.
#[derive(Debug)]
pub struct Decision {
    pub plan: Plan,
    pub uid: Uid,
    pub version: Version,
    /// The newest version among its sources.
    pub horizon: Version,
    /// What had come by then that it has to be decided for, counted.
    pub generation: u32,
    /// What has to be said of its annotations besides.
    pub warnings: Vec<(Reason, String)>,
    /// Whose budgets its rollout counts in, besides the cluster's.
    pub budgets: Box<[Budget]>,
    /// Its policy wants it reported only.
    pub observed: bool,
}

/// What stands in the way of a decision.
#[derive(Debug)]
pub enum NotReady {
    /// There is no such workload, or it asks for nothing.
    Gone,
    /// Our own last write has not been seen yet; its event will bring the workload back here.
    OutOfDate,
    /// Its patterns have not been compared with all sources yet. That is done a slice at a time, with others in
    /// between.
    Unmatched {
        /// How many were done in a row.
        slices: u32,
    },
    /// Sources that it uses have to be read first; that will bring it back here.
    Unread(Vec<SourceRef>),
}

/// Decides one workload on what the index knows and, if given, on what was read for it.
///
/// # Errors
/// When there is nothing to decide, or not yet.
pub fn decide_now(
    reader: &Reader,
    reference: &WorkloadRef,
    rollout_history: Option<&RolloutHistory>,
) -> Result<Decision, NotReady> {
    let now = reader.clock.now();
    let index = reader.index();
    let entry = index.workload(reference).ok_or(NotReady::Gone)?;
    if index.awaits_labels(entry.workload()) || entry.is_stale_read(now) {
        return Err(NotReady::OutOfDate);
    }
    let uid = entry.workload().uid.clone();
    let version = entry.workload().version;
    let held = |reason, detail| Decision {
        plan: Plan {
            action: Action::Hold,
            state: State::Held,
            reason,
            detail,
            not_before: None,
            override_note: None,
            files: None,
        },
        uid: uid.clone(),
        version,
        horizon: Version::default(),
        generation: entry.generation(),
        warnings: Vec::new(),
        budgets: Box::default(),
        observed: false,
    };
    let invalid = entry.workload().opt_in.as_ref().err().map(ToString::to_string);
    let Some(opt_in) = entry.opt_in() else {
        return Ok(held(Reason::InvalidAnnotation, invalid.unwrap_or_default()));
    };
    if let Some(excess) = entry.excess() {
        return Ok(held(Reason::InvalidAnnotation, excess));
    }
    if let Err(slices) = index.match_sources(entry) {
        return Err(NotReady::Unmatched { slices });
    }
    let counted = index.counted_sources(entry);
    if let Some(excess) = counted.excess {
        return Ok(held(Reason::PolicyInvalid, excess));
    }
    if let Some((source, why)) = counted.unreadable.first() {
        return Ok(held(Reason::SourceUnreadable, format!("{source}: {why}")));
    }
    if !counted.unread.is_empty() {
        return Err(NotReady::Unread(counted.unread));
    }
    let terms = index.effective_policy(entry);
    let views = index.views(&counted, entry.verified_version());
    let plan = decide(&Input {
        workload: entry.workload(),
        opt_in,
        sources: &views,
        remembered: entry.last_baseline().map(|text| &**text),
        searched: entry.revisions_searched(),
        change: entry.pending_change(),
        foreign_change: entry.foreign_change(),
        last_current: entry.last_current(),
        competing_controller: entry.competing_controller(now),
        rollout_history,
        propagation: entry.propagation_progress(),
        policy: terms,
        failures: &index.failures_for(&reference.namespace),
        earlier_wave: index.earlier_wave(entry, &counted),
        settings: &reader.settings,
        ring: &reader.ring,
        now,
        calendar: reader.clock.calendar(),
    });
    let answer = plan
        .override_note
        .clone()
        .map(|answer| (Reason::OverrideHandled, answer));
    let mut warnings = warnings(entry, opt_in, &counted, invalid);
    warnings.extend(answer);
    Ok(Decision {
        budgets: terms.budgets.as_slice().into(),
        observed: terms.observe,
        plan,
        uid,
        version,
        horizon: newest(&views),
        generation: entry.generation(),
        warnings,
    })
}

/// What has to be said of a workload's annotations, whatever is decided.
fn warnings(
    entry: &WorkloadEntry,
    opt_in: &OptIn,
    counted: &CountedSources,
    invalid: Option<String>,
) -> Vec<(Reason, String)> {
    let own = &entry.workload().reference.namespace;
    let invalid = invalid.map(|invalid| {
        (
            Reason::InvalidAnnotation,
            format!("{invalid}; the earlier value stays in force"),
        )
    });
    let left_out = opt_in
        .left_out
        .iter()
        .map(|invalid| (Reason::InvalidAnnotation, invalid.to_string()));
    let not_shared = counted.not_shared.iter().map(|source| {
        let name = format!("{} {}/{}", source.kind.as_str(), source.namespace, source.name);
        (
            Reason::NotShared,
            format!("{name}; it needs the annotation {ALLOW_FROM}: {own}"),
        )
    });
    let unsupported_keys = counted
        .unsupported_keys
        .iter()
        .map(|unsupported| (Reason::NotInPlace, unsupported.clone()));
    let unreadable = entry
        .workload()
        .manual_overrides()
        .and_then(|manual_overrides| manual_overrides.unreadable)
        .map(|manual_override| {
            let text = format!(
                "{} has a value that is not a time; accepted: an RFC 3339 time, such as 2030-01-31T12:00:00Z",
                manual_override.annotation()
            );
            (Reason::InvalidAnnotation, text)
        });
    invalid
        .into_iter()
        .chain(left_out)
        .chain(not_shared)
        .chain(unsupported_keys)
        .chain(unreadable)
        .collect()
}

/// The newest version among sources.
fn newest(views: &[SourceView<'_>]) -> Version {
    let versions = views.iter().filter_map(|view| Some(view.source?.version));
    versions.max().unwrap_or_default()
}

/// Reads what a decision asked for.
///
/// # Errors
/// See [`ApiError`].
pub async fn read_history(
    reader: &Reader,
    reference: &WorkloadRef,
    uid: &Uid,
    need: ReadScope,
) -> Result<Option<RolloutHistory>, ApiError> {
    match need {
        ReadScope::History => {
            let (whose, uid) = reader.index().runs_pods_of(reference, uid);
            let history = pod_history::history(&reader.client, &whose, &uid, reference, reader.timeout).await?;
            if let Some(entry) = reader.index().workload_mut(reference) {
                entry.record_revisions(history.last_observed().map(Arc::from));
            }
            Ok(None)
        }
        ReadScope::Pods => {
            let (whose, uid) = reader.index().runs_pods_of(reference, uid);
            let rollout_history =
                pod_history::rollout_history(&reader.client, &whose, &uid, reference, reader.timeout).await?;
            if let Some(entry) = reader.index().workload_mut(reference) {
                entry.note_pods_read(reader.clock.now());
            }
            Ok(Some(rollout_history))
        }
    }
}
