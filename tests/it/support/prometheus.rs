//! A real Prometheus that scrapes the test's controllers.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{application, await_condition, controller::Controller};

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// An alert or a recording rule of the chart.
#[derive(Deserialize)]
pub struct Rule {
    pub record: Option<String>,
    pub alert: Option<String>,
    pub expr: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// All rules of the chart.
pub fn rules() -> Vec<Rule> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/windlass/files/alerts.yaml");
    let text = fs::read_to_string(file).expect("the rules");
    let rules: Rules = serde_saphyr::from_str(&text).expect("the rules are YAML");
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
}

/// What is scraped has these labels, as in a cluster.
pub const LABELS: [(&str, &str); 3] = [
    ("namespace", "windlass-system"),
    ("job", "windlass"),
    ("pod", "windlass-0"),
];

/// It dies with this.
pub struct Prometheus {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes the controller every second, and evaluates the rules of this file.
    pub async fn start(controller: &Controller, rules: PathBuf) -> Self {
        let folder = tempfile::tempdir().expect("a folder for Prometheus");
        let labels: serde_json::Map<String, Value> = LABELS
            .map(|(label, value)| (label.to_owned(), json!(value)))
            .into_iter()
            .collect();
        // JSON is YAML.
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules],
            "scrape_configs": [{
                "job_name": "windlass",
                "static_configs": [{"targets": [controller.address().to_string()], "labels": labels}],
            }],
        });
        let config_file = folder.path().join("prometheus.yml");
        fs::write(&config_file, config.to_string()).expect("a configuration");
        let log = folder.path().join("log");
        let child = Command::new(application("prometheus"))
            .arg(format!("--config.file={}", config_file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("Prometheus starts");
        let mut started = Self {
            child,
            address: String::new(),
            _folder: folder,
        };
        started.address = await_condition("Prometheus to listen", async || {
            let log = fs::read_to_string(&log)?;
            let line = log.lines().find(|line| line.contains(r#"msg="Listening on""#));
            let address = line.and_then(|line| line.split("address=").nth(1));
            Ok(address.with_context(|| log.clone())?.trim().to_owned())
        })
        .await;
        started
    }

    /// What the expression is now, as a list of series.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        self.ask("/api/v1/query", &[("query", expression)]).await
    }

    /// What the expression was each second from one time to another, in seconds since 1970.
    pub async fn range(&self, expression: &str, from: i64, to: i64) -> Result<Vec<Value>> {
        let (from, to) = (from.to_string(), to.to_string());
        let parameters = [("query", expression), ("start", &*from), ("end", &*to), ("step", "1")];
        self.ask("/api/v1/query_range", &parameters).await
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>> {
        let body: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let body = body.join("&");
        let mut connection = TcpStream::connect(&self.address).await?;
        // HTTP/1.0, so that the answer ends with the connection and is never chunked.
        let request = format!(
            "POST {path} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no end of the headers")?;
        let answer: Value = serde_json::from_str(body).with_context(|| body.to_owned())?;
        ensure!(answer["status"] == "success", "{answer}");
        let result = &answer["data"]["result"];
        Ok(result.as_array().cloned().unwrap_or_else(|| vec![result.clone()]))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn escaped(text: &str) -> String {
    text.bytes()
        .fold(String::new(), |escaped, byte| format!("{escaped}%{byte:02X}"))
}
