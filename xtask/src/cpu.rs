//! CPU time as the kernel counts it (proc(5)), and commands whose whole CPU time is counted.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use rustix::process::{WaitOptions, getpid, nice, set_child_subreaper, wait};

use crate::process::OURSELVES;

/// Arguments of the hidden command that runs another one and reports its CPU time.
#[derive(Args)]
pub struct Options {
    /// The file that gets the CPU time, in milliseconds.
    #[arg(long)]
    report: PathBuf,
    /// What is added to the niceness.
    #[arg(long, default_value_t = 0)]
    nice: i32,
    program: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Clusters stop within seconds after the tests that started them.
const ORPHANS_LIMIT: Duration = Duration::from_secs(15);

/// Runs the program to its end and writes how much CPU time it and all its descendants used.
///
/// The kernel adds the time of a process to its parent's only when that parent waits for it. Test programs
/// do not wait for the clusters that they start, so this process adopts what they leave behind, as a
/// subreaper (prctl(2)), and waits instead.
pub fn run(options: &Options) -> Result<ExitCode> {
    set_child_subreaper(Some(getpid())).context("become the subreaper")?;
    nice(options.nice).context("lower the priority")?;
    let child = Command::new(&options.program)
        .args(&options.arguments)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("run {}", options.program.display()))?;
    let child = i32::try_from(child.id()).context("not a process id")?;
    // Orphans are waited for at once: tests look whether processes are gone, and one that nobody waits for is not.
    let code = loop {
        let waited = wait(WaitOptions::empty()).context("wait for the program")?;
        if let Some((_, status)) = waited.filter(|(pid, _)| pid.as_raw_nonzero().get() == child) {
            // As a shell has it, see sh(1): 128 and the signal.
            let signal = || status.terminating_signal().map(|signal| 128 + signal);
            break status.exit_status().or_else(signal);
        }
    };
    let ended = Instant::now();
    while let Ok(waited) = wait(WaitOptions::NOHANG) {
        if waited.is_none() {
            if ended.elapsed() >= ORPHANS_LIMIT {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    let milliseconds = of_children()?.as_millis().to_string();
    fs::write(&options.report, milliseconds).with_context(|| format!("write {}", options.report.display()))?;
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The same command, run by [`run`] in another process of ours.
pub fn counted(command: &Command, report: &Path, nice: i32) -> Command {
    let mut counted = Command::new(OURSELVES);
    counted.arg("measured").arg("--report").arg(report);
    counted.args(["--nice", &nice.to_string(), "--"]);
    counted.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => counted.env(name, value),
            None => counted.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        counted.current_dir(folder);
    }
    counted
}

/// What [`run`] has written into this file, if it came that far.
pub fn reported(report: &Path) -> Option<Duration> {
    let text = fs::read_to_string(report).ok()?;
    text.parse().ok().map(Duration::from_millis)
}

/// Of a process, in user and kernel mode since it was started.
pub fn of(pid: u32) -> Result<Duration> {
    const USER: usize = 14;
    read(&format!("/proc/{pid}/stat"), USER)
}

/// Of those of our children that have ended, with theirs.
pub fn of_children() -> Result<Duration> {
    const USER: usize = 16;
    read("/proc/self/stat", USER)
}

fn read(path: &str, user: usize) -> Result<Duration> {
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let ticks = parse_ticks(&text, user).with_context(|| format!("{path} is odd: {text}"))?;
    Ok(Duration::from_millis(
        ticks * 1000 / rustix::param::clock_ticks_per_second().max(1),
    ))
}

/// The field with the time in user mode and the next one, with that in kernel mode, counted from 1. The
/// second field is the name, which may hold blanks and parentheses.
fn parse_ticks(stat: &str, user: usize) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(user - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::parse_ticks;

    #[test]
    fn ticks_are_found_behind_a_name_with_blanks_and_parentheses() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194304 100 0 0 0 7 5 40 2 20 0 1 0 100 1000 10";
        assert_eq!(parse_ticks(stat, 14), Some(12));
        assert_eq!(parse_ticks(stat, 16), Some(42));
    }
}
