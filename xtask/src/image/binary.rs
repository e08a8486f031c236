//! Compiles the one program of an image, so that who compiles the same sources elsewhere gets the same bytes.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};

use super::{
    Program, crates,
    target::{Libc, Target},
};
use crate::{tools, workspace};

/// Compiles it from the sources in this folder, and returns where it is.
pub fn compile(
    program: Program,
    target: &Target,
    features: &[String],
    sources: &Path,
    revision: &str,
) -> Result<PathBuf> {
    let auditable = tools::AUDITABLE.install()?;
    let mut command = workspace::cargo();
    // Cargo finds its subcommand on the PATH.
    let mut path = auditable
        .parent()
        .context("a program lies in a folder")?
        .to_owned()
        .into_os_string();
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    command
        .args([
            "auditable",
            "build",
            "--locked",
            "--package",
            "windlass",
            "--bin",
            "windlass",
        ])
        .args(["--profile", program.profile(), "--target", &target.triple])
        .args(["--message-format=json-render-diagnostics", "--quiet"])
        .args(program.features());
    if !features.is_empty() {
        command.args(["--features", &features.join(",")]);
    }
    let list = super::folder()?.join(format!("{}.crates.json", program.name()));
    let precursor = crates::precursor(program, features, &target.triple)?;
    fs::write(&list, precursor.to_string()).with_context(|| format!("write {}", list.display()))?;
    let underscored = target.triple.replace('-', "_");
    command
        .current_dir(sources)
        .env("PATH", path)
        .env("CARGO_SBOM_PATH", list)
        .env("WINDLASS_REVISION", revision)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(target, sources)?)
        .env(format!("CC_{underscored}"), &target.c_compiler)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    // So that nothing of the first compilation is used again.
    if sources != workspace::root() {
        command.env("CARGO_TARGET_DIR", sources.join("target"));
    }
    let output = command.output().context("run cargo auditable build")?;
    if !output.status.success() {
        bail!("building {} failed ({})", program.name(), output.status);
    }
    workspace::executable(&output.stdout, "windlass").context("cargo did not say where it put windlass")
}

/// Panic messages name source files: by where they are in the project and in crates, not on this machine.
fn flags(target: &Target, sources: &Path) -> Result<OsString> {
    const SEPARATOR: &str = "\u{1f}";
    let mut flags = OsString::from("--remap-path-prefix=");
    flags.push(workspace::cargo_home()?);
    flags.push("=/cargo");
    flags.push(SEPARATOR);
    flags.push("--remap-path-prefix=");
    flags.push(sources);
    flags.push("=/windlass");
    // musl is linked statically unless one asks otherwise; glibc is not.
    if target.libc == Libc::Glibc {
        flags.push(SEPARATOR);
        flags.push("-Ctarget-feature=+crt-static");
    }
    Ok(flags)
}
