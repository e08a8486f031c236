//! The example of `windlass-live`, as a pod on a real kubelet: what its own tests do to a folder, the
//! kubelet does here.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Patch;
use serde_json::{Value, json};

use crate::support::{
    Test, await_condition, by,
    node::{PORT, ask},
    policies::install,
    tests,
};

tests! {
    its_flags_follow_the_config_map_and_its_static_ones_restart_it: on_node;
}

const IMAGE: &str = "windlass.test/greeter:1";

/// `cargo test --workspace` builds it beside the binary.
fn service() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_windlass"));
    let path = path.with_file_name("examples").join("service");
    assert!(
        path.is_file(),
        "there is no {}: cargo build -p windlass-live --example service",
        path.display()
    );
    path
}

async fn apply_the_example(t: &Test) {
    let text = std::fs::read_to_string("examples/live/greeter.yaml").expect("the example");
    let text = text
        .replace("windlass-demo", &t.namespace)
        .replace("windlass-live-service:dev", IMAGE);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("a file");
    let path = file.path().to_str().expect("a path");
    t.cluster.kubectl(&["apply", "--filename", path]).await;
}

async fn set(t: &Test, data: Value) {
    let patch = Patch::Merge(json!({ "data": data }));
    let patched = t
        .api::<k8s_openapi::api::core::v1::ConfigMap>()
        .patch("greeter", &by("test").patch(), &patch)
        .await;
    patched.expect("the API server takes it");
}

async fn greets(t: &Test, greeting: &str) -> Pod {
    await_condition(&format!("it to say {greeting:?}"), async || {
        let mut pods = t.pods("greeter").await?;
        ensure!(pods.len() == 1, "{} pods", pods.len());
        let (status, said) = ask(&pods[0], PORT, "GET", "/").await?;
        ensure!(status == 200 && said == greeting, "{status}: {said:?}");
        Ok(pods.remove(0))
    })
    .await
}

async fn flag(pod: &Pod, name: &str) -> anyhow::Result<Value> {
    let (_, page) = ask(pod, PORT, "GET", "/flags/json").await?;
    let page: Value = serde_json::from_str(&page)?;
    let flags = page["flags"].as_array().cloned().unwrap_or_default();
    let found = flags.into_iter().find(|flag| flag["name"] == name);
    found.ok_or_else(|| anyhow::anyhow!("no flag {name}: {page}"))
}

async fn its_flags_follow_the_config_map_and_its_static_ones_restart_it(t: &Test) {
    install(t).await;
    t.cluster.load_image(IMAGE, &[&service()]).expect("the image is loaded");
    apply_the_example(t).await;
    let first = greets(t, "hello\n").await;
    t.start(&[]).await;
    t.adopted("greeter").await;

    set(t, json!({"greeting": "good day", "mood": "loud"})).await;
    let pod = greets(t, "GOOD DAY!\n").await;
    assert_eq!(pod.metadata.uid, first.metadata.uid, "it is the same pod");
    assert_eq!(t.template_changes("greeter").await, 0);

    // What its validator refuses changes nothing, and is told on the page.
    set(t, json!({"greeting": " "})).await;
    await_condition("the page to tell of the error", async || {
        let greeting = flag(&pod, "greeting").await?;
        ensure!(greeting["lastError"].is_string(), "{greeting}");
        Ok(())
    })
    .await;
    greets(t, "GOOD DAY!\n").await;

    // A static flag: the rules that the service prints for its policy restart it.
    set(t, json!({"greeting": "welcome back", "listen": "0.0.0.0:8080"})).await;
    t.await_template_changes("greeter", 1).await;
    let second = greets(t, "WELCOME BACK!\n").await;
    assert_ne!(second.metadata.uid, first.metadata.uid);
}
