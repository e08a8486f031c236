//! What keeps the process observable and well-behaved: metrics, the admin server, logs, notifications, signals.
//!
//! Nothing here knows Kubernetes or the rules. Label values come in as `&'static str`, so a name
//! from the cluster can never become a label and the number of series is fixed by the source code.

#[cfg(feature = "controller")]
pub mod admin;
pub mod health;
pub mod http;
pub mod logging;
#[cfg(feature = "controller")]
pub mod metrics;
#[cfg(feature = "controller")]
pub mod notify;
pub mod server;
pub mod shutdown;
#[cfg(feature = "otel")]
pub mod trace_export;

#[cfg(feature = "controller")]
pub use self::admin::Admin;
pub use self::health::{Liveness, Readiness};
pub use self::logging::{LogFormat, LogLevel};
#[cfg(feature = "controller")]
pub use self::metrics::{
    AgentResult, ApiCode, EventLimit, InPlaceResult, Metrics, RestartResult, Verb, Vocabulary, WatchRestart,
};
#[cfg(feature = "controller")]
pub use self::notify::{Endpoint, Notifications, Notifier};
pub use self::server::{AdminError, Server};
pub use self::shutdown::Shutdown;

/// This build's version, as in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The revision this build was made from: what `WINDLASS_REVISION` was when it was compiled.
pub const REVISION: &str = match option_env!("WINDLASS_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
