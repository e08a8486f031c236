//! What holds for the source tree as a whole.

use std::fs;
use std::path::{Path, PathBuf};

use windlass_core::reason::Reason;

mod links;

/// What the rules must not know.
const NOT_IN_CORE: &[&str] = &[
    "kube::",
    "k8s_openapi::",
    "tokio::",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_core_knows_no_cluster_no_clock_and_no_files() {
    for file in sources(&root().join("crates/core/src")) {
        let text = fs::read_to_string(&file).expect("a source file");
        for word in NOT_IN_CORE {
            let used = text
                .lines()
                .any(|line| !line.trim_start().starts_with("//") && line.contains(word));
            assert!(!used, "{} uses {word}", file.display());
        }
    }
}

#[test]
fn every_reason_is_explained_in_the_operations_guide() {
    let guide = fs::read_to_string(root().join("docs/operations.md")).expect("docs/operations.md");
    for reason in Reason::ALL {
        assert!(
            guide.contains(&format!("`{}`", reason.as_str())),
            "docs/operations.md does not explain {}",
            reason.as_str()
        );
    }
}

/// What follows `prefix` in this file of the project, up to the next space, quote or line end; every time.
fn follows(file: &Path, prefix: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let end = |c: char| c.is_whitespace() || "\"'`@,)".contains(c);
    let values = text.split(prefix).skip(1).filter_map(|rest| rest.split(end).next());
    values.map(str::to_owned).collect()
}

#[test]
fn chart_crate_images_and_docs_have_one_version() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = root().join("charts/windlass/Chart.yaml");
    assert_eq!(follows(&chart, "\nversion: "), [version], "the chart's");
    assert_eq!(follows(&chart, "\nappVersion: "), [version], "that of what it installs");
    let mut named = 0;
    let docs = fs::read_dir(root().join("docs")).expect("a folder");
    let docs = docs.map(|entry| entry.expect("a folder entry").path());
    let files = docs.chain([root().join("README.md"), root().join("CONTRIBUTING.md")]);
    for file in files.filter(|path| path.extension().is_some_and(|it| it == "md")) {
        for prefix in [
            "oci://ghcr.io/windlass-dev/charts/windlass --version ",
            "ghcr.io/windlass-dev/windlass:",
            "ghcr.io/windlass-dev/windlass-agent:",
            "git checkout v",
            "refs/tags/v",
        ] {
            for found in follows(&file, prefix) {
                assert_eq!(found, version, "{}, after {prefix:?}", file.display());
                named += 1;
            }
        }
    }
    assert!(named >= 8, "the docs name the version, {named} times only");
}

/// The image's labels take it from the crate: `xtask` has the version of the workspace.
#[test]
fn every_crate_of_the_workspace_has_its_version() {
    for manifest in [
        "Cargo.toml",
        "crates/core/Cargo.toml",
        "crates/live/Cargo.toml",
        "xtask/Cargo.toml",
    ] {
        let text = fs::read_to_string(root().join(manifest)).expect("a manifest");
        assert!(text.contains("\nversion.workspace = true\n"), "{manifest}");
    }
    let workspace = follows(&root().join("Cargo.toml"), "[workspace.package]\nversion = \"");
    assert_eq!(workspace, [env!("CARGO_PKG_VERSION")]);
    let live = follows(
        &root().join("Cargo.toml"),
        "\nwindlass-live = { path = \"crates/live\", version = \"",
    );
    assert_eq!(
        live, workspace,
        "what is published depends on what is published with it"
    );
}

#[test]
fn cargo_deny_has_one_version() {
    let tools = follows(
        &root().join("xtask/src/tools.rs"),
        "name: \"cargo-deny\",\n    version: \"",
    );
    let workflow = follows(
        &root().join(".github/workflows/ci.yml"),
        "cargo install cargo-deny --version ",
    );
    assert_eq!(tools.len(), 1);
    assert_eq!(tools, workflow);
}
