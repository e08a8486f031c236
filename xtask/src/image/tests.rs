use std::{fs, path::Path, process::Command, time::SystemTime};

use serde_json::Value;

use super::{
    Program,
    package::{Identity, Package, package},
    stamp,
    target::Arch,
};
use crate::workspace;

/// The same in every test; [`REVISION`] and time are those of no commit.
fn identity(program: Program) -> Identity {
    Identity {
        reference: format!("localhost/{}:test", program.name()),
        version: "1.2.3".to_owned(),
        revision: REVISION.to_owned(),
        created: 1_700_000_000,
    }
}

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

/// An image only holds bytes; whether they run is for the tests on a real node.
fn image(folder: &Path, program: Program, arch: Arch, content: &str) -> Package {
    let binary = folder.join("binary");
    fs::write(&binary, content).expect("a file");
    package(folder, "image", program, arch, &binary, &identity(program)).expect("an image")
}

/// A file out of an archive.
fn read(archive: &Path, file: &str) -> String {
    let output = Command::new("tar")
        .arg("xOf")
        .arg(archive)
        .arg(file)
        .output()
        .expect("tar runs");
    assert!(
        output.status.success(),
        "{file}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// What a container runtime reads of the image.
fn config(package: &Package) -> Value {
    let manifest: Value = serde_json::from_str(&read(&package.docker_archive, "manifest.json")).expect("JSON");
    let file = manifest[0]["Config"].as_str().expect("the name of a file");
    serde_json::from_str(&read(&package.docker_archive, file)).expect("JSON")
}

#[test]
fn an_image_depends_on_the_program_and_the_commit_alone() {
    let digests = ["one", "other"].map(|name| {
        let folder = tempfile::Builder::new().prefix(name).tempdir().expect("a folder");
        let first = image(folder.path(), Program::Controller, Arch::Amd64, "the same program");
        // As if it had been compiled years ago.
        let binary = folder.path().join("binary");
        let file = fs::File::options().write(true).open(&binary).expect("it is there");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("it is ours");
        let program = Program::Controller;
        let again = package(
            folder.path(),
            "again",
            program,
            Arch::Amd64,
            &binary,
            &identity(program),
        );
        assert_eq!(first.digest, again.expect("an image").digest);
        first.digest
    });
    assert_eq!(digests[0], digests[1]);
    assert!(digests[0].starts_with("sha256:"), "{}", digests[0]);

    let folder = tempfile::tempdir().expect("a folder");
    let other = image(folder.path(), Program::Controller, Arch::Amd64, "another program");
    assert_ne!(other.digest, digests[0]);
}

#[test]
fn an_image_holds_one_program_and_no_root() {
    for (program, argument) in [(Program::Controller, "controller"), (Program::Agent, "agent")] {
        for arch in [Arch::Amd64, Arch::Arm64] {
            let folder = tempfile::tempdir().expect("a folder");
            let package = image(folder.path(), program, arch, "a program");
            let image = config(&package);
            assert_eq!(image["architecture"], arch.name());
            let config = &image["config"];
            assert_eq!(config["User"], "65532:65532");
            assert_eq!(config["Entrypoint"], serde_json::json!(["/windlass"]));
            assert_eq!(config["Cmd"], serde_json::json!([argument]));
            assert_eq!(config["Env"], Value::Null, "no search path: there is nothing to find");
            let label = |name: &str| config["Labels"][format!("org.opencontainers.image.{name}")].clone();
            assert_eq!(label("title"), program.name());
            assert_eq!(label("version"), "1.2.3");
            assert_eq!(label("revision"), REVISION);
            assert_eq!(label("licenses"), "Apache-2.0");

            let manifest: Value = serde_json::from_str(&read(&package.docker_archive, "manifest.json")).expect("JSON");
            let layers = manifest[0]["Layers"].as_array().expect("layers");
            assert_eq!(layers.len(), 1);
            let layer = folder.path().join("layer");
            let name = layers[0].as_str().expect("the name of a file");
            fs::write(&layer, read(&package.docker_archive, name)).expect("a file");
            let listed = Command::new("tar").arg("tvf").arg(&layer).output().expect("tar runs");
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            assert_eq!(listed.lines().count(), 1, "{listed}");
            assert!(
                listed.starts_with("-r-xr-xr-x 0/0") && listed.trim_end().ends_with(" windlass"),
                "{listed}"
            );
        }
    }
}

#[test]
fn images_are_older_than_any_change_of_what_is_in_them() {
    let sources = tempfile::tempdir().expect("a folder");
    let write = |path: &str, content: &str| {
        let path = sources.path().join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, content).expect("a file");
    };
    for file in [
        "Cargo.lock",
        "Cargo.toml",
        "Dockerfile",
        "Dockerfile.agent",
        "crates/core/Cargo.toml",
        "crates/live/Cargo.toml",
    ] {
        write(file, "");
    }
    for file in [
        "crates/core/src/lib.rs",
        "crates/live/src/lib.rs",
        "rust-toolchain.toml",
        "src/main.rs",
        "xtask/src/image/binary.rs",
    ] {
        write(file, "");
    }
    write("xtask/src/image.rs", "");
    let stamp = || stamp::of(sources.path()).expect("a stamp");
    let mut before = stamp();
    assert_eq!(stamp(), before);
    for path in [
        "src/ops/new.rs",
        "src/main.rs",
        "crates/live/src/lib.rs",
        "Cargo.lock",
        "Dockerfile",
    ] {
        write(path, "changed");
        assert_ne!(stamp(), before, "{path}");
        before = stamp();
    }
    for path in ["src/ops/tests.rs", "src/ops/tests/more.rs", "docs/policy.md"] {
        write(path, "changed");
        assert_eq!(stamp(), before, "{path}");
    }
    fs::rename(
        sources.path().join("src/ops/new.rs"),
        sources.path().join("src/ops/old.rs"),
    )
    .expect("it is there");
    assert_ne!(stamp(), before, "a name is part of it");
}

#[test]
fn all_that_is_stamped_is_there() {
    stamp::of(workspace::root()).expect("a stamp");
}
