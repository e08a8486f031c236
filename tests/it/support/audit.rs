//! The API server's own account of who asked it for what.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use serde_json::Value;

/// A request that the API server has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `get`, `list`, `watch`, `patch`, ...
    pub verb: String,
    /// `deployments`, `events`, ...
    pub resource: String,
    /// Empty where the request names no object.
    pub name: String,
    /// HTTP status of the answer.
    pub code: u64,
}

/// The requests of one user on one namespace.
pub struct Audit {
    log: PathBuf,
    user: String,
    namespace: String,
    from: u64,
}

impl Audit {
    /// Requests answered from now on.
    pub fn from_now(log: PathBuf, user: &str, namespace: &str) -> Self {
        let from = std::fs::metadata(&log).map_or(0, |it| it.len());
        Self {
            log,
            user: user.to_owned(),
            namespace: namespace.to_owned(),
            from,
        }
    }

    /// What has been answered so far, watches excepted: those last.
    pub fn requests(&self) -> Vec<Request> {
        let (_, requests) = self.answered();
        requests
    }

    /// The same of another namespace; empty: of what was asked for in all of them at once.
    pub fn of_namespace(&self, namespace: &str) -> Self {
        Self {
            log: self.log.clone(),
            user: self.user.clone(),
            namespace: namespace.to_owned(),
            from: self.from,
        }
    }

    /// How many watches of this resource have come to an end so far.
    pub fn ended_watches(&self, resource: &str) -> usize {
        let (watches, _) = self.answered();
        watches.iter().filter(|it| it.resource == resource).count()
    }

    /// What the user was answered so far, in any namespace, as the log has it.
    pub fn lines(&self) -> Vec<Value> {
        let mut text = String::new();
        let mut log = File::open(&self.log).expect("the audit log");
        log.seek(SeekFrom::Start(self.from)).expect("the audit log only grows");
        log.read_to_string(&mut text).expect("the audit log is text");
        text.lines()
            // Most are of others, and need not be read for that.
            .filter(|line| line.contains(&self.user))
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["stage"] == "ResponseComplete")
            .filter(|line| line["user"]["username"] == self.user.as_str())
            .collect()
    }

    /// Watches and everything else.
    fn answered(&self) -> (Vec<Request>, Vec<Request>) {
        self.lines()
            .into_iter()
            .filter(|line| line["objectRef"]["namespace"].as_str().unwrap_or_default() == self.namespace)
            .map(|line| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                Request {
                    verb: text(&line["verb"]),
                    resource: text(&line["objectRef"]["resource"]),
                    name: text(&line["objectRef"]["name"]),
                    code: line["responseStatus"]["code"].as_u64().unwrap_or_default(),
                }
            })
            .partition(|request| request.verb == "watch")
    }

    /// How often each object of this kind was read by its name.
    pub fn reads(&self, resource: &str) -> BTreeMap<String, usize> {
        let mut reads = BTreeMap::new();
        for request in self.requests() {
            if request.verb == "get" && request.resource == resource {
                *reads.entry(request.name).or_default() += 1;
            }
        }
        reads
    }
}
