//! A change of what a workload consumes is one rollout; a change of anything else is none.

use serde_json::json;

use crate::support::{
    CAUSE, CONFIG_DIGEST, Test,
    build::{deployment, env, env_from, volume},
    next_second, template_annotation, tests,
};

tests! {
    a_used_key_is_one_rollout: live, down, crashed, paused, live_paged, down_paged;
    an_unused_key_is_none: live, down, paused;
    metadata_alone_is_none: live, down, paused;
    several_sources_at_once_are_one_rollout: live, down, paused, live_paged;
    of_many_sources_the_one_that_changed_is_named: live, down, crashed;
    of_more_than_a_baseline_can_tell_apart_the_one_that_changed_is_named: live, down;
    several_changes_of_one_source_within_settle_are_one_rollout: live, down, paused;
    a_later_change_does_not_push_the_rollout_out: live;
    one_source_rolls_all_that_use_it: live, down;
    recreated_with_the_same_content_is_none: live, down, paused, down_paged;
    recreated_with_other_content_is_one_rollout: live, down, paused;
    there_and_back_within_settle_is_none: live, down, paused;
    there_and_back_with_a_pod_started_in_between_is_one_rollout: live, down, paused;
    there_and_back_with_a_pod_replaced_in_between_is_one_rollout: live, down, paused;
}

async fn web_uses_level(t: &Test, flags: &[&str]) {
    t.config("web", &[("level", "A"), ("unused", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(flags).await;
}

async fn level(t: &Test, level: &str) {
    t.config("web", &[("level", level), ("unused", "A")]).await;
}

async fn a_used_key_is_one_rollout(t: &Test) {
    web_uses_level(t, &[]).await;
    let adopted = t.baseline("web").await;

    t.meanwhile(level(t, "B")).await;

    t.rolls("web", 1).await;
    let message = t.event("web", "Restarted").await;
    assert!(message.contains("ConfigMap web (key level)"), "{message}");
    assert_eq!(t.event_count("web", "Restarted").await, 1);
    let deployment = t.deployment("web").await;
    for written in [CONFIG_DIGEST, CAUSE] {
        assert!(template_annotation(&deployment, written).is_some(), "no {written}");
    }
    assert_ne!(t.baseline("web").await["src"], adopted["src"], "the baseline has moved");
    let managers: Vec<_> = deployment.metadata.managed_fields.into_iter().flatten().collect();
    assert!(
        managers.iter().any(|it| it.manager.as_deref() == Some("windlass")),
        "{managers:?}"
    );
    t.counted("windlass_restarts_total", &[("kind", "Deployment")]).await;
    t.counted("windlass_changes_total", &[("kind", "ConfigMap")]).await;
    t.state("Current", 3).await;

    // And again, so that the state after a rollout is as good as the one after adoption.
    t.meanwhile(level(t, "C")).await;
    t.rolls("web", 2).await;
}

async fn an_unused_key_is_none(t: &Test) {
    web_uses_level(t, &[]).await;

    t.meanwhile(t.config("web", &[("level", "A"), ("unused", "B"), ("new", "B")]))
        .await;

    t.rolls("web", 0).await;
}

async fn metadata_alone_is_none(t: &Test) {
    t.config("web", &[("level", "A"), ("other", "A")]).await;
    t.deploy(deployment("env").uses(env("web", "level"))).await;
    t.deploy(deployment("volume").uses(volume("web"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        t.mark_config("web", json!({"labels": {"app.kubernetes.io/version": "2"}}))
            .await;
        t.mark_config("web", json!({"annotations": {"checksum": "2"}})).await;
    })
    .await;

    t.rolls("env", 0).await;
    t.rolls("volume", 0).await;
}

async fn several_sources_at_once_are_one_rollout(t: &Test) {
    t.config("web", &[("a", "A"), ("b", "A"), ("c", "A")]).await;
    t.config("db", &[("url", "A")]).await;
    t.deploy(
        deployment("web")
            .uses(env("web", "a"))
            .uses(env("web", "b"))
            .uses(env("web", "c"))
            .uses(volume("db")),
    )
    .await;
    t.start_and_adopt(&["--settle", "5s"]).await;

    t.meanwhile(async {
        t.config("db", &[("url", "B")]).await;
        t.config("web", &[("a", "B"), ("b", "B"), ("c", "A")]).await;
    })
    .await;

    t.rolls("web", 1).await;
    let message = t.event("web", "Restarted").await;
    assert!(message.contains("ConfigMap web (keys a, b)"), "{message}");
    assert!(message.contains("ConfigMap db (key url)"), "{message}");
}

async fn of_many_sources_the_one_that_changed_is_named(t: &Test) {
    the_one_that_changed_is_named(t, 80).await;
}

async fn of_more_than_a_baseline_can_tell_apart_the_one_that_changed_is_named(t: &Test) {
    the_one_that_changed_is_named(t, 240).await;
}

/// The first eight of all were named, and others halted for those.
async fn the_one_that_changed_is_named(t: &Test, sources: usize) {
    let name = |number: usize| format!("source-{number:03}");
    let mut web = deployment("web");
    for number in 0..sources {
        t.config(&name(number), &[("a", "A")]).await;
        web = web.uses(env_from(&name(number)));
    }
    t.deploy(web).await;
    t.start_and_adopt(&[]).await;

    let changed = name(sources - 3);
    t.meanwhile(async {
        // The same, written anew, is no change.
        t.mark_config(&name(sources - 5), json!({"labels": {"a": "b"}})).await;
        t.config(&changed, &[("a", "B")]).await;
    })
    .await;
    t.rolls("web", 1).await;
    let others = |text: &str| {
        (0..sources)
            .filter(|it| name(*it) != changed && text.contains(&name(*it)))
            .count()
    };
    let message = t.event("web", "Restarted").await;
    let cause = template_annotation(&t.deployment("web").await, CAUSE).expect("a cause");
    assert!(
        message.contains(&changed) && cause.contains(&changed),
        "{message} {cause}"
    );
    // Beyond what a baseline can tell apart it is known only what was written since.
    let more = usize::from(sources > 100 && !t.is_live());
    assert!(others(&message) <= more && others(&cause) <= more, "{message} {cause}");
}

async fn several_changes_of_one_source_within_settle_are_one_rollout(t: &Test) {
    web_uses_level(t, &["--settle", "5s"]).await;

    t.meanwhile(async {
        for content in ["B", "C", "D", "E"] {
            level(t, content).await;
        }
    })
    .await;

    t.rolls("web", 1).await;
    // It was the last of them that was rolled out: seeing it once more changes nothing.
    t.while_down(async {}).await;
    t.rolls("web", 1).await;
}

async fn a_later_change_does_not_push_the_rollout_out(t: &Test) {
    web_uses_level(t, &["--settle", "2s"]).await;

    // Changes without end, each within settle of the one before.
    let changes = async {
        for round in 0_u32.. {
            level(t, &round.to_string()).await;
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    };
    tokio::select! {
        () = changes => unreachable!("they do not end"),
        () = t.await_template_changes("web", 1) => {}
    }
}

async fn one_source_rolls_all_that_use_it(t: &Test) {
    t.config("shared", &[("level", "A"), ("other", "A")]).await;
    for number in 0..5 {
        t.deploy(deployment(&format!("user-{number}")).uses(env("shared", "level")))
            .await;
    }
    t.deploy(deployment("other").uses(env("shared", "other"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(t.config("shared", &[("level", "B"), ("other", "A")])).await;

    for number in 0..5 {
        t.await_template_changes(&format!("user-{number}"), 1).await;
    }
    t.rolls("other", 0).await;
    for number in 0..5 {
        t.complete(&format!("user-{number}")).await;
        assert_eq!(t.template_changes(&format!("user-{number}")).await, 1, "user-{number}");
    }
}

async fn recreated_with_the_same_content_is_none(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("env").uses(env("web", "level"))).await;
    t.deploy(deployment("env-from").uses(env_from("web"))).await;
    t.deploy(deployment("volume").uses(volume("web"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        t.delete_config("web").await;
        t.config("web", &[("level", "A")]).await;
    })
    .await;

    for name in ["env", "env-from", "volume"] {
        t.rolls(name, 0).await;
    }
}

async fn recreated_with_other_content_is_one_rollout(t: &Test) {
    web_uses_level(t, &[]).await;

    t.meanwhile(async {
        t.delete_config("web").await;
        level(t, "B").await;
    })
    .await;

    t.rolls("web", 1).await;
}

async fn there_and_back_within_settle_is_none(t: &Test) {
    web_uses_level(t, &["--settle", "5s"]).await;

    t.meanwhile(async {
        level(t, "B").await;
        level(t, "A").await;
    })
    .await;

    t.rolls("web", 0).await;
}

/// Long enough for the steps of the two scenarios below, so that no restart comes in between.
const LONG_SETTLE: &[&str] = &["--settle", "30s"];

async fn there_and_back_with_a_pod_started_in_between_is_one_rollout(t: &Test) {
    web_uses_level(t, LONG_SETTLE).await;

    t.meanwhile(async {
        level(t, "B").await;
        next_second().await;
        t.patch_deployment("web", json!({"spec": {"replicas": 2}})).await;
        t.complete("web").await;
        next_second().await;
        level(t, "A").await;
    })
    .await;

    t.rolls("web", 1).await;
}

async fn there_and_back_with_a_pod_replaced_in_between_is_one_rollout(t: &Test) {
    web_uses_level(t, LONG_SETTLE).await;

    t.meanwhile(async {
        level(t, "B").await;
        next_second().await;
        t.replace_pods("web").await;
        next_second().await;
        level(t, "A").await;
    })
    .await;

    t.rolls("web", 1).await;
}
