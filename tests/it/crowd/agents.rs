//! A thousand pods are asked for proof.
//!
//! The nodes only pretend, so each pod is given an address of the loopback network, and one real agent
//! answers at all of them. In between stands somebody who counts connections.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod, core::v1::Secret};
use kube::{
    ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    Test, await_condition_within,
    build::deployment,
    controller::windlass,
    from,
    policies::{install, policy},
    tests, value,
};

tests! {
    every_one_is_proven_a_few_at_a_time: embedded;
}

const WORKLOADS: usize = 100;
const PODS: usize = 10;
const AT_A_TIME: usize = 8;
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const PATIENCE: Duration = Duration::from_mins(10);

/// An agent that ends with the test.
struct Agent {
    child: Child,
    port: u16,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    async fn start(volume: &Path, token: &Path) -> Self {
        // Free a moment ago, which is all that a program with a fixed port can be given.
        let port = TcpListener::bind("127.0.0.1:0").await.and_then(|it| it.local_addr());
        let port = port.expect("a free port").port();
        let child = windlass()
            .args(["agent", "--admin-address", &format!("127.0.0.1:{port}"), "--volume"])
            .arg(volume)
            .arg("--token-file")
            .arg(token)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self {
            child: child.expect("the agent starts"),
            port,
        }
    }
}

/// How many connections there are, and were at most.
#[derive(Default)]
struct Connections {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

/// Passes connections on, and counts them.
async fn pass_on(listener: TcpListener, to: u16, counted: Arc<Connections>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let counted = counted.clone();
        tokio::spawn(async move {
            let now = counted.now.fetch_add(1, Ordering::SeqCst) + 1;
            counted.most.fetch_max(now, Ordering::SeqCst);
            counted.all.fetch_add(1, Ordering::SeqCst);
            // A pod is further away than this.
            tokio::time::sleep(Duration::from_millis(10)).await;
            let answer = ask(&mut client, to).await.unwrap_or_default();
            // Whoever has the answer may ask the next one at once.
            counted.now.fetch_sub(1, Ordering::SeqCst);
            let _ = client.write_all(&answer).await;
        });
    }
}

/// The agent's whole answer to one request without a body.
async fn ask(client: &mut TcpStream, agent: u16) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(client.read_u8().await?);
    }
    let mut agent = TcpStream::connect(("127.0.0.1", agent)).await?;
    agent.write_all(&request).await?;
    let mut answer = Vec::new();
    agent.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Pod by pod an address of its own.
async fn give_addresses(t: &Test) {
    let api = t.api::<Pod>();
    let all = ListParams::default().labels("tier=proven");
    let pods = await_condition_within(PATIENCE, "all pods to run", async || {
        let pods = api.list(&all).await?;
        let running = pods
            .iter()
            .filter(|pod| pod.status.as_ref().is_some_and(|it| it.pod_ip.is_some()));
        let running = running.count();
        ensure!(running == WORKLOADS * PODS, "{running} of {}", WORKLOADS * PODS);
        Ok(pods)
    })
    .await;
    stream::iter(pods.iter().enumerate())
        .for_each_concurrent(8, async |(number, pod)| {
            let address = format!("127.{}.{}.1", 1 + number / 250, number % 250);
            let status = json!({"status": {"podIP": address, "podIPs": [{"ip": address}]}});
            let patched = api
                .patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status))
                .await;
            patched.expect("the API server takes the address");
        })
        .await;
}

fn member(number: usize, volume: &Path, port: u16) -> Deployment {
    let name = format!("proven-{number}");
    let labels = json!({"app": name, "tier": "proven"});
    let template = json!({
        "metadata": {"labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "app",
                "image": "example.invalid/app:1",
                "ports": [{"containerPort": port}],
                "volumeMounts": [{"name": "config", "mountPath": volume}],
            }],
            "volumes": [{"name": "config", "configMap": {"name": "shared"}}],
        },
    });
    let workload = deployment(&name).labelled("tier", "proven").with("replicas", PODS);
    from(workload.with("template", template).manifest().clone())
}

async fn every_one_is_proven_a_few_at_a_time(t: &Test) {
    install(t).await;
    let files = tempfile::tempdir().expect("a folder");
    let root = fs::canonicalize(files.path()).expect("a path");
    let (volume, token) = (root.join("volume"), root.join("token"));
    fs::create_dir(&volume).expect("a folder");
    fs::write(volume.join("flags"), value("A")).expect("a file");
    fs::write(&token, TOKEN).expect("a file");
    let agent = Agent::start(&volume, &token).await;
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let counted = Arc::<Connections>::default();
    let passing = tokio::spawn(pass_on(listener, agent.port, counted.clone()));

    t.config("shared", &[("flags", "A")]).await;
    let secret = json!({"metadata": {"name": "windlass-agent"}, "stringData": {"token": TOKEN}});
    t.create::<Secret>(secret).await;
    let api = t.api::<Deployment>();
    stream::iter(0..WORKLOADS)
        .for_each_concurrent(8, async |number| {
            let created = api.create(&PostParams::default(), &member(number, &volume, port)).await;
            created.expect("it is created");
        })
        .await;
    give_addresses(t).await;
    let in_place = json!({
        "agent": {"port": port, "tokenSecretRef": {"name": "windlass-agent"}},
        "timeout": "10m",
    });
    let selector = json!({"selector": {"matchLabels": {"tier": "proven"}}});
    let spec = json!({"workloads": selector, "strategy": "InPlace", "inPlace": in_place});
    policy(t, "proven", spec).await;
    t.start(&["--agent-concurrency", &AT_A_TIME.to_string()]).await;
    await_condition_within(PATIENCE, "all to be adopted", async || {
        let all = api.list(&ListParams::default().labels("tier=proven")).await?;
        let adopted = all
            .iter()
            .filter(|it| it.annotations().contains_key("windlass.dev/observed"));
        let adopted = adopted.count();
        ensure!(adopted == WORKLOADS, "{adopted} of {WORKLOADS}");
        Ok(())
    })
    .await;

    fs::write(volume.join("flags"), value("B")).expect("a file");
    t.config("shared", &[("flags", "B")]).await;
    await_condition_within(PATIENCE, "all to be proven", async || {
        let metrics = t.windlass().metrics().await?;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("windlass_in_place_changes_total{result=\"verified\"}"));
        let count = line.and_then(|line| line.rsplit(' ').next()).context("not counted")?;
        ensure!(count.parse::<usize>()? == WORKLOADS, "{count} of {WORKLOADS}");
        Ok(())
    })
    .await;
    // After a pause of the whole machine it has given up some, which are still being passed on here.
    let unreachable = [("result", "unreachable")];
    let windlass = t.windlass();
    let given_up = windlass.metric("windlass_agent_requests_total", &unreachable).await;
    let given_up = given_up.expect("the metrics are served");
    passing.abort();
    let (most, all) = (counted.most.load(Ordering::SeqCst), counted.all.load(Ordering::SeqCst));
    assert!(all >= WORKLOADS * PODS, "only {all} questions were asked");
    assert!(most >= AT_A_TIME, "only {most} questions at the same time");
    let beyond = u32::try_from(most - AT_A_TIME).expect("few");
    assert!(
        f64::from(beyond) <= given_up,
        "{most} questions at the same time, {given_up} given up"
    );
}
