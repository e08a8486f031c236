//! Standing in for Wave: its annotations as it reads them, its marks, and itself still at work.

use anyhow::ensure;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use crate::support::{
    OBSERVED, Test, Workload, annotation, await_condition,
    build::{deployment, env, volume},
    template_annotation, tests,
};

tests! {
    what_is_referenced_counts_by_key_where_it_is_used_by_key: live, down;
    only_true_opts_in: live;
    extra_sources_count_as_a_whole_and_may_be_missing: live, down;
    a_required_source_that_is_missing_holds: live, down, crashed;
    its_hash_is_taken_over_and_goes_with_the_first_change: live, down, crashed;
    pods_that_it_kept_from_being_scheduled_are_let_go: live, down, crashed;
    those_whose_sources_came_while_nobody_was_there_are_let_go: live;
    one_that_is_still_at_work_is_not_fought: live, paused;
    without_compat_its_words_mean_nothing: live;
}

const UPDATE: &str = "wave.pusher.com/update-on-config-change";
const CONFIG_HASH: &str = "wave.pusher.com/config-hash";
const DISABLED: &str = "wave.pusher.com/scheduling-disabled";
const NO_SCHEDULER: &str = "wave.pusher.com/invalid";

fn asked(name: &str) -> Workload {
    deployment(name).not_opted_in().annotated(UPDATE, "true")
}

async fn start(t: &Test, flags: &[&str]) {
    t.complete("web").await;
    t.start_and_adopt(&[&["--compat", "wave"][..], flags].concat()).await;
    t.adopted("web").await;
}

async fn rolls(t: &Test, name: &str, times: usize) {
    t.everything_before_is_done().await;
    t.rolls(name, times).await;
}

async fn what_is_referenced_counts_by_key_where_it_is_used_by_key(t: &Test) {
    t.config("web", &[("used", "A"), ("unused", "A")]).await;
    t.secret("web", &[("any", "A")]).await;
    t.config("other", &[("any", "A")]).await;
    t.deploy(asked("web").uses(env("web", "used")).uses(volume("web").of_secret()))
        .await;
    start(t, &[]).await;

    t.meanwhile(async {
        t.config("web", &[("used", "A"), ("unused", "B")]).await;
        t.config("other", &[("any", "B")]).await;
    })
    .await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.config("web", &[("used", "B"), ("unused", "B")])).await;
    rolls(t, "web", 1).await;
    t.meanwhile(t.secret("web", &[("any", "A"), ("more", "A")])).await;
    rolls(t, "web", 2).await;
}

async fn only_true_opts_in(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    for (name, value) in [("upper", "True"), ("one", "1"), ("no", "false"), ("nothing", "")] {
        t.deploy(asked(name).annotated(UPDATE, value).uses(env("web", "a")))
            .await;
    }
    t.deploy(
        asked("on-template")
            .not_opted_in()
            .template_annotated(UPDATE, "true")
            .uses(env("web", "a")),
    )
    .await;
    t.deploy(asked("web").uses(env("web", "a"))).await;
    start(t, &[]).await;

    t.config("web", &[("a", "B")]).await;
    rolls(t, "web", 1).await;
    for name in ["upper", "one", "no", "nothing", "on-template"] {
        assert_eq!(t.template_changes(name).await, 0, "{name}");
        assert_eq!(annotation(&t.deployment(name).await, OBSERVED), None, "{name}");
    }
}

async fn extra_sources_count_as_a_whole_and_may_be_missing(t: &Test) {
    t.config("flags", &[("a", "A")]).await;
    t.secret("key", &[("a", "A")]).await;
    let own = format!("flags, {}/more", t.namespace);
    t.deploy(
        asked("web")
            .annotated("wave.pusher.com/extra-configmaps", &own)
            .annotated("wave.pusher.com/extra-secrets", "key,absent,fl*"),
    )
    .await;
    start(t, &[]).await;
    // A name only: a wildcard is none.
    let message = t.warning("web", "InvalidAnnotation").await;
    assert!(
        message.contains("fl*") && message.contains("extra-secrets"),
        "{message}"
    );

    t.meanwhile(t.secret("flags", &[("a", "A")])).await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.config("flags", &[("a", "A"), ("b", "A")])).await;
    rolls(t, "web", 1).await;
    t.meanwhile(t.secret("key", &[("a", "B")])).await;
    rolls(t, "web", 2).await;
    t.meanwhile(t.config("more", &[("a", "A")])).await;
    rolls(t, "web", 3).await;
    assert_eq!(t.event_count("web", "SourceMissing").await, 0);
}

async fn a_required_source_that_is_missing_holds(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.secret("web", &[("a", "A"), ("b", "A")]).await;
    t.deploy(asked("web").uses(env("web", "a")).uses(env("web", "b").of_secret()))
        .await;
    start(t, &[]).await;

    t.meanwhile(async {
        t.delete_secret("web").await;
        t.config("web", &[("a", "B")]).await;
    })
    .await;
    t.warning("web", "SourceMissing").await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.secret("web", &[("a", "A")])).await;
    await_condition("the missing key to be named", async || {
        let named = t
            .events("web", "SourceMissing")
            .await
            .iter()
            .any(|(it, _)| it.contains("key b of Secret web"));
        ensure!(named, "it is not");
        Ok(())
    })
    .await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.secret("web", &[("b", "A")])).await;
    rolls(t, "web", 1).await;
}

async fn its_hash_is_taken_over_and_goes_with_the_first_change(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.deploy(
        asked("web")
            .uses(env("web", "a"))
            .template_annotated(
                CONFIG_HASH,
                "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            )
            .template_annotated("team", "shop"),
    )
    .await;
    start(t, &[]).await;
    rolls(t, "web", 0).await;
    assert!(template_annotation(&t.deployment("web").await, CONFIG_HASH).is_some());

    t.meanwhile(t.config("web", &[("a", "B")])).await;
    rolls(t, "web", 1).await;
    let after = t.deployment("web").await;
    assert_eq!(template_annotation(&after, CONFIG_HASH), None);
    assert_eq!(template_annotation(&after, "team"), Some("shop".to_owned()));
    t.meanwhile(t.config("web", &[("a", "C")])).await;
    rolls(t, "web", 2).await;
    assert_eq!(t.event_count("web", "OtherController").await, 0);
}

/// As Wave leaves a Deployment whose sources are not there yet.
fn unscheduled(name: &str, scheduler: &str) -> Workload {
    asked(name)
        .uses(env(name, "a"))
        .annotated(DISABLED, scheduler)
        .with_pod("schedulerName", NO_SCHEDULER)
}

fn scheduler(deployment: &Deployment) -> Option<String> {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.and_then(|pod| pod.scheduler_name.clone())
}

async fn pods_that_it_kept_from_being_scheduled_are_let_go(t: &Test) {
    t.deploy(unscheduled("web", "default-scheduler")).await;
    t.deploy(unscheduled("plain", "")).await;
    t.start_and_adopt(&["--compat", "wave"]).await;
    for name in ["web", "plain"] {
        t.warning(name, "SourceMissing").await;
    }
    t.everything_before_is_done().await;
    assert_eq!(t.template_changes("web").await, 0);

    t.meanwhile(async {
        t.config("web", &[("a", "A")]).await;
        t.config("plain", &[("a", "A")]).await;
    })
    .await;
    for name in ["web", "plain"] {
        t.await_template_changes(name, 1).await;
        t.complete(name).await;
        let let_go = t.deployment(name).await;
        assert_eq!(scheduler(&let_go).as_deref(), Some("default-scheduler"), "{name}");
        assert_eq!(annotation(&let_go, DISABLED), None, "{name}");
        t.rolled_no_more_than(name, 1).await;
    }
    t.state("Current", 4).await;
}

async fn those_whose_sources_came_while_nobody_was_there_are_let_go(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.deploy(unscheduled("web", "default-scheduler")).await;
    t.start_and_adopt(&["--compat", "wave"]).await;

    t.await_template_changes("web", 1).await;
    t.complete("web").await;
    assert_eq!(
        scheduler(&t.deployment("web").await).as_deref(),
        Some("default-scheduler")
    );
    t.rolled_no_more_than("web", 1).await;
    t.config("web", &[("a", "B")]).await;
    t.await_template_changes("web", 2).await;
    t.rolled_no_more_than("web", 2).await;
}

async fn roll_by_wave(t: &Test, hash: &str) {
    let annotations = json!({"annotations": {CONFIG_HASH: hash}});
    t.patch_deployment("web", json!({"spec": {"template": {"metadata": annotations}}}))
        .await;
}

async fn one_that_is_still_at_work_is_not_fought(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.deploy(
        asked("web")
            .uses(env("web", "a"))
            .template_annotated(CONFIG_HASH, "one"),
    )
    .await;
    start(t, &["--settle", "5s"]).await;

    t.meanwhile(async {
        t.config("web", &[("a", "B")]).await;
        roll_by_wave(t, "two").await;
    })
    .await;
    rolls(t, "web", 1).await;
    assert_eq!(t.event_count("web", "Restarted").await, 0);

    t.config("web", &[("a", "C")]).await;
    let message = t.warning("web", "OtherController").await;
    assert!(message.contains("Wave"), "{message}");
    rolls(t, "web", 1).await;
    roll_by_wave(t, "three").await;
    t.held("OtherController", 0).await;
    rolls(t, "web", 2).await;
    assert_eq!(t.event_count("web", "Restarted").await, 0);
}

async fn without_compat_its_words_mean_nothing(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.deploy(asked("web").uses(env("web", "a"))).await;
    t.deploy(
        asked("other")
            .annotated("windlass.dev/enabled", "true")
            .annotated("wave.pusher.com/extra-configmaps", "more")
            .template_annotated(CONFIG_HASH, "one")
            .uses(env("web", "a")),
    )
    .await;
    t.start_and_adopt(&["--compat", "reloader"]).await;

    t.config("more", &[("a", "A")]).await;
    t.rolls("other", 0).await;
    t.config("web", &[("a", "B")]).await;
    t.rolls("other", 1).await;
    assert_eq!(t.template_changes("web").await, 0);
    assert_eq!(annotation(&t.deployment("web").await, OBSERVED), None);
}
