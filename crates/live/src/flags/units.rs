//! Durations and sizes as text.

use std::time::Duration;

/// Largest first, as they are written.
const TIMES: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Larger ones would not fit into 64 bits of microseconds.
const EXPECTED: &str = "is not a duration: whole numbers with d, h, m, s, ms or us, such as 1h30m; or 0";

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} {EXPECTED}");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0_u64;
    let mut units = TIMES.iter();
    while !rest.is_empty() || text.is_empty() {
        let digits = rest
            .find(|character: char| !character.is_ascii_digit())
            .ok_or_else(bad)?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|character: char| character.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        // Each unit once, from large to small: "30m1h" is more likely a mistake than a wish.
        let (_, micros) = units.find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let number: u64 = number.parse().map_err(|_| bad())?;
        total = number
            .checked_mul(*micros)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(bad)?;
        rest = after;
    }
    Ok(Duration::from_micros(total))
}

pub(super) fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, micros) in TIMES {
        let number = rest / micros;
        rest %= micros;
        if number > 0 {
            text.push_str(&number.to_string());
            text.push_str(unit);
        }
    }
    text
}

/// Kubernetes' suffixes of quantities, those for bytes. Two letters before one: `Mi` ends in no `M`.
const SIZES: [(&str, u64); 12] = [
    ("Ei", 1 << 60),
    ("Pi", 1 << 50),
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("E", 1_000_000_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
];

pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || {
        format!(
            "{text:?} is not a size: a whole number of bytes, or one with k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi or Ei"
        )
    };
    let (number, factor) = SIZES
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))
        .unwrap_or((text, 1));
    // A sign is taken by `parse`, and is no digit.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(bad)
}

pub(super) fn show_size(bytes: u64) -> String {
    let whole = SIZES
        .iter()
        .find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    match whole {
        Some((suffix, factor)) => format!("{}{suffix}", bytes / factor),
        None => bytes.to_string(),
    }
}
