//! Which crates are in a binary, as cargo itself resolves them for it.
//!
//! Left alone, `cargo auditable` asks `cargo metadata`, which turns on every feature that some test or other
//! program of the workspace wants: the agent would be said to hold a Kubernetes client, and scanners would raise
//! alarms for what is not there. So it is given the list, in the form in which cargo will one day give it
//! (<https://doc.rust-lang.org/cargo/reference/unstable.html#sbom>), made of `cargo tree`, which knows better.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Program;
use crate::workspace;

/// What `cargo auditable` reads from the file that `CARGO_SBOM_PATH` names.
pub fn precursor(program: Program, features: &[String], triple: &str) -> Result<Value> {
    let all = Tree::read(&tree(program, features, triple, "normal,build")?)?;
    // Without what only runs while compiling.
    let linked = Tree::read(&tree(program, features, triple, "normal,no-proc-macro")?)?;
    let edge = |place: &usize| {
        let is_linked = all.packages.get(*place).is_some_and(|it| linked.packages.contains(it));
        json!({"index": place, "kind": if is_linked { "normal" } else { "build" }})
    };
    let crates = all.packages.iter().enumerate().map(|(place, package)| {
        let on = all.dependencies.get(&place).into_iter().flatten();
        json!({
            "id": package.id(),
            "kind": [],
            "features": [],
            "dependencies": on.map(edge).collect::<Vec<_>>(),
        })
    });
    // Of the compiler nothing gets into the binary's list, but the form asks for it.
    let rustc = json!({"version": "", "commit_hash": "", "host": "", "verbose_version": ""});
    Ok(json!({"version": 1, "root": 0, "crates": crates.collect::<Vec<_>>(), "rustc": rustc}))
}

fn tree(program: Program, features: &[String], triple: &str, edges: &str) -> Result<String> {
    let mut command = workspace::cargo();
    command
        .args(["tree", "--locked", "--package", "windlass", "--target", triple])
        .args(["--edges", edges, "--prefix", "depth"])
        .args(program.features());
    if !features.is_empty() {
        command.args(["--features", &features.join(",")]);
    }
    let output = command.stdin(Stdio::null()).output().context("run cargo tree")?;
    ensure!(
        output.status.success(),
        "cargo tree failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    is_ours: bool,
}

impl Package {
    /// See <https://doc.rust-lang.org/cargo/reference/pkgid-spec.html>.
    fn id(&self) -> String {
        let Self { name, version, is_ours } = self;
        // Where ours lie on this machine is nobody's business.
        let source = if *is_ours {
            "path+file:///windlass"
        } else {
            "registry+https://github.com/rust-lang/crates.io-index"
        };
        format!("{source}#{name}@{version}")
    }
}

/// The first package is the binary's own.
#[derive(Default)]
struct Tree {
    packages: Vec<Package>,
    dependencies: BTreeMap<usize, BTreeSet<usize>>,
}

impl Tree {
    /// Lines like `3syn v3.0.9 (*)`: how deep, name, version, and the folder if it is ours. What is below a
    /// package is shown once only.
    fn read(text: &str) -> Result<Self> {
        let mut tree = Self::default();
        let mut path: Vec<usize> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let name_at = line.find(|c: char| !c.is_ascii_digit()).unwrap_or_default();
            let (depth, rest) = line.split_at(name_at);
            let depth: usize = depth.parse().with_context(|| format!("cargo tree said {line:?}"))?;
            let mut words = rest.split(' ');
            let (Some(name), Some(version)) = (words.next(), words.next().and_then(|it| it.strip_prefix('v'))) else {
                anyhow::bail!("cargo tree said {line:?}");
            };
            let package = Package {
                name: name.to_owned(),
                version: version.to_owned(),
                is_ours: words.any(|it| it.starts_with("(/")),
            };
            let place = tree.packages.iter().position(|it| *it == package).unwrap_or_else(|| {
                tree.packages.push(package);
                tree.packages.len() - 1
            });
            path.truncate(depth);
            if let Some(parent) = path.last() {
                tree.dependencies.entry(*parent).or_default().insert(place);
            }
            path.push(place);
        }
        ensure!(!tree.packages.is_empty(), "cargo tree said nothing");
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::{Program, Tree, precursor};

    #[test]
    fn a_tree_is_read_as_cargo_prints_it() {
        let text =
            "0app v0.1.0 (/src/app)\n1clap v4.6.7\n2heck v0.5.0\n1derive v1.0.0 (proc-macro)\n2heck v0.5.0 (*)\n";
        let tree = Tree::read(text).expect("it is one");
        let ids: Vec<String> = tree.packages.iter().map(super::Package::id).collect();
        assert_eq!(ids.len(), 4, "heck counts once: {ids:?}");
        assert_eq!(ids[0], "path+file:///windlass#app@0.1.0");
        assert_eq!(
            ids[1],
            "registry+https://github.com/rust-lang/crates.io-index#clap@4.6.7"
        );
        let on = |place: usize| {
            tree.dependencies
                .get(&place)
                .map(|it| it.iter().copied().collect::<Vec<_>>())
        };
        assert_eq!(on(0), Some(vec![1, 3]));
        assert_eq!(on(1), Some(vec![2]));
        assert_eq!(on(3), Some(vec![2]));
    }

    #[test]
    fn the_agent_is_said_to_hold_no_kubernetes_client_and_the_controller_one() {
        let holds = |program| {
            let list = precursor(program, &[], "x86_64-unknown-linux-gnu").expect("cargo resolves it");
            list.to_string().contains("#kube-client@")
        };
        assert!(!holds(Program::Agent));
        assert!(holds(Program::Controller));
    }
}
