//! Puts a compiled program into an image, by buildah, from the Dockerfile. No daemon and no registry take part.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::{Program, target::Arch};
use crate::workspace;

/// What an image says of itself.
#[derive(Clone)]
pub struct Identity {
    /// Repository and tag.
    pub reference: String,
    /// The label `org.opencontainers.image.version`.
    pub version: String,
    /// The label `org.opencontainers.image.revision`.
    pub revision: String,
    /// When everything in it claims to have been made, in seconds since 1970: of the commit, not of now.
    pub created: u64,
}

/// An image, as files.
#[derive(Debug)]
pub struct Package {
    /// Of its manifest: what a registry calls it.
    pub digest: String,
    /// For `skopeo copy` and registries.
    pub oci_archive: PathBuf,
    /// For `docker load`, `ctr images import` and `devcluster load`.
    pub docker_archive: PathBuf,
}

/// Makes the image and both archives `NAME.oci.tar` and `NAME.tar` in the folder.
pub fn package(
    folder: &Path,
    name: &str,
    program: Program,
    arch: Arch,
    binary: &Path,
    identity: &Identity,
) -> Result<Package> {
    let context = folder.join(format!("{name}.context"));
    let store = Store::new(folder.join(format!("{name}.store")))?;
    // Of a command that was interrupted.
    let _ = fs::remove_dir_all(&context);
    fs::create_dir_all(&context).with_context(|| format!("create {}", context.display()))?;
    let copy = context.join(format!("{}-{}", program.name(), arch.name()));
    fs::copy(binary, &copy).with_context(|| format!("copy {}", binary.display()))?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).context("make it executable")?;

    complete(
        store
            .command()
            .args(["build", "--isolation", "chroot", "--format", "oci", "--quiet"])
            // Neither its own version nor a search path that leads nowhere.
            .args(["--identity-label=false", "--unsetenv", "PATH"])
            .arg(format!("--platform=linux/{}", arch.name()))
            .arg(format!("--timestamp={}", identity.created))
            .arg(format!("--build-arg=TARGETARCH={}", arch.name()))
            .arg(format!("--build-arg=VERSION={}", identity.version))
            .arg(format!("--build-arg=REVISION={}", identity.revision))
            .args(["--tag", &identity.reference, "--file"])
            .arg(workspace::root().join(program.dockerfile()))
            .arg(&context),
    )?;
    let package = Package {
        digest: String::new(),
        oci_archive: folder.join(format!("{name}.oci.tar")),
        docker_archive: folder.join(format!("{name}.tar")),
    };
    let digest_file = context.join("digest");
    for (kind, path) in [
        ("docker-archive", &package.docker_archive),
        ("oci-archive", &package.oci_archive),
    ] {
        // buildah appends to an archive that is there.
        let _ = fs::remove_file(path);
        let target = format!("{kind}:{}:{}", path.display(), identity.reference);
        complete(
            store
                .command()
                .args(["push", "--quiet", "--digestfile"])
                .arg(&digest_file)
                .args([&identity.reference, &target]),
        )?;
    }
    let digest = fs::read_to_string(&digest_file).context("read the digest")?;
    fs::remove_dir_all(&context).with_context(|| format!("remove {}", context.display()))?;
    Ok(Package {
        digest: digest.trim().to_owned(),
        ..package
    })
}

/// Where buildah keeps images while it is at work: of ours alone, so that nothing that a machine happens to
/// have gets into the image, and plain files, which need no support by the kernel.
struct Store(PathBuf);

impl Store {
    fn new(folder: PathBuf) -> Result<Self> {
        // Of a command that was interrupted.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Self(folder))
    }

    fn command(&self) -> Command {
        let mut command = Command::new("buildah");
        command
            .arg("--root")
            .arg(self.0.join("root"))
            .arg("--runroot")
            .arg(self.0.join("run"))
            .args(["--storage-driver", "vfs"])
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What buildah says is only told when it fails: it warns of build arguments that it sets itself.
fn complete(command: &mut Command) -> Result<()> {
    let output = command.output().context("start buildah")?;
    ensure!(
        output.status.success(),
        "{command:?} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
