//! For what to compile: static binaries with musl, or with glibc where this machine has no musl.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{path, say, workspace};

/// The processor, as registries call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    /// `x86_64`.
    Amd64,
    /// `aarch64`.
    Arm64,
}

impl Arch {
    /// This machine's.
    pub fn here() -> Result<Self> {
        match env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => bail!("there is no image for {other}: name --arch"),
        }
    }

    /// As images name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    fn processor(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

/// Where the C library comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    /// What is shipped.
    Musl,
    /// Good enough for tests.
    Glibc,
}

/// What the compiler is told.
pub struct Target {
    /// Rust's name of it.
    pub triple: String,
    /// Linked into the binary.
    pub libc: Libc,
    /// The C compiler, for ring.
    pub c_compiler: String,
}

/// The target for this architecture, or what this machine lacks for it. With `only_musl` there is no way out.
pub fn choose(arch: Arch, only_musl: bool) -> Result<Target> {
    let native = Arch::here().is_ok_and(|here| here == arch);
    let triple = format!("{}-unknown-linux-musl", arch.processor());
    // Debian's wrapper knows this machine's processor only.
    let c_compiler = if native {
        "musl-gcc".to_owned()
    } else {
        format!("{}-linux-musl-gcc", arch.processor())
    };
    let mut missing = Vec::new();
    if !has_standard_library(&triple) {
        missing.push(format!(
            "Rust's standard library for {triple} (`rustup target add {triple}`)"
        ));
    }
    if path::find(&c_compiler).is_none() {
        let hint = if native {
            "Debian: apt-get install -y musl-tools"
        } else {
            "a cross compiler; the release workflow compiles on a machine of that architecture instead"
        };
        missing.push(format!("{c_compiler} ({hint})"));
    }
    if missing.is_empty() {
        return Ok(Target {
            triple,
            libc: Libc::Musl,
            c_compiler,
        });
    }
    let missing = missing.join("\n  - ");
    let glibc = format!("{}-unknown-linux-gnu", arch.processor());
    if only_musl || !native || !has_standard_library(&glibc) {
        bail!(
            "{} with musl cannot be built here, it lacks:\n  - {missing}",
            arch.name()
        );
    }
    say::note("NOT WHAT IS SHIPPED: statically linked with glibc, because this machine lacks for musl:");
    say::note(format_args!("- {}", missing.replace('\n', "\n    ")));
    Ok(Target {
        triple: glibc,
        libc: Libc::Glibc,
        c_compiler: "cc".to_owned(),
    })
}

/// Whether the compiler has what every program for this target is linked with.
fn has_standard_library(triple: &str) -> bool {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", triple])
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let Ok(output) = output else { return false };
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    folder.read_dir().is_ok_and(|entries| {
        entries
            .flatten()
            .any(|it| it.file_name().to_string_lossy().starts_with("libstd-"))
    })
}
