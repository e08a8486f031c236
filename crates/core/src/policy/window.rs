//! When a policy lets rollouts begin: its windows and its freezes.
//!
//! An opening begins at each time of a cron line, read on the clock of a time zone, and lasts for a
//! duration that elapses: three hours are three hours in the night of a clock change too. It holds
//! at its start and no longer at its end.
//!
//! When the clocks change, a time of the line comes when the clock first shows it or has gone past
//! it. A time that is skipped in spring comes at the first instant after the gap, and one that is
//! shown twice in autumn comes the first time. Only a line for every hour counts the repeated hour
//! twice: its hours are those that pass.
//!
//! Whoever may write a policy chooses the lines, so every search has a bound.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use line::{DAY, Line};

mod line;
#[cfg(test)]
mod tests;

/// A leap year: longer than any freeze that is meant, and as far back as has to be searched for the
/// opening that holds now.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// How far ahead `until` is sought: two years more than a 29 February can be away.
const HORIZON: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// How many times schedules are looked up for one answer, at 50 to 350 ns each: a millisecond or so
/// for the worst policy that the API accepts. An honest one needs some dozens; a freeze of a minute
/// at every minute is followed for more than two days.
const LOOKUPS: usize = 4096;

/// Local time and UTC are at most 26 hours apart, and the longest gap so far was a day.
const APART: i64 = 3 * DAY;

/// Stretches of one offset within [`APART`], with room for zones that change their mind.
const STRETCHES: usize = 16;

/// Why a schedule cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// Not five fields.
    #[error("schedule: {0} fields; accepted: five fields, minute hour day-of-month month day-of-week")]
    Fields(usize),
    /// `@daily` and the like.
    #[error("schedule: {0:?} is a nickname; accepted: five fields, such as `0 0 * * *` for every midnight")]
    Nickname(String),
    /// A field with something else in it.
    #[error("schedule: {name} {text:?}; accepted: {accepted}, *, lists (1,3), ranges (1-5) and steps (*/2, 1-5/2)")]
    Field {
        name: &'static str,
        /// What it says.
        text: String,
        /// Its values.
        accepted: &'static str,
    },
    /// A date that is in no year.
    #[error("schedule: the date of {0:?} never occurs; accepted: days that exist in the months")]
    Never(String),
    /// Nothing, less than that, or too much.
    #[error("duration: {0:#}; accepted: more than 0s, at most 8784h (366 days)")]
    Duration(SignedDuration),
    /// No such zone.
    #[error("timeZone: {0:?} is unknown; accepted: UTC or an IANA time zone, such as Europe/Berlin")]
    TimeZone(String),
}

/// Openings that come again: a cron line, how long each one lasts, and whose clock it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    line: Line,
    duration: SignedDuration,
    zone: TimeZone,
}

impl Schedule {
    /// Reads a line of five fields: minute, hour, day of month, month, day of week. Each is `*`, a
    /// value, a range, a step after one of these two, or a list; months and weekdays may have their
    /// English names. `L` is the last day of a month, `5L` its last Friday, `5#2` its second.
    ///
    /// Where both days are given, either is enough, as in every cron since Vixie's: `0 0 13 * 5` is
    /// each 13th and each Friday. Given is whatever is not `*` alone.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what would be accepted.
    pub fn parse(schedule: &str, duration: SignedDuration, time_zone: &str) -> Result<Self, InvalidSchedule> {
        let line = Line::parse(schedule)?;
        if duration <= SignedDuration::ZERO || duration > LONGEST {
            return Err(InvalidSchedule::Duration(duration));
        }
        // From the database in the binary: the image has no other.
        let zone = TimeZone::get(time_zone).ok().filter(|zone| !zone.is_unknown());
        Ok(Self {
            line,
            duration,
            zone: zone.ok_or_else(|| InvalidSchedule::TimeZone(time_zone.into()))?,
        })
    }

    /// The end of the latest opening that holds at a moment. A later one may begin before that.
    fn end_of_opening(&self, at: Timestamp) -> Option<Timestamp> {
        let start = Timestamp::from_second(self.last_until(second(at))?).ok()?;
        let end = start.checked_add(self.duration).unwrap_or(Timestamp::MAX);
        (at < end).then_some(end)
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.end_of_opening(at).is_some()
    }

    /// When the first opening after a moment begins.
    fn next_opening(&self, at: Timestamp) -> Option<Timestamp> {
        Timestamp::from_second(self.first_from(second(at) + 1)?).ok()
    }

    /// The last start at or before a second.
    fn last_until(&self, mut at: i64) -> Option<i64> {
        for _ in 0..STRETCHES {
            let stretch = self.stretch(at)?;
            let clock = self.line.last_until(at + stretch.offset)?;
            if clock >= stretch.from {
                return Some(stretch.start.max(clock - stretch.offset));
            }
            // Shortly after a change the clock may have shown later times before it.
            let is_near = at + stretch.offset < stretch.from.saturating_add(APART);
            let before = stretch.start - 1;
            at = if is_near { before } else { before.min(clock + APART) };
        }
        None
    }

    /// The first start at or after a second.
    fn first_from(&self, mut at: i64) -> Option<i64> {
        for _ in 0..STRETCHES {
            let stretch = self.stretch(at)?;
            let from = if at == stretch.start {
                stretch.from
            } else {
                stretch.from.max(at + stretch.offset)
            };
            let clock = self.line.first_from(from)?;
            match self.next_change(at) {
                Some(end) if clock >= end + stretch.offset => {
                    // Shortly before a change the clock may show earlier times once more after it.
                    let is_near = end + stretch.offset < from.saturating_add(APART);
                    at = if is_near { end } else { end.max(clock - APART) };
                }
                _ => return Some(stretch.start.max(clock - stretch.offset)),
            }
        }
        None
    }

    /// The stretch of one offset in which a second lies.
    fn stretch(&self, at: i64) -> Option<Stretch> {
        let moment = Timestamp::from_second(at).ok()?;
        let offset = i64::from(self.zone.to_offset(moment).seconds());
        let just_after = moment.checked_add(SignedDuration::from_nanos(1)).ok()?;
        let (start, from) = match self.zone.preceding(just_after).next() {
            Some(change) => {
                let start = change.timestamp().as_second();
                let before = self.zone.to_offset(Timestamp::from_second(start - 1).ok()?);
                let before = i64::from(before.seconds());
                let repeats = self.line.is_every_hour();
                (start, start + if repeats { before.min(offset) } else { before })
            }
            None => (i64::MIN, i64::MIN),
        };
        Some(Stretch { start, from, offset })
    }

    /// When that stretch ends.
    fn next_change(&self, at: i64) -> Option<i64> {
        let change = self.zone.following(Timestamp::from_second(at).ok()?).next()?;
        Some(change.timestamp().as_second())
    }
}

/// The time between two changes of a zone's clock, in seconds since 1970.
struct Stretch {
    /// The least number where the offset never changed.
    start: i64,
    /// The first time on the clock that comes in it. The clock may show a later one at its start, and
    /// what it went past comes then; or an earlier one, and what it shows again came before.
    from: i64,
    offset: i64,
}

/// The second in which a moment lies.
fn second(at: Timestamp) -> i64 {
    // The fraction has the sign of the whole.
    at.as_second() - i64::from(at.subsec_nanosecond() < 0)
}

/// Whether rollouts may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    Open,
    /// A freeze holds, whatever the windows say.
    Frozen {
        /// See [`RolloutTimes::permits`].
        until: Option<Timestamp>,
    },
    /// No window is open.
    OutsideWindow {
        /// See [`RolloutTimes::permits`].
        until: Option<Timestamp>,
    },
}

/// The windows and the freezes that hold for a workload. By default it may roll at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RolloutTimes {
    windows: Box<[Schedule]>,
    freezes: Box<[Schedule]>,
}

impl RolloutTimes {
    /// Without a window every time is right. The freezes may come from several policies: they add up.
    pub fn new(windows: impl IntoIterator<Item = Schedule>, freezes: impl IntoIterator<Item = Schedule>) -> Self {
        Self {
            windows: windows.into_iter().collect(),
            freezes: freezes.into_iter().collect(),
        }
    }

    /// Adds the freezes of another policy.
    pub fn add_freezes(&mut self, other: &Self) {
        let freezes = self.freezes.iter().chain(&other.freezes);
        self.freezes = freezes.cloned().collect();
    }

    /// Whether rollouts may begin now, and if not, when they may: inside a window and outside every
    /// freeze.
    ///
    /// Until then they may not. Where that takes too long to find out, it is an earlier moment, at
    /// which one has to ask again. `None`: not within ten years.
    #[must_use]
    pub fn permits(&self, now: Timestamp) -> Permit {
        if self.freezes.iter().any(|freeze| freeze.holds(now)) {
            Permit::Frozen {
                until: self.opens_after(now),
            }
        } else if self.is_inside(now) {
            Permit::Open
        } else {
            Permit::OutsideWindow {
                until: self.opens_after(now),
            }
        }
    }

    fn is_inside(&self, at: Timestamp) -> bool {
        self.windows.is_empty() || self.windows.iter().any(|window| window.holds(at))
    }

    /// Goes from the end of a freeze to the next one, and from there to the next window, as long as
    /// nothing is open: so each moment that it comes to is one until which nothing was.
    fn opens_after(&self, now: Timestamp) -> Option<Timestamp> {
        let horizon = now.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
        let each = self.freezes.len() + 2 * self.windows.len();
        let mut at = now;
        for _ in 0..=LOOKUPS / each.max(1) {
            let frozen_at = at;
            for freeze in &self.freezes {
                at = freeze.end_of_opening(at).unwrap_or(at);
            }
            if at == frozen_at {
                if self.is_inside(at) {
                    return Some(at);
                }
                at = self.windows.iter().filter_map(|window| window.next_opening(at)).min()?;
            }
            if at >= horizon {
                return None;
            }
        }
        Some(at)
    }
}
