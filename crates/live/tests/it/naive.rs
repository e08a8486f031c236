//! How it is done wrong: to show that the tests of the right way can fail.

use std::{collections::BTreeMap, fs, mem::MaybeUninit, path::Path};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

/// Reads each key by its path: each of them resolves `..data` for itself.
pub fn snapshot(directory: &Path, keys: &[String]) -> Option<BTreeMap<String, Vec<u8>>> {
    keys.iter()
        .map(|key| Some((key.clone(), fs::read(directory.join(key)).ok()?)))
        .collect()
}

/// Watches a single file, by the path that the application reads.
pub struct FileWatch(std::os::fd::OwnedFd);

impl FileWatch {
    pub fn new(file: &Path) -> Self {
        let instance = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("inotify");
        let mask = WatchFlags::ALL_EVENTS.difference(
            // Reading is no change.
            WatchFlags::OPEN | WatchFlags::ACCESS | WatchFlags::CLOSE_NOWRITE,
        );
        inotify::add_watch(&instance, file, mask).expect("a watch");
        Self(instance)
    }

    /// How many events there are, without waiting for more.
    pub fn events(&self) -> usize {
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut reader = Reader::new(&self.0, &mut buffer);
        std::iter::from_fn(|| reader.next().ok().map(|_| ())).count()
    }
}
