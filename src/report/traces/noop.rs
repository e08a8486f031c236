use std::time::Duration;

use jiff::Timestamp;
use windlass_core::reason::{Reason, State};
use windlass_core::types::name::WorkloadRef;

use crate::config::ControllerConfig;
use crate::reconcile::outcome::Outcome;

/// Notes nothing.
#[derive(Clone, Debug)]
pub struct ChangeTraces;

#[allow(clippy::unused_self, clippy::unused_async, clippy::unnecessary_wraps)] // As the one that notes.
impl ChangeTraces {
    /// Without a collector.
    #[must_use]
    pub fn disabled() -> Self {
        Self
    }

    /// Nothing begins.
    ///
    /// # Errors
    /// Never.
    pub fn start(_: &ControllerConfig, _: &str) -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// Nothing is left to be sent.
    pub async fn finish(&self, _: Duration) {}

    /// What is to be done with it is decided, since then.
    pub fn decision_started(&self, _: &WorkloadRef, _: Timestamp) {}

    /// Its patch is sent.
    pub fn write_started(&self, _: &WorkloadRef, _: Timestamp) {}

    /// What became of that, and where it stands by it.
    pub fn status_changed(&self, _: &WorkloadRef, _: &Outcome, _: State, _: Reason, _: Timestamp) {}
}
