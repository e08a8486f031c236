//! Durations as Go writes them, and so every Kubernetes manifest: `500ms`, `2s`, `1m30s`, `1.5h`.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// Longest first, so that `ms` is not read as minutes.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

/// Reads a duration. `None` for anything else, negative ones and a number without unit included;
/// only `0` may stand alone.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit, after) = UNITS
            .iter()
            .find_map(|(word, nanos)| Some((*nanos, after.strip_prefix(word)?)))?;
        let whole = if whole.is_empty() {
            0
        } else {
            whole.parse::<u64>().ok()?
        };
        total = whole
            .checked_mul(unit)?
            .checked_add(total)?
            .checked_add(part(fraction, unit))?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_nanos(total))
}

/// Writes a duration in whole hours, minutes, seconds and milliseconds, as [`parse`] reads it. What is
/// below a millisecond is cut off.
#[must_use]
pub fn format(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), u64::from(duration.subsec_millis()));
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (millis, "ms"),
    ];
    let text: String = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .flat_map(|(count, unit)| [count.to_string(), unit.to_owned()])
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// The decimals' share of a unit, cut off at nanoseconds as Go does.
fn part(decimals: &str, unit: u64) -> u64 {
    let (mut sum, mut place) = (0, unit);
    for digit in decimals.bytes() {
        // 12 decimals of an hour are below a nanosecond.
        if place == 0 {
            break;
        }
        sum += u64::from(digit - b'0') * place / 10;
        place /= 10;
    }
    sum
}
