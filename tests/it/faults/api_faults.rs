//! An API server that answers late, wrongly or not at all: nothing is lost, and nothing is decided too early.

use kube::api::DeleteParams;
use serde_json::json;

use crate::support::{
    Test, await_condition,
    build::{deployment, env},
    controller::Controller,
    faulty::Fault,
    policies::{cluster_policies, cluster_policy, install, only_here, unique_policy},
    tests,
};

tests! {
    a_streaming_list_that_ends_with_an_error_is_made_by_pages: embedded;
    requests_that_are_never_answered_are_made_again: embedded;
    lists_by_pages_that_fail_for_a_while_lose_nothing: embedded;
    cluster_policies_that_cannot_be_read_yet_hold_all_the_same: embedded;
    a_right_on_cluster_policies_that_comes_a_moment_late_is_waited_for: embedded;
}

const FORBIDDEN: &str = "clusterrolloutpolicies.windlass.dev is forbidden: User \"w\" cannot list resource \
                         \"clusterrolloutpolicies\" in API group \"windlass.dev\" at the cluster scope";

async fn web(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").labelled("tier", "web").uses(env("web", "level")))
        .await;
}

fn flags(t: &Test, more: &[&str]) -> Vec<String> {
    let own = ["--lease-namespace", &t.namespace];
    own.iter().chain(more).map(|&flag| flag.to_owned()).collect()
}

async fn a_streaming_list_that_ends_with_an_error_is_made_by_pages(t: &Test) {
    web(t).await;
    t.settle_in().await;
    let (faulty, kubeconfig) = t.faulty().await;
    faulty.set("sendInitialEvents=true", Fault::ErrorEvent(500), usize::MAX);
    let controller = t.installation(kubeconfig, flags(t, &[])).await;
    controller.await_ready().await;
    t.all_adopted().await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    controller.stop().await;
}

async fn requests_that_are_never_answered_are_made_again(t: &Test) {
    web(t).await;
    t.settle_in().await;
    let (faulty, kubeconfig) = t.faulty().await;
    let controller = t.installation(kubeconfig, flags(t, &[])).await;
    controller.await_ready().await;
    t.all_adopted().await;

    // Every watch ends, and those of ConfigMaps are taken and not answered when they are opened again.
    let before = faulty.asked("/configmaps?");
    faulty.set("/configmaps?", Fault::Silence, 1);
    faulty.cut();
    await_condition("the watch of ConfigMaps to be asked for", async || {
        anyhow::ensure!(faulty.asked("/configmaps?") > before, "it is not");
        Ok(())
    })
    .await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    assert!(controller.log().contains("no answer within"), "it says so");
    controller.stop().await;
}

async fn lists_by_pages_that_fail_for_a_while_lose_nothing(t: &Test) {
    web(t).await;
    t.settle_in().await;
    let (faulty, kubeconfig) = t.faulty().await;
    faulty.set(
        "sendInitialEvents=true",
        Fault::Refused(422, "sendInitialEvents is forbidden".into()),
        usize::MAX,
    );
    faulty.set(
        "/configmaps?",
        Fault::Refused(500, "etcdserver: request timed out".into()),
        5,
    );
    let controller = t.installation(kubeconfig, flags(t, &[])).await;
    controller.await_ready().await;
    t.all_adopted().await;
    // One that was refused, five that failed, and what is well.
    let asked = faulty.asked("/configmaps?");
    assert!((7..=12).contains(&asked), "{asked} requests");
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    controller.stop().await;
}

/// Stops all in the test's namespace.
async fn stop(t: &Test) -> String {
    install(t).await;
    let name = unique_policy();
    let workloads = json!({"selector": {"matchLabels": {"tier": "web"}}, "namespaceSelector": only_here(t)});
    cluster_policy(t, &name, json!({"workloads": workloads, "suspend": true})).await;
    name
}

async fn go_on(t: &Test, name: &str) {
    let gone = cluster_policies(t).delete(name, &DeleteParams::default()).await;
    gone.expect("it was there");
}

async fn cluster_policies_that_cannot_be_read_yet_hold_all_the_same(t: &Test) {
    web(t).await;
    t.start_and_adopt(&[]).await;
    t.stop().await;
    let policy = stop(t).await;
    t.config("web", &[("level", "B")]).await;

    let (faulty, kubeconfig) = t.faulty().await;
    faulty.set(
        "/clusterrolloutpolicies?",
        Fault::Refused(403, FORBIDDEN.into()),
        usize::MAX,
    );
    let controller = t.installation(kubeconfig, flags(t, &["--cluster-policies=true"])).await;
    await_condition("it to be said, and asked for again", async || {
        anyhow::ensure!(controller.log().contains("permission missing"), "it is not said");
        let asked = faulty.asked("/clusterrolloutpolicies?");
        anyhow::ensure!(asked >= 4, "{asked} times");
        Ok(())
    })
    .await;
    assert!(!controller.ready().await);
    let errors = controller
        .metric(
            "windlass_watch_restarts_total",
            &[("resource", "clusterrolloutpolicies")],
        )
        .await;
    assert!(errors.expect("the metrics are served") > 0.5);
    assert_eq!(t.template_changes("web").await, 0);

    faulty.heal();
    controller.await_ready().await;
    is_held_until_it_may_go_on(t, &controller, &policy).await;
}

async fn is_held_until_it_may_go_on(t: &Test, controller: &Controller, policy: &str) {
    await_condition("it to be held", async || {
        let held = controller
            .metric("windlass_workloads_held", &[("reason", "Suspended")])
            .await?;
        anyhow::ensure!(held > 0.5, "it is not");
        Ok(())
    })
    .await;
    assert_eq!(t.template_changes("web").await, 0);
    go_on(t, policy).await;
    t.await_template_changes("web", 1).await;
    controller.stop().await;
}

async fn a_right_on_cluster_policies_that_comes_a_moment_late_is_waited_for(t: &Test) {
    web(t).await;
    t.start_and_adopt(&[]).await;
    t.stop().await;
    let policy = stop(t).await;
    t.config("web", &[("level", "B")]).await;

    let (faulty, kubeconfig) = t.faulty().await;
    faulty.set(
        "/clusterrolloutpolicies?",
        Fault::Refused(401, "Unauthorized".into()),
        1,
    );
    faulty.set("/clusterrolloutpolicies?", Fault::Refused(403, FORBIDDEN.into()), 2);
    let controller = t.installation(kubeconfig, flags(t, &[])).await;
    controller.await_ready().await;
    is_held_until_it_may_go_on(t, &controller, &policy).await;
}
