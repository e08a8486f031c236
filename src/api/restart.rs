//! When and how fast a policy restarts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;
use super::schema::{SCHEDULE, TIME_ZONE, between, shape};
use super::selector::LabelSelector;

/// When and how fast workloads are restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// How long to gather further changes before a restart, from the first one; later changes do not
    /// push it out. From 0s to 1h; unset: the controller's --settle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("settle", "0s", "1h")))]
    pub settle: Option<Duration>,
    /// Least time between two restarts of the same workload. From 0s to 168h (7 days); unset: 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("minInterval", "0s", "168h")))]
    pub min_interval: Option<Duration>,
    /// How many workloads of this policy roll at a time. From 1 to 10000; unset: as many as the
    /// controller's --max-parallel lets, which holds in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_parallel: Option<u32>,
    /// Times in which restarts may begin; at most 32. None: at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub windows: Vec<Window>,
    /// Times in which no restart may begin, whatever the windows say; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub freezes: Vec<Window>,
    /// Whether a workload that fails after a change keeps that change from the others that wait for it,
    /// until the workload recovers, the source changes again, or somebody resumes. Unset: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt_on_failure: Option<bool>,
    /// How long a rollout may take until it counts as failed and makes room for the next. From 1s to
    /// 24h; unset: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("deadline", "1s", "24h")))]
    pub deadline: Option<Duration>,
    /// Order in which workloads are restarted for one change: those that the first wave selects go
    /// first, those that no wave selects go last; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub waves: Vec<Wave>,
}

/// A time that comes again and again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// When it begins, as a cron line of five fields: minute, hour, day of month, month, day of week;
    /// "0 2 * * 1-5" is at two on workdays.
    #[schemars(
        length(max = 128),
        regex(pattern = SCHEDULE),
        extend("x-kubernetes-validations" = shape(
            SCHEDULE,
            "schedule must be a cron line of five fields (minute, hour, day of month, month, day of week) \
             of digits, names and * / , - #, such as 0 2 * * 1-5",
        )),
    )]
    pub schedule: String,
    /// How long it lasts. From 1m to 8784h (366 days).
    #[schemars(extend("x-kubernetes-validations" = between("duration", "1m", "8784h")))]
    pub duration: Duration,
    /// Zone of the IANA time zone database in which the schedule is meant, such as Europe/Berlin; default
    /// UTC.
    #[serde(default = "utc")]
    #[schemars(
        length(max = 64),
        regex(pattern = TIME_ZONE),
        extend("x-kubernetes-validations" = shape(
            TIME_ZONE,
            "timeZone must be UTC or a name of the IANA time zone database, such as Europe/Berlin",
        )),
    )]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// Workloads that are restarted before others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wave {
    /// Labels of the workloads of this wave; the first wave that selects a workload has it.
    pub selector: LabelSelector,
}
