//! What the real node does that the fake ones cannot show, and what Windlass builds on it.

use std::{path::Path, time::Duration};

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::support::{
    Test, await_condition,
    build::{env, volume},
    deployment,
    node::{application, pod},
    tests, value,
};

tests! {
    a_pod_asks_the_api_server_as_its_service_account: on_node;
    a_nudged_pod_reads_the_new_content_of_a_mounted_config_map: on_node;
    a_sidecar_has_started_before_the_application: on_node;
    an_application_refuses_a_reload_when_it_is_told_to: on_node;
    a_binary_of_this_machine_runs_with_the_libraries_that_it_needs: on_node;
    a_change_restarts_a_real_pod_with_the_new_value: on_node;
}

/// The kubelet looks at each mounted volume about once a minute by itself, and a pod that it is told
/// of sooner at once.
const SOONER_THAN_BY_ITSELF: Duration = Duration::from_secs(45);

async fn a_pod_asks_the_api_server_as_its_service_account(t: &Test) {
    t.create::<Pod>(pod("asks", &["--probe-api"], json!({"restartPolicy": "Never"})))
        .await;
    let phase = t.pod_ended("asks").await;
    let said = t.pod_logs("asks", "app").await;
    assert_eq!(phase, "Succeeded", "{said}");
    // The API server knows who asks; that this account may not list is the right answer.
    let account = format!("system:serviceaccount:{}:default", t.namespace);
    assert!(said.starts_with("https://10.96.0.1:443/"), "{said}");
    assert!(said.contains("403 Forbidden") && said.contains(&account), "{said}");
}

async fn a_nudged_pod_reads_the_new_content_of_a_mounted_config_map(t: &Test) {
    t.config("settings", &[("level", "A")]).await;
    let mut reader = pod(
        "reads",
        &[],
        json!({"volumes": [{"name": "settings", "configMap": {"name": "settings"}}]}),
    );
    reader["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "settings", "mountPath": "/settings"}]);
    t.create::<Pod>(reader).await;
    let running = t.pod_ready("reads").await;
    // Without a probe it is ready as soon as it is a process.
    let first = await_condition("the container to read", async || {
        t.file_in(&running, "/settings/level").await
    });
    assert_eq!(first.await, value("A"));

    t.config("settings", &[("level", "B")]).await;
    t.nudged(
        SOONER_THAN_BY_ITSELF,
        "reads",
        "the container to read the new content",
        async || {
            let content = t.file_in(&running, "/settings/level").await?;
            ensure!(content == value("B"), "it reads {content}");
            Ok(())
        },
    )
    .await;
    let restarts = t.pod_ready("reads").await.status.and_then(|it| it.container_statuses);
    assert!(
        restarts.unwrap_or_default().iter().all(|it| it.restart_count == 0),
        "it is still the same container"
    );
}

async fn a_sidecar_has_started_before_the_application(t: &Test) {
    let shared = json!([{"name": "shared", "mountPath": "/shared"}]);
    // Slow enough that an application beside it, not after it, would not find the file.
    let mut sidecar = application(
        "sidecar",
        &["--listen", ":8081", "--start-after", "1s", "--touch", "/shared/started"],
    );
    sidecar["restartPolicy"] = json!("Always");
    sidecar["volumeMounts"] = shared.clone();
    sidecar["startupProbe"] = json!({"httpGet": {"path": "/state", "port": 8081}, "periodSeconds": 1});
    let mut together = pod(
        "together",
        &["--require-file", "/shared/started"],
        json!({"initContainers": [sidecar], "volumes": [{"name": "shared", "emptyDir": {}}]}),
    );
    together["spec"]["containers"][0]["volumeMounts"] = shared;
    t.create::<Pod>(together).await;

    let running = t.pod_ready("together").await;
    let status = running.status.clone().unwrap_or_default();
    for container in [status.init_container_statuses, status.container_statuses]
        .into_iter()
        .flatten()
        .flatten()
    {
        assert_eq!(
            container.restart_count, 0,
            "{}: {:?}",
            container.name, container.last_state
        );
        assert!(container.ready, "{} runs", container.name);
    }
    let url = "http://127.0.0.1:8081/file?path=/shared/started";
    assert_eq!(
        t.exec("together", "app", &["/testapp", "--get", url]).await,
        "started\n"
    );
}

/// The tests of what happens then rely on it.
async fn an_application_refuses_a_reload_when_it_is_told_to(t: &Test) {
    for (name, answer) in [("obey", 200), ("refuse", 500)] {
        t.create::<Pod>(pod(name, &["--reload", name], json!({}))).await;
        let running = t.pod_ready(name).await;
        let status = await_condition("an answer", async || t.reload(&running).await).await;
        assert_eq!(status, answer, "{name}");
        let state = t.app_state(&running).await.expect("the application answers");
        assert_eq!(state["reloads"], 1, "{name}: {state}");
    }
}

async fn a_binary_of_this_machine_runs_with_the_libraries_that_it_needs(t: &Test) {
    const IMAGE: &str = "windlass.test/windlass:it";
    let loaded = t
        .cluster
        .load_image(IMAGE, &[Path::new(env!("CARGO_BIN_EXE_windlass"))]);
    loaded.expect("the node takes the image");
    let mut runs = pod("runs", &["--version"], json!({"restartPolicy": "Never"}));
    runs["spec"]["containers"][0]["image"] = json!(IMAGE);
    t.create::<Pod>(runs).await;
    let phase = t.pod_ended("runs").await;
    let said = t.pod_logs("runs", "app").await;
    assert_eq!(phase, "Succeeded", "{said}");
    assert!(said.starts_with("windlass "), "{said}");
}

async fn a_change_restarts_a_real_pod_with_the_new_value(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level")).uses(volume("web")))
        .await;
    t.start_and_adopt(&[]).await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    await_condition("the new pod alone to be left", async || {
        let pods = t.pods("web").await?;
        ensure!(pods.len() == 1, "{} pods", pods.len());
        let file = t.file_in(&pods[0], "/etc/volume-0/0/level").await?;
        ensure!(file == value("B"), "it reads {file}");
        Ok(())
    })
    .await;
}
