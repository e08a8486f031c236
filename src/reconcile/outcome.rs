//! What became of a plan.

use jiff::Timestamp;
use windlass_core::decide::PendingChange;
use windlass_core::policy::PolicyRef;
use windlass_core::types::name::Version;

use crate::k8s::error::ApiError;

/// What became of a plan.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing had to be written.
    Nothing,
    Written {
        /// The version that the workload has by it.
        version: Version,
        /// The change that it dealt with.
        change: Option<Box<PendingChange>>,
    },
    /// It would have been written, but we only observe. The baseline, to be remembered instead.
    Observed(String),
    /// As many workloads roll as may.
    Waiting {
        /// How many roll.
        rolling: usize,
        /// How many wait.
        waiting: usize,
        /// The policy whose budget is used up; `None`: the cluster's is.
        full: Option<PolicyRef>,
    },
    /// Another one is tried first.
    Postponed,
    /// It was refused for others that wait for the same change, and is not tried before that time.
    NotTried {
        /// What the API server said.
        why: String,
        /// When one of them is tried again.
        until: Timestamp,
    },
    /// The same write was refused a moment ago and is not tried again yet.
    Refused,
    Failed(ApiError),
}
