//! What is remembered from one round to the next.

use std::collections::HashSet;

use jiff::Timestamp;
use windlass_core::agent_protocol::propagation::PropagationProgress;
use windlass_core::decide::PodFiles;
use windlass_core::types::name::{Uid, Version};

/// What is known of a workload whose files are being brought up to date.
#[derive(Debug)]
pub struct PropagationState {
    /// Which change, and whose files.
    files: PodFiles,
    /// What the pods have made of it so far.
    progress: Option<PropagationProgress>,
    /// The newest version among its sources when it began.
    version: Version,
    begun: Timestamp,
    rounds: usize,
    /// Pods that have it, by what their agents prove or their applications answered.
    done: HashSet<Uid>,
}

impl PropagationState {
    /// Nothing is done yet. What was not finished of the files before is done with these.
    pub(crate) fn begin(files: &PodFiles, version: Version, now: Timestamp, before: Option<&Self>) -> Self {
        let mut sources = files.sources.clone();
        let unfinished = before.into_iter().flat_map(|before| &before.files.sources);
        sources.extend(unfinished.filter(|it| !files.sources.contains(it)).cloned());
        Self {
            files: PodFiles {
                since: files.since,
                sources,
            },
            progress: None,
            version,
            begun: now,
            rounds: 0,
            done: HashSet::new(),
        }
    }

    /// Whether it brings these files already.
    pub(crate) fn is_for(&self, files: &PodFiles, version: Version) -> bool {
        self.files.since == files.since && (files.since.is_some() || self.version == version)
    }

    pub(crate) fn files(&self) -> &PodFiles {
        &self.files
    }

    pub(crate) fn progress(&self) -> Option<&PropagationProgress> {
        self.progress.as_ref()
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn begun(&self) -> Timestamp {
        self.begun
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds
    }

    pub(crate) fn done(&self) -> &HashSet<Uid> {
        &self.done
    }

    /// A round is over. Gives whether the progress is another one.
    pub(crate) fn end_round(&mut self, done: HashSet<Uid>, progress: Option<PropagationProgress>) -> bool {
        self.rounds += 1;
        self.done = done;
        let news = self.progress != progress;
        self.progress = progress;
        news
    }
}
