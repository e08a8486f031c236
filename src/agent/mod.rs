//! The sidecar: follows mounted configuration, has it checked, tells the application, and answers what
//! the files hold and whether the application knows.
//!
//! ```text
//!   volume ──▶ windlass-live ──▶ handling: validate ──▶ notify ──▶ application
//!              (SHA-256 of            │
//!               each file)            ▼
//!                                   board ◀── answers ◀── controller, with the token
//! ```
//!
//! Nothing here holds content: a file is hashed while it is read. `handling` is the way of one change.
//! It is in every pod, so it is one thread and a few MiB.

pub mod answers;
mod command;
pub mod config;
mod files;
mod http;
mod metrics;
mod notify;
mod outcome;
mod process;
mod serve;
mod text;
mod token;
pub mod volume_status;
mod volume_worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::interval;
use tracing::info;

use self::answers::Answers;
pub use self::config::{AgentConfig, CommandLine, Endpoint, Method, Notify, Signal, SignalTarget};
use self::metrics::Metrics;
use self::serve::Service;
use self::volume_status::VolumeStatuses;
use self::volume_worker::VolumeWorker;
use crate::ops::{Liveness, REVISION, Readiness, Server, Shutdown, VERSION};

/// The condition of readiness.
const READ: &str = "initial read of every volume";

/// How long answers under way may take once the process is stopping: the pod is waiting for it.
const DRAIN: Duration = Duration::from_millis(300);

/// How often the loop shows that it moves.
const BEAT: Duration = Duration::from_secs(5);

/// Runs until a signal asks for the end.
///
/// # Errors
/// When the address cannot be listened on, or signals cannot be.
pub async fn run(config: AgentConfig) -> anyhow::Result<()> {
    let shutdown = Shutdown::new()?.token();
    let server = Server::bind(config.admin_address).await?.drain(DRAIN);
    info!(
        version = VERSION,
        revision = REVISION,
        volumes = config.volumes.len(),
        "agent starting"
    );
    let readiness = Readiness::new(&[READ]);
    let liveness = Liveness::default();
    let metrics = Metrics::new(config.volumes.len());
    let statuses = Arc::new(VolumeStatuses::new(&config.volumes, metrics.clone()));
    let answers = Answers::new(config.token_file.clone(), Arc::clone(&statuses));
    let service = Service {
        readiness: readiness.clone(),
        liveness: liveness.clone(),
        metrics: metrics.clone(),
        answers,
    };

    let config = Arc::new(config);
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    let applied = Arc::new(tokio::sync::watch::Sender::new(0));
    let mut volumes = JoinSet::new();
    for number in 0..config.volumes.len() {
        let handling = VolumeWorker::new(
            number,
            Arc::clone(&config),
            Arc::clone(&statuses),
            metrics.clone(),
            Arc::clone(&turn),
            Arc::clone(&applied),
        );
        let (readiness, statuses) = (readiness.clone(), Arc::clone(&statuses));
        volumes.spawn(handling.run(move || readiness.set(READ, statuses.all_read())));
    }
    let beat = async {
        let mut beat = interval(BEAT);
        loop {
            beat.tick().await;
            liveness.tick();
        }
    };
    let stopping = shutdown.clone();
    let stop = async move {
        shutdown.cancelled().await;
        // Dropping what they run ends it, its children included.
        volumes.shutdown().await;
    };
    tokio::select! {
        () = async { tokio::join!(server.serve(service, stopping.cancelled_owned()), stop); } => {}
        () = beat => {}
    }
    info!("agent stopped");
    Ok(())
}
