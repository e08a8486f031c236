//! A required source or key that is missing holds the workload: restarted pods could not start.
//! An optional one that appears or goes is a change like any other.

use kube::ResourceExt;
use serde_json::json;

use crate::support::{
    Test,
    build::{deployment, env, env_from, volume},
    tests,
};

tests! {
    a_missing_source_holds_until_it_is_back_with_the_same_content: live, down, paused;
    a_missing_source_holds_until_it_is_back_with_other_content: live, down, paused, live_paged;
    a_missing_key_holds_until_it_is_back: live, down, paused;
    a_missing_source_holds_what_else_has_changed: live, down;
    an_optional_source_that_appears_or_goes_is_a_rollout: live, down, paused;
    an_optional_key_that_appears_or_goes_is_a_rollout: live, down;
    a_replace_without_annotations_does_not_lift_the_hold: live, down, paused;
}

async fn web_uses_level(t: &Test) {
    t.config("web", &[("level", "A"), ("other", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
}

async fn is_held(t: &Test) {
    let message = t.event("web", "SourceMissing").await;
    assert!(message.contains("ConfigMap web"), "{message}");
    t.held("SourceMissing", 1).await;
    t.state("Held", 1).await;
    t.rolls("web", 0).await;
}

async fn a_missing_source_holds_until_it_is_back_with_the_same_content(t: &Test) {
    web_uses_level(t).await;
    t.meanwhile(t.delete_config("web")).await;
    is_held(t).await;

    t.meanwhile(t.config("web", &[("level", "A"), ("other", "B")])).await;

    t.held("SourceMissing", 0).await;
    t.state("Current", 3).await;
    t.rolls("web", 0).await;
}

async fn a_missing_source_holds_until_it_is_back_with_other_content(t: &Test) {
    web_uses_level(t).await;
    t.meanwhile(t.delete_config("web")).await;
    is_held(t).await;

    t.meanwhile(t.config("web", &[("level", "B"), ("other", "A")])).await;

    t.rolls("web", 1).await;
    t.held("SourceMissing", 0).await;
    t.state("Current", 3).await;
}

async fn a_missing_key_holds_until_it_is_back(t: &Test) {
    web_uses_level(t).await;
    t.meanwhile(t.config("web", &[("other", "A")])).await;
    let message = t.event("web", "SourceMissing").await;
    assert!(message.contains("level"), "{message}");
    is_held(t).await;

    t.meanwhile(t.config("web", &[("level", "A"), ("other", "A")])).await;
    t.held("SourceMissing", 0).await;
    t.rolls("web", 0).await;

    t.meanwhile(t.config("web", &[("level", "B"), ("other", "A")])).await;
    t.rolls("web", 1).await;
}

async fn a_missing_source_holds_what_else_has_changed(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.config("db", &[("url", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level")).uses(env("db", "url")))
        .await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        t.delete_config("web").await;
        t.config("db", &[("url", "B")]).await;
    })
    .await;
    is_held(t).await;

    t.meanwhile(t.config("web", &[("level", "A")])).await;
    t.rolls("web", 1).await;
    let message = t.event("web", "Restarted").await;
    assert!(message.contains("ConfigMap db (key url)"), "{message}");
    assert!(!message.contains("ConfigMap web"), "{message}");
}

async fn an_optional_source_that_appears_or_goes_is_a_rollout(t: &Test) {
    t.deploy(deployment("env").uses(env("extra", "level").optional())).await;
    t.deploy(deployment("env-from").uses(env_from("extra").optional()))
        .await;
    t.deploy(deployment("volume").uses(volume("extra").optional())).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(t.config("extra", &[("level", "A")])).await;
    for name in ["env", "env-from", "volume"] {
        t.rolls(name, 1).await;
    }

    t.meanwhile(t.delete_config("extra")).await;
    for name in ["env", "env-from", "volume"] {
        t.rolls(name, 2).await;
        assert_eq!(t.event_count(name, "SourceMissing").await, 0, "{name}");
    }
}

async fn an_optional_key_that_appears_or_goes_is_a_rollout(t: &Test) {
    t.config("web", &[("other", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level").optional())).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(t.config("web", &[("other", "A"), ("level", "A")])).await;
    t.rolls("web", 1).await;

    t.meanwhile(t.config("web", &[("other", "A")])).await;
    t.rolls("web", 2).await;
}

async fn a_replace_without_annotations_does_not_lift_the_hold(t: &Test) {
    web_uses_level(t).await;
    t.delete_config("web").await;
    is_held(t).await;

    t.meanwhile(t.replace_without_baseline("web")).await;
    is_held(t).await;

    t.config("web", &[("level", "B"), ("other", "A")]).await;
    t.rolls("web", 1).await;
    assert_eq!(t.baseline("web").await["uid"], json!(t.deployment("web").await.uid()));
}
