//! Opens what is within a directory, and nothing that a link leads to outside of it.
//!
//! The kernel does it since 5.6 (`openat2`). Where it cannot, or where a sandbox forbids the call, the way
//! is gone step by step, each through a handle on the step before, so that whoever turns links around
//! meanwhile changes where the way ends within the directory and never leads out of it.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Component, Path},
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat},
    io::Errno,
};

/// As many links as the operating system follows itself.
const LINKS: usize = 40;

/// The kernel gives up when anything on the machine was renamed while it looked at a `..`. It rarely
/// happens once.
const ATTEMPTS: usize = 8;

const STEP: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens a path within `directory`. Links are followed as long as they stay within.
///
/// # Errors
///
/// `XDEV` when the path leads out; otherwise as for any opening.
pub(super) fn within(directory: BorrowedFd<'_>, path: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    by_kernel(directory, path, flags, ResolveFlags::BENEATH).unwrap_or_else(|| by_steps(directory, path, flags))
}

/// Opens a path in which no part is a link.
///
/// # Errors
///
/// `LOOP` when one is; otherwise as for any opening.
pub(super) fn without_links(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    by_kernel(CWD, path.as_os_str(), flags, ResolveFlags::NO_SYMLINKS).unwrap_or_else(|| by_plain_steps(path, flags))
}

/// `None`: the kernel cannot, or may not, or gave up.
fn by_kernel(
    directory: BorrowedFd<'_>,
    path: &OsStr,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Option<Result<OwnedFd, Errno>> {
    for _ in 0..ATTEMPTS {
        match openat2(
            directory,
            path,
            flags,
            Mode::empty(),
            resolve | ResolveFlags::NO_MAGICLINKS,
        ) {
            Err(Errno::AGAIN) => {}
            // Sandboxes that do not know the call refuse it by EPERM.
            Err(Errno::NOSYS | Errno::PERM) => return None,
            result => return Some(result),
        }
    }
    None
}

fn by_steps(directory: BorrowedFd<'_>, path: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    // The directories between `directory` and where we are. A `..` goes back to the one before, and
    // never asks the filesystem what is above.
    let mut above: Vec<OwnedFd> = Vec::new();
    let mut ahead = Vec::new();
    push(&mut ahead, Path::new(path))?;
    let mut links = 0;
    while let Some(step) = ahead.pop() {
        let Some(name) = step else {
            above.pop().ok_or(Errno::XDEV)?;
            continue;
        };
        let here = above.last().map_or(directory, |handle| handle.as_fd());
        let last = ahead.is_empty();
        let wanted = if last { flags | OFlags::NOFOLLOW } else { STEP };
        match openat(here, &name, wanted, Mode::empty()) {
            Ok(opened) if last => return Ok(opened),
            Ok(opened) => above.push(opened),
            // What was asked for as a directory says NOTDIR when it is a link.
            Err(errno @ (Errno::LOOP | Errno::NOTDIR)) => {
                let target = readlinkat(here, &name, Vec::new()).map_err(|_| errno)?;
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP);
                }
                push(&mut ahead, Path::new(&OsString::from_vec(target.into_bytes())))?;
            }
            Err(errno) => return Err(errno),
        }
    }
    // It ended with a `..`, in a directory that we hold.
    let here = above.last().map_or(directory, |handle| handle.as_fd());
    openat(here, ".", flags, Mode::empty())
}

/// The next step comes last, so that it can be taken from the end; `None` is a step up.
fn push(ahead: &mut Vec<Option<OsString>>, path: &Path) -> Result<(), Errno> {
    // What ends with a slash has to be a directory. Where more steps follow it has to be one anyway.
    let bytes = path.as_os_str().as_bytes();
    if ahead.is_empty() && (bytes.ends_with(b"/") || bytes.ends_with(b"/.")) {
        ahead.push(Some(OsString::from(".")));
    }
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => ahead.push(Some(name.to_owned())),
            Component::ParentDir => ahead.push(None),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Err(Errno::XDEV),
        }
    }
    Ok(())
}

fn by_plain_steps(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut here: Option<OwnedFd> = None;
    let mut steps = path.components().peekable();
    while let Some(step) = steps.next() {
        let wanted = if steps.peek().is_some() {
            STEP
        } else {
            flags | OFlags::NOFOLLOW
        };
        let at = here.as_ref().map_or(CWD, |handle| handle.as_fd());
        let opened = openat(at, step.as_os_str(), wanted, Mode::empty()).map_err(|errno| match errno {
            // As the kernel says it: a link is a link, also where a directory was asked for.
            Errno::NOTDIR if readlinkat(at, step.as_os_str(), Vec::new()).is_ok() => Errno::LOOP,
            errno => errno,
        })?;
        here = Some(opened);
    }
    here.ok_or(Errno::NOENT)
}

#[cfg(test)]
mod tests;
