//! The controller's own account: its metrics.

use anyhow::ensure;

use super::{Test, await_condition};

impl Test {
    /// Waits until so many workloads are held for this reason.
    pub async fn held(&self, reason: &str, count: u32) {
        self.metric("windlass_workloads_held", &[("reason", reason)], count)
            .await;
    }

    /// Waits until a metric has this value.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)], expected: u32) {
        self.windlass().await_metric(name, labels, expected).await;
    }

    /// Waits until this has been counted at least once.
    pub async fn counted(&self, name: &str, labels: &[(&str, &str)]) {
        await_condition(&format!("{name}{labels:?} to count"), async || {
            ensure!(self.windlass().metric(name, labels).await? > 0.5, "it is 0");
            Ok(())
        })
        .await;
    }
}
