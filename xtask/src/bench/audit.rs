//! Requests as the API server itself counted them: one line per request in its audit log, written
//! when the answer was complete. A watch appears when it ends.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the verb of a request that changes nothing begins with.
const DRY_RUN: &str = "dry-run-";

/// A user and a time in which its requests are counted.
#[derive(Clone)]
pub struct Window {
    /// What the time is called.
    pub name: &'static str,
    /// Whose requests.
    pub user: String,
    /// First moment.
    pub from: Timestamp,
    /// Last moment.
    pub to: Timestamp,
}

/// What was requested in a window.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Requests {
    /// Requests by verb and resource, such as "patch deployments".
    pub counts: BTreeMap<String, u64>,
    /// How often each Secret was read, by its name.
    #[serde(skip)]
    pub secret_gets: BTreeMap<String, u64>,
}

impl Requests {
    /// How many have one of these verbs, whatever the resource.
    pub fn with_verb(&self, verbs: &[&str]) -> u64 {
        self.sum(|verb, _| verbs.contains(&verb))
    }

    /// How many have this verb on this resource.
    pub fn of(&self, verb: &str, resource: &str) -> u64 {
        self.sum(|found_verb, found_resource| found_verb == verb && found_resource == resource)
    }

    /// How many go to this resource.
    pub fn on(&self, resource: &str) -> u64 {
        self.sum(|_, found| found == resource)
    }

    /// How many only asked what would become of them.
    pub fn dry_runs(&self) -> u64 {
        self.sum(|verb, _| verb.starts_with(DRY_RUN))
    }

    /// How many would change this resource or a subresource of it.
    pub fn writes_to(&self, resource: &str) -> u64 {
        self.sum(|verb, found| !["get", "list", "watch"].contains(&verb) && found.split('/').next() == Some(resource))
    }

    /// How many there are.
    pub fn all(&self) -> u64 {
        self.sum(|_, _| true)
    }

    fn add(&mut self, entry: &Entry) {
        let ObjectRef { resource, name, .. } = &entry.object_ref;
        if entry.verb == "get" && resource == "secrets" {
            *self.secret_gets.entry(name.clone()).or_default() += 1;
        }
        *self.counts.entry(entry.name()).or_default() += 1;
    }

    fn sum(&self, matches: impl Fn(&str, &str) -> bool) -> u64 {
        self.counts
            .iter()
            .filter(|(name, _)| {
                name.split_once(' ')
                    .is_some_and(|(verb, resource)| matches(verb, resource))
            })
            .map(|(_, count)| count)
            .sum()
    }
}

/// Counts by the name of the window; several windows may share one.
pub fn count(log: &Path, windows: &[Window]) -> Result<BTreeMap<&'static str, Requests>> {
    let mut counts: BTreeMap<&'static str, Requests> = windows
        .iter()
        .map(|window| (window.name, Requests::default()))
        .collect();
    for path in files(log)? {
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        for line in BufReader::new(file).lines() {
            let line = line.with_context(|| format!("read {}", path.display()))?;
            let Ok(entry) = serde_json::from_str::<Entry>(&line) else {
                continue;
            };
            for window in windows.iter().filter(|window| window.contains(&entry)) {
                counts.entry(window.name).or_default().add(&entry);
            }
        }
    }
    Ok(counts)
}

impl Window {
    fn contains(&self, entry: &Entry) -> bool {
        entry.user.username == self.user && (self.from..=self.to).contains(&entry.received)
    }
}

/// The log and, since the API server begins a new file when one is full, those before it.
fn files(log: &Path) -> Result<Vec<PathBuf>> {
    let folder = log.parent().context("the audit log lies in a folder")?;
    let stem = log
        .file_stem()
        .context("the audit log has a name")?
        .to_string_lossy()
        .into_owned();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path == log || (name.starts_with(&format!("{stem}-")) && path.extension() == log.extension()) {
            files.push(path);
        }
    }
    Ok(files)
}

/// As much of an audit Event as is counted, see
/// <https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/>.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default, rename = "requestURI")]
    uri: String,
    #[serde(rename = "requestReceivedTimestamp")]
    received: Timestamp,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    name: String,
}

impl Entry {
    fn name(&self) -> String {
        let ObjectRef {
            resource,
            subresource,
            name: _,
        } = &self.object_ref;
        let slash = if subresource.is_empty() { "" } else { "/" };
        let dry_run = if self.uri.contains("dryRun=All") { DRY_RUN } else { "" };
        format!("{dry_run}{} {resource}{slash}{subresource}", self.verb)
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Requests};

    fn entry(verb: &str, resource: &str, subresource: &str, name: &str) -> Entry {
        let line = serde_json::json!({
            "kind": "Event", "verb": verb, "user": {"username": "windlass", "groups": ["system:masters"]},
            "objectRef": {
                "resource": resource, "subresource": subresource, "namespace": "bench", "name": name, "apiVersion": "v1",
            },
            "stage": "ResponseComplete", "requestReceivedTimestamp": "2026-11-21T10:00:00.123456Z",
        });
        serde_json::from_value(line).expect("the line is an entry")
    }

    #[test]
    fn a_line_of_the_audit_log_is_counted_by_verb_and_resource() {
        let line = r#"{"kind":"Event","verb":"patch","user":{"username":"windlass","groups":["system:masters"]},
            "objectRef":{"resource":"deployments","namespace":"bench","name":"x","apiGroup":"apps","apiVersion":"v1"},
            "stage":"ResponseComplete","requestReceivedTimestamp":"2026-11-21T10:00:00.123456Z"}"#;
        let entry: Entry = serde_json::from_str(line).expect("the line is an entry");
        assert_eq!(entry.name(), "patch deployments");
    }

    #[test]
    fn a_dry_run_is_counted_by_itself() {
        let line = r#"{"verb":"patch","user":{"username":"windlass"},
            "requestURI":"/apis/apps/v1/namespaces/bench/deployments/x?&dryRun=All&fieldManager=windlass",
            "objectRef":{"resource":"deployments","namespace":"bench","name":"x"},
            "requestReceivedTimestamp":"2026-11-21T10:00:00.123456Z"}"#;
        let mut requests = Requests::default();
        requests.add(&serde_json::from_str(line).expect("the line is an entry"));
        assert_eq!(requests.of("patch", "deployments"), 0);
        assert_eq!(requests.dry_runs(), 1);
    }

    #[test]
    fn requests_add_up_by_verb_and_by_resource() {
        let mut requests = Requests::default();
        for (verb, resource, subresource, name) in [
            ("get", "secrets", "", "a"),
            ("get", "secrets", "", "a"),
            ("get", "secrets", "", "b"),
            ("list", "deployments", "", ""),
            ("create", "events", "", ""),
            ("patch", "events", "", "c"),
            ("get", "cronjobs", "", "d"),
            ("patch", "cronjobs", "", "d"),
            ("update", "cronjobs", "status", "d"),
        ] {
            requests.add(&entry(verb, resource, subresource, name));
        }
        assert_eq!(requests.all(), 9);
        assert_eq!(requests.with_verb(&["get", "list"]), 5);
        assert_eq!(requests.on("events"), 2);
        assert_eq!(requests.of("patch", "events"), 1);
        assert_eq!(requests.writes_to("cronjobs"), 2);
        assert_eq!(requests.secret_gets.get("a"), Some(&2));
        assert_eq!(requests.secret_gets.get("b"), Some(&1));
    }
}
