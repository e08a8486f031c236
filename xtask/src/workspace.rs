//! Where things are, and building our own binaries.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The checkout that this binary was built from.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the manifest of xtask lies one folder below the workspace's")
}

/// Scratch space of the checkout; git ignores it.
pub fn scratch() -> Result<PathBuf> {
    let path = root().join(".windlass");
    fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
    Ok(path)
}

/// `cargo` as it was called, in the root of the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        // `cargo run` tells us about our own package. Build scripts that look at such variables
        // (ring's does) would run again, and all that depends on them would be compiled once more.
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// How a binary is compiled.
#[derive(Clone, Copy)]
pub enum Profile {
    /// Quick to build: for showing and testing.
    Dev,
    /// As it is shipped: for measuring.
    Release,
}

/// Builds the binaries of the workspace and returns where cargo put this one, which depends on the
/// environment and on configuration files.
///
/// Both packages are always built together: on its own each would want other features of the crates
/// they share, and nearly all of them would be compiled twice.
pub fn build(package: &str, profile: Profile) -> Result<PathBuf> {
    let mut command = cargo();
    command.args([
        "build",
        "--quiet",
        "--package",
        "windlass",
        "--package",
        "xtask",
        "--bins",
    ]);
    command.arg("--message-format=json-render-diagnostics");
    if matches!(profile, Profile::Release) {
        command.arg("--release");
    }
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo build")?;
    if !output.status.success() {
        bail!("building {package} failed ({})", output.status);
    }
    executable(&output.stdout, package).with_context(|| format!("cargo did not say where it put {package}"))
}

/// Compiles the test programs that these arguments of `cargo test` choose, and returns where cargo put the
/// `windlass` that they run.
pub fn build_tests(arguments: &[&str]) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["test", "--no-run", "--message-format=json-render-diagnostics"]);
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo test --no-run")?;
    if !output.status.success() {
        bail!("compiling the tests failed ({})", output.status);
    }
    executable(&output.stdout, "windlass").context("cargo did not say where it put windlass")
}

/// Where cargo put a binary, by what it says with `--message-format=json-render-diagnostics`.
pub fn executable(said: &[u8], name: &str) -> Option<PathBuf> {
    String::from_utf8_lossy(said)
        .lines()
        .filter_map(|line| serde_json::from_str::<BuildMessage>(line).ok())
        .filter(|message| message.target.as_ref().is_some_and(|target| target.name == name))
        // The unit tests of a binary have its name.
        .filter(|message| !message.profile.as_ref().is_some_and(|profile| profile.test))
        .find_map(|message| message.executable)
}

/// Where cargo keeps the sources of crates.
pub fn cargo_home() -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| Some(env::home_dir()?.join(".cargo")))
        .context("there is no home folder, and CARGO_HOME is not set")
}

/// The fields we need of cargo's messages, see
/// <https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>.
#[derive(Deserialize)]
struct BuildMessage {
    target: Option<BuildTarget>,
    profile: Option<BuildProfile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct BuildTarget {
    name: String,
}

#[derive(Deserialize)]
struct BuildProfile {
    test: bool,
}
