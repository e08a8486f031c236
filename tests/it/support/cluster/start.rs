//! Where clusters come from.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{APPLICATION, Cluster, NODE, WINDLASS, kubectl::complete};

#[path = "../../../../xtask/src/image/stamp.rs"]
mod stamp;

/// Names the built `devcluster`; `cargo xtask test` sets it.
const DEVCLUSTER: &str = "WINDLASS_DEVCLUSTER";

const IMAGES: &str = "WINDLASS_IMAGES";

/// The cluster that the caller's `KUBECONFIG` names: its user does everything.
pub(super) fn given(kubeconfig: &OsString) -> Result<Cluster> {
    // Several files joined by a separator are kubectl's business; the controller gets one.
    let path = env::split_paths(kubeconfig).next().context("KUBECONFIG is empty")?;
    Ok(Cluster {
        test: path.clone(),
        windlass: path.clone(),
        second: path,
        limited: None,
        audit_log: None,
        network: None,
        kubectl: "kubectl".into(),
        dir: None,
        stopped: Mutex::default(),
        _harness: None,
    })
}

pub(super) fn embedded(flags: &[&str]) -> Result<Cluster> {
    let mut harness = Command::new(devcluster()?)
        .arg("up")
        .args(["--users", "windlass,second,test,limited:none"])
        .arg("--stop-on-stdin-eof")
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting devcluster")?;
    let output = harness.stdout.take().context("devcluster has a piped output")?;
    let mut ready = String::new();
    BufReader::new(output).read_line(&mut ready)?;
    let ready: Value = match serde_json::from_str(&ready) {
        Ok(ready) => ready,
        Err(_) => bail!("devcluster ended before its cluster was ready; see its messages above"),
    };
    let path = |pointer: &str| -> Result<PathBuf> {
        let value = ready.pointer(pointer).and_then(Value::as_str);
        Ok(value.with_context(|| format!("devcluster told no {pointer}"))?.into())
    };
    Ok(Cluster {
        test: path("/kubeconfigs/test")?,
        windlass: path("/kubeconfigs/windlass")?,
        second: path("/kubeconfigs/second")?,
        limited: Some(path("/kubeconfigs/limited")?),
        audit_log: Some(path("/audit_log")?),
        network: ready
            .pointer("/node/pid")
            .map(|pid| format!("/proc/{pid}/ns/net").into()),
        kubectl: path("/kubectl")?,
        dir: Some(path("/dir")?),
        stopped: Mutex::default(),
        _harness: Some(harness),
    })
}

/// A cluster with a real node that has the image of the test application.
pub(super) fn with_node() -> Result<Cluster> {
    let cluster = embedded(&["--node"])?;
    let programs = devcluster()?;
    let application = programs.with_file_name("testapp");
    ensure!(
        application.is_file(),
        "there is no {}: `cargo xtask test` builds it beside devcluster",
        application.display()
    );
    cluster.load_image(APPLICATION, &[&application])?;
    // With the application beside it, which plays the validator.
    let windlass = Path::new(env!("CARGO_BIN_EXE_windlass"));
    cluster.load_image(WINDLASS, &[windlass, &application])?;
    Ok(cluster)
}

/// A cluster in which Windlass itself can be installed. What says nothing of nodes is on the fake one.
pub(super) fn with_images() -> Result<Cluster> {
    let images = env::var_os(IMAGES).map(PathBuf::from);
    let images =
        images.with_context(|| format!("run `cargo xtask test`, which builds the images and sets {IMAGES}"))?;
    let stamped = fs::read_to_string(images.join(stamp::FILE)).unwrap_or_default();
    ensure!(
        stamped == stamp::of(Path::new(env!("CARGO_MANIFEST_DIR")))?,
        "the images in {} are not of these sources: run `cargo xtask test -- --test it in_cluster`, which builds them",
        images.display()
    );
    let components = "etcd,kube-apiserver,kube-controller-manager,kube-scheduler,kwok";
    let cluster = embedded(&["--node", "--components", components])?;
    for name in ["test-windlass", "test-windlass-next", "test-windlass-agent"] {
        cluster.load_archive(&images.join(format!("{name}.tar")))?;
    }
    cluster.load_image(APPLICATION, &[&devcluster()?.with_file_name("testapp")])?;
    let mut taint = Command::new(&cluster.kubectl);
    taint.arg("--kubeconfig").arg(&cluster.test);
    complete(taint.args(["taint", "nodes", NODE, "windlass.test/real=:NoSchedule"]))?;
    Ok(cluster)
}

pub(super) fn devcluster() -> Result<PathBuf> {
    env::var_os(DEVCLUSTER).map(PathBuf::from).with_context(|| {
        format!("run `cargo xtask test`, which builds a cluster and sets {DEVCLUSTER}, or set KUBECONFIG")
    })
}
