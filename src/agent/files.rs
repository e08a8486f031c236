//! What the files of a volume are, without their content, and when they came.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use windlass_core::content::value::ValueDigest;
use windlass_live::{Entry, Snapshot};

#[cfg(test)]
mod tests;

/// How many bytes of a file are in memory at a time.
const BUFFER: usize = 16 * 1024;

/// Entries of a plain directory whose times are asked for. With more of them the newest could be missed: then
/// it cannot be told when they came.
const ENTRIES: usize = 4096;

/// The SHA-256 of a file, in place of its content.
pub(super) fn hashed(file: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().to_vec()),
            Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The digest of a file that [`hashed`] was kept of.
pub(super) fn digest(entry: &Entry) -> Option<ValueDigest> {
    match entry {
        Entry::Content(hash) => <[u8; 32]>::try_from(&**hash).ok().map(ValueDigest::new),
        Entry::Unreadable(_) => None,
    }
}

/// Equal for equal files. It never leaves the process: it would let people test guesses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of all keys of a volume, those that cannot be read included.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut hasher = Sha256::new();
        for (key, entry) in snapshot {
            hasher.update((key.len() as u64).to_le_bytes());
            hasher.update(key);
            match digest(entry) {
                Some(digest) => {
                    hasher.update([1]);
                    hasher.update(digest.bytes());
                }
                None => hasher.update([0]),
            }
        }
        Self(hasher.finalize().into())
    }
}

/// The latest time at which what a path shows may have become what it is, since 1970 by this machine's
/// clock. `None` when that cannot be told.
///
/// A rename touches the folder that it is in, and on the usual filesystems the link that is renamed. The
/// newest of all times is never before the swap.
pub(super) fn swapped(path: &Path) -> Option<Duration> {
    let here = std::fs::metadata(path).ok()?;
    let mut newest = time(&here)?;
    let mut count = |found: io::Result<std::fs::Metadata>| {
        if let Some(found) = found.ok().as_ref().and_then(time) {
            newest = newest.max(found);
        }
    };
    count(std::fs::symlink_metadata(path));
    if !here.is_dir() {
        count(std::fs::metadata(path.parent()?));
        count(std::fs::symlink_metadata(path.parent()?.join("..data")));
        return Some(newest);
    }
    let data = path.join("..data");
    if std::fs::symlink_metadata(&data).is_ok() {
        count(std::fs::symlink_metadata(&data));
        count(std::fs::metadata(&data));
        return Some(newest);
    }
    let mut entries = std::fs::read_dir(path).ok()?;
    for entry in entries.by_ref().take(ENTRIES) {
        count(entry.and_then(|entry| entry.metadata()));
    }
    entries.next().is_none().then_some(newest)
}

/// Both times: a file that was moved here keeps the time of its content, one that was touched may have
/// any.
fn time(found: &std::fs::Metadata) -> Option<Duration> {
    let of = |seconds: i64, nanos: i64| {
        let (seconds, nanos) = (u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
        Some(Duration::new(seconds, nanos))
    };
    of(found.mtime(), found.mtime_nsec()).max(of(found.ctime(), found.ctime_nsec()))
}
