//! A person's levers: annotations on a workload that are set to a time and count once.
//!
//! They may be left behind or come back with an undo, so one counts only while it is young, younger
//! than the last restart, and younger than the last one that was answered.

use jiff::{SignedDuration, Timestamp};

use crate::annotation;

/// For how long a lever counts.
const YOUNG: SignedDuration = SignedDuration::from_hours(1);

/// How far ahead somebody's clock may be.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lever {
    /// Whatever holds it back, go on.
    Resume,
    /// Take the present content as what its pods run.
    Skip,
    /// Do not wait.
    RestartNow,
}

/// All of them.
pub const LEVERS: [Lever; 3] = [Lever::Resume, Lever::Skip, Lever::RestartNow];

impl Lever {
    /// The annotation.
    #[must_use]
    pub fn annotation(self) -> &'static str {
        match self {
            Self::Resume => annotation::RESUME,
            Self::Skip => annotation::SKIP,
            Self::RestartNow => annotation::RESTART_NOW,
        }
    }
}

/// The levers that are set on a workload: the newest that can be read, and what is wrong with others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levers {
    /// Which, and the time that it was set to.
    pub newest: Option<(Lever, Timestamp)>,
    /// One whose value is no time.
    pub unreadable: Option<Lever>,
}

impl Levers {
    /// Reads them. `None`: none is set.
    #[must_use]
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Box<Self>> {
        let mut levers = Self::default();
        for lever in LEVERS {
            let Some(text) = get(lever.annotation()) else { continue };
            // As a baseline has it: by what is finer than that, one that was answered would count again.
            let time = text.trim().parse::<Timestamp>();
            match time.map(|at| Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)) {
                Ok(at) if levers.newest.is_none_or(|(_, newest)| newest < at) => levers.newest = Some((lever, at)),
                Ok(_) => {}
                Err(_) => levers.unreadable = Some(lever),
            }
        }
        (levers != Self::default()).then(|| Box::new(levers))
    }
}

/// Whether a lever of that time still counts, or why not.
///
/// # Errors
/// Why it does not.
pub fn counts(at: Timestamp, now: Timestamp, last_restart: Option<i64>) -> Result<(), &'static str> {
    let age = now.duration_since(at);
    if age > YOUNG {
        return Err("its time is more than an hour ago");
    }
    if age < -AHEAD {
        return Err("its time is more than 5 minutes ahead");
    }
    if last_restart.is_some_and(|restart| at.as_second() < restart) {
        return Err("it was restarted since");
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
            Levers::read(|name| values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
        };
        assert_eq!(set(&[]), None);
        let levers = set(&[
            (annotation::RESUME, "2026-11-21T10:00:00Z"),
            (annotation::SKIP, "2026-11-21T11:00:00+00:00"),
        ]);
        let levers = levers.expect("two are set");
        assert_eq!(levers.newest.map(|(lever, _)| lever), Some(Lever::Skip));
        let exact = set(&[(annotation::SKIP, "2026-11-21T11:00:00.123456789Z")]).expect("one is set");
        let read = "2026-11-21T11:00:00.123Z".parse().expect("a time");
        assert_eq!(
            exact.newest,
            Some((Lever::Skip, read)),
            "no finer than a baseline has it"
        );
        let levers = set(&[(annotation::RESTART_NOW, "now")]).expect("one is set");
        assert_eq!((levers.newest, levers.unreadable), (None, Some(Lever::RestartNow)));
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
                counts(at(second), now, restart).is_ok(),
                expected,
                "{second} {restart:?}"
            );
        }
    }
}
