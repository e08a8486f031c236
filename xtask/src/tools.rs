//! Programs from crates.io that a command needs, compiled once into the checkout's scratch space, so that the
//! version is ours to choose and nothing is installed for the person.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use crate::{say, workspace};

/// One such program, which is also the name of its crate.
pub struct Tool {
    /// Of program and crate.
    pub name: &'static str,
    /// Pinned, so that what is green stays so.
    pub version: &'static str,
    /// How long it takes to compile on two cores.
    pub takes: &'static str,
}

/// Puts the list of dependencies into the binaries that it compiles.
pub const AUDITABLE: Tool = Tool {
    name: "cargo-auditable",
    version: "0.7.7",
    takes: "1 minute",
};

/// Looks at licences, bans and sources of dependencies, and at advisories where there is a network.
pub const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    takes: "3 minutes",
};

impl Tool {
    /// Where it is, after it was compiled if need be.
    pub fn install(&self) -> Result<PathBuf> {
        let folder = workspace::scratch()?.join("tools");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let lock = File::create(folder.join("lock")).context("create the lock of the tools")?;
        lock.lock().context("wait for another command that compiles them")?;

        let program = folder.join("bin").join(self.name);
        if program.is_file() && self.is_listed(&folder.join(".crates.toml")) {
            return Ok(program);
        }
        say::step(format_args!(
            "Compiling {} {} (once, about {})",
            self.name, self.version, self.takes
        ));
        let started = Instant::now();
        let mut command = workspace::cargo();
        command
            .args(["install", self.name, "--version", self.version, "--locked", "--quiet"])
            // They run for seconds: compiling them well takes longer than that ever saves.
            .args(["--debug", "--root"])
            .arg(&folder)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // As a workspace's own target folder it would be taken for ours, and grow.
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .stdin(Stdio::null());
        let status = command.status().context("run cargo install")?;
        ensure!(status.success(), "cargo install {} failed ({status})", self.name);
        fs::remove_dir_all(folder.join("target")).context("remove what it was compiled in")?;
        say::note(format_args!("done in {}", say::time(started.elapsed())));
        Ok(program)
    }

    /// Cargo's own list of what it has installed there.
    fn is_listed(&self, list: &Path) -> bool {
        let entry = format!("\"{} {} ", self.name, self.version);
        fs::read_to_string(list).is_ok_and(|text| text.contains(&entry))
    }
}
