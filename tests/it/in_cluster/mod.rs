//! Windlass as a platform team runs it: the chart, installed by helm from the image, two replicas of which one
//! leads, in pods on a real kubelet, with the rights that the chart gives. The workloads are on a node that
//! only pretends to run containers, so that there can be hundreds.
//!
//! One installation at a time: it is the whole cluster's.

use std::time::{Duration, Instant};

use anyhow::ensure;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{Pod, Secret},
};
use kube::{ResourceExt as _, api::ListParams};
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::support::{
    CONFIG_DIGEST, DIGEST_KEY, Test, await_condition, await_condition_within,
    build::{deployment, env},
    cluster::{AGENT_IMAGE, IMAGE, NEXT_IMAGE, NODE},
    node::{pod, process_of},
    template_annotation, tests, value,
};

mod figures;

tests! {
    a_leader_that_is_killed_amid_200_changes_loses_nothing_and_repeats_nothing: installed;
    an_upgrade_of_windlass_restarts_nothing: installed;
    a_drain_leaves_one_replica_at_any_time: installed;
    uninstalled_and_installed_again_restarts_nothing: installed;
    the_agent_s_image_is_a_sidecar: installed;
}

/// Beyond lease, rollouts and a machine that is busy something is wrong.
const PATIENCE: Duration = Duration::from_mins(4);

/// Windlass, and a workload that it has adopted.
async fn installed(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.settle_in().await;
    t.restricted_system_namespace().await;
    t.helm_upgrade(tag(IMAGE)).await;
    t.await_replicas(2).await;
    t.all_adopted().await;
}

fn tag(image: &str) -> &str {
    image.rsplit_once(':').expect("an image has a tag").1
}

async fn uninstalled(t: &Test) {
    let logs = t.logs_of_replicas().await;
    assert!(!logs.contains(value("").trim()), "content is in the log:\n{logs}");
    t.helm_uninstall().await;
}

const CHANGES: usize = 200;
/// As many of them come before the leader is killed; the others while nobody leads.
const BEFORE: usize = 150;

fn member(number: usize) -> String {
    format!("member-{number}")
}

/// How many of the members have been given another template.
async fn restarted(t: &Test) -> anyhow::Result<usize> {
    let all = t.api::<Deployment>().list(&ListParams::default()).await?;
    let restarted = all
        .iter()
        .filter(|it| it.name_any().starts_with("member-") && template_annotation(it, CONFIG_DIGEST).is_some());
    Ok(restarted.count())
}

async fn a_leader_that_is_killed_amid_200_changes_loses_nothing_and_repeats_nothing(t: &Test) {
    for number in 0..CHANGES {
        let name = member(number);
        t.config(&name, &[("level", "A")]).await;
        t.deploy(deployment(&name).uses(env(&name, "level"))).await;
    }
    installed(t).await;
    let leader = t.leader().await;
    let holder = t.holder().await.expect("it has just been read");

    for number in 0..BEFORE {
        t.config(&member(number), &[("level", "B")]).await;
    }
    let before = await_condition_within(PATIENCE, "a part of the changes to be dealt with", async || {
        let restarted = restarted(t).await?;
        ensure!(restarted >= CHANGES / 10, "{restarted} so far");
        Ok(restarted)
    })
    .await;
    let process = process_of(&leader, "controller").expect("it runs");
    figures::memory("memory-of-the-leader", &leader, process);
    kill_process(process, Signal::KILL).expect("the tests run as root");
    let killed = Instant::now();
    assert!(before < CHANGES, "it was killed in the middle of it");
    for number in BEFORE..CHANGES {
        t.config(&member(number), &[("level", "B")]).await;
    }

    await_condition_within(PATIENCE, "another one to lead", async || {
        let now = t.holder().await?;
        ensure!(now != holder, "{now} leads still");
        Ok(())
    })
    .await;
    let leads = killed.elapsed();
    // What the one that was killed had sent may have arrived after the count above, but not this late.
    let then = restarted(t).await.expect("a list");
    await_condition_within(PATIENCE, "the new leader to write", async || {
        let now = restarted(t).await?;
        ensure!(now > then || now == CHANGES, "{now} were restarted, as before");
        Ok(())
    })
    .await;
    let figure = format!(
        "fail-over: killed after {before} of {CHANGES} changes; another replica held the lease {:.1} s later and wrote {:.1} s later",
        leads.as_secs_f64(),
        killed.elapsed().as_secs_f64()
    );
    figures::note("fail-over", &figure);

    await_condition_within(PATIENCE, "all changes to be dealt with", async || {
        let restarted = restarted(t).await?;
        ensure!(restarted == CHANGES, "{restarted} so far");
        Ok(())
    })
    .await;
    for number in 0..CHANGES {
        t.complete(&member(number)).await;
    }
    t.everything_before_is_done().await;
    let sets = t
        .api::<ReplicaSet>()
        .list(&ListParams::default())
        .await
        .expect("a list");
    for number in 0..CHANGES {
        let name = member(number);
        // A watch saw each version; a ReplicaSet is what is left of each.
        assert_eq!(t.template_changes(&name).await, 1, "{name}");
        let templates = sets.iter().filter(|it| it.labels().get("app") == Some(&name)).count();
        assert_eq!(
            templates, 2,
            "{name}: the one that it was created with, and one for the change"
        );
    }
    t.await_replicas(2).await;
    uninstalled(t).await;
}

/// Nothing has been rolled out by now, and the next change is.
async fn only_a_change_restarts(t: &Test, level: &str, times: usize) {
    t.rolled_no_more_than("web", times - 1).await;
    t.config("web", &[("level", level)]).await;
    t.rolls("web", times).await;
}

async fn an_upgrade_of_windlass_restarts_nothing(t: &Test) {
    installed(t).await;
    only_a_change_restarts(t, "B", 1).await;
    let (pods, baseline) = (uids(t, "web").await, t.baseline("web").await);

    t.helm_upgrade(tag(NEXT_IMAGE)).await;
    for replica in t.await_replicas(2).await {
        let image = replica.spec.and_then(|it| it.containers.into_iter().next()?.image);
        assert_eq!(image.as_deref(), Some(NEXT_IMAGE));
    }
    t.leader().await;
    t.everything_before_is_done().await;
    assert_eq!(uids(t, "web").await, pods, "the same pods run");
    assert_eq!(t.baseline("web").await, baseline);
    only_a_change_restarts(t, "C", 2).await;

    // And back, as `helm rollback` does.
    t.helm_rollback().await;
    t.await_replicas(2).await;
    t.leader().await;
    only_a_change_restarts(t, "D", 3).await;
    uninstalled(t).await;
}

async fn uids(t: &Test, name: &str) -> Vec<Option<String>> {
    let pods = t.pods(name).await.expect("a list of pods");
    pods.iter().map(kube::ResourceExt::uid).collect()
}

async fn a_drain_leaves_one_replica_at_any_time(t: &Test) {
    installed(t).await;
    let replicas = t.await_replicas(2).await;
    let leader = t.leader().await.name_any();
    // As `kubectl drain` does it: nothing new on this node, and one eviction after the other.
    t.cordon(true).await;
    // The budget counts both as soon as its controller has seen that they are ready.
    await_condition("the first eviction to be allowed", async || {
        t.evict(&leader).await?;
        Ok(())
    })
    .await;
    // Its follower leads, on its own, and changes are dealt with.
    let other = replicas
        .iter()
        .map(kube::ResourceExt::name_any)
        .find(|it| *it != leader);
    let other = other.expect("there are two");
    await_condition("the other one to lead", async || {
        let holder = t.holder().await?;
        ensure!(holder.starts_with(&other), "{holder} leads");
        Ok(())
    })
    .await;
    only_a_change_restarts(t, "B", 1).await;
    let refused = t.evict(&other).await.expect_err("the last one may not go");
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.code == 429),
        "{refused}"
    );
    only_a_change_restarts(t, "C", 2).await;

    // Room for a replacement; then the last of the old ones may go.
    t.cordon(false).await;
    t.await_replicas(2).await;
    await_condition("the second eviction to be allowed", async || {
        t.evict(&other).await?;
        Ok(())
    })
    .await;
    t.await_replicas(2).await;
    only_a_change_restarts(t, "D", 3).await;
    uninstalled(t).await;
}

/// Of what the chart and Windlass made; docs/install.md says why, and how to remove it. On workloads their
/// annotations are left.
const LEFT_OVER: [&str; 4] = [
    "customresourcedefinition.apiextensions.k8s.io/clusterrolloutpolicies.windlass.dev",
    "customresourcedefinition.apiextensions.k8s.io/rolloutpolicies.windlass.dev",
    "lease.coordination.k8s.io/windlass",
    "secret/windlass-digest-key",
];

async fn uninstalled_and_installed_again_restarts_nothing(t: &Test) {
    installed(t).await;
    only_a_change_restarts(t, "B", 1).await;
    let (pods, baseline) = (uids(t, "web").await, t.baseline("web").await);
    let key = t.system::<Secret>().get(DIGEST_KEY).await.expect("the digest key").data;

    uninstalled(t).await;
    assert_eq!(uids(t, "web").await, pods, "workloads go on");
    assert_eq!(t.baseline("web").await, baseline);
    await_condition("nothing to be left but what docs/install.md names", async || {
        let left = t.left_over().await;
        ensure!(left == LEFT_OVER, "{left:?}");
        Ok(())
    })
    .await;

    t.helm_upgrade(tag(IMAGE)).await;
    t.await_replicas(2).await;
    t.leader().await;
    t.everything_before_is_done().await;
    assert_eq!(uids(t, "web").await, pods, "the same pods run");
    let found = t.system::<Secret>().get(DIGEST_KEY).await.expect("the digest key").data;
    assert_eq!(found, key, "the key is the one of before");
    only_a_change_restarts(t, "C", 2).await;

    // A change while it is not installed is caught up.
    uninstalled(t).await;
    t.config("web", &[("level", "D")]).await;
    t.helm_upgrade(tag(IMAGE)).await;
    t.rolls("web", 3).await;
    uninstalled(t).await;
}

async fn the_agent_s_image_is_a_sidecar(t: &Test) {
    const PORT: u16 = 9533;
    t.config("web", &[("level", "A")]).await;
    let mounts = json!([{"name": "config", "mountPath": "/etc/web", "readOnly": true}]);
    // As docs/agent.md has it, with the strictest of Kubernetes' own rules for pods.
    let agent = json!({
        "name": "windlass-agent",
        "image": AGENT_IMAGE,
        "imagePullPolicy": "Never",
        "restartPolicy": "Always",
        "args": ["agent", "--volume=/etc/web", "--notify-http=http://localhost:8080/-/reload"],
        "ports": [{"name": "windlass-agent", "containerPort": PORT}],
        "startupProbe": {"httpGet": {"path": "/readyz", "port": PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "32Mi"}},
        "securityContext": {
            "runAsNonRoot": true,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": mounts,
    });
    let mut web = pod(
        "web",
        &[],
        json!({
            "initContainers": [agent],
            "volumes": [{"name": "config", "configMap": {"name": "web"}}],
            "nodeSelector": {"kubernetes.io/hostname": NODE},
            "tolerations": [{"key": "windlass.test/real", "operator": "Exists"}],
        }),
    );
    web["spec"]["containers"][0]["volumeMounts"] = mounts;
    t.create::<Pod>(web).await;
    let running = t.pod_ready("web").await;
    let told = async |times: u32, level: &str| {
        let state = t.app_state(&running).await?;
        ensure!(state["reloads"] == times, "{state}");
        let file = t.file_in(&running, "/etc/web/level").await?;
        ensure!(file == value(level), "{file}");
        Ok(())
    };
    // The agent tells of the first version as well, and the pod may be ready before that.
    await_condition("the application to be told of A", async || told(1, "A").await).await;

    t.config("web", &[("level", "B")]).await;
    t.nudged(PATIENCE, "web", "the application to be told of B", async || {
        told(2, "B").await
    })
    .await;
    let process = process_of(&running, "agent").expect("it runs");
    figures::memory("memory-of-the-agent", &running, process);
}
