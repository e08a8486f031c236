//! The applications that the tests of changes in place run in pods: what is installed here, or else the
//! programs out of Debian's packages. These are only unpacked, into the checkout's scratch space: nothing is
//! installed and no daemon is started.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{path::find, say, workspace::scratch};

/// One program that is run in pods.
struct Application {
    program: &'static str,
    /// Debian's package, which has it in one of [`FOLDERS`].
    package: &'static str,
    /// Makes it say its version and end.
    version: &'static str,
}

const APPLICATIONS: [Application; 3] = [
    Application {
        program: "nginx",
        package: "nginx",
        version: "-v",
    },
    Application {
        program: "prometheus",
        package: "prometheus",
        version: "--version",
    },
    Application {
        program: "promtool",
        package: "prometheus",
        version: "--version",
    },
];

const FOLDERS: [&str; 2] = ["usr/sbin", "usr/bin"];

/// What is needed, as packages of Debian.
pub const PACKAGES: &str = "nginx prometheus";

/// Whether [`fetch`] has what it needs on this machine.
pub fn can_be_had() -> bool {
    let is_there = |it: &Application| {
        let fetched = scratch().is_ok_and(|scratch| scratch.join("applications").join(it.program).is_file());
        fetched || find(it.program).is_some()
    };
    let unpacks = find("apt-get").is_some() && find("dpkg-deb").is_some();
    unpacks || APPLICATIONS.iter().all(is_there)
}

/// Puts each program, or a link to it, into `.windlass/applications`, where the tests look. What is there
/// already stays.
pub fn fetch() -> Result<()> {
    let folder = scratch()?.join("applications");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let lock = File::create(folder.join("lock")).context("create the lock of the applications")?;
    lock.lock().context("wait for another command that fetches them")?;

    let missing: Vec<&Application> = APPLICATIONS
        .iter()
        .filter(|it| !folder.join(it.program).is_file())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages = Vec::new();
    for application in &missing {
        match find(application.program) {
            Some(installed) => put(&folder, application, |target| Ok(symlink(&installed, target)?))?,
            None => packages.push(application.package),
        }
    }
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    say::step(format_args!(
        "Fetching applications for the tests' pods, without installing them: {}",
        packages.join(", ")
    ));
    let unpacked = folder.join("unpacked");
    // Of a command that was interrupted.
    let _ = fs::remove_dir_all(&unpacked);
    fs::create_dir(&unpacked).with_context(|| format!("create {}", unpacked.display()))?;
    download(&packages, &unpacked)?;
    for application in missing {
        let found = FOLDERS
            .iter()
            .map(|it| unpacked.join("root").join(it).join(application.program))
            .find(|path| path.is_file());
        if let Some(found) = found {
            put(&folder, application, |target| Ok(fs::rename(&found, target)?))?;
        }
        let path = folder.join(application.program);
        ensure!(
            path.is_file(),
            "Debian's package {} has no program {}: install it otherwise, and have it on the PATH",
            application.package,
            application.program
        );
    }
    fs::remove_dir_all(&unpacked).with_context(|| format!("remove {}", unpacked.display()))
}

/// Puts a program in its place once it was seen to run here.
fn put(folder: &Path, application: &Application, place: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let fresh = folder.join(format!("{}.new", application.program));
    // Of a command that was interrupted.
    let _ = fs::remove_file(&fresh);
    place(&fresh).with_context(|| format!("put {} in place", fresh.display()))?;
    let mut command = Command::new(&fresh);
    // A library that is missing here is missing in the image that is made of it.
    quietly(command.arg(application.version))
        .with_context(|| format!("{} does not run here; install what it lacks", application.program))?;
    let target = folder.join(application.program);
    // A link that leads nowhere any more.
    let _ = fs::remove_file(&target);
    fs::rename(&fresh, &target).with_context(|| format!("put {} in place", target.display()))
}

/// Leaves what is in the packages under `folder/root`.
fn download(packages: &[&str], folder: &Path) -> Result<()> {
    let get = || {
        let mut command = Command::new("apt-get");
        quietly(command.arg("download").args(packages).current_dir(folder))
    };
    if get().is_err() {
        // The lists are missing, or so old that what they name is gone.
        quietly(Command::new("apt-get").arg("update"))
            .and_then(|()| get())
            .with_context(|| format!("install {PACKAGES}, no daemon of which has to run"))?;
    }
    for entry in fs::read_dir(folder).context("list what was downloaded")? {
        let path: PathBuf = entry?.path();
        if path.extension().is_some_and(|it| it == "deb") {
            let mut command = Command::new("dpkg-deb");
            quietly(command.arg("--extract").arg(&path).arg(folder.join("root")))?;
        }
    }
    Ok(())
}

/// Runs it to its end; what it says is only told when it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
