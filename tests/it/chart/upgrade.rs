//! A release through its life: installed, upgraded, uninstalled, installed again, by helm itself.

use std::{fs, path::Path};

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Secret, ServiceAccount},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::json;

use super::helm::{chart, helm, plain};
use crate::support::{
    CONFIG_DIGEST, DIGEST_KEY, Test,
    build::{deployment, env},
    policies::NAMESPACED,
    template_annotation, tests,
};

tests! {
    a_release_comes_and_goes_and_restarts_nothing: alone;
}

/// A word of the definition that another version of it does not have.
const NOW: &str = "Workloads that the policy holds for";
const EARLIER: &str = "Workloads of an earlier version";

async fn a_release_comes_and_goes_and_restarts_nothing(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    let earlier = tempfile::tempdir().expect("a scratch folder");
    copy(&chart(), earlier.path());
    let path = earlier.path().join(format!("files/crds/{NAMESPACED}.yaml"));
    let text = fs::read_to_string(&path).expect("the definition").replace(NOW, EARLIER);
    fs::write(&path, text).expect("the definition");

    run(t, &["install", "windlass"], Some(earlier.path()));
    assert_eq!(column(t).await, EARLIER);
    // What the pods would do; this node runs none.
    t.start_and_adopt(&[]).await;
    t.stop().await;
    let key = keys(t).get(DIGEST_KEY).await.expect("the controller has made it");

    run(t, &["upgrade", "windlass"], Some(&chart()));
    assert_eq!(column(t).await, NOW, "definitions are upgraded");

    run(t, &["uninstall", "windlass", "--wait", "--cascade=foreground"], None);
    assert_eq!(left(t).await, Vec::<String>::new());
    assert_eq!(column(t).await, NOW, "definitions stay, and with them all policies");
    let kept = keys(t).get(DIGEST_KEY).await.expect("the key stays");
    assert_eq!(kept.uid(), key.uid());
    let leases: Api<Lease> = t.api();
    leases.get("windlass").await.expect("the Lease stays");

    run(t, &["install", "windlass"], Some(&chart()));
    t.start(&[]).await;
    t.all_adopted().await;
    t.rolls("web", 0).await;
    let kept = keys(t).get(DIGEST_KEY).await.expect("the key is used again");
    assert_eq!((kept.uid(), kept.data), (key.uid(), key.data));
    // It works as before, by the baseline that was kept.
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    assert!(template_annotation(&t.deployment("web").await, CONFIG_DIGEST).is_some());
    run(t, &["uninstall", "windlass"], None);
}

fn keys(t: &Test) -> Api<Secret> {
    t.api()
}

/// Runs helm on the test's cluster. Without replicas: the test runs the controller itself.
fn run(t: &Test, arguments: &[&str], chart: Option<&Path>) {
    let kubeconfig = t.cluster.test.to_string_lossy();
    let mut all = vec!["--kubeconfig", &kubeconfig, "--namespace", &t.namespace];
    all.extend(arguments);
    let path = chart.map(Path::to_string_lossy);
    let said = if let Some(path) = &path {
        // Other tests install the definitions by themselves.
        all.extend([path, "--take-ownership"]);
        helm(&all, &json!({"replicas": 0}))
    } else {
        plain(&all)
    };
    said.unwrap_or_else(|error| panic!("helm {arguments:?}: {error}"));
}

/// What the definition of the namespaced policies says of its first column.
async fn column(t: &Test) -> String {
    let definitions: Api<CustomResourceDefinition> = Api::all(t.client.clone());
    let definition = definitions.get(NAMESPACED).await.expect("it is installed");
    let columns = definition
        .spec
        .versions
        .into_iter()
        .next()
        .and_then(|it| it.additional_printer_columns);
    let first = columns
        .and_then(|columns| columns.into_iter().next())
        .expect("it has columns");
    first.description.expect("each is described")
}

/// Objects of the release that are still there, but for definitions.
async fn left(t: &Test) -> Vec<String> {
    let kinds = "deployments,replicasets,pods,services,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,\
                 networkpolicies,poddisruptionbudgets,configmaps,secrets";
    let of_release = "app.kubernetes.io/name=windlass";
    let named = t
        .cluster
        .kubectl(&[
            "get",
            kinds,
            "--all-namespaces",
            "--selector",
            of_release,
            "--output",
            "name",
        ])
        .await;
    let accounts: Api<ServiceAccount> = t.api();
    let accounts = accounts.list(&ListParams::default()).await.expect("a list");
    let accounts = accounts
        .items
        .iter()
        .map(ResourceExt::name_any)
        .filter(|name| name != "default");
    named.lines().map(str::to_owned).chain(accounts).collect()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("a folder");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
