//! One tenant's patterns against all: many wildcards and long names cost their own namespace something, and
//! nobody else a rollout.

use anyhow::ensure;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Test, await_condition,
    build::{deployment, env, volume},
    policies::{condition, for_web, install, install_without_bounds_on_patterns, policy, try_policy},
    tests,
};

tests! {
    a_policy_with_too_many_patterns_is_refused: live;
    a_policy_with_too_many_patterns_from_before_holds_its_own_workloads_only: alone;
    a_policy_with_as_many_patterns_as_may_be_keeps_nobody_waiting: live;
    too_many_patterns_in_an_annotation_are_told_and_what_held_before_goes_on: live;
    as_many_patterns_in_annotations_as_may_be_keep_nobody_waiting: live;
}

/// Fits nothing, and a matcher that tries all ways takes long to find that out.
fn hard(length: usize, at: usize) -> String {
    format!("*{}b{at:04}*", "a".repeat(length - 7))
}

fn rules(count: usize, keys: usize) -> Value {
    let rule = |at: usize| {
        let keys: Vec<String> = (0..keys).map(|key| hard(126, at * keys + key)).collect();
        json!({"name": "attack", "keys": keys, "strategy": "InPlace"})
    };
    let rules: Vec<Value> = (0..count).map(rule).collect();
    for_web(json!({"strategy": "Restart", "rules": rules}))
}

fn list(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|at| hard(62, at)).collect();
    names.join(",")
}

/// 50 keys of 250 characters.
async fn attack(t: &Test, value: &str) {
    let data: serde_json::Map<_, _> = (0..50)
        .map(|at| (format!("{}{at:02}", "a".repeat(248)), json!(value)))
        .collect();
    t.config_object("attack", json!({"data": data})).await;
}

/// Changes what the neighbour uses, and waits until it has rolled, while somebody goes on attacking.
async fn neighbour_rolls_during(t: &Test, neighbour: &Test, attack: impl AsyncFn(usize)) {
    let before = neighbour.template_changes("honest").await;
    for at in 0..10 {
        attack(at).await;
        if at == 2 {
            neighbour.config("honest", &[("a", "B")]).await;
        }
        await_condition("the controller to live", async || t.windlass().lives().await).await;
    }
    neighbour.await_template_changes("honest", before + 1).await;
}

/// Works in both namespaces.
async fn start(t: &Test, neighbour: &Test) {
    neighbour.config("honest", &[("a", "A")]).await;
    neighbour.deploy(deployment("honest").uses(env("honest", "a"))).await;
    neighbour.settle_in().await;
    let both = format!("{},{}", t.namespace, neighbour.namespace);
    t.settle_in().await;
    t.start(&["--namespaces", &both]).await;
    neighbour.all_adopted().await;
}

async fn a_policy_with_too_many_patterns_is_refused(t: &Test) {
    install(t).await;
    let refused = try_policy(t, &rules(64, 64))
        .await
        .expect_err("it is refused")
        .to_string();
    for words in ["spec.rules", "at most 4096 bytes of names and keys with wildcards"] {
        assert!(refused.contains(words), "{refused}");
    }
}

async fn a_policy_with_too_many_patterns_from_before_holds_its_own_workloads_only(t: &Test) {
    install_without_bounds_on_patterns(t).await;
    await_condition("the API server to take it", async || {
        Ok(try_policy(t, &rules(64, 64)).await?)
    })
    .await;
    policy(t, "attack", rules(64, 64)).await;
    install(t).await;
    let neighbour = t.beside().await;
    attack(t, "A").await;
    let victim = deployment("web")
        .labelled("tier", "web")
        .not_opted_in()
        .uses(volume("attack"));
    t.deploy(victim).await;
    start(t, &neighbour).await;

    let given = "spec.rules: 516480 bytes of names and keys; accepted: at most 16384";
    let told = condition(t, "attack", "Ready", "False").await;
    assert!(told.message.contains(given), "{told:?}");
    neighbour_rolls_during(t, &neighbour, async |at| attack(t, &at.to_string()).await).await;
    t.event_with("web", "PolicyInvalid", &[given]).await;
    assert_eq!(t.template_changes("web").await, 0);
    neighbour.rolls("honest", 1).await;
}

async fn a_policy_with_as_many_patterns_as_may_be_keeps_nobody_waiting(t: &Test) {
    install(t).await;
    policy(t, "attack", rules(16, 2)).await;
    let neighbour = t.beside().await;
    attack(t, "A").await;
    let attacker = deployment("web")
        .labelled("tier", "web")
        .not_opted_in()
        .uses(volume("attack"));
    t.deploy(attacker).await;
    start(t, &neighbour).await;
    t.adopted("web").await;

    neighbour_rolls_during(t, &neighbour, async |at| attack(t, &at.to_string()).await).await;
    await_condition("the last change to have rolled as well", async || {
        ensure!(t.template_changes("web").await > 0, "not yet");
        Ok(())
    })
    .await;
    neighbour.rolls("honest", 1).await;
}

async fn too_many_patterns_in_an_annotation_are_told_and_what_held_before_goes_on(t: &Test) {
    t.config("feature-a", &[("a", "A")]).await;
    t.deploy(deployment("web").annotated("windlass.dev/configmaps", "feature-*"))
        .await;
    t.start_and_adopt(&[]).await;

    t.annotate("web", "windlass.dev/configmaps", format!("feature-*,{}", list(255)))
        .await;
    let given = format!("{} bytes of entries with wildcards", 255 * 62 + 9);
    let words = ["windlass.dev/configmaps", &given, "at most 4 KiB"];
    t.event_with("web", "InvalidAnnotation", &words).await;
    t.config("feature-a", &[("a", "B")]).await;
    t.await_template_changes("web", 1).await;
    t.everything_before_is_done().await;
    t.rolls("web", 1).await;
}

async fn as_many_patterns_in_annotations_as_may_be_keep_nobody_waiting(t: &Test) {
    let neighbour = t.beside().await;
    let name = |at: usize| format!("{}-{at}", "a".repeat(240));
    let names: Vec<String> = (0..1000).map(name).collect();
    for some in names.chunks(50) {
        join_all(some.iter().map(|name| t.config(name, &[("a", "A")]))).await;
    }
    let attacker = deployment("web")
        .annotated("windlass.dev/configmaps", &list(66))
        .annotated("windlass.dev/exclude-configmaps", &list(66));
    t.deploy(attacker).await;
    start(t, &neighbour).await;
    t.adopted("web").await;

    neighbour_rolls_during(t, &neighbour, async |at| {
        t.config(&names[at], &[("a", "B")]).await;
        t.config(&name(1000 + at), &[("a", "B")]).await;
        let other = format!("{},x-{at}", list(65));
        t.annotate("web", "windlass.dev/configmaps", other).await;
    })
    .await;
    neighbour.rolls("honest", 1).await;
    t.rolls("web", 0).await;
}
