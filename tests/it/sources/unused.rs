//! `ConfigMap`s that nobody uses: no more than their names is kept, and a workload that begins to use one has
//! it read once.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Map, Value, json};

use crate::support::{
    Test,
    audit::Request,
    build::{deployment, env, volume},
    cluster::LIMITED_USER,
    tests,
};

tests! {
    tens_of_thousands_of_keys_that_nobody_uses_cost_nothing: embedded;
    whoever_begins_to_use_one_is_adopted_and_rolls_with_its_next_change: live, down, crashed, paused, live_paged;
    one_get_and_only_for_what_was_not_used_before: embedded;
    without_the_right_to_read_it_its_users_are_held: embedded;
}

/// As many as fit into one object.
const KEYS: usize = 75_000;
const OBJECTS: usize = 20;

/// In KiB, on top of a controller that has nothing to keep.
const ROOM: u64 = 24 * 1024;

fn keys() -> Map<String, Value> {
    let letters = ('a'..='z').chain('A'..='Z').chain('0'..='9');
    let letters: Vec<char> = letters.collect();
    let all = letters.iter().flat_map(|one| {
        let pairs = letters
            .iter()
            .flat_map(|other| letters.iter().map(move |last| (other, last)));
        pairs.map(move |(other, last)| format!("{one}{other}{last}"))
    });
    all.take(KEYS).map(|key| (key, json!(""))).collect()
}

async fn tens_of_thousands_of_keys_that_nobody_uses_cost_nothing(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
    let before = t.windlass().peak();
    t.stop().await;
    for number in 0..OBJECTS {
        let object = json!({"metadata": {"name": format!("large-{number}")}, "data": keys()});
        let _: ConfigMap = t.create(object).await;
    }
    t.start(&[]).await;
    // Seen in a list, and once more as they change.
    for number in 0..OBJECTS {
        t.mark_config(&format!("large-{number}"), json!({"labels": {"seen": "again"}}))
            .await;
    }
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    let after = t.windlass().peak();
    assert!(after < before + ROOM, "{before} KiB without them, {after} with them");
}

async fn whoever_begins_to_use_one_is_adopted_and_rolls_with_its_next_change(t: &Test) {
    t.config("web", &[("level", "A"), ("unused", "A")]).await;
    t.config("later", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        t.config("later", &[("level", "B")]).await;
        t.deploy(deployment("later").uses(env("later", "level"))).await;
    })
    .await;
    t.adopted("later").await;
    t.rolls("later", 0).await;
    t.meanwhile(t.config("later", &[("level", "C")])).await;
    t.rolls("later", 1).await;
    t.rolls("web", 0).await;
}

fn reads(requests: &[Request]) -> BTreeMap<String, usize> {
    let mut reads = BTreeMap::new();
    let of_configs = requests.iter().filter(|it| it.resource == "configmaps");
    for request in of_configs {
        *reads.entry(format!("{} {}", request.verb, request.name)).or_default() += 1;
    }
    reads
}

async fn one_get_and_only_for_what_was_not_used_before(t: &Test) {
    let lease = t.another_namespace().await;
    for name in ["used", "later", "never"] {
        t.config(name, &[("level", "A")]).await;
    }
    t.deploy(deployment("web").uses(env("used", "level")).uses(volume("used")))
        .await;
    let audit = t.audit("windlass");
    t.start_and_adopt(&["--lease-namespace", &lease]).await;
    t.config("never", &[("level", "B")]).await;
    t.config("used", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    assert_eq!(
        reads(&audit.requests()),
        BTreeMap::new(),
        "at the start, or for a change"
    );

    for name in ["one", "two"] {
        t.deploy(deployment(name).uses(env("later", "level"))).await;
    }
    for name in ["one", "two"] {
        t.adopted(name).await;
    }
    t.config("later", &[("level", "B")]).await;
    t.config("later", &[("level", "C")]).await;
    for name in ["one", "two"] {
        t.await_template_changes(name, 1).await;
    }
    t.everything_before_is_done().await;
    let once = BTreeMap::from([("get later".to_owned(), 1)]);
    assert_eq!(reads(&audit.requests()), once);
}

fn rights(configs: &[&str]) -> Value {
    json!([
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": configs},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "create"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch", "patch"]},
        {"apiGroups": ["windlass.dev"], "resources": ["rolloutpolicies"], "verbs": ["list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "patch"]}
    ])
}

async fn without_the_right_to_read_it_its_users_are_held(t: &Test) {
    for name in ["used", "later"] {
        t.config(name, &[("level", "A")]).await;
    }
    t.deploy(deployment("web").uses(env("used", "level"))).await;
    t.settle_in().await;
    t.grant("few", rights(&["list", "watch"])).await;
    let limited = t.cluster.limited.clone().expect("only run in a cluster of ours");
    let flags = ["--lease-namespace", &t.namespace, "--workload-kinds", "Deployment"];
    let audit = t.audit(LIMITED_USER);
    let controller = t.installation(limited, flags.map(str::to_owned).into()).await;
    controller.await_ready().await;
    t.adopted("web").await;

    t.deploy(deployment("late").uses(env("later", "level"))).await;
    let message = t.warning("late", "SourceUnreadable").await;
    assert!(
        message.contains("ConfigMap later") && message.contains("get"),
        "{message}"
    );
    t.config("used", &[("level", "B")]).await;
    t.await_template_changes("web", 1).await;
    let tries = audit.requests().iter().filter(|it| it.name == "later").count();
    assert!((1..=12).contains(&tries), "{tries} tries to read it");

    t.grant("more", rights(&["get", "list", "watch"])).await;
    t.adopted("late").await;
    t.config("later", &[("level", "B")]).await;
    t.await_template_changes("late", 1).await;
    controller.stop().await;
}
