//! What its admin server answers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Controller;
use crate::support::await_condition;

impl Controller {
    /// Waits until it says that it is ready.
    pub async fn await_ready(&self) {
        await_condition("the controller to be ready", async || {
            let (status, body) = self.get("/readyz").await?;
            ensure!(status == 200, "{status}: {body}");
            Ok(())
        })
        .await;
    }

    /// Whether it says now that it is ready.
    pub async fn ready(&self) -> bool {
        let (status, _) = self.get("/readyz").await.expect("the admin server answers");
        assert!([200, 503].contains(&status), "/readyz answered {status}");
        status == 200
    }

    /// Whether it says now that it lives: what the kubelet restarts it by.
    pub async fn lives(&self) -> Result<()> {
        let (status, body) = self.get("/livez").await?;
        ensure!(status == 200, "{status}: {body}");
        Ok(())
    }

    /// The whole exposition.
    pub async fn metrics(&self) -> Result<String> {
        let (status, body) = self.get("/metrics").await?;
        ensure!(status == 200, "/metrics answered {status}");
        Ok(body)
    }

    /// The sum of all samples of `name` that carry every one of `labels`; 0 without any.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        Ok(sum(&self.metrics().await?, name, labels))
    }

    /// Waits until a metric has this value.
    pub async fn await_metric(&self, name: &str, labels: &[(&str, &str)], expected: u32) {
        await_condition(&format!("{name}{labels:?} to be {expected}"), async || {
            let value = self.metric(name, labels).await?;
            ensure!((value - f64::from(expected)).abs() < 0.5, "it is {value}");
            Ok(())
        })
        .await;
    }

    async fn get(&self, path: &str) -> Result<(u16, String)> {
        let exchange = async {
            let mut connection = TcpStream::connect(self.address).await?;
            // HTTP/1.0, so that the answer ends with the connection and is never chunked.
            let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
            connection.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            let (head, body) = answer.split_once("\r\n\r\n").context("no end of the headers")?;
            let status = head.split_whitespace().nth(1).context("no status")?.parse()?;
            Ok((status, body.to_owned()))
        };
        tokio::time::timeout(Duration::from_secs(5), exchange)
            .await
            .context("no answer in 5 s")?
    }
}

/// The Prometheus text format, as far as sums need it.
fn sum(exposition: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    exposition
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter(|rest| {
            labels
                .iter()
                .all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")))
        })
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
