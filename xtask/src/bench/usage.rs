//! How much memory a process uses, as the kernel counts it (proc(5)).

use std::fs;

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
