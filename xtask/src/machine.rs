//! What this machine must have. Checked before anything slow begins, and all at once, so that
//! nobody installs one thing to be told about the next ten minutes later.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{applications, path::find, workspace};

/// A program that a command needs.
#[derive(Clone, Copy)]
pub enum Tool {
    /// Compiles the embedded Kubernetes.
    Go,
    /// Runs the pods of the tests: containerd, runc and CNI's plugins, as root.
    Node,
    /// Run in those pods: nginx and Prometheus.
    Applications,
    /// Makes images, without a daemon.
    Buildah,
    /// Formats our code.
    Rustfmt,
    /// Finds what the compiler does not.
    Clippy,
}

/// Fails with one message that lists everything that is missing and how to get it.
pub fn require(tools: &[Tool]) -> Result<()> {
    let missing: Vec<String> = tools
        .iter()
        .filter_map(|tool| complaint(*tool).transpose())
        .collect::<Result<_>>()?;
    if missing.is_empty() {
        return Ok(());
    }
    bail!("this machine lacks something:\n  - {}", missing.join("\n  - "));
}

fn complaint(tool: Tool) -> Result<Option<String>> {
    Ok(match tool {
        Tool::Go => go_complaint(required_go()?),
        Tool::Node => node_complaint(),
        Tool::Applications => (!applications::can_be_had()).then(|| {
            format!(
                "applications that the tests run in pods: install {} (no daemon of them has to run)",
                applications::PACKAGES
            )
        }),
        Tool::Buildah => find("buildah")
            .is_none()
            .then(|| "buildah: install buildah (Debian: apt-get install -y buildah musl-tools)".to_owned()),
        Tool::Rustfmt => component_complaint("fmt", "rustfmt"),
        Tool::Clippy => component_complaint("clippy", "clippy"),
    })
}

fn component_complaint(subcommand: &str, component: &str) -> Option<String> {
    first_line("cargo", &[subcommand, "--version"])
        .is_none()
        .then(|| format!("cargo {subcommand}: `rustup component add {component}`"))
}

fn go_complaint(required: (u32, u32)) -> Option<String> {
    let (major, minor) = required;
    let how = format!("install Go {major}.{minor} or newer (https://go.dev/doc/install) and have `go` on the PATH");
    let Some(line) = first_line("go", &["version"]) else {
        return Some(format!("go: {how}"));
    };
    match parse_version(&line) {
        Some(found) if found >= required => None,
        Some((major, minor)) => Some(format!("go: {major}.{minor} is too old; {how}")),
        None => Some(format!("go: cannot read its version from {line:?}; {how}")),
    }
}

/// What the real node consists of: each program with Debian's package. `devcluster up --node` looks for the
/// same and would say so as well, but only in the middle of the tests.
const NODE_PROGRAMS: &[(&str, &str)] = &[
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("ip", "iproute2"),
];
const CNI_FOLDERS: &[&str] = &["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

fn node_complaint() -> Option<String> {
    let mut packages: Vec<&str> = NODE_PROGRAMS
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if !CNI_FOLDERS
        .iter()
        .any(|folder| Path::new(folder).join("bridge").is_file())
    {
        packages.push("containernetworking-plugins");
    }
    packages.dedup();
    if !packages.is_empty() {
        return Some(format!(
            "the real node of the tests: install {0} (Debian: apt-get install -y {0})",
            packages.join(" ")
        ));
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    (!is_root).then(|| "the real node of the tests makes namespaces and mounts: run this as root".to_owned())
}

/// The version that the module of the embedded cluster asks for.
fn required_go() -> Result<(u32, u32)> {
    let path = workspace::root().join("tests/cluster/go.mod");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    text.lines()
        .find_map(|line| parse_version(&format!("go{}", line.strip_prefix("go ")?)))
        .with_context(|| format!("no `go` line in {}", path.display()))
}

/// Reads "go version go1.26.8 linux/amd64".
fn parse_version(line: &str) -> Option<(u32, u32)> {
    line.split_whitespace().find_map(|word| {
        let mut numbers = word.strip_prefix("go")?.split('.');
        let major = numbers.next()?.parse().ok()?;
        // Development versions look like go1.27rc1 and go1.27-abcdef.
        let minor = numbers.next()?;
        let digits = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
        Some((major, minor.get(..digits)?.parse().ok()?))
    })
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output
        .status
        .success()
        .then(|| text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions_of_go_are_read_as_it_prints_them() {
        assert_eq!(parse_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(parse_version("go version go1.27rc1 linux/amd64"), Some((1, 27)));
        assert_eq!(parse_version("go1.26"), Some((1, 26)));
        assert_eq!(parse_version("bash: go: command not found"), None);
    }
}
