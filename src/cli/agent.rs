//! `windlass agent`

use std::process::ExitCode;

use tokio::runtime::Builder;

use super::Run;
use super::process::run;
use crate::agent::AgentConfig;
use crate::flags::Conflict;

const EXAMPLES: &str = "\
Examples:
  Check the configuration of nginx, then make nginx load it again:
    windlass agent --volume /etc/nginx --validate 'nginx -t' --notify-signal HUP --process nginx

  Make Prometheus load its configuration again by a request:
    windlass agent --volume /etc/prometheus --notify-http http://localhost:9090/-/reload";

/// Watch mounted configuration in a pod, check it, and notify the application
///
/// This is the sidecar for applications that cannot watch their files. A flag wins over its environment variable,
/// and an empty variable counts as not set.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Agent {
    #[command(flatten)]
    pub(super) config: AgentConfig,
}

impl Run for Agent {
    fn check(&mut self) -> Result<(), Conflict> {
        self.config.check()
    }

    fn run(self) -> ExitCode {
        let Self { config } = self;
        // Files are read on one more thread, which is given back when nothing is to be read: memory counts.
        let mut runtime = Builder::new_current_thread();
        runtime.max_blocking_threads(2).thread_stack_size(256 * 1024);
        let (format, level) = (config.log_format, config.log_level.clone());
        run(format, &level, runtime, crate::agent::run(config))
    }
}
