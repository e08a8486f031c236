//! Finds the application's process, tells when it started, and signals it.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, PidfdFlags, Signal as Number, getpid, kill_process, pidfd_open, pidfd_send_signal};
use rustix::time::{ClockId, clock_gettime};

use super::config::{Signal, SignalTarget};
use super::outcome::Outcome;

#[cfg(test)]
mod tests;

/// What to do when nobody is seen.
const SHARE: &str = "is it running, and does the pod have shareProcessNamespace: true?";
/// Files keep the time of the last tick of the kernel's clock, and so does a process: both may be this
/// much off.
const BLUR: Duration = Duration::from_millis(50);
/// A number and a line break.
const PID_FILE: u64 = 64;

/// One process, as `/proc` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    /// Since the machine was started, in ticks.
    start: u64,
}

/// Sends the signal to those who are meant. Who started after `since` has read the files by itself and
/// needs no signal; `None`: everybody does.
pub(super) fn tell(signal: Signal, target: &SignalTarget, since: Option<Duration>) -> Outcome {
    let found = match find(target) {
        Ok(found) => found,
        Err(outcome) => return outcome,
    };
    let older = |process: &&Process| !since.is_some_and(|since| is_after(process, since));
    let told: Vec<&Process> = found.iter().filter(older).collect();
    if told.is_empty() {
        return Outcome::Knows;
    }
    for process in told {
        if let Err(outcome) = send(process, signal) {
            return outcome;
        }
    }
    Outcome::Told
}

fn find(target: &SignalTarget) -> Result<Vec<Process>, Outcome> {
    match target {
        SignalTarget::Named(name) => {
            let found = named(name);
            if found.is_empty() {
                return Err(Outcome::Absent(format!("no process named {name:?}: {SHARE}")));
            }
            Ok(found)
        }
        SignalTarget::PidFile(path) => from_file(path).map(|process| vec![process]),
    }
}

/// All of this name, but for those who were started by another one of this name: of a server with its
/// workers it is the server that takes signals.
fn named(name: &str) -> Vec<Process> {
    let all: Vec<Process> = all().collect();
    let ours = getpid().as_raw_pid();
    let found = all
        .iter()
        .filter(|process| process.pid != ours && !descends(process, ours, &all) && is_named(process.pid, name))
        .cloned()
        .collect();
    servers(found)
}

fn servers(mut found: Vec<Process>) -> Vec<Process> {
    let pids: Vec<i32> = found.iter().map(|process| process.pid).collect();
    found.retain(|process| !pids.contains(&process.parent));
    found
}

fn from_file(path: &Path) -> Result<Process, Outcome> {
    let shown = path.display();
    let text = match read_small(path) {
        Ok(text) => text,
        Err(error) => return Err(Outcome::Absent(format!("pid file {shown}: {error}"))),
    };
    let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 0);
    let Some(pid) = pid else {
        return Err(Outcome::Failed(format!(
            "pid file {shown} does not contain a process ID"
        )));
    };
    let ours = getpid().as_raw_pid();
    // The first process is the agent itself, or what holds a shared namespace together.
    if pid == ours || pid == 1 {
        let text = format!("pid file {shown} has {pid}, which is not the application in this container: {SHARE}");
        return Err(Outcome::Absent(text));
    }
    let all: Vec<Process> = all().collect();
    match all.iter().find(|process| process.pid == pid) {
        Some(process) if !descends(process, ours, &all) => Ok(process.clone()),
        _ => Err(Outcome::Absent(format!(
            "no process {pid} of pid file {shown}: {SHARE}"
        ))),
    }
}

/// Opening a pipe would wait for whoever writes to it.
fn read_small(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    if !fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    let mut text = Vec::new();
    fs::File::open(path)?.take(PID_FILE).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn all() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| one(entry.ok()?.file_name().to_str()?.parse().ok()?))
}

/// `None`: there is no such process, or it has ended.
fn one(pid: i32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// See `proc_pid_stat(5)`. The name in parentheses may hold anything, parentheses included.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // The 22nd field; the one after the parent is the 5th.
    let start = fields.nth(17)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(Process { pid, parent, start })
}

fn descends(process: &Process, from: i32, all: &[Process]) -> bool {
    let mut parent = process.parent;
    // Nobody has more ancestors than there are processes.
    for _ in 0..all.len() {
        if parent == from {
            return true;
        }
        match all.iter().find(|it| it.pid == parent) {
            Some(next) => parent = next.parent,
            None => return false,
        }
    }
    false
}

fn is_named(pid: i32, name: &str) -> bool {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if comm.trim_end_matches('\n') == name {
        return true;
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
    first.rsplit(|byte| *byte == b'/').next() == Some(name.as_bytes())
}

/// Since 1970 by this machine's clock.
fn started(process: &Process) -> Option<Duration> {
    let ticks = clock_ticks_per_second();
    let nanos = (process.start % ticks).checked_mul(1_000_000_000)? / ticks;
    let from_boot = Duration::new(process.start / ticks, u32::try_from(nanos).ok()?);
    let boot = clock_gettime(ClockId::Boottime);
    let boot = Duration::new(u64::try_from(boot.tv_sec).ok()?, u32::try_from(boot.tv_nsec).ok()?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    now.checked_sub(boot.checked_sub(from_boot)?)
}

/// Through a handle on the process, so that nobody else gets it who was given its number meanwhile.
fn send(process: &Process, signal: Signal) -> Result<(), Outcome> {
    let gone = || Outcome::Absent(format!("process {} has ended", process.pid));
    let pid = Pid::from_raw(process.pid).ok_or_else(gone)?;
    let handle = pidfd_open(pid, PidfdFlags::empty());
    if one(process.pid).as_ref().map(|now| now.start) != Some(process.start) {
        return Err(gone());
    }
    let sent = match &handle {
        Ok(handle) => pidfd_send_signal(handle, number(signal)),
        // Kernels before 5.3, and sandboxes that do not know the call.
        Err(Errno::NOSYS | Errno::PERM) => kill_process(pid, number(signal)),
        Err(errno) => Err(*errno),
    };
    sent.map_err(|errno| match errno {
        Errno::SRCH => gone(),
        Errno::PERM => Outcome::Failed(format!(
            "no permission to signal process {}: run the agent as the same user",
            process.pid
        )),
        errno => Outcome::Failed(format!("cannot signal process {}: {errno}", process.pid)),
    })
}

fn number(signal: Signal) -> Number {
    match signal {
        Signal::Hup => Number::HUP,
        Signal::Int => Number::INT,
        Signal::Quit => Number::QUIT,
        Signal::Term => Number::TERM,
        Signal::Usr1 => Number::USR1,
        Signal::Usr2 => Number::USR2,
        Signal::Winch => Number::WINCH,
    }
}

/// Whether somebody is there, and all who are meant started after that time.
pub(super) fn all_started_after(target: &SignalTarget, since: Duration) -> bool {
    find(target).is_ok_and(|found| found.iter().all(|process| is_after(process, since)))
}

fn is_after(process: &Process, since: Duration) -> bool {
    started(process).is_some_and(|started| started > since + BLUR)
}
