//! Reads a path once, whole.
//!
//! The point is in [`layout`]: the data directory is opened once, by following `..data` in one system
//! call, and everything is read through that handle. The handle stays the same directory however often
//! the link is turned to another one meanwhile.

use std::{
    collections::BTreeSet,
    ffi::{CStr, OsStr},
    io::{self, Read as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode, fstat, open, openat, readlinkat, statat},
    io::Errno,
};

use super::{Links, Settings, beneath};
use crate::{
    Content, Snapshot, VolumeError,
    snapshot::{Entry, Unreadable},
};

/// The link of the kubelet's layout.
pub(super) const DATA: &str = "..data";

/// How often a reading begins anew because the directory that was read is being removed. The kubelet
/// swaps once a second at most; a thousand swaps a second are outrun within a handful.
const ATTEMPTS: u32 = 256;

/// Folders within folders of the data directory, by `items` with such a `path`. More than any volume has.
const DEPTH: usize = 16;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
// A pipe without a writer would block in open.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// What one reading found.
pub(super) struct Reading {
    pub(super) snapshot: Snapshot,
    /// Symlinks of a plain directory: what they lead to may change elsewhere.
    pub(super) links: Vec<PathBuf>,
}

/// Reads what `path` leads to: the kubelet's layout, a plain directory, or a single file.
pub(super) fn read(settings: &Settings) -> Result<Reading, VolumeError> {
    for _ in 0..ATTEMPTS {
        match attempt(settings) {
            Err(Failure::Removed) => std::thread::yield_now(),
            Err(Failure::Volume(error)) => return Err(error),
            Ok(reading) => return Ok(reading),
        }
    }
    Err(VolumeError::Busy {
        path: settings.path.clone(),
    })
}

enum Failure {
    /// What was being read is being removed: something newer is there.
    Removed,
    Volume(VolumeError),
}

fn attempt(settings: &Settings) -> Result<Reading, Failure> {
    let path = &*settings.path;
    let directory = match settings.links.open(path, DIRECTORY) {
        Ok(directory) => directory,
        Err(Errno::NOTDIR) => return file(settings),
        // The path of a key in the kubelet's layout is a link, which stays within the folder that it is in.
        Err(Errno::LOOP) if settings.links == Links::Contain => return file(settings),
        Err(errno) => return Err(Failure::Volume(VolumeError::new(path, errno))),
    };
    match settings.links.open_at(directory.as_fd(), DATA.as_ref(), DIRECTORY) {
        Ok(data) => layout(settings, &directory, &data),
        Err(Errno::NOENT) => match is_dangling(settings.links, &directory) {
            None => plain(settings, &directory),
            Some(false) => Err(Failure::Removed),
            Some(true) => Err(Failure::Volume(VolumeError::Dangling { path: path.join(DATA) })),
        },
        Err(errno) => Err(Failure::Volume(VolumeError::new(&path.join(DATA), errno))),
    }
}

/// Whether `..data` leads to nothing; `None` when there is no such link.
///
/// Following a link is two steps, reading it and opening what it says, and a swap with the removal of
/// what was there before fits in between. Only a link that says the same before and after an attempt
/// leads to nothing.
fn is_dangling(links: Links, directory: &OwnedFd) -> Option<bool> {
    let before = readlinkat(directory, DATA, Vec::new()).ok()?;
    let found = links.open_at(directory.as_fd(), DATA.as_ref(), DIRECTORY).is_ok();
    let after = readlinkat(directory, DATA, Vec::new()).ok()?;
    Some(!found && before == after)
}

/// The kubelet's layout, through a handle on the data directory.
///
/// The kubelet removes the directory of before as soon as it has swapped. A list of names that was taken
/// before a swap is complete; one that was taken around it may not be. A name on the list that cannot be
/// opened means the same for the rest. Both are read anew.
fn layout(settings: &Settings, directory: &OwnedFd, data: &OwnedFd) -> Result<Reading, Failure> {
    let mut snapshot = Snapshot::default();
    let mut names = BTreeSet::new();
    list_below(data.as_fd(), Path::new(""), DEPTH, &mut names).map_err(|errno| match errno {
        Errno::NOENT => Failure::Removed,
        errno => Failure::Volume(VolumeError::new(&settings.path, errno)),
    })?;
    if !is_current(directory, data) {
        return Err(Failure::Removed);
    }
    for path in names {
        let Some(key) = path.to_str() else {
            snapshot.insert_nameless(path.into_os_string());
            continue;
        };
        let entry = match read_file(settings, data.as_fd(), path.as_os_str()) {
            Ok(content) => Entry::Content(content),
            Err(Unreadable::Dangling) if !is_current(directory, data) => return Err(Failure::Removed),
            Err(unreadable) => Entry::Unreadable(unreadable),
        };
        snapshot.insert(Arc::from(key), entry);
    }
    Ok(Reading {
        snapshot,
        links: Vec::new(),
    })
}

/// Whether `..data` still leads to this directory. Its number cannot have been given to another one: we
/// hold it open.
fn is_current(directory: &OwnedFd, data: &OwnedFd) -> bool {
    let (Ok(now), Ok(held)) = (statat(directory, DATA, AtFlags::empty()), fstat(data)) else {
        return false;
    };
    (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino)
}

/// Files below a directory, by their paths from it.
fn list_below(
    directory: BorrowedFd<'_>,
    prefix: &Path,
    depth: usize,
    names: &mut BTreeSet<PathBuf>,
) -> Result<(), Errno> {
    let mut folders = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_own(name) {
            continue;
        }
        let path = prefix.join(OsStr::from_bytes(name.to_bytes()));
        match file_type(directory, name, entry.file_type()) {
            FileType::Directory if depth > 0 => folders.push((name.to_owned(), path)),
            FileType::Directory => {}
            _ => {
                names.insert(path);
            }
        }
    }
    for (name, path) in folders {
        let folder = openat(directory, &*name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        list_below(folder.as_fd(), &path, depth - 1, names)?;
    }
    Ok(())
}

/// A directory that somebody else writes: one level of it, each file for itself.
fn plain(settings: &Settings, directory: &OwnedFd) -> Result<Reading, Failure> {
    let path = &*settings.path;
    let io = |errno| Failure::Volume(VolumeError::new(path, errno));
    let mut snapshot = Snapshot::default();
    let mut links = Vec::new();
    for entry in Dir::read_from(directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        if is_own(name) {
            continue;
        }
        let kind = file_type(directory.as_fd(), name, entry.file_type());
        if kind == FileType::Directory {
            continue;
        }
        let name = OsStr::from_bytes(name.to_bytes());
        let Some(key) = name.to_str() else {
            snapshot.insert_nameless(name.to_owned());
            continue;
        };
        let read = read_file(settings, directory.as_fd(), name);
        // What is not followed is not watched either.
        if kind == FileType::Symlink && !matches!(read, Err(Unreadable::Outside)) {
            links.push(path.join(name));
        }
        match read {
            Ok(content) => snapshot.insert(Arc::from(key), Entry::Content(content)),
            // A file that was on the list and is gone was removed in between: no such key.
            Err(Unreadable::Dangling) if kind != FileType::Symlink => {}
            Err(unreadable) => snapshot.insert(Arc::from(key), Entry::Unreadable(unreadable)),
        }
    }
    Ok(Reading { snapshot, links })
}

/// A single file is a snapshot with one key: its name.
fn file(settings: &Settings) -> Result<Reading, Failure> {
    let path = &*settings.path;
    let Some(name) = path.file_name().and_then(OsStr::to_str) else {
        return Err(Failure::Volume(VolumeError::Name { path: path.to_owned() }));
    };
    let read = match settings.links {
        Links::Follow => read_file(settings, CWD, path.as_os_str()),
        Links::Contain => {
            let parent = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            let parent = settings.links.open(parent, DIRECTORY);
            let parent = parent.map_err(|errno| {
                Failure::Volume(match errno {
                    Errno::LOOP => VolumeError::Link { path: path.to_owned() },
                    errno => VolumeError::new(path, errno),
                })
            })?;
            read_file(settings, parent.as_fd(), name.as_ref())
        }
    };
    let content = read.map_err(|unreadable| {
        Failure::Volume(match unreadable {
            // A directory by a link would have been a directory without it.
            Unreadable::NotAFile if settings.links == Links::Contain && path.is_dir() => {
                VolumeError::Link { path: path.to_owned() }
            }
            Unreadable::Outside => VolumeError::Outside { path: path.to_owned() },
            Unreadable::Dangling => VolumeError::new(path, Errno::NOENT),
            Unreadable::Denied => VolumeError::new(path, Errno::ACCESS),
            unreadable => VolumeError::File {
                path: path.to_owned(),
                unreadable,
            },
        })
    })?;
    Ok(Reading {
        snapshot: [(name, content)].into_iter().collect(),
        links: Vec::new(),
    })
}

/// `.`, `..`, and what belongs to the layout. No key begins like that: Kubernetes refuses it.
fn is_own(name: &CStr) -> bool {
    name.to_bytes() == b"." || name.to_bytes().starts_with(b"..")
}

/// Some filesystems do not say the type in the list.
fn file_type(directory: BorrowedFd<'_>, name: &CStr, listed: FileType) -> FileType {
    if listed != FileType::Unknown {
        return listed;
    }
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map_or(FileType::Unknown, |stat| {
        FileType::from_raw_mode(stat.st_mode as RawMode)
    })
}

fn read_file(settings: &Settings, directory: BorrowedFd<'_>, name: &OsStr) -> Result<Content, Unreadable> {
    let file = settings.links.open_at(directory, name, FILE).map_err(unreadable)?;
    let stat = fstat(&file).map_err(unreadable)?;
    if FileType::from_raw_mode(stat.st_mode as RawMode) != FileType::RegularFile {
        return Err(Unreadable::NotAFile);
    }
    let too_large = Unreadable::TooLarge {
        limit: settings.max_size,
    };
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if size > settings.max_size {
        return Err(too_large);
    }
    let mut bytes = std::fs::File::from(file).take(settings.max_size.saturating_add(1));
    let kept = if let Some(condense) = settings.condense {
        condense(&mut bytes)
    } else {
        // One byte more, so that the end is found without a second round of growing.
        let mut whole = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
        bytes.read_to_end(&mut whole).map(|_| whole)
    };
    let kept = kept.map_err(|error| unreadable(errno_of(&error)))?;
    // It may have grown since its size was asked for.
    if bytes.limit() == 0 {
        return Err(too_large);
    }
    Ok(Content::from(kept))
}

impl Links {
    fn open(self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        match self {
            Self::Follow => open(path, flags, Mode::empty()),
            Self::Contain => beneath::without_links(path, flags),
        }
    }

    fn open_at(self, directory: BorrowedFd<'_>, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        match self {
            Self::Follow => openat(directory, name, flags, Mode::empty()),
            Self::Contain => beneath::within(directory, name, flags),
        }
    }
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

fn unreadable(errno: Errno) -> Unreadable {
    match errno {
        Errno::NOENT | Errno::LOOP => Unreadable::Dangling,
        Errno::XDEV => Unreadable::Outside,
        Errno::ACCESS | Errno::PERM => Unreadable::Denied,
        Errno::ISDIR | Errno::NXIO | Errno::NODEV => Unreadable::NotAFile,
        errno => Unreadable::System {
            errno: errno.raw_os_error(),
        },
    }
}
