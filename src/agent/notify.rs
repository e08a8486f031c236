//! Tells the application, once.

use std::path::Path;
use std::time::Duration;

use super::command::{self, CommandEnd};
use super::config::Notify;
use crate::agent::http;
use crate::agent::outcome::Outcome;
use crate::agent::process;

/// Tells once. `since`: when the files came, where those who started later need not be told.
pub(super) async fn tell(notify: &Notify, volume: &Path, since: Option<Duration>, limit: Duration) -> Outcome {
    match notify {
        Notify::Nobody => Outcome::Knows,
        Notify::Http { method, endpoint } => http::tell(method, endpoint, limit).await,
        Notify::Signal { signal, target } => process::tell(*signal, target, since),
        Notify::Exec(words) => match command::run(words, volume, limit).await {
            CommandEnd::Good => Outcome::Told,
            CommandEnd::Bad(text) | CommandEnd::Broken(text) => Outcome::Failed(text),
        },
    }
}
