//! `cargo xtask demo --greeter`: the example of `windlass-live` in a pod on a real kubelet, its flags
//! changed while it runs.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::stage::LIMIT;
use crate::{
    controller::Controller,
    devcluster::Info,
    say::{checked, note, step, time},
    workspace,
};

const NAMESPACE: &str = "windlass-demo";
const SYSTEM_NAMESPACE: &str = "windlass-system";
const IMAGE: &str = "windlass-live-service:dev";
const POLL: Duration = Duration::from_millis(20);

/// Tells all of it, on a cluster with a node on which pods run.
pub async fn tell(
    info: &Info,
    devcluster: &Path,
    windlass: &Path,
    folder: &Path,
    slot: &mut Option<Controller>,
) -> Result<()> {
    step("Making an image of the example, and applying examples/live/greeter.yaml");
    load_image(info, devcluster, folder)?;
    for namespace in [NAMESPACE, SYSTEM_NAMESPACE] {
        kubectl(info, &["create", "namespace", namespace])?;
    }
    let definitions = Command::new(windlass).arg("crds").output().context("windlass crds")?;
    let file = folder.join("crds.yaml");
    fs::write(&file, definitions.stdout).context("write the definitions")?;
    kubectl(info, &["apply", "--filename", &file.display().to_string()])?;
    kubectl(info, &["apply", "--filename", "examples/live/greeter.yaml"])?;
    wait(|| says(info, devcluster, "hello")).await?;
    let pod = pod(info)?;
    checked(format_args!("{pod} says hello"));

    step("Starting Windlass");
    let arguments = ["--namespaces", NAMESPACE, "--lease-namespace", SYSTEM_NAMESPACE];
    let kubeconfig = info.kubeconfig("windlass")?;
    let controller = Controller::start(windlass, kubeconfig, &folder.join("controller.log"), &arguments).await?;
    let ready = slot.insert(controller).ready(LIMIT).await?;
    note(format_args!("ready {} after its start", time(ready)));
    wait(|| Ok(observed(info)?.contains("\"v\":1"))).await?;

    step("The flag greeting changes in the ConfigMap");
    let started = Instant::now();
    set(info, r#"{"data":{"greeting":"good day"}}"#)?;
    wait(|| says(info, devcluster, "good day")).await?;
    ensure!(
        self::pod(info)? == pod,
        "the pod was replaced, and should not have been"
    );
    checked(format_args!(
        "the same pod says good day, {} later",
        time(started.elapsed())
    ));

    step("A greeting that says nothing is refused by the service's own validator");
    set(info, r#"{"data":{"greeting":" ","mood":"loud"}}"#)?;
    wait(|| Ok(page(info, devcluster, "/flags/json")?.contains("says nothing"))).await?;
    checked("the page of its flags tells why; it goes on as before");

    step("The static flag listen changes: its policy says that this is a restart");
    set(info, r#"{"data":{"greeting":"welcome back","listen":"0.0.0.0:8080"}}"#)?;
    wait(|| Ok(self::pod(info)? != pod && says(info, devcluster, "WELCOME BACK!")?)).await?;
    checked(format_args!("{} took its place", self::pod(info)?));
    Ok(())
}

fn load_image(info: &Info, devcluster: &Path, folder: &Path) -> Result<()> {
    let mut build = workspace::cargo();
    build.args(["build", "--quiet", "--package", "windlass-live", "--example", "service"]);
    ensure!(
        build.status().context("run cargo build")?.success(),
        "the example does not build"
    );
    let service = workspace::root().join("target/debug/examples/service");
    let archive = folder.join("greeter.tar");
    let mut image = Command::new(devcluster);
    image.args(["image", "--name", IMAGE, "--entrypoint", "/service", "--output"]);
    image
        .arg(&archive)
        .arg("--binary")
        .arg(format!("{}=/service", service.display()));
    let mut load = Command::new(devcluster);
    load.args(["load", "--dir"]).arg(&info.dir).arg(&archive);
    for mut command in [image, load] {
        let status = command.stdin(Stdio::null()).status().context("run devcluster")?;
        ensure!(status.success(), "devcluster failed ({status})");
    }
    Ok(())
}

fn kubectl(info: &Info, arguments: &[&str]) -> Result<String> {
    let output = info.kubectl()?.args(arguments).output().context("run kubectl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {}: {said}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn get(info: &Info, what: &str, path: &str) -> Result<String> {
    kubectl(
        info,
        &[
            "--namespace",
            NAMESPACE,
            "get",
            what,
            "--output",
            &format!("jsonpath={path}"),
        ],
    )
}

fn observed(info: &Info) -> Result<String> {
    get(
        info,
        "deployment/greeter",
        r"{.metadata.annotations.windlass\.dev/observed}",
    )
}

/// The name of its only pod that stays.
fn pod(info: &Info) -> Result<String> {
    get(info, "pods", "{.items[-1:].metadata.name}")
}

fn set(info: &Info, patch: &str) -> Result<()> {
    let namespace = ["--namespace", NAMESPACE];
    let patch = ["patch", "configmap", "greeter", "--type", "merge", "--patch", patch];
    kubectl(info, &[&namespace[..], &patch[..]].concat()).map(drop)
}

/// What the service answers; nothing as long as it does not.
fn page(info: &Info, devcluster: &Path, path: &str) -> Result<String> {
    let address = get(info, "pods", "{.items[-1:].status.podIP}")?;
    let application = devcluster.with_file_name("testapp");
    let output = Command::new(devcluster)
        .args(["enter", "--dir"])
        .arg(&info.dir)
        .arg("--")
        .arg(application)
        .args(["--get", &format!("http://{address}:8080{path}")])
        .stderr(Stdio::null())
        .output()
        .context("run devcluster enter")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn says(info: &Info, devcluster: &Path, what: &str) -> Result<bool> {
    Ok(page(info, devcluster, "/")?.trim() == what)
}

async fn wait(mut check: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !check()? {
        ensure!(started.elapsed() < LIMIT, "not within {}", time(LIMIT));
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
