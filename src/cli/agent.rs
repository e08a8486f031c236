//! The agent's flags as given, and as a validated configuration.

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use hyper::http::uri::{Scheme, Uri};

use super::UsageError;
use super::setting::{Setting, duration_in, flags};
use crate::agent::{AgentConfig, Endpoint, Method, Notify, Signal, Whom, Words};

#[cfg(test)]
mod tests;

const DEBOUNCE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(1);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);
const RETRIES: RangeInclusive<u32> = 0..=100;

/// The agent's flags as given. Names, defaults and accepted values: [`FLAGS`].
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct AgentArgs {
    /// A mounted volume, or another directory or file; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(super) volume: Vec<OsString>,
    /// What has to end with 0 before the application is told; the path is in its environment
    #[arg(long, value_name = "COMMAND")]
    pub(super) validate: Option<OsString>,
    /// Tell the application by a request
    #[arg(long, value_name = "URL")]
    pub(super) notify_http: Option<OsString>,
    /// The method of that request
    #[arg(long, value_name = "METHOD")]
    pub(super) notify_method: Option<OsString>,
    /// Tell the application by a signal; needs a shared process namespace
    #[arg(long, value_name = "SIGNAL")]
    pub(super) notify_signal: Option<OsString>,
    /// With --notify-signal: the name of the process
    #[arg(long, value_name = "NAME")]
    pub(super) process: Option<OsString>,
    /// With --notify-signal: the file that has the number of the process
    #[arg(long, value_name = "PATH")]
    pub(super) pid_file: Option<OsString>,
    /// Tell the application by a command; the path is in its environment
    #[arg(long, value_name = "COMMAND")]
    pub(super) notify_exec: Option<OsString>,
    /// How long to gather changes of files that are not swapped at once
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true)]
    pub(super) debounce: Option<OsString>,
    /// How long each validation and each notice may take
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true)]
    pub(super) timeout: Option<OsString>,
    /// How often what failed is tried again, later each time
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pub(super) retries: Option<OsString>,
    /// Where /livez, /readyz, /metrics and /v1/volumes are served
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin_address: Option<OsString>,
    /// The token that the controller knows, too; without it nobody is told what the files hold
    #[arg(long, value_name = "PATH")]
    pub(super) token_file: Option<OsString>,
    /// How log lines look
    #[arg(long, value_name = "FORMAT")]
    pub(super) log_format: Option<OsString>,
    /// What is logged
    #[arg(long, value_name = "LEVEL")]
    pub(super) log_level: Option<OsString>,
}

flags! {
    "the agent", "WINDLASS_AGENT_";
    VOLUME: "volume", "", "absolute paths, separated by commas or given one by one; at least one is needed";
    VALIDATE: "validate", "", "a command and its arguments, as a shell would split them; no shell runs it; WINDLASS_VOLUME is the path";
    NOTIFY_HTTP: "notify-http", "", "an http URL whose host is an IP address or localhost, such as http://localhost:8080/reload";
    NOTIFY_METHOD: "notify-method", "POST", "POST, GET or PUT; only together with --notify-http";
    NOTIFY_SIGNAL: "notify-signal", "", "HUP, INT, QUIT, TERM, USR1, USR2 or WINCH, together with --process or --pid-file";
    PROCESS: "process", "", "the name of a program, such as nginx; only together with --notify-signal, and not with --pid-file";
    PID_FILE: "pid-file", "", "a path; only together with --notify-signal, and not with --process";
    NOTIFY_EXEC: "notify-exec", "", "a command and its arguments, as a shell would split them; no shell runs it; WINDLASS_VOLUME is the path";
    DEBOUNCE_FLAG: "debounce", "20ms", "a duration from 0s to 1m, such as 20ms or 1s";
    TIMEOUT_FLAG: "timeout", "10s", "a duration from 10ms to 1h, such as 500ms, 10s or 1m30s";
    RETRIES_FLAG: "retries", "5", "a whole number from 0 to 100";
    ADMIN_ADDRESS: "admin-address", "[::]:9533", "an IP address and a port, such as [::]:9533 or 127.0.0.1:9533";
    TOKEN_FILE: "token-file", "", "a path";
    LOG_FORMAT: "log-format", "text", "text or json";
    LOG_LEVEL: "log-level", "info", "off, error, warn, info, debug or trace, and TARGET=LEVEL after a comma, such as info,hyper=debug";
}

impl AgentConfig {
    /// Takes each value from the flag, else from the environment, else from the default, and checks
    /// it. An empty variable counts as not set.
    pub(super) fn new(raw: AgentArgs, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, UsageError> {
        let AgentArgs {
            volume,
            validate,
            notify_http,
            notify_method,
            notify_signal,
            process,
            pid_file,
            notify_exec,
            debounce,
            timeout,
            retries,
            admin_address,
            token_file,
            log_format,
            log_level,
        } = raw;
        let setting = |flag, given| Setting::new(flag, given, env);
        let volumes = (!volume.is_empty()).then(|| volume.join(OsStr::new(",")));
        let volumes = setting(VOLUME, volumes);
        if volumes.set_by().is_none() {
            return Err(UsageError(format!("--volume is missing; accepts {}", VOLUME.accepts)));
        }
        let notify = Given {
            http: setting(NOTIFY_HTTP, notify_http),
            method: setting(NOTIFY_METHOD, notify_method),
            signal: setting(NOTIFY_SIGNAL, notify_signal),
            process: setting(PROCESS, process),
            pid_file: setting(PID_FILE, pid_file),
            exec: setting(NOTIFY_EXEC, notify_exec),
        };
        Ok(Self {
            volumes: volumes.read(paths)?,
            validate: setting(VALIDATE, validate).read_optional(words)?,
            notify: notify.check()?,
            debounce: setting(DEBOUNCE_FLAG, debounce).read(|text| duration_in(text, &DEBOUNCE))?,
            timeout: setting(TIMEOUT_FLAG, timeout).read(|text| duration_in(text, &TIMEOUT))?,
            retries: setting(RETRIES_FLAG, retries).read(|text| text.parse().ok().filter(|n| RETRIES.contains(n)))?,
            admin_address: setting(ADMIN_ADDRESS, admin_address).read(|text| text.parse().ok())?,
            token_file: setting(TOKEN_FILE, token_file).path(),
            log_format: setting(LOG_FORMAT, log_format).read(|text| text.parse().ok())?,
            log_level: setting(LOG_LEVEL, log_level).read(|text| text.parse().ok())?,
        })
    }
}

/// The flags that say how the application is told.
struct Given {
    http: Setting,
    method: Setting,
    signal: Setting,
    process: Setting,
    pid_file: Setting,
    exec: Setting,
}

impl Given {
    fn check(self) -> Result<Notify, UsageError> {
        let ways = [&self.http, &self.signal, &self.exec];
        let ways: Vec<&str> = ways.into_iter().filter_map(Setting::set_by).collect();
        if let [first, second, ..] = *ways {
            return Err(UsageError(format!(
                "{second}: not together with {first}; accepts one of --notify-http, --notify-signal and --notify-exec"
            )));
        }
        let alone = |setting: &Setting, accepts| match setting.set_by() {
            Some(origin) => Err(UsageError(format!("{origin}: nothing to go with; accepts {accepts}"))),
            None => Ok(()),
        };
        if self.http.set_by().is_none() {
            alone(&self.method, NOTIFY_METHOD.accepts)?;
        }
        if self.signal.set_by().is_none() {
            alone(&self.process, PROCESS.accepts)?;
            alone(&self.pid_file, PID_FILE.accepts)?;
        }
        if let Some(endpoint) = self.http.read_optional(endpoint)? {
            let method = self.method.read(method)?;
            return Ok(Notify::Http { method, endpoint });
        }
        if let Some(signal) = self.signal.read_optional(Signal::named)? {
            return Ok(Notify::Signal {
                signal,
                whom: whom(&self.signal, &self.process, self.pid_file)?,
            });
        }
        Ok(self.exec.read_optional(words)?.map_or(Notify::Nobody, Notify::Exec))
    }
}

fn whom(signal: &Setting, process: &Setting, pid_file: Setting) -> Result<Whom, UsageError> {
    if let (Some(first), Some(second)) = (process.set_by(), pid_file.set_by()) {
        let accepts = PID_FILE.accepts;
        return Err(UsageError(format!(
            "{second}: not together with {first}; accepts {accepts}"
        )));
    }
    let name = process.read_optional(|text| (!text.contains('/')).then(|| Whom::Named(text.to_owned())))?;
    name.or_else(|| pid_file.path().map(Whom::PidFile)).ok_or_else(|| {
        let (origin, accepts) = (signal.set_by().unwrap_or_default(), NOTIFY_SIGNAL.accepts);
        UsageError(format!("{origin}: nobody to send it to; accepts {accepts}"))
    })
}

fn paths(text: &str) -> Option<Vec<PathBuf>> {
    let paths: Vec<PathBuf> = text.split(',').map(PathBuf::from).collect();
    let distinct = paths
        .iter()
        .enumerate()
        .all(|(at, path)| !paths.iter().skip(at + 1).any(|it| it == path));
    (distinct && paths.iter().all(|path| path.is_absolute())).then_some(paths)
}

fn words(text: &str) -> Option<Words> {
    let mut words = shell_words::split(text).ok()?.into_iter();
    let program = words
        .next()
        .filter(|program| !program.is_empty() && !text.contains('\0'))?;
    Some(Words {
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
