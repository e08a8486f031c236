//! Which namespaces it works in: named, all but some, or by label.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

use crate::support::{
    OBSERVED, Test, annotation,
    build::{deployment, env, volume},
    cluster::LIMITED_USER,
    tests,
};

tests! {
    named_namespaces_need_roles_only: embedded;
    excluded_namespaces_are_left_alone: alone;
    a_change_made_while_a_namespace_was_excluded_is_found: live;
    a_namespace_comes_and_goes_with_its_label: live, down, crashed, paused, live_paged;
    nothing_is_read_in_a_namespace_without_the_label: embedded;
    a_namespace_that_is_deleted_is_let_go: live;
}

async fn web(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.secret("web", &[("level", "A")]).await;
    t.deploy(
        deployment("web")
            .uses(env("web", "level"))
            .uses(volume("web").of_secret()),
    )
    .await;
}

/// As `docs/operations.md` lists them, of one namespace.
fn rights() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets", "daemonsets"],
         "verbs": ["get", "list", "watch", "patch"]},
        {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["windlass.dev"], "resources": ["rolloutpolicies"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["windlass.dev"], "resources": ["rolloutpolicies/status"], "verbs": ["patch"]},
        {"apiGroups": ["apps"], "resources": ["replicasets", "controllerrevisions"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["windlass-digest-key"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["windlass"],
         "verbs": ["get", "patch"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]}
    ])
}

async fn named_namespaces_need_roles_only(t: &Test) {
    web(t).await;
    t.settle_in().await;
    t.grant("windlass", rights()).await;
    let audit = t.audit(LIMITED_USER);
    let limited = t.cluster.limited.clone().expect("only run in a cluster of ours");
    let own_lease = vec!["--lease-namespace".to_owned(), t.namespace.clone()];
    let controller = t.installation(limited, own_lease).await;
    controller.await_ready().await;
    t.all_adopted().await;

    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    t.secret("web", &[("level", "B")]).await;
    t.rolls("web", 2).await;
    t.undo("web").await;
    t.event("web", "Restarted").await;
    t.everything_before_is_done().await;
    controller.stop().await;

    let refused: Vec<_> = audit.requests().into_iter().filter(|it| it.code == 403).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(controller.log().contains("caches synced"));
}

async fn excluded_namespaces_are_left_alone(t: &Test) {
    let other = t.beside().await;
    web(t).await;
    web(&other).await;
    other.complete("web").await;
    t.start_and_adopt(&["--exclude-namespaces", &format!("kube-system,{}", other.namespace)])
        .await;
    t.everything_before_is_done().await;
    let sources = t.windlass().metric("windlass_sources", &[("kind", "ConfigMap")]).await;
    let sources = sources.expect("the metrics are served");
    assert!(sources > 0.5, "the first of them is counted at once");

    other.config("web", &[("level", "B")]).await;
    other.secret("web", &[("level", "B")]).await;
    for name in ["one", "two", "three"] {
        other.config(name, &[("level", "A")]).await;
    }
    t.config("one", &[("level", "A")]).await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It counts objects.
    let one_more = sources as u32 + 1;
    t.metric("windlass_sources", &[("kind", "ConfigMap")], one_more).await;
    assert_eq!(annotation(&other.deployment("web").await, OBSERVED), None);
    assert_eq!(other.template_changes("web").await, 0);
}

async fn a_change_made_while_a_namespace_was_excluded_is_found(t: &Test) {
    let other = t.beside().await;
    web(t).await;
    web(&other).await;
    other.settle_in().await;
    let both = format!("{},{}", t.namespace, other.namespace);
    t.start_and_adopt(&["--namespaces", &both]).await;
    other.all_adopted().await;
    t.stop().await;

    t.start(&["--namespaces", &both, "--exclude-namespaces", &other.namespace])
        .await;
    other.config("web", &[("level", "B")]).await;
    other.secret("web", &[("level", "B")]).await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    assert_eq!(other.template_changes("web").await, 0);
    t.stop().await;

    t.start(&["--namespaces", &both]).await;
    other.rolls("web", 1).await;
    t.rolls("web", 1).await;
}

fn selector(t: &Test) -> String {
    format!("windlass-test={}", t.namespace)
}

/// With the label, or without.
async fn select(t: &Test, namespace: &Test, on: bool) {
    let value = on.then(|| t.namespace.clone());
    namespace.label_namespace(json!({"windlass-test": value})).await;
}

async fn configs(t: &Test) -> u32 {
    let all = t.api::<ConfigMap>().list(&ListParams::default()).await.expect("a list");
    u32::try_from(all.items.len()).expect("a few")
}

/// All that is known is what is in these namespaces: a workload `web` in each, and the markers.
async fn knows(t: &Test, namespaces: &[&Test]) {
    let mut sources = 0;
    for namespace in namespaces {
        sources += configs(namespace).await;
    }
    t.metric("windlass_sources", &[("kind", "ConfigMap")], sources).await;
    let workloads = u32::try_from(namespaces.len() * 3).expect("a few");
    t.metric("windlass_workloads", &[("kind", "Deployment")], workloads)
        .await;
}

async fn a_namespace_comes_and_goes_with_its_label(t: &Test) {
    let other = t.beside().await;
    web(t).await;
    web(&other).await;
    other.settle_in().await;
    select(t, t, true).await;
    t.start_and_adopt(&["--namespace-selector", &selector(t)]).await;
    t.everything_before_is_done().await;
    assert_eq!(annotation(&other.deployment("web").await, OBSERVED), None);
    knows(t, &[t]).await;

    t.meanwhile(select(t, &other, true)).await;
    other.all_adopted().await;
    other.rolls("web", 0).await;
    knows(t, &[t, &other]).await;
    other.config("web", &[("level", "B")]).await;
    other.rolls("web", 1).await;
    other.secret("web", &[("level", "B")]).await;
    other.rolls("web", 2).await;

    t.meanwhile(select(t, &other, false)).await;
    knows(t, &[t]).await;
    other.config("web", &[("level", "C")]).await;
    t.rolls("web", 0).await;
    assert_eq!(other.template_changes("web").await, 2);

    t.meanwhile(select(t, &other, true)).await;
    other.rolls("web", 3).await;
    knows(t, &[t, &other]).await;
    t.rolls("web", 0).await;
}

async fn nothing_is_read_in_a_namespace_without_the_label(t: &Test) {
    let other = t.beside().await;
    web(t).await;
    web(&other).await;
    other.settle_in().await;
    select(t, t, true).await;
    let audit = t.audit("windlass");
    let audit_of_other = audit.of_namespace(&other.namespace);
    t.start_and_adopt(&["--namespace-selector", &selector(t)]).await;

    other.secret("web", &[("level", "B")]).await;
    t.secret("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;

    assert_eq!(audit.reads("secrets").get("web"), Some(&2));
    let requests = audit_of_other.requests();
    assert!(requests.is_empty(), "{requests:?}");
}

async fn a_namespace_that_is_deleted_is_let_go(t: &Test) {
    let other = t.beside().await;
    web(t).await;
    web(&other).await;
    other.settle_in().await;
    select(t, t, true).await;
    select(t, &other, true).await;
    t.start_and_adopt(&["--namespace-selector", &selector(t)]).await;
    other.all_adopted().await;
    knows(t, &[t, &other]).await;

    let namespaces: Api<Namespace> = Api::all(t.client.clone());
    let deleted = namespaces.delete(&other.namespace, &DeleteParams::default()).await;
    deleted.expect("it was there");
    knows(t, &[t]).await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
}
