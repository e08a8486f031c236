//! Which scenarios take longest: `tests/it` writes the time of each into a file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{say, workspace};

/// Tells the scenarios where to write their times.
pub const VARIABLE: &str = "WINDLASS_TEST_TIMES";

/// An empty file for them.
pub fn file() -> Result<PathBuf> {
    let path = workspace::scratch()?.join("scenarios.times");
    fs::write(&path, "").with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// Shows this many of them.
pub fn print(file: &Path, count: usize) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let slowest = slowest(&text);
    if count == 0 || slowest.is_empty() {
        return Ok(());
    }
    say::step(format_args!(
        "The slowest of {} scenarios ({} has all)",
        slowest.len(),
        file.display()
    ));
    for (time, name) in slowest.iter().take(count) {
        println!("  {:>12}  {name}", say::time(*time));
    }
    Ok(())
}

/// The slowest first; of a scenario that ran twice, the longer time.
fn slowest(text: &str) -> Vec<(Duration, &str)> {
    let mut times = BTreeMap::<&str, Duration>::new();
    for line in text.lines() {
        let Some((milliseconds, name)) = line.split_once(' ') else {
            continue;
        };
        let Ok(milliseconds) = milliseconds.parse() else {
            continue;
        };
        let longest = times.entry(name).or_default();
        *longest = Duration::from_millis(milliseconds).max(*longest);
    }
    let mut slowest: Vec<_> = times.into_iter().map(|(name, time)| (time, name)).collect();
    slowest.sort_by(|one, other| other.cmp(one));
    slowest
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::slowest;

    #[test]
    fn the_longer_time_of_a_scenario_counts_and_half_a_line_does_not() {
        let text = "1500 a::live\n90 b::live\n200 a::live\n2000 c::down\n17";
        let times = [(2000, "c::down"), (1500, "a::live"), (90, "b::live")];
        assert_eq!(
            slowest(text),
            times.map(|(milliseconds, name)| (Duration::from_millis(milliseconds), name))
        );
    }
}
