//! One change, and what becomes of it.
//!
//! The clock starts when the API server has confirmed the change of the ConfigMap.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures::try_join;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    core::Request,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    Who,
    objects::{APPLICATION_PORT, FIRST, KEY},
    site::RunningPod,
    watches::Watches,
};
use crate::{bench::NAMESPACE, say};

/// Between two looks at the file, and at what the application was told. A look takes some 30 and some
/// 300 µs.
const POLL: Duration = Duration::from_millis(2);
/// A kubelet that is left alone comes by within a minute and a half.
const LIMIT: Duration = Duration::from_mins(5);

/// Since the API server's answer.
#[derive(Clone, Copy)]
pub struct Delays {
    /// In the file of the running pod.
    pub file: Duration,
    /// The application was told, by the agent in its pod.
    pub told: Duration,
    /// Windlass has it proven, and has said so on the workload.
    pub proven: Option<Duration>,
    /// A bare watch of ours was told.
    pub watch: Duration,
}

/// Makes changes.
pub struct Changer<'a> {
    client: &'a Client,
    watches: &'a Watches,
    made: usize,
}

impl<'a> Changer<'a> {
    /// Nothing was changed yet.
    pub fn new(client: &'a Client, watches: &'a Watches) -> Self {
        Self {
            client,
            watches,
            made: 0,
        }
    }

    /// Changes what this pod mounts, and returns when all has followed from it.
    pub async fn one(&mut self, pod: &RunningPod) -> Result<Delays> {
        self.made += 1;
        let value = format!("{:0width$}", self.made, width = FIRST.len());
        let before = reloads(pod).await?;
        let body = Patch::Merge(json!({"data": {KEY: value}}));
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), NAMESPACE);
        let written = api.patch(pod.who.name(), &PatchParams::default(), &body).await;
        let written = written.with_context(|| format!("change the ConfigMap of {}", pod.who.name()))?;
        let confirmed = Instant::now();
        let version = written.resource_version().and_then(|version| version.parse().ok());
        let version: u64 = version.context("a resourceVersion is a number")?;

        let watches = self.watches;
        let touch = async {
            if pod.who == Who::Floor {
                self.touch(pod, &value).await?;
            }
            Ok(())
        };
        let arrive = async {
            let file = file_holds(pod, &value).await?;
            let told = is_told(pod, before).await?;
            Ok((file, told))
        };
        let prove = async {
            if pod.who.is_governed() {
                watches.proven(pod.who, version, LIMIT).await.map(Some)
            } else {
                Ok(None)
            }
        };
        let watch = watches.told(pod.who, &value, LIMIT);
        let ((), (file, told), proven, watch) = try_join!(touch, arrive, prove, watch)?;
        let since = |at: Instant| at.saturating_duration_since(confirmed);
        Ok(Delays {
            file: since(file),
            told: since(told),
            proven: proven.map(since),
            watch: since(watch),
        })
    }

    /// Nothing less makes a kubelet look at once.
    async fn touch(&self, pod: &RunningPod, value: &str) -> Result<()> {
        let body = Patch::Merge(json!({"metadata": {"annotations": {"floor.windlass.dev/nudge": value}}}));
        let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods");
        let request = Request::new(pods).patch(&pod.name, &PatchParams::default(), &body)?;
        let touched = self.client.request_text(request).await;
        touched.with_context(|| format!("touch {}", pod.name)).map(drop)
    }
}

async fn file_holds(pod: &RunningPod, value: &str) -> Result<Instant> {
    let started = Instant::now();
    loop {
        // A swap is atomic, but the link is followed in steps: a reading can fall in between.
        if fs::read(&pod.file).is_ok_and(|content| content == value.as_bytes()) {
            return Ok(Instant::now());
        }
        if started.elapsed() > LIMIT {
            bail!(
                "{} does not hold {value} after {}",
                pod.file.display(),
                say::time(LIMIT)
            );
        }
        sleep(POLL).await;
    }
}

async fn is_told(pod: &RunningPod, before: u64) -> Result<Instant> {
    let started = Instant::now();
    loop {
        if reloads(pod).await? > before {
            return Ok(Instant::now());
        }
        if started.elapsed() > LIMIT {
            bail!(
                "the application of {} was not told after {}",
                pod.name,
                say::time(LIMIT)
            );
        }
        sleep(POLL).await;
    }
}

/// How often the application in the pod was told to read its files again.
pub async fn reloads(pod: &RunningPod) -> Result<u64> {
    let exchange = async {
        let address = pod.address.as_str();
        let mut connection = TcpStream::connect((address, APPLICATION_PORT)).await?;
        // HTTP/1.0, so that the answer ends with the connection and is never chunked.
        let request = format!("GET /state HTTP/1.0\r\nHost: {address}\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no end of the headers")?;
        let state: Value = serde_json::from_str(body)?;
        state.get("reloads").and_then(Value::as_u64).context("no reloads")
    };
    let answer = timeout(Duration::from_secs(5), exchange).await;
    answer
        .context("no answer within 5 s")
        .flatten()
        .with_context(|| format!("ask the application of {}", pod.name))
}
