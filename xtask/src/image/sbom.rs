//! The list of what is in a binary, in the format of `CycloneDX`: <https://cyclonedx.org/docs/1.6/json/>.
//!
//! It is made of the list that is in the binary itself, so that the two never disagree; licences come from the crates' manifests, checksums from `Cargo.lock`.

use std::{collections::BTreeMap, fs, path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use auditable_info::{Limits, json_from_file};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::package::Identity;
use crate::workspace;

/// What `cargo auditable` writes.
#[derive(Deserialize)]
pub struct Audited {
    /// All crates, build dependencies included.
    pub packages: Vec<Crate>,
}

/// One crate in a binary, see <https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>.
#[derive(Deserialize)]
pub struct Crate {
    /// As on crates.io.
    pub name: String,
    version: String,
    source: String,
    #[serde(default)]
    kind: Kind,
    /// By their places in the list.
    #[serde(default)]
    dependencies: Vec<usize>,
    #[serde(default)]
    root: bool,
}

#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Ran while compiling, and is not in the binary.
    Build,
    #[default]
    Runtime,
}

impl Crate {
    /// See <https://github.com/package-url/purl-spec>. Also what the parts of the list refer to each other by.
    fn purl(&self) -> String {
        if self.source == "crates.io" {
            format!("pkg:cargo/{}@{}", self.name, self.version)
        } else {
            format!("pkg:github/windlass-dev/windlass@v{}#{}", self.version, self.name)
        }
    }
}

/// Reads the list that is in a binary.
pub fn audited(binary: &Path) -> Result<Audited> {
    let text = json_from_file(binary, Limits::default())
        .with_context(|| format!("{} has no list of its dependencies in it", binary.display()))?;
    serde_json::from_str(&text).context("read the list of dependencies in the binary")
}

/// The document for this binary.
pub fn document(binary: &Path, name: &str, identity: &Identity) -> Result<Value> {
    let audited = audited(binary)?;
    let bytes = fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
    let licences = licences()?;
    let checksums = checksums(&fs::read_to_string(workspace::root().join("Cargo.lock")).context("read Cargo.lock")?);
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    for package in &audited.packages {
        let on: Vec<String> = package
            .dependencies
            .iter()
            .filter_map(|place| audited.packages.get(*place))
            .map(Crate::purl)
            .collect();
        dependencies.push(json!({"ref": package.purl(), "dependsOn": on}));
        if package.root {
            continue;
        }
        let key = (package.name.clone(), package.version.clone());
        let licence = licences
            .get(&key)
            .with_context(|| format!("{} has no licence", package.name))?;
        let mut component = json!({
            "type": "library",
            "bom-ref": package.purl(),
            "name": package.name,
            "version": package.version,
            "purl": package.purl(),
            // Nothing of a build dependency is in the binary, but it had its say.
            "scope": if package.kind == Kind::Build { "excluded" } else { "required" },
            "licenses": [{"expression": licence}],
        });
        if let Some(checksum) = checksums.get(&key) {
            component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
        }
        components.push(component);
    }
    let roots: Vec<&Crate> = audited.packages.iter().filter(|it| it.root).collect();
    ensure!(
        roots.len() == 1,
        "a binary is made of one crate, not of {}",
        roots.len()
    );
    let created = jiff::Timestamp::from_second(identity.created.cast_signed()).context("the time of the commit")?;
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": created.to_string(),
            "component": {
                "type": "application",
                "bom-ref": roots.first().map(|it| it.purl()),
                "name": name,
                "version": identity.version,
                "licenses": [{"expression": "Apache-2.0"}],
                "hashes": [{"alg": "SHA-256", "content": hexadecimal(&Sha256::digest(&bytes))}],
                "properties": [{"name": "windlass:revision", "value": identity.revision}],
            },
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// By name and version, as the crates' manifests say it. The old way to say "or" is a slash.
fn licences() -> Result<BTreeMap<(String, String), String>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Manifest>,
    }
    #[derive(Deserialize)]
    struct Manifest {
        name: String,
        version: String,
        license: Option<String>,
    }
    let output = workspace::cargo()
        .args(["metadata", "--locked", "--format-version", "1"])
        .stdin(Stdio::null())
        .output()
        .context("run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed ({})", output.status);
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("read what cargo metadata says")?;
    let known = metadata.packages.into_iter().filter_map(|it| {
        let licence = it.license?.replace('/', " OR ");
        Some(((it.name, it.version), licence))
    });
    Ok(known.collect())
}

/// SHA-256 of what was downloaded, by name and version. Cargo writes this file itself, a field to a line.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let field = |block: &str, name: &str| -> Option<String> {
        let line = block
            .lines()
            .find_map(|it| it.strip_prefix(name)?.strip_prefix(" = "))?;
        Some(line.trim_matches('"').to_owned())
    };
    lock.split("[[package]]")
        .filter_map(|block| {
            let key = (field(block, "name")?, field(block, "version")?);
            Some((key, field(block, "checksum")?))
        })
        .collect()
}
