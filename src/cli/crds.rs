//! `windlass crds`

use std::process::ExitCode;

use super::Run;
use super::process::print;

const EXAMPLES: &str = "\
Examples:
  Install or update the definitions:
    windlass crds | kubectl apply --server-side -f -";

/// Print the custom resource definitions
///
/// The output has two YAML documents: policies of a namespace, then policies of the cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Crds;

impl Run for Crds {
    fn run(self) -> ExitCode {
        print(&crate::api::definitions())
    }
}
