//! `docs/migrate.md`, done as it says, with the flags and the commands that stand in it.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use crate::support::{
    OBSERVED, Test, Workload, annotation,
    build::{deployment, env, volume},
    template_annotation, tests,
};

tests! {
    coming_from_reloader_as_the_guide_says: live, down;
    coming_from_wave_as_the_guide_says: live, down;
}

const GUIDE: &str = include_str!("../../../docs/migrate.md");

/// What stands in the guide under this heading.
fn section(heading: &str) -> &'static str {
    let (_, rest) = GUIDE
        .split_once(&format!("\n### {heading}\n"))
        .expect("the guide has it");
    rest.split("\n### ").next().unwrap_or_default()
}

/// The arguments of the controller that the section shows, without its own name.
fn flags(section: &'static str) -> Vec<&'static str> {
    let list = section
        .lines()
        .find_map(|line| line.strip_prefix("args: [controller")?.strip_suffix(']'));
    let list = list.expect("it shows the arguments");
    // A comma is part of a flag's value as well; there no space follows.
    list.split(", ").filter(|flag| !flag.is_empty()).collect()
}

/// The commands that the guide shows after these words, up to the end of the block.
fn commands(section: &'static str, after: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = section.split_once(after).expect("it says so");
    let block = rest.split("```").nth(1).expect("commands follow");
    let lines = block.lines().filter_map(|line| line.strip_prefix("kubectl "));
    lines.map(|line| line.split_whitespace().collect()).collect()
}

async fn run(t: &Test, commands: Vec<Vec<&str>>) {
    assert!(!commands.is_empty());
    for command in commands {
        t.cluster
            .kubectl(&[&["--namespace", &t.namespace][..], &command].concat())
            .await;
    }
}

/// Steps 1 to 6, with one change of the `ConfigMap` after each that allows of one.
async fn follow_the_guide(t: &Test, left_behind: Workload, words: &str, is_clean: impl Fn(&Deployment) -> bool) {
    t.config("web", &[("a", "A")]).await;
    t.secret("web", &[("a", "A")]).await;
    t.deploy(left_behind).await;
    t.complete("web").await;
    t.settle_in().await;
    assert!(!is_clean(&t.deployment("web").await));

    // 1. Look.
    t.start(&flags(section("1. Look"))).await;
    t.state("Current", 3).await;
    assert_eq!(annotation(&t.deployment("web").await, OBSERVED), None);
    t.stop().await;

    // 2. Install.
    t.start(&flags(section("2. Install"))).await;
    t.all_adopted().await;
    t.adopted("web").await;
    t.rolls("web", 0).await;
    assert!(!is_clean(&t.deployment("web").await), "the marks stay");

    // 4. Check: a change is one rollout, and the marks go with it.
    t.meanwhile(t.config("web", &[("a", "B")])).await;
    t.rolls("web", 1).await;
    assert!(is_clean(&t.deployment("web").await), "the marks go");
    t.held("OtherController", 0).await;

    // 5. Windlass' own annotations.
    t.meanwhile(run(t, commands(section("5. Use Windlass' own annotations"), words)))
        .await;
    t.rolls("web", 1).await;
    let web = t.deployment("web").await;
    assert_eq!(annotation(&web, "windlass.dev/enabled"), Some("true"));
    let of_others = |name: &&String| name.contains("stakater.com") || name.contains("pusher.com");
    let left = web.metadata.annotations.iter().flat_map(|it| it.keys()).find(of_others);
    assert_eq!(left, None);
    for (text, times) in [("C", 2), ("D", 3)] {
        t.meanwhile(t.config("web", &[("a", text)])).await;
        t.rolls("web", times).await;
    }
    t.meanwhile(t.secret("web", &[("a", "B")])).await;
    t.rolls("web", 4).await;
    assert_eq!(t.event_count("web", "OtherController").await, 0);

    // 6. Drop --compat.
    t.stop().await;
    t.start(&flags(section("6. Drop `--compat`"))).await;
    t.rolls("web", 4).await;
    t.meanwhile(t.config("web", &[("a", "E")])).await;
    t.rolls("web", 5).await;
}

fn uses(workload: Workload) -> Workload {
    workload
        .not_opted_in()
        .uses(env("web", "a"))
        .uses(volume("web").of_secret())
}

async fn coming_from_reloader_as_the_guide_says(t: &Test) {
    let mark = json!({
        "type": "SECRET", "name": "web", "namespace": t.namespace, "containerRefs": ["app"],
        "hash": "5ba93c9db0cff93f52b521d7420e43f6eda2784f", "observedAt": 1_700_000_000
    });
    let mark = mark.to_string();
    let left = uses(deployment("web"))
        .annotated("reloader.stakater.com/auto", "true")
        .template_annotated("reloader.stakater.com/last-reloaded-from", &mark)
        .with_variable("STAKATER_WEB_SECRET", "5ba93c9db0cff93f52b521d7420e43f6eda2784f");
    let is_clean = |web: &Deployment| {
        let template = web.spec.as_ref().map(|spec| &spec.template);
        let text = serde_json::to_string(&template).expect("a template is JSON");
        let written_by_us = template_annotation(web, "reloader.stakater.com/last-reloaded-from") != Some(mark.clone());
        !text.contains("STAKATER_") && written_by_us
    };
    follow_the_guide(t, left, "that has Reloader's annotations:", is_clean).await;
    let web = t.deployment("web").await;
    let mark = template_annotation(&web, "reloader.stakater.com/last-reloaded-from");
    assert_eq!(mark, None, "it speaks of a restart long ago");
}

async fn coming_from_wave_as_the_guide_says(t: &Test) {
    let left = uses(deployment("web"))
        .annotated("wave.pusher.com/update-on-config-change", "true")
        .template_annotated("wave.pusher.com/config-hash", "9f86d081884c7d659a2feaa0c55ad015");
    let is_clean = |web: &Deployment| template_annotation(web, "wave.pusher.com/config-hash").is_none();
    follow_the_guide(t, left, "For one that has Wave's:", is_clean).await;
}
