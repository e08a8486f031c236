//! What is worth knowing of a run and must not decide whether it is green: machines differ.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use rustix::process::Pid;

/// Beside what `cargo xtask image` makes; one file for each figure.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.windlass/in-cluster");

/// Prints it and keeps it.
pub fn note(name: &str, text: &str) {
    println!("{text}");
    fs::create_dir_all(FOLDER).expect("a folder");
    fs::write(Path::new(FOLDER).join(name), format!("{text}\n")).expect("a file");
}

/// How much memory the pod's process has had at most, and its container as the kernel counts it.
pub fn memory(name: &str, pod: &Pod, process: Pid) {
    let number = process.as_raw_nonzero();
    let resident = resident(&format!("/proc/{number}/status")).expect("the kernel tells");
    let counted = counted(&format!("/proc/{number}/cgroup")).expect("the kernel tells");
    let text = format!(
        "memory of {}: {:.1} MiB resident at most, {:.1} MiB counted for its container at most",
        pod.name_any(),
        f64::from(resident) / 1024.0,
        f64::from(counted) / 1024.0
    );
    note(name, &text);
}

/// In KiB.
fn resident(status: &str) -> Result<u32> {
    let text = fs::read_to_string(status).with_context(|| status.to_owned())?;
    let line = text.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let number = line.context("no VmHWM")?.trim().trim_end_matches(" kB");
    number.parse().with_context(|| format!("VmHWM: {number}"))
}

/// In KiB, by control groups of either version.
fn counted(cgroup: &str) -> Result<u32> {
    let text = fs::read_to_string(cgroup).with_context(|| cgroup.to_owned())?;
    let file = text
        .lines()
        .find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, group) = (fields.next()?, fields.next()?);
            match controllers {
                "" => Some(format!("/sys/fs/cgroup{group}/memory.peak")),
                "memory" => Some(format!("/sys/fs/cgroup/memory{group}/memory.max_usage_in_bytes")),
                _ => None,
            }
        })
        .context("no control group that counts memory")?;
    let bytes: u64 = fs::read_to_string(&file).with_context(|| file)?.trim().parse()?;
    Ok(u32::try_from(bytes / 1024)?)
}
