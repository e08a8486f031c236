//! Compared with somebody who watches the clock, minute by minute.

use std::collections::BTreeSet;
use std::ops::Range;

use jiff::tz::Offset;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

/// What a field of a line says.
#[derive(Clone, Debug)]
enum Values {
    Any,
    These(BTreeSet<i8>),
}

impl Values {
    fn text(&self) -> String {
        match self {
            Self::Any => "*".into(),
            Self::These(values) => values.iter().map(i8::to_string).collect::<Vec<_>>().join(","),
        }
    }

    fn has(&self, value: i8) -> bool {
        match self {
            Self::Any => true,
            Self::These(values) => values.contains(&value),
        }
    }

    fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }
}

fn values(range: Range<i8>, any: u32) -> impl Strategy<Value = Values> {
    prop_oneof![
        any => Just(Values::Any),
        1 => btree_set(range, 1..5).prop_map(Values::These),
    ]
}

/// A schedule as a person reads it, to compare with.
#[derive(Clone, Debug)]
struct Plain {
    minutes: Values,
    hours: Values,
    days: Values,
    weekdays: Values,
    lasts: i64,
    zone: &'static str,
}

const ZONES: &[&str] = &[
    "UTC",
    BERLIN,
    NEW_YORK,
    LORD_HOWE,
    "America/Havana",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Asia/Kathmandu",
    "Pacific/Chatham",
];

fn plain() -> impl Strategy<Value = Plain> {
    let zone = proptest::sample::select(ZONES);
    // Often in the hours where clocks change.
    let hours = prop_oneof![values(0..24, 1), values(0..4, 1)];
    let weekdays = values(0..7, 1);
    (values(0..60, 1), hours, values(1..32, 2), weekdays, 10..2000_i64, zone).prop_map(
        |(minutes, hours, days, weekdays, lasts, zone)| Plain {
            minutes,
            hours,
            days,
            weekdays,
            lasts,
            zone,
        },
    )
}

impl Plain {
    fn schedule(&self) -> Schedule {
        let fields = [&self.minutes, &self.hours, &self.days, &Values::Any, &self.weekdays];
        let line = fields.map(Values::text).join(" ");
        schedule(&line, minutes(self.lasts), self.zone)
    }

    /// Whether the line names a minute of a clock.
    fn names(&self, clock: i64) -> bool {
        let time = Offset::UTC.to_datetime(Timestamp::from_second(clock * 60).expect("a time"));
        let day = self.days.has(time.day());
        let weekday = self.weekdays.has(time.weekday().to_sunday_zero_offset());
        let date = if self.days.is_any() || self.weekdays.is_any() {
            day && weekday
        } else {
            day || weekday
        };
        self.minutes.has(time.minute()) && self.hours.has(time.hour()) && date
    }

    /// In which of those minutes since 1970 it holds, as somebody finds who watches the clock.
    fn watch(&self, watched: Range<i64>) -> Vec<bool> {
        let zone = TimeZone::get(self.zone).expect("a zone");
        let clock = |minute: i64| {
            let moment = Timestamp::from_second(minute * 60).expect("a time");
            minute + i64::from(zone.to_offset(moment).seconds()) / 60
        };
        // Early enough for the opening that holds at first, and for what the clock had shown by then.
        let from = watched.start - self.lasts - 2 * 24 * 60;
        let mut shown = clock(from);
        let mut ends = from;
        let mut holds = Vec::new();
        for minute in from + 1..watched.end {
            let now = clock(minute);
            let starts = if now > shown {
                (shown + 1..=now).any(|passed| self.names(passed))
            } else {
                self.hours.is_any() && self.names(now)
            };
            shown = shown.max(now);
            if starts {
                ends = minute + self.lasts;
            }
            if minute >= watched.start {
                holds.push(minute < ends);
            }
        }
        holds
    }
}

/// Windows, freezes, and a moment shortly before the clocks change in a zone that most of them have.
fn rules() -> impl Strategy<Value = (Vec<Plain>, Vec<Plain>, Timestamp)> {
    let zone = proptest::sample::select(ZONES);
    let some = || vec(plain(), 0..3);
    (some(), some(), zone, 20_000..25_000_i64, 0..3 * 24 * 60_i64).prop_map(
        |(mut windows, mut freezes, zone, day, before)| {
            for rule in windows.iter_mut().chain(&mut freezes) {
                if rule.lasts % 4 != 0 {
                    rule.zone = zone;
                }
            }
            let after = Timestamp::from_second(day * DAY).expect("a time");
            let changes = TimeZone::get(zone).expect("a zone");
            let change = changes
                .following(after)
                .next()
                .map_or(after, |change| change.timestamp());
            (windows, freezes, change - minutes(before))
        },
    )
}

fn times(windows: &[Plain], freezes: &[Plain]) -> RolloutTimes {
    RolloutTimes::new(windows.iter().map(Plain::schedule), freezes.iter().map(Plain::schedule))
}

proptest! {
    // Each takes a third of a second; a thousand were tried once.
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Four days, minute by minute.
    #[test]
    fn somebody_who_watches_the_clock_finds_the_same(
        (windows, freezes, now) in rules(),
    ) {
        let from = now.as_second() / 60;
        let watched = from..from + 4 * 24 * 60;
        let watch = |rules: &[Plain]| -> Vec<Vec<bool>> {
            rules.iter().map(|rule| rule.watch(watched.clone())).collect()
        };
        let (inside, frozen) = (watch(&windows), watch(&freezes));
        let times = times(&windows, &freezes);

        let opens: Vec<bool> = (0..4 * 24 * 60)
            .map(|at| {
                let is_inside = inside.is_empty() || inside.iter().any(|holds| holds[at]);
                is_inside && !frozen.iter().any(|holds| holds[at])
            })
            .collect();
        let time = |at: usize| now + SignedDuration::from_mins(i64::try_from(at).expect("a few days"));
        // Around each change, and now and then.
        let asked = (1..opens.len()).filter(|at| at % 97 == 0 || opens[*at] != opens[at - 1]);
        for at in asked.flat_map(|at| [at - 1, at]) {
            let truth = (at..opens.len()).find(|at| opens[*at]).map(time);
            let permit = times.permits(time(at));
            match permit {
                Permit::Open => prop_assert!(opens[at], "{}", time(at)),
                Permit::Frozen { until } | Permit::OutsideWindow { until } if truth.is_some() => {
                    prop_assert_eq!(until, truth, "{}", time(at));
                    prop_assert!(!opens[at]);
                }
                Permit::Frozen { until } | Permit::OutsideWindow { until } => {
                    prop_assert!(until.is_none_or(|until| until >= time(opens.len())), "{until:?}");
                }
            }
            let is_frozen = frozen.iter().any(|holds| holds[at]);
            prop_assert_eq!(matches!(permit, Permit::Frozen { .. }), is_frozen);
        }
    }

    /// Far ahead too, and to the nanosecond.
    #[test]
    fn until_is_the_first_moment_that_is_open(
        (windows, freezes, now) in rules(),
        nanosecond in 0..1_000_000_000_i64,
    ) {
        let times = times(&windows, &freezes);
        let now = now + SignedDuration::from_nanos(nanosecond);
        if let Permit::Frozen { until: Some(until) } | Permit::OutsideWindow { until: Some(until) } = times.permits(now) {
            let permit = times.permits(until);
            // What never opens, as a freeze of ten minutes at each minute, is followed for some days.
            prop_assert!(permit == Permit::Open || until > now + hours(24 * 2), "{until} {permit:?}");
            prop_assert_ne!(times.permits(until - SignedDuration::from_nanos(1)), Permit::Open);
        }
    }

    #[test]
    fn nothing_that_is_written_as_a_line_is_any_trouble(line in "[-0-9*/,#L?+@ A-Z]{0,30}|.{0,20}") {
        if let Ok(schedule) = Schedule::parse(&line, hours(1), BERLIN) {
            let _ = within([schedule]).permits(at("2026-01-01T00:00Z"));
        }
    }
}
