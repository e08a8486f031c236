//! `windlass crds`

use std::process::ExitCode;

use super::process::print;

const EXAMPLES: &str = "\
Examples:
  Install the definitions, or update them:
    windlass crds | kubectl apply --server-side -f -";

/// Print the custom resource definitions
///
/// The output has two YAML documents: RolloutPolicy, then ClusterRolloutPolicy.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Crds;

impl Crds {
    pub(super) fn run(self) -> ExitCode {
        print(&crate::api::definitions())
    }
}
