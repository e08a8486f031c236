//! Which sources the images of the tests were made of, so that nobody tests older ones: it is written
//! beside them, and compared by whoever installs them. The tests of `windlass` compile this file too.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// Where it stands, beside the images.
pub const FILE: &str = "test.stamp";

/// What is compiled into an image, and how.
const SOURCES: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "Dockerfile.agent",
    "crates/core/Cargo.toml",
    "crates/core/src",
    "crates/live/Cargo.toml",
    "crates/live/src",
    "rust-toolchain.toml",
    "src",
    "xtask/src/image",
    "xtask/src/image.rs",
];

/// A fingerprint of the sources below this folder. Times of files do not matter: a fresh clone with cached
/// images must not build them. Not for security, so the standard library's hash will do.
pub fn of(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&root.join(source), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for path in files {
        path.strip_prefix(root).unwrap_or(&path).hash(&mut hasher);
        let content = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        content.hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// Tests are left out: no image has them.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let only_tested = ["fixtures.rs", "tests", "tests.rs", "simulation", "simulation.rs"];
    if path
        .file_name()
        .is_some_and(|name| only_tested.iter().any(|it| name == *it))
    {
        return Ok(());
    }
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("read {}", path.display()))? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
