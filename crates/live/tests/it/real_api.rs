//! The same against a real API server, with the two rights on one name that the guide asks for.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use windlass_live::{ApiSource, Changes, Snapshot};

use crate::support::{eventually, text, until};

/// Names the built `devcluster`; `cargo xtask test` sets it.
const DEVCLUSTER: &str = "WINDLASS_DEVCLUSTER";

/// An API server with a store and nothing else. It ends when its standard input does: with this process.
struct Cluster {
    program: String,
    ready: Value,
    _harness: Child,
}

impl Cluster {
    fn start() -> Self {
        let program = std::env::var(DEVCLUSTER)
            .unwrap_or_else(|_| panic!("run `cargo xtask test`, which builds a cluster and sets {DEVCLUSTER}"));
        let mut harness = Command::new(&program)
            .args(["up", "--components", "etcd,kube-apiserver", "--users", "test,app:none"])
            .arg("--stop-on-stdin-eof")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("devcluster starts");
        let mut ready = String::new();
        let output = harness.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut ready).expect("a line");
        Self {
            program,
            ready: serde_json::from_str(&ready).expect("the cluster is ready"),
            _harness: harness,
        }
    }

    fn told(&self, pointer: &str) -> &str {
        self.ready.pointer(pointer).and_then(Value::as_str).expect("it is told")
    }

    /// As the user who may do everything.
    fn kubectl(&self, arguments: &[&str], input: &Value) {
        let mut command = Command::new(self.told("/kubectl"));
        command
            .args(["--kubeconfig", self.told("/kubeconfigs/test")])
            .args(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("kubectl starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(input.to_string().as_bytes()).expect("written");
        drop(pipe);
        assert!(child.wait().expect("an end").success(), "{command:?}");
    }

    fn apply(&self, object: &Value) {
        self.kubectl(&["apply", "--server-side", "-f", "-"], object);
    }

    fn apiserver(&self, verb: &str, flags: &[&str]) {
        let mut command = Command::new(&self.program);
        command
            .args([verb, "--dir", self.told("/dir")])
            .args(flags)
            .arg("kube-apiserver");
        assert!(
            command.stdin(Stdio::null()).status().expect("an end").success(),
            "{command:?}"
        );
    }

    /// As the application, which may do what it was given.
    async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.told("/kubeconfigs/app")).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        Client::try_from(config.expect("a good one")).expect("a client")
    }
}

fn web(level: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "default"}, "data": {"level": level}})
}

async fn becomes(changes: &mut Changes, level: &str) {
    until(changes, |snapshot: &Snapshot| text(snapshot, "level") == Some(level)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_followed_with_two_rights_on_its_name() {
    let cluster = Cluster::start();
    let client = cluster.client().await;
    let start = || ApiSource::config_map(client.clone(), "default", "web").start();
    cluster.apply(&web("a"));
    assert_eq!(start().await.expect_err("no right").kind(), "denied");

    let metadata = json!({"name": "app", "namespace": "default"});
    let rule =
        json!({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["web"], "verbs": ["get", "watch"]});
    let api = "rbac.authorization.k8s.io";
    cluster.apply(&json!({"apiVersion": format!("{api}/v1"), "kind": "Role", "metadata": metadata, "rules": [rule]}));
    cluster.apply(&json!({
        "apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": api, "kind": "Role", "name": "app"},
        "subjects": [{"apiGroup": api, "kind": "User", "name": "app"}],
    }));
    // The authorizer learns of it by a watch of its own.
    let source = loop {
        match start().await {
            Ok(source) => break source,
            Err(error) => assert_eq!(error.kind(), "denied"),
        }
    };
    let mut changes = source.changes();
    assert_eq!(text(&source.snapshot(), "level"), Some("a"));
    cluster.apply(&web("b"));
    becomes(&mut changes, "b").await;

    let is =
        |kind: &'static str| move |source: &ApiSource| source.trouble().is_some_and(|trouble| trouble.kind() == kind);
    cluster.kubectl(&["delete", "configmap", "web"], &Value::Null);
    eventually("it says that the object is gone", || is("missing")(&source)).await;
    assert_eq!(text(&source.snapshot(), "level"), Some("b"), "the last good one");
    assert_eq!(start().await.expect_err("no object").kind(), "missing");
    cluster.apply(&web("c"));
    becomes(&mut changes, "c").await;
    assert_eq!(source.trouble(), None);

    cluster.apiserver("stop", &["--signal", "KILL"]);
    eventually("it says that the server is away", || is("unreachable")(&source)).await;
    assert_eq!(text(&source.snapshot(), "level"), Some("c"), "the last good one");
    cluster.apiserver("start", &[]);
    cluster.apply(&web("d"));
    becomes(&mut changes, "d").await;
    eventually("all is well", || source.trouble().is_none()).await;
}
