//! Tells the application, once.

use std::path::Path;
use std::time::Duration;

use super::command::{self, End};
use super::config::Notify;
use crate::agent::http;
use crate::agent::outcome::Outcome;
use crate::agent::process;

/// Tells once. `since`: when the files came, where those who started later need not be told.
pub(super) async fn tell(notify: &Notify, volume: &Path, since: Option<Duration>, limit: Duration) -> Outcome {
    match notify {
        Notify::Nobody => Outcome::Knows,
        Notify::Http { method, endpoint } => http::tell(method, endpoint, limit).await,
        Notify::Signal { signal, whom } => process::tell(*signal, whom, since),
        Notify::Exec(words) => match command::run(words, volume, limit).await {
            End::Good => Outcome::Told,
            End::Bad(text) | End::Broken(text) => Outcome::Failed(text),
        },
    }
}
