//! A person's manual overrides: annotations on a workload that are set to a time and count once.
//!
//! They may be left behind or come back with an undo, so one counts only while it is young, younger
//! than the last restart, and younger than the last one that was answered.

use jiff::{SignedDuration, Timestamp};

use crate::annotation;

/// For how long a manual override counts.
const YOUNG: SignedDuration = SignedDuration::from_hours(1);

/// How far ahead somebody's clock may be.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ManualOverride {
    /// Whatever holds it back, go on.
    Resume,
    /// Take the present content as what its pods run.
    Skip,
    /// Do not wait.
    RestartNow,
}

pub const MANUAL_OVERRIDES: [ManualOverride; 3] =
    [ManualOverride::Resume, ManualOverride::Skip, ManualOverride::RestartNow];

impl ManualOverride {
    #[must_use]
    pub fn annotation(self) -> &'static str {
        match self {
            Self::Resume => annotation::RESUME,
            Self::Skip => annotation::SKIP,
            Self::RestartNow => annotation::RESTART_NOW,
        }
    }
}

/// The manual overrides that are set on a workload: the newest that can be read, and what is wrong with others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManualOverrides {
    /// Which, and the time that it was set to.
    pub newest: Option<(ManualOverride, Timestamp)>,
    /// One whose value is no time.
    pub unreadable: Option<ManualOverride>,
}

impl ManualOverrides {
    /// Reads them. `None`: none is set.
    #[must_use]
    pub fn from_annotations<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Box<Self>> {
        let mut manual_overrides = Self::default();
        for manual_override in MANUAL_OVERRIDES {
            let Some(text) = get(manual_override.annotation()) else {
                continue;
            };
            // As a baseline has it: by what is finer than that, one that was answered would count again.
            let time = text.trim().parse::<Timestamp>();
            match time.map(|at| Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)) {
                Ok(at) if manual_overrides.newest.is_none_or(|(_, newest)| newest < at) => {
                    manual_overrides.newest = Some((manual_override, at));
                }
                Ok(_) => {}
                Err(_) => manual_overrides.unreadable = Some(manual_override),
            }
        }
        (manual_overrides != Self::default()).then(|| Box::new(manual_overrides))
    }
}

/// Whether a manual override of that time still counts, or why not.
///
/// # Errors
/// Why it does not.
pub fn check_in_effect(at: Timestamp, now: Timestamp, last_restart: Option<i64>) -> Result<(), &'static str> {
    let age = now.duration_since(at);
    if age > YOUNG {
        return Err("the time is more than an hour ago");
    }
    if age < -AHEAD {
        return Err("the time is more than 5 minutes in the future");
    }
    if last_restart.is_some_and(|restart| at.as_second() < restart) {
        return Err("the workload was restarted since");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn the_newest_lever_counts_and_nonsense_is_told() {
        let set = |values: &'static [(&'static str, &'static str)]| {
            ManualOverrides::from_annotations(|name| {
                values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
            })
        };
        assert_eq!(set(&[]), None);
        let manual_overrides = set(&[
            (annotation::RESUME, "2026-11-21T10:00:00Z"),
            (annotation::SKIP, "2026-11-21T11:00:00+00:00"),
        ]);
        let manual_overrides = manual_overrides.expect("two are set");
        assert_eq!(
            manual_overrides.newest.map(|(manual_override, _)| manual_override),
            Some(ManualOverride::Skip)
        );
        let exact = set(&[(annotation::SKIP, "2026-11-21T11:00:00.123456789Z")]).expect("one is set");
        let read = "2026-11-21T11:00:00.123Z".parse().expect("a time");
        assert_eq!(
            exact.newest,
            Some((ManualOverride::Skip, read)),
            "no finer than a baseline has it"
        );
        let manual_overrides = set(&[(annotation::RESTART_NOW, "now")]).expect("one is set");
        assert_eq!(
            (manual_overrides.newest, manual_overrides.unreadable),
            (None, Some(ManualOverride::RestartNow))
        );
    }

    #[test]
    fn a_lever_counts_while_it_is_young_and_nothing_came_after() {
        let now = at(10_000);
        for (second, restart, expected) in [
            (10_000, None, true),
            (6_400, None, true),
            (6_399, None, false),
            (10_300, None, true),
            (10_301, None, false),
            (9_000, Some(8_999), true),
            (9_000, Some(9_000), true),
            (9_000, Some(9_001), false),
        ] {
            assert_eq!(
                check_in_effect(at(second), now, restart).is_ok(),
                expected,
                "{second} {restart:?}"
            );
        }
    }
}
