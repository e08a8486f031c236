//! helm and its unit tests: compiled from the Go modules that `tests/helm` pins, since nothing of them
//! has to be installed on the machine.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{
    devcluster::{GO_BUILD_FLAGS, run_slow, stamp},
    say,
    workspace::{root, scratch},
};

/// Tells the tests where helm is.
pub const VARIABLE: &str = "WINDLASS_HELM";

const LINKER_FLAGS: &str = "-s -w";

/// The two programs.
pub struct Programs {
    /// `helm` itself.
    pub helm: PathBuf,
    /// What is a plugin of helm elsewhere; it runs by itself as well.
    pub unittest: PathBuf,
}

/// Builds them unless those that are there came from the same modules.
pub fn build() -> Result<Programs> {
    let source = root().join("tests/helm");
    let folder = scratch()?.join("helm");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let lock = File::create(folder.join("lock")).context("create the build lock")?;
    lock.lock().context("wait for another build of helm")?;
    let programs = Programs {
        helm: folder.join("helm"),
        unittest: folder.join("helm-unittest"),
    };
    let stamp_file = folder.join("stamp");
    let stamp = stamp(&source, LINKER_FLAGS)?;
    let built = programs.helm.is_file() && programs.unittest.is_file();
    if built && fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
        return Ok(programs);
    }
    say::step("Compiling helm and helm-unittest (about 3 minutes the first time)");
    let mut command = Command::new("go");
    command
        .arg("build")
        .args(GO_BUILD_FLAGS)
        .args(["-ldflags", LINKER_FLAGS, "-o"])
        .arg(&folder)
        // All that go.mod names as tools.
        .arg("tool");
    // With the flags of the embedded Kubernetes, so that what both have in common is compiled once.
    command.current_dir(&source).stdin(Stdio::null());
    run_slow(command, "go build tool")?;
    fs::write(&stamp_file, stamp).context("write the stamp")?;
    Ok(programs)
}
