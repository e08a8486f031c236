//! `windlass controller`

use std::process::ExitCode;

use tokio::runtime::Builder;

use super::Run;
use super::process::run;
use crate::controller::ControllerConfig;
use crate::flags::Conflict;

const EXAMPLES: &str = "\
Examples:
  Report planned rollouts in two namespaces, with the current context of the kubeconfig:
    windlass controller --namespaces shop,blog --observe-only

  Run several replicas, and roll out at most five workloads at a time:
    windlass controller --leader-election --max-parallel 5

  Replace Reloader and support its annotations:
    windlass controller --compat reloader";

/// Watch the cluster and roll out workloads whose configuration changed
///
/// Flags override environment variables; an empty variable counts as not set.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Controller {
    #[command(flatten)]
    pub(super) config: ControllerConfig,
}

impl Run for Controller {
    fn check(&mut self) -> Result<(), Conflict> {
        self.config.check()
    }

    fn run(self) -> ExitCode {
        let Self { config } = self;
        // One thread is enough, and faster than several: the API server's time is all that counts, and with two
        // workers a change pays for waking the other one.
        let runtime = Builder::new_current_thread();
        let observability = &config.observability;
        let (format, level) = (observability.log_format, observability.log_level.clone());
        run(format, &level, runtime, crate::controller::run(config))
    }
}
