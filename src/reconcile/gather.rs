//! Gather: everything that one decision depends on, from the index, and from the cluster where the
//! index cannot know.

use std::sync::Arc;

use windlass_core::annotation::ALLOW_FROM;
use windlass_core::decide::{Action, Input, Need, Plan, View, decide};
use windlass_core::policy::terms::Budget;
use windlass_core::reason::{Reason, State};
use windlass_core::types::name::{SourceRef, Uid, Version, WorkloadRef};
use windlass_core::workload::optin::OptIn;
use windlass_core::workload::proof::Proof;

use crate::index::Counted;
use crate::index::entry::WorkloadEntry;
use crate::k8s::error::ApiError;
use crate::k8s::evidence;
use crate::reader::Reader;

/// A decision together with what it was made on.
#[derive(Debug)]
pub struct Decided {
    /// What to do.
    pub plan: Plan,
    /// Which one of that name.
    pub uid: Uid,
    /// At which version.
    pub version: Version,
    /// The newest version among its sources.
    pub horizon: Version,
    /// What had come by then that it has to be decided for, counted.
    pub touches: u32,
    /// What has to be said of its annotations besides.
    pub complaints: Vec<(Reason, String)>,
    /// Whose budgets its rollout counts in, besides the cluster's.
    pub budgets: Box<[Budget]>,
    /// Its policy wants it reported only.
    pub observed: bool,
}

/// What stands in the way of a decision.
#[derive(Debug)]
pub enum Undecided {
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
pub fn decide_now(reader: &Reader, reference: &WorkloadRef, proof: Option<&Proof>) -> Result<Decided, Undecided> {
    let now = reader.clock.now();
    let index = reader.index();
    let entry = index.workload(reference).ok_or(Undecided::Gone)?;
    if index.awaits_labels(&entry.workload) || entry.expected.as_ref().is_some_and(|expected| now < expected.1) {
        return Err(Undecided::OutOfDate);
    }
    let uid = entry.workload.uid.clone();
    let version = entry.workload.version;
    let held = |reason, detail| Decided {
        plan: Plan {
            action: Action::Hold,
            state: State::Held,
            reason,
            detail,
            not_before: None,
            answer: None,
            files: None,
        },
        uid: uid.clone(),
        version,
        horizon: Version::default(),
        touches: entry.touches,
        complaints: Vec::new(),
        budgets: Box::default(),
        observed: false,
    };
    let invalid = entry.workload.opt_in.as_ref().err().map(ToString::to_string);
    let Some(opt_in) = &entry.opt_in else {
        return Ok(held(Reason::InvalidAnnotation, invalid.unwrap_or_default()));
    };
    if let Some(excess) = entry.excess() {
        return Ok(held(Reason::InvalidAnnotation, excess));
    }
    if let Err(slices) = index.match_sources(entry) {
        return Err(Undecided::Unmatched { slices });
    }
    let counted = index.counted(entry);
    if let Some(excess) = counted.excess {
        return Ok(held(Reason::PolicyInvalid, excess));
    }
    if let Some((source, why)) = counted.unreadable.first() {
        return Ok(held(Reason::SourceUnreadable, format!("{source}: {why}")));
    }
    if !counted.unread.is_empty() {
        return Err(Undecided::Unread(counted.unread));
    }
    let terms = index.terms(entry);
    let views = index.views(&counted, entry.verified);
    let plan = decide(&Input {
        workload: &entry.workload,
        opt_in,
        sources: &views,
        remembered: entry.remembered.as_deref(),
        searched: entry.searched,
        change: entry.change.as_deref(),
        foreign: entry.foreign.as_deref().copied(),
        trusted: entry.trusted,
        rival: entry.rival(now),
        proof,
        propagation: entry.propagation.as_ref().and_then(|it| it.progress.as_ref()),
        terms,
        failures: &index.failures_for(&reference.namespace),
        ahead: index.ahead(entry, &counted),
        settings: &reader.settings,
        ring: &reader.ring,
        now,
        calendar: reader.clock.calendar(),
    });
    let answer = plan.answer.clone().map(|answer| (Reason::Answered, answer));
    let mut complaints = complaints(entry, opt_in, &counted, invalid);
    complaints.extend(answer);
    Ok(Decided {
        budgets: terms.budgets.clone(),
        observed: terms.observe,
        plan,
        uid,
        version,
        horizon: newest(&views),
        touches: entry.touches,
        complaints,
    })
}

/// What has to be said of a workload's annotations, whatever is decided.
fn complaints(
    entry: &WorkloadEntry,
    opt_in: &OptIn,
    counted: &Counted,
    invalid: Option<String>,
) -> Vec<(Reason, String)> {
    let own = &entry.workload.reference.namespace;
    let invalid = invalid.map(|invalid| (Reason::InvalidAnnotation, format!("{invalid}; it goes on as before")));
    let left_out = opt_in
        .left_out
        .iter()
        .map(|invalid| (Reason::InvalidAnnotation, invalid.to_string()));
    let not_shared = counted.not_shared.iter().map(|source| {
        let name = format!("{} {}/{}", source.kind.word(), source.namespace, source.name);
        (Reason::NotShared, format!("{name}; it has to bear {ALLOW_FROM}: {own}"))
    });
    let misfits = counted
        .misfits
        .iter()
        .map(|misfit| (Reason::NotInPlace, misfit.clone()));
    let unreadable = entry
        .workload
        .levers()
        .and_then(|levers| levers.unreadable)
        .map(|lever| {
            let text = format!("{} has a value that is no time; accepted: RFC 3339", lever.annotation());
            (Reason::InvalidAnnotation, text)
        });
    invalid
        .into_iter()
        .chain(left_out)
        .chain(not_shared)
        .chain(misfits)
        .chain(unreadable)
        .collect()
}

/// The newest version among sources.
fn newest(views: &[View<'_>]) -> Version {
    let versions = views.iter().filter_map(|view| Some(view.source?.version));
    versions.max().unwrap_or_default()
}

/// Reads what a decision asked for.
///
/// # Errors
/// See [`ApiError`].
pub async fn prove(reader: &Reader, reference: &WorkloadRef, uid: &Uid, need: Need) -> Result<Option<Proof>, ApiError> {
    match need {
        Need::History => {
            let (whose, uid) = reader.index().runs_pods_of(reference, uid);
            let history = evidence::history(&reader.client, &whose, &uid, reference, reader.timeout).await?;
            if let Some(entry) = reader.index().workload_mut(reference) {
                entry.searched = true;
                if entry.remembered.is_none() {
                    entry.remembered = history.last_observed().map(Arc::from);
                }
            }
            Ok(None)
        }
        Need::Pods => {
            let (whose, uid) = reader.index().runs_pods_of(reference, uid);
            let proof = evidence::proof(&reader.client, &whose, &uid, reference, reader.timeout).await?;
            if let Some(entry) = reader.index().workload_mut(reference) {
                entry.proved_at = Some(reader.clock.now());
            }
            Ok(Some(proof))
        }
    }
}
