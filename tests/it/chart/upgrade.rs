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
use tempfile::TempDir;

use super::helm::{chart, helm, plain};
use crate::support::{
    CONFIG_DIGEST, DIGEST_KEY, Test,
    build::{deployment, env},
    policies::{CLUSTER, NAMESPACED},
    template_annotation, tests,
};

tests! {
    a_release_comes_and_goes_and_restarts_nothing: alone;
    definitions_that_are_there_already_are_taken_over: alone;
}

/// A word of the definition that another version of it does not have.
const NOW: &str = "Workloads that the policy applies to";
const EARLIER: &str = "Workloads of an earlier version";

async fn a_release_comes_and_goes_and_restarts_nothing(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    without_definitions(t).await;
    let earlier = earlier();

    run(t, &["install", "windlass"], Some(earlier.path()));
    assert_eq!(column(t).await, EARLIER);
    // What the pods would do; this node runs none.
    t.start_and_adopt(&[]).await;
    t.stop().await;
    let key = keys(t).get(DIGEST_KEY).await.expect("the controller has made it");

    run(t, &["upgrade", "windlass"], Some(&chart()));
    assert_eq!(column(t).await, NOW, "definitions are upgraded");
    let back = ["upgrade", "windlass", "--set=crds.install=false"];
    run(t, &back, Some(earlier.path()));
    assert_eq!(column(t).await, NOW, "they are left alone when the release goes back");
    run(t, &["upgrade", "windlass"], Some(&chart()));

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

/// As after `windlass crds | kubectl apply --server-side`, of another version or of the same.
async fn definitions_that_are_there_already_are_taken_over(t: &Test) {
    let earlier = earlier();
    let install = ["install", "windlass"];
    let upgrade = ["upgrade", "windlass"];
    let take = [&install[..], &["--take-ownership"]].concat();
    let force = "--force-conflicts";

    // Of another version.
    applied_by_kubectl(t, earlier.path()).await;
    refused(t, &install, &chart(), "invalid ownership metadata");
    refused(t, &take, &chart(), "conflict");
    assert_eq!(column(t).await, EARLIER);
    // What was begun is gone on with.
    let again = [&upgrade[..], &["--install", "--take-ownership", force]].concat();
    run(t, &again, Some(&chart()));
    assert_eq!(column(t).await, NOW);
    // They are helm's own from now on.
    run(t, &upgrade, Some(earlier.path()));
    assert_eq!(column(t).await, EARLIER);
    run(t, &["uninstall", "windlass"], None);

    // Of another version, by who knows.
    applied_by_kubectl(t, earlier.path()).await;
    run(t, &[&take[..], &[force]].concat(), Some(&chart()));
    assert_eq!(column(t).await, NOW);
    run(t, &["uninstall", "windlass"], None);

    // Of the same version: nothing is in conflict until they change.
    applied_by_kubectl(t, earlier.path()).await;
    run(t, &take, Some(earlier.path()));
    refused(t, &upgrade, &chart(), "conflict");
    assert_eq!(column(t).await, EARLIER);
    run(t, &[&upgrade[..], &[force]].concat(), Some(&chart()));
    assert_eq!(column(t).await, NOW);
    run(t, &["uninstall", "windlass"], None);
}

/// The chart with definitions of another version.
fn earlier() -> TempDir {
    let earlier = tempfile::tempdir().expect("a scratch folder");
    copy(&chart(), earlier.path());
    let path = earlier.path().join(format!("files/crds/{NAMESPACED}.yaml"));
    let text = fs::read_to_string(&path).expect("the definition").replace(NOW, EARLIER);
    fs::write(&path, text).expect("the definition");
    earlier
}

/// Other tests leave theirs behind.
async fn without_definitions(t: &Test) {
    let delete = ["delete", "customresourcedefinitions", NAMESPACED, CLUSTER];
    t.cluster
        .kubectl(&[&delete[..], &["--ignore-not-found", "--wait"]].concat())
        .await;
}

/// Nothing but the definitions of this chart, and these by kubectl.
async fn applied_by_kubectl(t: &Test, chart: &Path) {
    without_definitions(t).await;
    let definitions = chart.join("files/crds");
    let definitions = definitions.to_string_lossy();
    t.cluster
        .kubectl(&["apply", "--server-side", "--filename", &definitions])
        .await;
    let established = ["wait", "--for=condition=Established", "--filename", &definitions];
    t.cluster.kubectl(&established).await;
}

fn keys(t: &Test) -> Api<Secret> {
    t.api()
}

/// Runs helm on the test's cluster, which has to do it.
fn run(t: &Test, arguments: &[&str], chart: Option<&Path>) {
    try_run(t, arguments, chart).unwrap_or_else(|error| panic!("helm {arguments:?}: {error}"));
}

/// Runs helm on the test's cluster, where this keeps it from doing so.
fn refused(t: &Test, arguments: &[&str], chart: &Path, why: &str) {
    let error = try_run(t, arguments, Some(chart)).expect_err("something that is refused");
    assert!(error.contains(why), "helm {arguments:?}: {error}");
}

/// Without replicas: the test runs the controller itself.
fn try_run(t: &Test, arguments: &[&str], chart: Option<&Path>) -> Result<String, String> {
    let kubeconfig = t.cluster.test.to_string_lossy();
    let mut all = vec!["--kubeconfig", &kubeconfig, "--namespace", &t.namespace];
    all.extend(arguments);
    let path = chart.map(Path::to_string_lossy);
    if let Some(path) = &path {
        all.push(path);
        helm(&all, &json!({"replicas": 0}))
    } else {
        plain(&all)
    }
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
