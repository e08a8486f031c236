//! How the agent runs: one field a flag, as in the controller's configuration.

#![expect(
    clippy::doc_markdown,
    reason = "the comments are what --help shows, where backticks are noise"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
pub use hyper::Method;
use hyper::http::uri::{Scheme, Uri};

use crate::flags::{Conflict, NotAccepted, Optional, duration, number, optional, path};
use crate::ops::{LogFormat, LogLevel};

#[cfg(test)]
mod tests;

/// How the agent runs: the flags of `windlass agent`, checked.
#[derive(Clone, Debug, PartialEq, Args)]
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "`--help` shows these texts, with their brackets"
)]
pub struct AgentConfig {
    /// Volume, directory or file to watch; can be repeated.
    ///
    /// Accepts one or more distinct absolute paths, separated by commas.
    #[arg(long = "volume", env = "WINDLASS_AGENT_VOLUME", value_name = "PATH", value_delimiter = ',', required = true, value_parser = volume, help_heading = "What to follow")]
    pub volumes: Vec<PathBuf>,
    /// Collect file changes for this long. Atomically swapped volumes do not need it.
    ///
    /// Accepts a duration from 0s to 1m, such as 20ms or 1s.
    #[arg(long, env = "WINDLASS_AGENT_DEBOUNCE", value_name = "DURATION", default_value = "20ms", value_parser = duration(Duration::ZERO..=Duration::from_mins(1)), help_heading = "What to follow")]
    pub debounce: Duration,
    #[command(flatten)]
    ways: Ways,
    /// How the application is told.
    #[arg(skip)]
    pub notify: Notify,
    /// Command that must succeed before the application is notified.
    ///
    /// Runs without a shell. WINDLASS_VOLUME has the path of the volume.
    ///
    /// Accepts a command with arguments, split as in a shell.
    #[arg(long, env = "WINDLASS_AGENT_VALIDATE", value_name = "COMMAND", default_value = "", value_parser = optional(words), help_heading = "Validation and retries")]
    pub validate: Optional<CommandLine>,
    /// Time limit of each validation and notification.
    ///
    /// Accepts a duration from 10ms to 1h, such as 500ms, 10s or 1m30s.
    #[arg(long, env = "WINDLASS_AGENT_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = duration(Duration::from_millis(10)..=Duration::from_hours(1)), help_heading = "Validation and retries")]
    pub timeout: Duration,
    /// Retries after a failure, with increasing delay.
    ///
    /// Accepts a whole number from 0 to 100.
    #[arg(long, env = "WINDLASS_AGENT_RETRIES", value_name = "COUNT", default_value = "5", value_parser = number(0..=100_u32), help_heading = "Validation and retries")]
    pub retries: u32,
    /// Address of /livez, /readyz, /metrics and /v1/volumes.
    ///
    /// Accepts an IP address and a port, such as [::]:9533 or 127.0.0.1:9533.
    #[arg(
        long,
        env = "WINDLASS_AGENT_ADMIN_ADDRESS",
        value_name = "ADDRESS",
        default_value = "[::]:9533",
        help_heading = "Observability"
    )]
    pub admin_address: SocketAddr,
    /// File with the token of the controller. Without it, /v1/volumes rejects all requests.
    ///
    /// Accepts a path.
    #[arg(long, env = "WINDLASS_AGENT_TOKEN_FILE", value_name = "PATH", default_value = "", value_parser = path(), help_heading = "Observability")]
    pub token_file: Optional<PathBuf>,
    /// Format of log lines.
    ///
    /// Accepts text or json.
    #[arg(
        long,
        env = "WINDLASS_AGENT_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Observability"
    )]
    pub log_format: LogFormat,
    /// What to log.
    ///
    /// Accepts off, error, warn, info, debug or trace, then TARGET=LEVEL, such as info,hyper=debug.
    #[arg(
        long,
        env = "WINDLASS_AGENT_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info",
        help_heading = "Observability"
    )]
    pub log_level: LogLevel,
}

/// The ways to tell the application, of which one is given at most.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "Notification of the application")]
struct Ways {
    /// Notify the application with an HTTP request.
    ///
    /// Accepts an http URL whose host is an IP address or localhost, such as http://localhost:8080/reload.
    #[arg(long = "notify-http", env = "WINDLASS_AGENT_NOTIFY_HTTP", value_name = "URL", default_value = "", value_parser = optional(endpoint))]
    http: Optional<Endpoint>,
    /// Method of the request; empty means POST.
    ///
    /// Accepts POST, GET or PUT; only with --notify-http.
    #[arg(long = "notify-method", env = "WINDLASS_AGENT_NOTIFY_METHOD", value_name = "METHOD", default_value = "", value_parser = optional(method))]
    method: Optional<Method>,
    /// Notify the application with a signal; the pod needs a shared process namespace.
    ///
    /// Accepts HUP, INT, QUIT, TERM, USR1, USR2 or WINCH, with --process or --pid-file.
    #[arg(long = "notify-signal", env = "WINDLASS_AGENT_NOTIFY_SIGNAL", value_name = "SIGNAL", default_value = "", value_parser = optional(Signal::named))]
    signal: Optional<Signal>,
    /// Process that gets the signal.
    ///
    /// Accepts a program name, such as nginx; only with --notify-signal and without --pid-file.
    #[arg(long, env = "WINDLASS_AGENT_PROCESS", value_name = "NAME", default_value = "", value_parser = optional(process))]
    process: Optional<String>,
    /// File with the ID of the process that gets the signal.
    ///
    /// Accepts a path; only with --notify-signal and without --process.
    #[arg(long, env = "WINDLASS_AGENT_PID_FILE", value_name = "PATH", default_value = "", value_parser = path())]
    pid_file: Optional<PathBuf>,
    /// Notify the application with a command.
    ///
    /// Runs without a shell. WINDLASS_VOLUME has the path of the volume.
    ///
    /// Accepts a command with arguments, split as in a shell.
    #[arg(long = "notify-exec", env = "WINDLASS_AGENT_NOTIFY_EXEC", value_name = "COMMAND", default_value = "", value_parser = optional(words))]
    exec: Optional<CommandLine>,
}

impl AgentConfig {
    /// Checks what flags have to be together, and settles how the application is told.
    ///
    /// # Errors
    /// The first flag that does not fit to the others.
    pub fn check(&mut self) -> Result<(), Conflict> {
        let volumes = self.volumes.iter().enumerate();
        for (at, volume) in volumes {
            if self.volumes.iter().take(at).any(|it| it == volume) {
                return Err(Conflict::new(
                    "volume",
                    format!("\"{}\" is set twice", volume.display()),
                ));
            }
        }
        self.notify = self.ways.chosen()?;
        Ok(())
    }
}

impl Ways {
    fn chosen(&self) -> Result<Notify, Conflict> {
        let Self {
            http,
            method,
            signal,
            process,
            pid_file,
            exec,
        } = self;
        let ways = [
            ("notify-http", http.is_some()),
            ("notify-signal", signal.is_some()),
            ("notify-exec", exec.is_some()),
        ];
        let given: Vec<&'static str> = ways.iter().filter(|(_, given)| *given).map(|(flag, _)| *flag).collect();
        if let [first, second, ..] = *given {
            return Err(Conflict {
                flag: second,
                why: format!("not together with --{first}"),
                accepts: Some("one of --notify-http, --notify-signal and --notify-exec"),
            });
        }
        let lonely = [
            ("notify-method", method.is_some() && http.is_none(), "--notify-http"),
            ("process", process.is_some() && signal.is_none(), "--notify-signal"),
            ("pid-file", pid_file.is_some() && signal.is_none(), "--notify-signal"),
        ];
        if let Some((flag, _, needed)) = lonely.into_iter().find(|(_, lonely, _)| *lonely) {
            return Err(Conflict::new(flag, format!("needs {needed}")));
        }
        if let Some(endpoint) = http.clone() {
            let method = method.clone().unwrap_or(Method::POST);
            return Ok(Notify::Http { method, endpoint });
        }
        let Some(signal) = *signal else {
            return Ok(exec.clone().map_or(Notify::Nobody, Notify::Exec));
        };
        let target = match (process.clone(), pid_file.clone()) {
            (Some(_), Some(_)) => return Err(Conflict::new("pid-file", "not together with --process")),
            (Some(name), None) => SignalTarget::Named(name),
            (None, Some(file)) => SignalTarget::PidFile(file),
            (None, None) => return Err(Conflict::new("notify-signal", "needs a process to send it to")),
        };
        Ok(Notify::Signal { signal, target })
    }
}

fn volume(text: &str) -> Result<PathBuf, NotAccepted> {
    let path = PathBuf::from(text);
    path.is_absolute().then_some(path).ok_or(NotAccepted)
}

fn process(text: &str) -> Option<String> {
    (!text.contains('/')).then(|| text.to_owned())
}

fn words(text: &str) -> Option<CommandLine> {
    let mut words = shell_words::split(text).ok()?.into_iter();
    let program = words
        .next()
        .filter(|program| !program.is_empty() && !text.contains('\0'))?;
    Some(CommandLine {
        program,
        arguments: words.collect(),
    })
}

fn method(text: &str) -> Option<Method> {
    match text {
        "POST" => Some(Method::POST),
        "GET" => Some(Method::GET),
        "PUT" => Some(Method::PUT),
        _ => None,
    }
}

/// No name is ever looked up: what is told is in this pod.
fn endpoint(text: &str) -> Option<Endpoint> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    if uri.scheme() != Some(&Scheme::HTTP) || authority.as_str().contains('@') {
        return None;
    }
    // What is no port would be passed over by the parser of the authority.
    let port = match authority.as_str().strip_prefix(authority.host())?.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None => 80,
    };
    let host = authority.host();
    let ips: Vec<IpAddr> = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => vec![IpAddr::V6(host.parse().ok()?)],
        None if host.eq_ignore_ascii_case("localhost") => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        None => vec![IpAddr::V4(host.parse().ok()?)],
    };
    Some(Endpoint {
        addresses: ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(),
        authority: authority.to_string(),
        path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
    })
}

/// How the application is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// It reads the files by itself.
    #[default]
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
        target: SignalTarget,
    },
    /// By a command that ends with 0.
    Exec(CommandLine),
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
pub enum SignalTarget {
    /// Processes of this name; of several that started each other, the first.
    Named(String),
    /// The process whose number is in this file.
    PidFile(PathBuf),
}

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// A path, or a name that is looked for in `PATH`.
    pub program: String,
    /// Its arguments, as they are.
    pub arguments: Vec<String>,
}

/// Signals by which programs are told to read their configuration again, or to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
