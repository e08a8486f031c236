//! `windlass metrics-reference`, of which `cargo xtask generate` makes a part of `docs/metrics.md`.

use std::process::ExitCode;

use super::Run;
use super::process::print;

/// Print the generated parts of the reference of the metrics
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct MetricsReference;

impl Run for MetricsReference {
    fn run(self) -> ExitCode {
        print(&crate::controller::metrics_reference())
    }
}
