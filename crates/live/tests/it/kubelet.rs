//! Writes a volume as the kubelet does: step by step what `AtomicWriter.Write` of
//! `k8s.io/kubernetes/pkg/volume/util/atomic_writer.go` does.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Instant,
};

use tempfile::TempDir;

/// A mounted volume.
pub struct Kubelet {
    root: TempDir,
    directory: PathBuf,
    writes: u32,
}

impl Kubelet {
    /// An empty volume directory, called `volume`.
    pub fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let directory = root.path().join("volume");
        fs::create_dir(&directory).expect("a folder");
        Self {
            root,
            directory,
            writes: 0,
        }
    }

    /// A volume with these keys.
    pub fn with<K: AsRef<str>, C: AsRef<[u8]>>(payload: impl IntoIterator<Item = (K, C)>) -> Self {
        let mut kubelet = Self::new();
        kubelet.write(payload);
        kubelet
    }

    /// The mount path.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// The folder that the volume directory is in.
    pub fn parent(&self) -> &Path {
        self.root.path()
    }

    /// Writes a new version: all of it changes in one rename. The comments count as those of the source.
    /// Returns the moment before the rename.
    pub fn write<K: AsRef<str>, C: AsRef<[u8]>>(&mut self, payload: impl IntoIterator<Item = (K, C)>) -> Instant {
        let directory = &self.directory;
        let data = directory.join("..data");
        // (2) The present directory.
        let before = fs::read_link(&data).ok();
        // (5) A new directory with the time in its name.
        self.writes += 1;
        let name = format!("..2026_11_21_17_18_49.{:010}", self.writes);
        let fresh = directory.join(&name);
        fs::create_dir(&fresh).expect("a folder");
        // (6) The payload.
        let mut visible = BTreeSet::new();
        for (key, content) in payload {
            let key = Path::new(key.as_ref());
            let path = fresh.join(key);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            fs::write(path, content).expect("a file");
            visible.insert(key.components().next().expect("a name").as_os_str().to_owned());
        }
        // (8) and (9) The swap.
        let temporary = directory.join("..data_tmp");
        symlink(&name, &temporary).expect("a link");
        let swapped = Instant::now();
        fs::rename(&temporary, &data).expect("the swap");
        // (10) What the user sees.
        for name in &visible {
            let link = directory.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(name), link).expect("a link");
            }
        }
        // (11) What the user sees no more.
        for entry in fs::read_dir(directory).expect("a list") {
            let entry = entry.expect("a name").file_name();
            if !entry.as_encoded_bytes().starts_with(b"..") && !visible.contains(&entry) {
                fs::remove_file(directory.join(entry)).expect("removed");
            }
        }
        // (12) The directory of before.
        if let Some(before) = before {
            fs::remove_dir_all(directory.join(before)).expect("removed");
        }
        swapped
    }
}
