//! Ways into a cluster: clients, and kubectl.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::Cluster;

impl Cluster {
    /// A plain way to the API server with the rights of the controller under test, for as long as the
    /// process runs that is returned; and its port.
    pub fn plain_proxy(&self) -> (Child, u16) {
        let mut proxy = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(&self.windlass)
            .args(["proxy", "--port=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        let mut said = String::new();
        let output = proxy.stdout.take().expect("kubectl has a piped output");
        BufReader::new(output)
            .read_line(&mut said)
            .expect("kubectl says where it listens");
        let port = said.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        (proxy, port.unwrap_or_else(|| panic!("kubectl said: {said}")))
    }

    /// A client with the rights of the test.
    pub async fn client(&self) -> Client {
        Client::try_from(self.config().await).expect("a client for the test's kubeconfig")
    }

    /// The same, for which a refusal with 429 is an answer; the other one asks again for minutes.
    pub async fn client_without_retries(&self) -> Client {
        let mut config = self.config().await;
        config.default_retry = false;
        Client::try_from(config).expect("a client for the test's kubeconfig")
    }

    async fn config(&self) -> Config {
        let kubeconfig = Kubeconfig::read_from(&self.test).expect("the test's kubeconfig is readable");
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        config.expect("the test's kubeconfig is valid")
    }

    /// Runs kubectl as the test's user and returns what it prints.
    ///
    /// # Panics
    /// When kubectl fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(&self.test)
            .args(arguments)
            .stdin(Stdio::null());
        run(command).await
    }

    /// Runs kubectl as the test's user: all that it says, warnings among it, or what it complains of.
    pub async fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(&self.test)
            .args(arguments)
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("no panic")
            .expect("kubectl starts");
        let [said, complaint] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        let all = format!("{said}{complaint}");
        if output.status.success() { Ok(all) } else { Err(all) }
    }
}

/// Runs it to its end.
pub(super) fn complete(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("starting {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    Ok(())
}

/// Runs it to its end, and returns what it prints.
///
/// # Panics
/// When it fails.
pub async fn run(mut command: Command) -> String {
    let shown = format!("{command:?}");
    // Its own thread: while it runs the test goes on recording what the API server says.
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic");
    let output = output.unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert!(
        output.status.success(),
        "{shown}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
