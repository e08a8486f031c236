//! The annotations: what they add, take away and refuse. What begins or ceases to count restarts
//! nothing by itself.

use serde_json::{Value, json};

use crate::support::{
    OBSERVED, Test, annotation, await_condition,
    build::{deployment, env, volume},
    tests,
};

tests! {
    sources_named_by_annotation_count: live, down, live_paged;
    sources_named_by_a_pattern_count: live, down;
    an_excluded_source_does_not_count: live, down;
    a_source_that_asks_to_be_ignored_does_not_count: live, down;
    what_begins_or_ceases_to_count_restarts_nothing: live, down, paused;
    a_source_that_a_pattern_begins_to_match_restarts_nothing: live, down;
    a_template_edit_that_adds_a_reference_is_one_rollout: live, down, paused;
    opting_out_and_in_again_restarts_nothing: live, down;
    a_bad_value_is_reported_and_the_last_good_one_stays: live, paused;
    a_bad_value_at_first_sight_is_reported: live;
}

async fn sources_named_by_annotation_count(t: &Test) {
    t.config("flags", &[("a", "A"), ("b", "A")]).await;
    t.config("other", &[("a", "A")]).await;
    t.config("own", &[("a", "A")]).await;
    t.deploy(
        deployment("web")
            .uses(env("own", "a"))
            .annotated("windlass.dev/configmaps", "flags, other"),
    )
    .await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(t.config("flags", &[("a", "A"), ("b", "B")])).await;
    t.rolls("web", 1).await;
    t.meanwhile(t.config("other", &[("a", "B")])).await;
    t.rolls("web", 2).await;
    t.meanwhile(t.config("own", &[("a", "B")])).await;
    t.rolls("web", 3).await;
}

async fn sources_named_by_a_pattern_count(t: &Test) {
    for name in ["flags-a", "flags-b", "flag"] {
        t.config(name, &[("a", "A")]).await;
    }
    t.deploy(deployment("web").annotated("windlass.dev/configmaps", "flags-?,none-*"))
        .await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(t.config("flag", &[("a", "B")])).await;
    t.rolls("web", 0).await;
    t.meanwhile(t.config("flags-b", &[("a", "B")])).await;
    t.rolls("web", 1).await;
    let message = t.event("web", "Restarted").await;
    assert!(message.contains("ConfigMap flags-b (key a)"), "{message}");
}

async fn an_excluded_source_does_not_count(t: &Test) {
    for name in ["web", "noise", "noise-more"] {
        t.config(name, &[("a", "A")]).await;
    }
    t.deploy(
        deployment("web")
            .uses(env("web", "a"))
            .uses(volume("noise"))
            .uses(volume("noise-more"))
            .annotated("windlass.dev/exclude-configmaps", "noise,noise-*"),
    )
    .await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        t.config("noise", &[("a", "B")]).await;
        t.config("noise-more", &[("a", "B")]).await;
    })
    .await;
    t.rolls("web", 0).await;
    t.meanwhile(t.config("web", &[("a", "B")])).await;
    t.rolls("web", 1).await;
}

async fn ignore(t: &Test, source: &str, value: impl Into<Value>) {
    t.mark_config(source, json!({"annotations": {"windlass.dev/ignore": value.into()}}))
        .await;
}

async fn a_source_that_asks_to_be_ignored_does_not_count(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    ignore(t, "web", "true").await;
    t.deploy(deployment("web").uses(env("web", "a"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(t.config("web", &[("a", "B")])).await;
    t.rolls("web", 0).await;

    // From here on it counts, with the content that it has here.
    t.meanwhile(ignore(t, "web", Value::Null)).await;
    t.rolls("web", 0).await;
    t.meanwhile(t.config("web", &[("a", "C")])).await;
    t.rolls("web", 1).await;
}

async fn what_begins_or_ceases_to_count_restarts_nothing(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.config("flags", &[("a", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "a"))).await;
    t.start_and_adopt(&[]).await;
    let before = t.baseline("web").await;

    t.meanwhile(t.annotate("web", "windlass.dev/configmaps", "flags")).await;
    await_condition("the baseline to take it in", async || {
        anyhow::ensure!(
            t.baseline("web").await["shape"] != before["shape"],
            "the shape is as before"
        );
        Ok(())
    })
    .await;
    t.rolls("web", 0).await;

    t.meanwhile(t.config("flags", &[("a", "B")])).await;
    t.rolls("web", 1).await;

    t.meanwhile(t.annotate("web", "windlass.dev/configmaps", Value::Null))
        .await;
    t.rolls("web", 1).await;
    t.meanwhile(t.config("flags", &[("a", "C")])).await;
    t.rolls("web", 1).await;
    assert_eq!(t.baseline("web").await["shape"], before["shape"]);
}

async fn a_source_that_a_pattern_begins_to_match_restarts_nothing(t: &Test) {
    t.config("flags-a", &[("a", "A")]).await;
    t.deploy(deployment("web").annotated("windlass.dev/configmaps", "flags-*"))
        .await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(t.config("flags-b", &[("a", "A")])).await;
    t.rolls("web", 0).await;
    t.meanwhile(t.config("flags-b", &[("a", "B")])).await;
    t.rolls("web", 1).await;
    t.meanwhile(t.delete_config("flags-b")).await;
    t.rolls("web", 1).await;
}

async fn a_template_edit_that_adds_a_reference_is_one_rollout(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.config("flags", &[("a", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "a"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        let from = json!({"configMapKeyRef": {"name": "flags", "key": "a"}});
        let container = json!({"name": "app", "env": [{"name": "FLAGS", "valueFrom": from}]});
        let template = json!({"spec": {"containers": [container]}});
        t.patch_deployment("web", json!({"spec": {"template": template}})).await;
    })
    .await;
    t.rolls("web", 1).await;

    t.meanwhile(t.config("flags", &[("a", "B")])).await;
    t.rolls("web", 2).await;
    t.meanwhile(t.config("web", &[("a", "B")])).await;
    t.rolls("web", 3).await;
}

async fn opting_out_and_in_again_restarts_nothing(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "a"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(t.annotate("web", "windlass.dev/enabled", "false")).await;
    t.rolls("web", 0).await;
    t.config("web", &[("a", "B")]).await;
    t.rolls("web", 0).await;
}

async fn a_bad_value_is_reported_and_the_last_good_one_stays(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.config("flags", &[("a", "A")]).await;
    t.deploy(deployment("one").uses(env("web", "a"))).await;
    t.deploy(deployment("two").annotated("windlass.dev/configmaps", "flags"))
        .await;
    t.deploy(deployment("three").uses(env("web", "a"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        t.annotate("one", "windlass.dev/enabled", "yes").await;
        t.annotate("two", "windlass.dev/configmaps", "other-ns/name").await;
        t.annotate("three", "windlass.dev/exclude-configmaps", "Bad_Name!")
            .await;
    })
    .await;
    let message = t.event("one", "InvalidAnnotation").await;
    assert!(message.contains("windlass.dev/enabled"), "{message}");
    assert!(message.contains("true") && message.contains("false"), "{message}");
    let message = t.event("two", "InvalidAnnotation").await;
    assert!(message.contains("windlass.dev/configmaps"), "{message}");
    let message = t.event("three", "InvalidAnnotation").await;
    assert!(message.contains("windlass.dev/exclude-configmaps"), "{message}");

    t.config("web", &[("a", "B")]).await;
    t.config("flags", &[("a", "B")]).await;
    for name in ["one", "two", "three"] {
        t.rolls(name, 1).await;
        assert_eq!(t.event_count(name, "InvalidAnnotation").await, 1, "{name}");
    }
}

async fn a_bad_value_at_first_sight_is_reported(t: &Test) {
    t.config("web", &[("a", "A")]).await;
    t.deploy(
        deployment("web")
            .uses(env("web", "a"))
            .annotated("windlass.dev/enabled", "yes"),
    )
    .await;
    t.start_and_adopt(&[]).await;

    t.event("web", "InvalidAnnotation").await;
    t.config("web", &[("a", "B")]).await;
    t.rolls("web", 0).await;
    assert_eq!(annotation(&t.deployment("web").await, OBSERVED), None);

    t.annotate("web", "windlass.dev/enabled", "true").await;
    t.adopted("web").await;
    t.config("web", &[("a", "C")]).await;
    t.rolls("web", 1).await;
}
