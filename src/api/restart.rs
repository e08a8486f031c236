//! When and how fast a policy restarts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_core::policy::PolicySettings;
use windlass_core::policy::window::{RolloutTimes, Schedule};

use super::Duration;
use super::schema::{SCHEDULE, TIME_ZONE, shape};
use super::selector::LabelSelector;
use super::validate::{Bounds, Invalid, at_most, within};

const SETTLE: Bounds = Bounds::new("0s", "1h");
const MIN_INTERVAL: Bounds = Bounds::new("0s", "168h");
const DEADLINE: Bounds = Bounds::new("1s", "24h");
const WINDOW: Bounds = Bounds::new("1m", "8784h");
const MOST_PARALLEL: u32 = 10_000;
const WINDOWS: usize = 32;
const WAVES: usize = 16;

/// When and how fast workloads are restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// How long to collect further changes after the first one before a restart; later changes do not
    /// extend this time. From 0s to 1h; unset: the controller's --settle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = SETTLE.schema("settle")))]
    pub settle: Option<Duration>,
    /// Minimum time between two restarts of the same workload. From 0s to 168h (7 days); unset: 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = MIN_INTERVAL.schema("minInterval")))]
    pub min_interval: Option<Duration>,
    /// How many workloads of this policy may roll at the same time. From 1 to 10000; unset: only the
    /// controller's --max-parallel applies, which is always an upper limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MOST_PARALLEL))]
    pub max_parallel: Option<u32>,
    /// Times when restarts may start; at most 32. None: any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = WINDOWS))]
    pub windows: Vec<Window>,
    /// Times when no restart may start, even within windows; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = WINDOWS))]
    pub freezes: Vec<Window>,
    /// Whether a workload that fails after a change holds other workloads with the same change until
    /// it recovers, the source changes again, or a person resumes. Unset: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt_on_failure: Option<bool>,
    /// How long a rollout may take before it fails and releases its rollout slot. From 1s to 24h;
    /// unset: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = DEADLINE.schema("deadline")))]
    pub deadline: Option<Duration>,
    /// Restart order for a change: workloads of the first wave start first, workloads without a wave
    /// last; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = WAVES))]
    pub waves: Vec<Wave>,
}

impl Restart {
    /// What it says, checked.
    pub(super) fn compile(&self) -> Result<PolicySettings, Invalid> {
        let Self {
            settle,
            min_interval,
            max_parallel,
            windows,
            freezes,
            halt_on_failure,
            deadline,
            waves,
        } = self;
        at_most(WAVES, waves.len(), "restart.waves", "waves")?;
        Ok(PolicySettings {
            settle: SETTLE.check_given("restart.settle", *settle)?,
            min_interval: MIN_INTERVAL.check_given("restart.minInterval", *min_interval)?,
            max_parallel: max_parallel
                .map(|limit| within(1, MOST_PARALLEL, "restart.maxParallel", limit))
                .transpose()?,
            times: RolloutTimes::new(
                schedules("restart.windows", windows)?,
                schedules("restart.freezes", freezes)?,
            ),
            halt_on_failure: *halt_on_failure,
            deadline: DEADLINE.check_given("restart.deadline", *deadline)?,
            waves: Some(waves.iter().map(|wave| wave.selector.compile()).collect()),
            ..PolicySettings::default()
        })
    }
}

/// A recurring time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Start as a cron line with five fields: minute, hour, day of month, month, day of week; "0 2 *
    /// * 1-5" is 02:00 on workdays.
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
    /// Duration. From 1m to 8784h (366 days).
    #[schemars(extend("x-kubernetes-validations" = WINDOW.schema("duration")))]
    pub duration: Duration,
    /// IANA time zone of the schedule, such as Europe/Berlin; default UTC.
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
    /// Labels of the workloads in this wave; the first matching wave applies.
    pub selector: LabelSelector,
}

fn schedules(field: &str, windows: &[Window]) -> Result<Vec<Schedule>, Invalid> {
    at_most(WINDOWS, windows.len(), field, "entries")?;
    let windows = windows.iter().enumerate();
    windows
        .map(|(at, window)| window.compile(&format!("{field}[{at}]")))
        .collect()
}

impl Window {
    fn compile(&self, field: &str) -> Result<Schedule, Invalid> {
        let Self {
            schedule,
            duration,
            time_zone,
        } = self;
        let lasts = WINDOW.check(&format!("{field}.duration"), *duration)?;
        Schedule::parse(schedule, lasts, time_zone).map_err(|why| Invalid::new(field, why))
    }
}
