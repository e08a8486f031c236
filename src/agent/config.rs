//! How the agent runs, checked: nothing in it can be wrong any more.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use hyper::Method;

use crate::ops::{LogFormat, LogLevel};

/// How the agent runs: the flags of `windlass agent`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentConfig {
    /// What to follow: absolute paths, at least one, each once.
    pub volumes: Vec<PathBuf>,
    /// What has to end with 0 before the application is told.
    pub validate: Option<Words>,
    /// How the application is told.
    pub notify: Notify,
    /// How long changes of files are gathered that are not swapped at once. 0 s to 1 min.
    pub debounce: Duration,
    /// How long each validation and each notice may take. 10 ms to 1 h.
    pub timeout: Duration,
    /// How often what failed is tried again. 0 to 100.
    pub retries: u32,
    /// Where `/livez`, `/readyz`, `/metrics` and `/v1/volumes` are served. Port 0: any free one.
    pub admin_address: SocketAddr,
    /// The file with the token. `None`: nobody is told what the files hold.
    pub token_file: Option<PathBuf>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_level: LogLevel,
}

/// How the application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// It reads the files by itself.
    Nobody,
    /// By a request; an answer of 2xx is success.
    Http {
        /// POST, GET or PUT.
        method: Method,
        /// Whom to ask.
        endpoint: Endpoint,
    },
    /// By a signal.
    Signal {
        /// Which one.
        signal: Signal,
        /// Who gets it.
        whom: Whom,
    },
    /// By a command that ends with 0.
    Exec(Words),
}

/// An http URL without any name that would have to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to connect, tried in this order; at least one.
    pub addresses: Vec<SocketAddr>,
    /// The header `host`.
    pub authority: String,
    /// Path and query. Not to be logged: people put tokens there.
    pub path: String,
}

/// Who gets the signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Processes of this name; of several that started each other, the first.
    Named(String),
    /// The process whose number is in this file.
    PidFile(PathBuf),
}

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// A path, or a name that is looked for in `PATH`.
    pub program: String,
    /// Its arguments, as they are.
    pub arguments: Vec<String>,
}

/// Signals by which programs are told to read their configuration again, or to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "signal(7) describes them")]
pub enum Signal {
    Hup,
    Int,
    Quit,
    Term,
    Usr1,
    Usr2,
    Winch,
}

impl Signal {
    /// By its name, with or without `SIG`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name.strip_prefix("SIG").unwrap_or(name) {
            "HUP" => Some(Self::Hup),
            "INT" => Some(Self::Int),
            "QUIT" => Some(Self::Quit),
            "TERM" => Some(Self::Term),
            "USR1" => Some(Self::Usr1),
            "USR2" => Some(Self::Usr2),
            "WINCH" => Some(Self::Winch),
            _ => None,
        }
    }
}
