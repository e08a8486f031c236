//! `cargo xtask image`: the container images, from sources to archives.
//!
//! | file | step |
//! |---|---|
//! | [`target`] | for what to compile, and what this machine lacks for it |
//! | [`crates`] | which crates that program is made of |
//! | [`binary`] | compiles the program, statically and reproducibly, with the list of its dependencies in it |
//! | [`package`] | puts it into an image, by buildah |
//! | [`sbom`] | writes that list down for those who read SBOMs |
//! | [`stamp`] | says which sources the images of the tests are of |

mod binary;
mod crates;
mod package;
mod sbom;
mod stamp;
mod target;
#[cfg(test)]
mod tests;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use package::{Identity, Package};
use target::Arch;

use crate::{machine, say, workspace};

/// Tells the tests where the images are.
pub const FOLDER: &str = "WINDLASS_IMAGES";

/// What to build.
#[derive(Args, Default)]
pub struct Options {
    /// The agent's image instead of the controller's.
    #[arg(long)]
    agent: bool,
    /// The architecture [default: this machine's].
    #[arg(long, value_enum)]
    arch: Option<Arch>,
    /// The image's name [default: localhost/windlass:VERSION, localhost/windlass-agent:VERSION].
    #[arg(long, value_name = "NAME:TAG")]
    tag: Option<String>,
    /// Further features of the program, for example otel.
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    features: Vec<String>,
    /// Fail where musl is missing, rather than link with glibc.
    #[arg(long)]
    only_musl: bool,
    /// Package this binary instead of compiling one.
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Compile once more from a copy of the sources in another folder, and fail when the bytes differ.
    #[arg(long, conflicts_with = "binary")]
    twice: bool,
}

/// One of the programs that have an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// All of Windlass.
    Controller,
    /// The sidecar alone, because it is in every pod.
    Agent,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Controller => "windlass",
            Self::Agent => "windlass-agent",
        }
    }

    fn dockerfile(self) -> &'static str {
        match self {
            Self::Controller => "Dockerfile",
            Self::Agent => "Dockerfile.agent",
        }
    }

    fn profile(self) -> &'static str {
        match self {
            Self::Controller => "release",
            Self::Agent => "agent",
        }
    }

    fn features(self) -> &'static [&'static str] {
        match self {
            Self::Controller => &[],
            Self::Agent => &["--no-default-features", "--features", "agent"],
        }
    }

    /// Beyond this something got in that should not have. The image holds the program and nothing else.
    fn most_bytes(self) -> u64 {
        match self {
            Self::Controller => 15 << 20,
            Self::Agent => 5 << 20,
        }
    }
}

/// Builds one image and says where it is.
pub fn run(options: &Options) -> Result<()> {
    machine::require(&[machine::Tool::Buildah])?;
    let program = if options.agent {
        Program::Agent
    } else {
        Program::Controller
    };
    let arch = options.arch.map_or_else(Arch::here, Ok)?;
    let source = Source::read();
    let binary = match &options.binary {
        Some(path) => path.clone(),
        None => compile(program, arch, options, &source.revision)?,
    };
    let identity = Identity {
        reference: options
            .tag
            .clone()
            .unwrap_or_else(|| format!("localhost/{}:{VERSION}", program.name())),
        version: VERSION.to_owned(),
        revision: source.revision,
        created: source.time,
    };
    let name = format!("{}-{}", program.name(), arch.name());
    finish(&name, program, arch, &binary, &identity)
}

/// The images that are installed in the tests: both programs, and the controller's as a later version, too.
pub fn for_tests() -> Result<()> {
    machine::require(&[machine::Tool::Buildah])?;
    let arch = Arch::here()?;
    let stamp_file = folder()?.join(stamp::FILE);
    // From before: sources may be edited while they are compiled. And none while the images are neither.
    let stamp = stamp::of(workspace::root())?;
    let _ = fs::remove_file(&stamp_file);
    for program in [Program::Controller, Program::Agent] {
        // Not of this commit: the next one would mean to compile it again.
        let binary = compile(program, arch, &Options::default(), "test")?;
        let identity = |tag: &str, version: &str| Identity {
            reference: format!("localhost/{}:{tag}", program.name()),
            version: version.to_owned(),
            revision: "test".to_owned(),
            created: 0,
        };
        let name = format!("test-{}", program.name());
        finish(&name, program, arch, &binary, &identity("test", VERSION))?;
        if program == Program::Controller {
            let next = identity("next", &format!("{VERSION}-next"));
            package::package(&folder()?, &format!("{name}-next"), program, arch, &binary, &next)?;
        }
    }
    fs::write(&stamp_file, stamp).context("write the stamp of the images")
}

/// Of crate, chart and image alike.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where images, binaries and lists are put.
pub fn folder() -> Result<PathBuf> {
    let folder = workspace::scratch()?.join("image");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

fn compile(program: Program, arch: Arch, options: &Options, revision: &str) -> Result<PathBuf> {
    let target = target::choose(arch, options.only_musl)?;
    say::step(format_args!(
        "Compiling {} for {} (4 minutes the first time)",
        program.name(),
        target.triple
    ));
    let root = workspace::root();
    let binary = binary::compile(program, &target, &options.features, root, revision)?;
    if options.twice {
        let copy = folder()?.join("sources");
        say::step(format_args!("Compiling it again in {}", copy.display()));
        copy_sources(&copy)?;
        let again = binary::compile(program, &target, &options.features, &copy, revision)?;
        let same =
            fs::read(&binary).context("read the binary")? == fs::read(&again).context("read the other binary")?;
        ensure!(same, "{} and {} differ", binary.display(), again.display());
        say::checked("the same bytes, from another folder");
        fs::remove_dir_all(&copy).with_context(|| format!("remove {}", copy.display()))?;
    }
    Ok(binary)
}

/// Packages it, lists what is in it, says so, and fails when it is too large.
fn finish(name: &str, program: Program, arch: Arch, binary: &Path, identity: &Identity) -> Result<()> {
    let folder = folder()?;
    let size = fs::metadata(binary)
        .with_context(|| format!("look at {}", binary.display()))?
        .len();
    say::step(format_args!("Packaging {}", identity.reference));
    let Package {
        digest,
        oci_archive,
        docker_archive,
    } = package_twice(&folder, name, program, arch, binary, identity)?;
    let list = folder.join(format!("{name}.cdx.json"));
    let document = sbom::document(binary, program.name(), identity)?;
    fs::write(&list, serde_json::to_string_pretty(&document)? + "\n").context("write the SBOM")?;

    let download = fs::metadata(&oci_archive).context("look at the archive")?.len();
    say::note(format_args!("digest         {digest}"));
    say::note(format_args!(
        "size           {} to download, {} unpacked",
        mebibytes(download),
        mebibytes(size)
    ));
    say::note(format_args!("for registries {}", oci_archive.display()));
    say::note(format_args!("to load        {}", docker_archive.display()));
    say::note(format_args!("SBOM           {}", list.display()));
    if size > program.most_bytes() {
        bail!(
            "{} is too large: {} of {}",
            program.name(),
            mebibytes(size),
            mebibytes(program.most_bytes())
        );
    }
    Ok(())
}

/// Packages it again, from a copy that was made at another time, which has to be the same image.
fn package_twice(
    folder: &Path,
    name: &str,
    program: Program,
    arch: Arch,
    binary: &Path,
    identity: &Identity,
) -> Result<Package> {
    let first = package::package(folder, name, program, arch, binary, identity)?;
    let again = package::package(folder, name, program, arch, binary, identity)?;
    ensure!(
        first.digest == again.digest,
        "packaged twice, two images: {} and {}",
        first.digest,
        again.digest
    );
    Ok(again)
}

/// Which commit this is.
struct Source {
    revision: String,
    /// Of that commit, or what `SOURCE_DATE_EPOCH` says, see <https://reproducible-builds.org/specs/source-date-epoch/>.
    time: u64,
}

impl Source {
    /// Sources that did not come by git have no revision, and are as old as time.
    fn read() -> Self {
        let revision = git(&["rev-parse", "HEAD"]).map(|revision| {
            let changed = git(&["status", "--porcelain"]).is_none_or(|it| !it.is_empty());
            if changed { revision + "-modified" } else { revision }
        });
        let time = env::var("SOURCE_DATE_EPOCH")
            .ok()
            .or_else(|| git(&["log", "-1", "--format=%ct"]));
        Self {
            revision: revision.unwrap_or_else(|| "unknown".to_owned()),
            time: time.and_then(|it| it.trim().parse().ok()).unwrap_or(0),
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What git knows of, as it is in the folder now.
fn copy_sources(target: &Path) -> Result<()> {
    let files =
        git(&["ls-files", "--cached", "--others", "--exclude-standard"]).context("this needs a git checkout")?;
    let _ = fs::remove_dir_all(target);
    for file in files.lines() {
        let (from, to) = (workspace::root().join(file), target.join(file));
        if !from.is_file() {
            continue;
        }
        let parent = to.parent().context("a file lies in a folder")?;
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        fs::copy(&from, &to).with_context(|| format!("copy {}", from.display()))?;
    }
    Ok(())
}

fn mebibytes(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    format!("{mebibytes:.1} MiB")
}
