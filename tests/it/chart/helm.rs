//! helm itself, as people run it.

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// Names the built helm; `cargo xtask test` sets it.
const HELM: &str = "WINDLASS_HELM";

/// The chart under test.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/windlass")
}

/// Runs helm with these values on top of the chart's own. What it prints, or what it complains of.
pub fn helm(arguments: &[impl AsRef<OsStr>], values: &Value) -> Result<String, String> {
    let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    run(
        &[&arguments[..], &["--values", "-"].map(OsStr::new)].concat(),
        &values.to_string(),
    )
}

/// Runs helm without any values.
pub fn plain(arguments: &[impl AsRef<OsStr>]) -> Result<String, String> {
    let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    run(&arguments, "")
}

fn run(arguments: &[&OsStr], text: &str) -> Result<String, String> {
    let program =
        std::env::var_os(HELM).unwrap_or_else(|| panic!("run `cargo xtask chart`, which builds helm and sets {HELM}"));
    // Nothing of the caller's: no plugins, no repositories, no cluster.
    let home = tempfile::tempdir().expect("a scratch folder");
    let mut child = Command::new(program)
        .args(arguments)
        .env("HOME", home.path())
        .env_remove("KUBECONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("helm starts");
    let mut input = child.stdin.take().expect("helm has a piped input");
    // A helm that has ended already has said why.
    let _ = input.write_all(text.as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("helm ends");
    let [said, complaint] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if output.status.success() {
        Ok(said)
    } else {
        Err(complaint)
    }
}

/// What the chart is with these values.
pub fn template(release: &str, namespace: &str, values: &Value) -> Result<Vec<Value>, String> {
    let chart = chart();
    let arguments = ["template", release, "--namespace", namespace].map(OsStr::new);
    let text = helm(&[&arguments[..], &[chart.as_os_str()]].concat(), values)?;
    let documents = text.split("\n---\n").filter(|document| !is_empty(document));
    Ok(documents
        .map(|document| serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}:\n{document}")))
        .collect())
}

fn is_empty(document: &str) -> bool {
    document
        .lines()
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// The only object of this kind.
pub fn the<'documents>(documents: &'documents [Value], kind: &str) -> &'documents Value {
    let mut found = documents.iter().filter(|document| document["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    first
}
