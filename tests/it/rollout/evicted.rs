//! Pods that a node has ended or lost, as the kubelet leaves them: `ContainerStatusUnknown`.

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch},
};
use serde_json::{Value, json};

use crate::support::{
    Test, await_condition,
    build::{deployment, env},
    by, next_second, tests,
};

tests! {
    an_evicted_pod_does_not_keep_its_workload_from_rolling: down, paused;
    a_pod_whose_start_nobody_knows_is_not_taken_for_an_old_one: down;
}

/// The API server sends the times of it as null.
fn unknown() -> Value {
    json!([{
        "name": "app", "image": "none", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {
            "exitCode": 137, "reason": "ContainerStatusUnknown",
            "message": "The container could not be located when the pod was terminated",
        }},
    }])
}

/// Writes what the kubelet would, and waits until the API server says so.
async fn becomes(t: &Test, pod: &Pod, phase: &str) {
    let status = json!({"phase": phase, "reason": "Evicted", "containerStatuses": unknown()});
    let pods = t.api::<Pod>();
    await_condition("the pod to have that status", async || {
        pods.patch_status(
            &pod.name_any(),
            &by("test").patch(),
            &Patch::Merge(json!({"status": status})),
        )
        .await?;
        let seen = serde_json::to_value(pods.get_subresource("status", &pod.name_any()).await?)?;
        let terminated = &seen["status"]["containerStatuses"][0]["state"]["terminated"];
        ensure!(seen["status"]["phase"] == phase, "{seen}");
        ensure!(terminated["reason"] == "ContainerStatusUnknown", "{seen}");
        Ok(())
    })
    .await;
}

async fn web(t: &Test) -> Pod {
    for name in ["web", "beside"] {
        t.config(name, &[("level", "A")]).await;
        t.deploy(deployment(name).uses(env(name, "level"))).await;
    }
    // So that no restart comes in between, however slow the machine is.
    t.start_and_adopt(&["--settle", "15s"]).await;
    t.complete("web").await;
    let mut pods = t.pods("web").await.expect("a list of pods");
    pods.pop().expect("it has a pod")
}

async fn an_evicted_pod_does_not_keep_its_workload_from_rolling(t: &Test) {
    let pod = web(t).await;
    becomes(t, &pod, "Failed").await;
    // Its ReplicaSet replaces it, and leaves it where it is.
    t.complete("web").await;
    let pods = t.pods("web").await.expect("a list of pods");
    assert!(pods.iter().any(|it| it.uid() == pod.uid()), "it is still there");

    // There and back, with pods that were started in between: only the pods tell that.
    t.meanwhile(async {
        for name in ["web", "beside"] {
            t.config(name, &[("level", "B")]).await;
        }
        for name in ["web", "beside"] {
            replace_running(t, name).await;
        }
        next_second().await;
        for name in ["web", "beside"] {
            t.config(name, &[("level", "A")]).await;
        }
    })
    .await;
    t.rolls("beside", 1).await;
    t.rolls("web", 1).await;
}

/// Leaves those alone that have ended.
async fn replace_running(t: &Test, name: &str) {
    let running = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
    for pod in t
        .pods(name)
        .await
        .expect("a list of pods")
        .iter()
        .filter(|pod| running(pod))
    {
        let deleted = t.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default()).await;
        deleted.expect("the pod was there");
    }
    await_condition("its ReplicaSet to say so", async || {
        let new = t.pods(name).await?.iter().filter(|pod| running(pod)).count();
        ensure!(new == 1, "{new} run");
        Ok(())
    })
    .await;
    t.complete(name).await;
}

async fn a_pod_whose_start_nobody_knows_is_not_taken_for_an_old_one(t: &Test) {
    let pod = web(t).await;
    t.while_down(async {
        for level in ["B", "A"] {
            t.config("web", &[("level", level)]).await;
            t.config("beside", &[("level", level)]).await;
            next_second().await;
        }
        becomes(t, &pod, "Running").await;
    })
    .await;
    t.rolls("web", 1).await;
    t.rolls("beside", 0).await;
}
