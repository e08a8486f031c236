//! Every way in which a pod template can use a `ConfigMap`, and what does not count as use.

use serde_json::json;

use crate::support::{
    Test,
    build::{Use, Workload, deployment, env, env_from, projected, volume},
    tests,
};

tests! {
    each_use_restarts_on_its_keys_and_on_no_others: live, down, live_paged;
    each_use_of_a_whole_source_restarts_on_any_key: live, down;
    what_no_container_reads_does_not_count: live, down;
}

/// Each Deployment has a `ConfigMap` of its own by the same name.
async fn deploy(t: &Test, uses: Vec<(&'static str, Vec<Use>)>) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (name, uses) in uses {
        t.config(name, &[("used", "A"), ("also", "A"), ("unused", "A")]).await;
        t.deploy(uses.into_iter().fold(deployment(name), Workload::uses)).await;
        names.push(name);
    }
    t.start_and_adopt(&[]).await;
    names
}

async fn change(t: &Test, names: &[&str], content: &[(&str, &str)]) {
    for name in names {
        t.config(name, content).await;
    }
}

async fn all_roll(t: &Test, names: &[&str], times: usize) {
    for name in names {
        t.await_template_changes(name, times).await;
    }
    t.everything_before_is_done().await;
    for name in names {
        t.complete(name).await;
        assert_eq!(t.template_changes(name).await, times, "rollouts of {name}");
    }
}

async fn each_use_restarts_on_its_keys_and_on_no_others(t: &Test) {
    let used: &[(&str, &str)] = &[("used", "conf/app.conf")];
    let names = deploy(
        t,
        vec![
            ("env", vec![env("env", "used")]),
            ("env-in-init", vec![env("env-in-init", "used").in_init()]),
            ("env-in-sidecar", vec![env("env-in-sidecar", "used").in_sidecar()]),
            ("items", vec![volume("items").items(used)]),
            ("items-in-init", vec![volume("items-in-init").items(used).in_init()]),
            (
                "items-in-sidecar",
                vec![volume("items-in-sidecar").items(used).in_sidecar()],
            ),
            ("projected-items", vec![projected("projected-items").items(used)]),
            ("sub-path", vec![volume("sub-path").sub_path("used")]),
            (
                "sub-path-of-item",
                vec![volume("sub-path-of-item").items(used).sub_path("conf/app.conf")],
            ),
            (
                "sub-path-of-folder",
                vec![volume("sub-path-of-folder").items(used).sub_path("conf")],
            ),
            (
                "two-volumes",
                vec![
                    volume("two-volumes").items(used),
                    volume("two-volumes").items(&[("used", "again")]),
                ],
            ),
            (
                "two-uses",
                vec![env("two-uses", "used"), volume("two-uses").items(used)],
            ),
        ],
    )
    .await;

    t.meanwhile(change(t, &names, &[("used", "A"), ("also", "A"), ("unused", "B")]))
        .await;
    all_roll(t, &names, 0).await;

    t.meanwhile(change(t, &names, &[("used", "B"), ("also", "A"), ("unused", "B")]))
        .await;
    all_roll(t, &names, 1).await;
}

async fn each_use_of_a_whole_source_restarts_on_any_key(t: &Test) {
    let names = deploy(
        t,
        vec![
            ("env-from", vec![env_from("env-from")]),
            (
                "env-from-prefixed",
                vec![env_from("env-from-prefixed").prefixed("APP_")],
            ),
            ("env-from-in-init", vec![env_from("env-from-in-init").in_init()]),
            ("volume", vec![volume("volume")]),
            ("projected", vec![projected("projected")]),
            ("sub-path-expr", vec![volume("sub-path-expr").sub_path_expr("$(HOME)")]),
            (
                "env-and-volume",
                vec![env("env-and-volume", "used"), volume("env-and-volume")],
            ),
        ],
    )
    .await;

    t.meanwhile(change(t, &names, &[("used", "A"), ("also", "A"), ("unused", "B")]))
        .await;
    all_roll(t, &names, 1).await;

    // One more, and one less.
    let content = [("used", "A"), ("unused", "B"), ("new", "A")];
    t.meanwhile(change(t, &names, &content)).await;
    all_roll(t, &names, 2).await;
}

async fn what_no_container_reads_does_not_count(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.config("unmounted", &[("level", "A")]).await;
    t.config("registry", &[("level", "A")]).await;
    t.deploy(
        deployment("web")
            .uses(env("web", "level"))
            .uses(volume("unmounted").unmounted())
            .with_pod("imagePullSecrets", json!([{"name": "registry"}])),
    )
    .await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        t.config("unmounted", &[("level", "B")]).await;
        t.delete_config("registry").await;
    })
    .await;

    t.rolls("web", 0).await;
    assert_eq!(t.event_count("web", "SourceMissing").await, 0);
}
