//! What a process has used, as the kernel counts it (proc(5)).

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use serde::Serialize;

/// Resident memory in KiB.
#[derive(Clone, Copy, Serialize)]
pub struct Memory {
    /// Now.
    pub now_kib: u64,
    /// The most so far.
    pub peak_kib: u64,
}

/// Reads `VmRSS` and `VmHWM`.
pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("no {name} in {path}"))
    };
    Ok(Memory {
        now_kib: field("VmRSS:")?,
        peak_kib: field("VmHWM:")?,
    })
}

/// CPU time in user and kernel mode since it was started.
pub fn cpu(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let ticks = parse_ticks(&text).with_context(|| format!("{path} is odd: {text}"))?;
    Ok(Duration::from_millis(
        ticks * 1000 / rustix::param::clock_ticks_per_second().max(1),
    ))
}

/// Fields 14 and 15, counted after the name, which may hold blanks and parentheses.
fn parse_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::parse_ticks;

    #[test]
    fn ticks_are_found_behind_a_name_with_blanks_and_parentheses() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194304 100 0 0 0 7 5 0 0 20 0 1 0 100 1000 10";
        assert_eq!(parse_ticks(stat), Some(12));
    }
}
