//! The five fields of a cron line, and the civil times that match them.
//!
//! Croner reads the line; the search is ours. Its own search follows the clock of a time zone second
//! by second through a gap and year by year to 5000 for a date that never comes. Which days of a
//! month match depends only on the month's length and its first weekday, so 28 small sets answer
//! for every month there is.

use croner::parser::{CronParser, Seconds, Year};
use croner::{CronPattern, Weekday};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use super::InvalidSchedule;

pub(super) const MINUTE: i64 = 60;
pub(super) const DAY: i64 = 24 * 60 * MINUTE;

/// How many months a search looks at. Ahead: a 29 February is up to eight years away, around 2100,
/// and this is a little more than what [`super::HORIZON`] asks for. Back: an opening lasts a year at
/// most, and its first and its last month are incomplete.
const MONTHS_AHEAD: usize = 12 * 10 + 2;
const MONTHS_BACK: usize = 12 + 2;

struct Field {
    name: &'static str,
    accepted: &'static str,
    names: &'static [&'static str],
    /// What is accepted besides values, ranges and steps.
    is_special: fn(&str) -> bool,
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        accepted: "0-59",
        names: &[],
        is_special: |_| false,
    },
    Field {
        name: "hour",
        accepted: "0-23",
        names: &[],
        is_special: |_| false,
    },
    Field {
        name: "day-of-month",
        accepted: "1-31, L for the last one",
        names: &[],
        is_special: |item| item == "L",
    },
    Field {
        name: "month",
        accepted: "1-12, JAN-DEC",
        names: &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
        is_special: |_| false,
    },
    Field {
        name: "day-of-week",
        accepted: "0-7 (0 and 7 are Sunday), SUN-SAT, 5L for the last Friday of a month, 5#2 for its second",
        names: WEEKDAYS,
        is_special: |item| {
            let day = |text: &str| is_value(text, WEEKDAYS);
            let nth = |text: &str| matches!(text, "1" | "2" | "3" | "4" | "5");
            item.strip_suffix('L').is_some_and(day)
                || item
                    .split_once('#')
                    .is_some_and(|(text, number)| day(text) && nth(number))
        },
    },
];

const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The matching values of each field as bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    minutes: u64,
    hours: u32,
    months: u16,
    /// The matching days of a month, by its length less 28 and by its first weekday, Sunday first.
    days: [[u32; 7]; 4],
}

impl Line {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidSchedule> {
        if text.trim_start().starts_with('@') {
            return Err(InvalidSchedule::Nickname(text.into()));
        }
        let upper = text.to_ascii_uppercase();
        let texts: Vec<&str> = upper.split_ascii_whitespace().collect();
        if texts.len() != FIELDS.len() {
            return Err(InvalidSchedule::Fields(texts.len()));
        }
        let invalid = |field: &Field, text: &str| InvalidSchedule::Field {
            name: field.name,
            text: text.into(),
            accepted: field.accepted,
        };
        for (field, text) in FIELDS.iter().zip(&texts) {
            // Croner takes more than it says: empty items, names in any field, `+` and `?`.
            if !text.split(',').all(|item| is_item(item, field)) {
                return Err(invalid(field, text));
            }
        }
        let Some(pattern) = read(&texts) else {
            // Its errors do not name the field, so each one is tried alone.
            let culprit = FIELDS.iter().zip(&texts).enumerate().find(|(at, (_, text))| {
                let mut alone = ["*"; FIELDS.len()];
                alone.iter_mut().skip(*at).take(1).for_each(|it| *it = text);
                read(&alone).is_none()
            });
            return Err(
                culprit.map_or(InvalidSchedule::Fields(texts.len()), |(_, (field, text))| {
                    invalid(field, text)
                }),
            );
        };
        let line = Self {
            minutes: bits(&pattern.minutes.values()),
            hours: bits(&pattern.hours.values()),
            months: bits(&pattern.months.values()),
            days: days(&pattern),
        };
        if line.ever_matches() {
            Ok(line)
        } else {
            Err(InvalidSchedule::Never(text.into()))
        }
    }

    /// It names no hours, so that it speaks of minutes that pass rather than of times on a clock.
    pub(super) fn is_every_hour(&self) -> bool {
        self.hours == (1 << 24) - 1
    }

    /// The first match at or after a civil time; both in seconds of a clock that began in 1970.
    pub(super) fn first_from(&self, clock: i64) -> Option<i64> {
        let minute = clock.checked_add(MINUTE - 1)?.div_euclid(MINUTE) * MINUTE;
        let date = date(minute)?;
        if has(self.days_in(date), day_of(date))
            && let Some(time) = self.first_time(time_of(minute))
        {
            return Some(midnight(date)? + time);
        }
        let mut month = date.first_of_month();
        let mut days = self.days_in(month) & above(day_of(date));
        for _ in 0..MONTHS_AHEAD {
            if days != 0 {
                let day = i64::from(days.trailing_zeros()) - 1;
                return Some(midnight(month)? + day * DAY + self.first_time((0, 0))?);
            }
            month = next_month(month)?;
            days = self.days_in(month);
        }
        None
    }

    /// The last match at or before a civil time, not much more than a year back.
    pub(super) fn last_until(&self, clock: i64) -> Option<i64> {
        let date = date(clock)?;
        if has(self.days_in(date), day_of(date))
            && let Some(time) = self.last_time(time_of(clock))
        {
            return Some(midnight(date)? + time);
        }
        let mut month = date.first_of_month();
        let mut days = self.days_in(month) & below(day_of(date));
        for _ in 0..MONTHS_BACK {
            if let Some(day) = days.checked_ilog2() {
                return Some(midnight(month)? + (i64::from(day) - 1) * DAY + self.last_time((23, 59))?);
            }
            month = month.yesterday().ok()?.first_of_month();
            days = self.days_in(month);
        }
        None
    }

    /// The matching days of the month that the date is in.
    fn days_in(&self, date: Date) -> u32 {
        if self.months >> date.month() & 1 == 0 {
            return 0;
        }
        let length = usize::from(date.days_in_month().unsigned_abs()) - 28;
        let first = date.first_of_month().weekday().to_sunday_zero_offset().unsigned_abs();
        let by_first = self.days.get(length).and_then(|it| it.get(usize::from(first)));
        by_first.copied().unwrap_or(0)
    }

    /// Seconds after midnight, at or after that hour and minute.
    fn first_time(&self, (hour, minute): (u32, u32)) -> Option<i64> {
        let minutes = self.minutes & (u64::MAX << minute);
        if has(self.hours, hour) && minutes != 0 {
            return Some(seconds(hour, minutes.trailing_zeros()));
        }
        let hours = self.hours & above(hour);
        (hours != 0).then(|| seconds(hours.trailing_zeros(), self.minutes.trailing_zeros()))
    }

    fn last_time(&self, (hour, minute): (u32, u32)) -> Option<i64> {
        let minutes = self.minutes & (u64::MAX >> (63 - minute));
        if has(self.hours, hour)
            && let Some(minute) = minutes.checked_ilog2()
        {
            return Some(seconds(hour, minute));
        }
        let hours = (self.hours & below(hour)).checked_ilog2()?;
        Some(seconds(hours, self.minutes.checked_ilog2()?))
    }

    /// Each first weekday comes to a month of each length sooner or later, so the sets tell.
    fn ever_matches(&self) -> bool {
        let lengths = |month: u8| match month {
            2 => 0..2,
            4 | 6 | 9 | 11 => 2..3,
            _ => 3..4,
        };
        (1..=12)
            .filter(|month| self.months >> month & 1 == 1)
            .filter_map(|month| self.days.get(lengths(month)))
            .flatten()
            .flatten()
            .any(|days| *days != 0)
    }
}

/// `*`, a value, a range; a step after `*` or a range.
fn is_item(item: &str, field: &Field) -> bool {
    let value = |text: &str| is_value(text, field.names);
    let many = |text: &str| text == "*" || text.split_once('-').is_some_and(|(from, to)| value(from) && value(to));
    match item.split_once('/') {
        Some((range, step)) => many(range) && is_number(step),
        None => many(item) || value(item) || (field.is_special)(item),
    }
}

fn is_value(text: &str, names: &[&str]) -> bool {
    is_number(text) || names.contains(&text)
}

fn is_number(text: &str) -> bool {
    matches!(text.len(), 1..=2) && text.bytes().all(|c| c.is_ascii_digit())
}

fn read(fields: &[&str]) -> Option<CronPattern> {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed);
    Some(parser.build().parse(&fields.join(" ")).ok()?.pattern)
}

fn bits<T: From<u8> + std::ops::BitOr<Output = T> + std::ops::Shl<u16, Output = T>>(values: &[u16]) -> T {
    values
        .iter()
        .fold(T::from(0), |bits, value| bits | (T::from(1) << *value))
}

fn days(pattern: &CronPattern) -> [[u32; 7]; 4] {
    // A month of each length; croner takes the weekday as it is told.
    let months = [(2001, 2, 28), (2000, 2, 29), (2001, 4, 30), (2001, 1, 31)];
    months.map(|(year, month, length)| {
        [0, 1, 2, 3, 4, 5, 6].map(|first| {
            let is_match = |day: &u32| {
                let weekday = Weekday::from_days_from_sunday(first + day - 1);
                pattern.day_match(year, month, *day, weekday).unwrap_or(false)
            };
            (1..=length).filter(is_match).fold(0, |days, day| days | 1 << day)
        })
    })
}

fn has(bits: u32, bit: u32) -> bool {
    bits.checked_shr(bit).is_some_and(|bits| bits & 1 == 1)
}

/// All bits above the given one.
fn above(bit: u32) -> u32 {
    u32::MAX.checked_shl(bit + 1).unwrap_or(0)
}

/// All bits below the given one.
fn below(bit: u32) -> u32 {
    !u32::MAX.checked_shl(bit).unwrap_or(0)
}

fn seconds(hour: u32, minute: u32) -> i64 {
    (i64::from(hour) * 60 + i64::from(minute)) * MINUTE
}

/// The hour and the minute.
fn time_of(clock: i64) -> (u32, u32) {
    let minute = u32::try_from(clock.rem_euclid(DAY) / MINUTE).unwrap_or(0);
    (minute / 60, minute % 60)
}

fn date(clock: i64) -> Option<Date> {
    Some(Offset::UTC.to_datetime(Timestamp::from_second(clock).ok()?).date())
}

/// The first of the month after that of a first. A span would do, at several times the cost.
fn next_month(first: Date) -> Option<Date> {
    let next = match first.month() {
        12 => Date::new(first.year() + 1, 1, 1),
        month => Date::new(first.year(), month + 1, 1),
    };
    next.ok()
}

fn midnight(date: Date) -> Option<i64> {
    let midnight = Offset::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::midnight()));
    Some(midnight.ok()?.as_second())
}

fn day_of(date: Date) -> u32 {
    u32::from(date.day().unsigned_abs())
}
