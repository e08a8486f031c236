//! The oldest Kubernetes that is supported: one number, wherever it stands.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::helm::{chart, helm};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The minor version in the first line with these words around it.
fn minor(text: &str, before: &str, after: &str) -> u32 {
    let found = text.split_once(before).and_then(|(_, rest)| rest.split_once(after));
    let (number, _) = found.unwrap_or_else(|| panic!("nothing between {before:?} and {after:?}"));
    number
        .parse()
        .unwrap_or_else(|error| panic!("{number:?} after {before:?}: {error}"))
}

fn oldest() -> u32 {
    let chart: Value = serde_saphyr::from_str(&read("charts/windlass/Chart.yaml")).expect("the chart's own facts");
    let versions = chart["kubeVersion"].as_str().expect("the versions that it is for");
    minor(versions, ">=1.", ".0-0")
}

#[test]
fn chart_client_and_docs_name_the_same_version() {
    let oldest = oldest();
    let client = read("Cargo.toml");
    let line = client.lines().find(|line| line.starts_with("k8s-openapi = { version"));
    assert_eq!(minor(line.expect("the client's types"), "\"v1_", "\""), oldest);
    assert_eq!(minor(&read("docs/install.md"), "Kubernetes 1.", " or later"), oldest);
    let module = read("tests/cluster/go.mod");
    let tested = minor(&module, "k8s.io/kubernetes v1.", ".");
    assert_eq!(minor(&read("docs/install.md"), "the tests run on 1.", "."), tested);
    assert!(oldest <= tested);
}

#[test]
fn an_older_cluster_is_refused() {
    let chart = chart().to_string_lossy().into_owned();
    let on = |minor: u32| {
        let version = format!("--kube-version=1.{minor}.0");
        helm(&["template", "windlass", &chart, &version], &json!({}))
    };
    on(oldest()).expect("the oldest that is supported");
    let complaint = on(oldest() - 1).expect_err("an older one");
    assert!(complaint.contains("kubeVersion"), "{complaint}");
}
