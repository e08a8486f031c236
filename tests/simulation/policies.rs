//! Policies of the simulation: as objects for the controller, and as plain numbers for the checks,
//! which read no cron line.

use serde_json::{Value, json};
use windlass_core::policy::PolicyRef;

use super::cluster::printed;

/// A quarter or so of every hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The minute at which it begins.
    pub minute: u64,
    pub minutes: u64,
}

impl Opening {
    /// Whether it holds at a second since 1970.
    pub fn holds(self, second: i64) -> bool {
        let since = (second - i64::try_from(self.minute * 60).unwrap_or(0)).rem_euclid(3600);
        since < i64::try_from(self.minutes * 60).unwrap_or(0)
    }

    fn object(self) -> Value {
        json!({ "schedule": format!("{} * * * *", self.minute), "duration": format!("{}m", self.minutes) })
    }
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub windows: Vec<Opening>,
    pub freezes: Vec<Opening>,
    pub max_parallel: Option<usize>,
    /// In seconds.
    pub min_interval: u64,
    pub settle: u64,
    pub deadline: u64,
    pub halt: bool,
    /// Labels `tier`, one for each wave.
    pub waves: Vec<u64>,
    pub suspend: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            windows: Vec::new(),
            freezes: Vec::new(),
            max_parallel: None,
            min_interval: 0,
            settle: 1,
            deadline: 600,
            halt: false,
            waves: Vec::new(),
            suspend: false,
        }
    }
}

impl Rules {
    pub fn wave(&self, tier: u64) -> usize {
        let first = self.waves.iter().position(|wave| *wave == tier);
        first.unwrap_or(self.waves.len())
    }

    pub fn object(&self, reference: &PolicyRef, version: u64) -> Value {
        let Self {
            windows,
            freezes,
            max_parallel,
            min_interval,
            settle,
            deadline,
            halt,
            waves,
            suspend,
        } = self;
        let openings = |all: &[Opening]| -> Vec<Value> { all.iter().map(|it| it.object()).collect() };
        let waves: Vec<Value> = waves
            .iter()
            .map(|tier| json!({ "selector": { "matchLabels": { "tier": tier.to_string() } } }))
            .collect();
        let mut restart = json!({
            "windows": openings(windows), "freezes": openings(freezes),
            "minInterval": format!("{min_interval}s"), "settle": format!("{settle}s"),
            "deadline": format!("{deadline}s"), "haltOnFailure": halt, "waves": waves,
        });
        if let Some(limit) = max_parallel {
            restart["maxParallel"] = (*limit).into();
        }
        let mut metadata = json!({
            "name": reference.name.as_str(), "uid": format!("{reference}"),
            "resourceVersion": version.to_string(), "generation": version, "creationTimestamp": printed(0),
        });
        if let Some(namespace) = &reference.namespace {
            metadata["namespace"] = namespace.as_str().into();
        }
        json!({
            "metadata": metadata,
            "spec": { "workloads": { "selector": {} }, "restart": restart, "suspend": suspend },
        })
    }
}
