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
    pub files: PodFiles,
    /// What the pods have made of it so far.
    pub progress: Option<PropagationProgress>,
    /// The newest version among its sources when it began.
    pub(crate) version: Version,
    pub(crate) begun: Timestamp,
    pub(crate) rounds: usize,
    /// Pods that have it, by what their agents prove or their applications answered.
    pub(crate) done: HashSet<Uid>,
}
