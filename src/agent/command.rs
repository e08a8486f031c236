//! Runs a command without a shell: with a deadline, in a process group of its own, its words bounded.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::config::CommandLine;
use super::text::clean;

/// What is kept of the words of a command: the first half of it of the first ones, the rest of the last. What is
/// in between is read and dropped.
const KEPT: usize = 4096;
/// Pieces that are read of what is in the pipe when the command has ended: its children may go on writing.
const REST: usize = 64;

/// Commands that left something running; more than any pod has.
const REMEMBERED: usize = 64;

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CommandEnd {
    /// By itself, with 0.
    Good,
    /// By itself, otherwise; what it said.
    Bad(String),
    /// It could not be started, was killed by a signal, or took too long.
    Broken(String),
}

/// Runs it to its end. Dropping the future kills it, and what it started.
pub(super) async fn run(words: &CommandLine, volume: &Path, limit: Duration) -> CommandEnd {
    let (mut child, mut output) = match start(words, volume) {
        Ok(started) => started,
        Err(error) => return CommandEnd::Broken(format!("cannot start {}: {error}", words.program)),
    };
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
    let mut said = Vec::new();
    let ended = timeout(limit, until_end(&mut child, &mut output, &mut said)).await;
    match ended {
        Ok(Ok(status)) => {
            group.ended();
            of(status, &said)
        }
        Ok(Err(error)) => CommandEnd::Broken(format!("lost track of {}: {error}", words.program)),
        Err(_) => {
            let number = group.0;
            drop(group);
            let _ = timeout(limit, child.wait()).await;
            if let Some(number) = number {
                reap(number);
            }
            CommandEnd::Broken(format!(
                "{} did not finish within {limit:?} and was killed",
                words.program
            ))
        }
    }
}

fn start(words: &CommandLine, volume: &Path) -> io::Result<(Child, Receiver)> {
    let (reader, writer) = io::pipe()?;
    let child = Command::new(&words.program)
        .args(&words.arguments)
        .env("WINDLASS_VOLUME", volume)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, Receiver::from_owned_fd(OwnedFd::from(reader))?))
}

/// The command's end is what counts, not that of its pipe: a child of it may keep that open.
async fn until_end(child: &mut Child, output: &mut Receiver, said: &mut Vec<u8>) -> io::Result<ExitStatus> {
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            readable = output.readable(), if open => {
                open = readable.is_ok() && piece(output, said) != Piece::End;
            }
            status = child.wait() => {
                for _ in 0..REST {
                    if piece(output, said) != Piece::Some {
                        break;
                    }
                }
                return status;
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Piece {
    Some,
    /// Nothing at present.
    None,
    End,
}

/// Takes what is there.
fn piece(output: &Receiver, said: &mut Vec<u8>) -> Piece {
    let mut buffer = [0; 1024];
    match output.try_read(&mut buffer) {
        Ok(0) => Piece::End,
        Ok(read) => {
            said.extend_from_slice(buffer.get(..read).unwrap_or_default());
            if let Some(over) = said.len().checked_sub(KEPT) {
                said.drain(KEPT / 2..KEPT / 2 + over);
            }
            Piece::Some
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Piece::None,
        Err(_) => Piece::End,
    }
}

fn of(status: ExitStatus, said: &[u8]) -> CommandEnd {
    match status.code() {
        Some(0) => CommandEnd::Good,
        Some(code) => {
            let said = clean(said);
            CommandEnd::Bad(if said.is_empty() {
                format!("exited with {code} and no output")
            } else {
                said
            })
        }
        None => CommandEnd::Broken(status.to_string()),
    }
}

/// A command with all that it started. Dropping it kills them.
struct Group(Option<Pid>);

impl Group {
    /// It ended by itself. What it left running is its own affair; what has ended since is taken off the
    /// table of processes, which is our task where we are the first process of a container.
    fn ended(mut self) {
        if let Some(group) = self.0.take() {
            reap(group);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // Gone already is as good.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Takes those off the table of processes that have ended, of this group and of earlier ones of which some
/// were still running. They are ours only where we are the first process of a container: elsewhere there
/// is nobody to take, and nothing is remembered.
fn reap(group: Pid) {
    static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if running.len() < REMEMBERED {
        running.push(group);
    }
    running.retain(|group| {
        loop {
            match waitpgid(*group, WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    });
}

#[cfg(test)]
mod tests;
