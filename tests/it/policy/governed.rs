//! When a policy lets a restart begin, in which order, and how a person steps in.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};

use anyhow::ensure;
use futures::FutureExt as _;
use jiff::Timestamp;
use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    apps::v1::Deployment,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{
    CONFIG_DIGEST, Test, await_condition, await_condition_within,
    build::{Workload, deployment, env},
    from, next_second,
    policies::{cluster_policies, cluster_policy, condition, for_web, install, only_here, policy, unique_policy},
    template_annotation, tests,
};

tests! {
    changes_within_settle_are_one_rollout: live;
    two_restarts_are_no_closer_than_the_interval: live, down;
    a_freeze_holds_and_its_end_lets_go: live, down, crashed;
    a_change_and_back_in_a_freeze_costs_nothing: live, down;
    outside_its_windows_nothing_begins: live, down;
    what_the_cluster_freezes_no_namespace_lifts: live, down;
    a_suspended_policy_holds: live, down, crashed;
    the_emergency_stop_holds_everything: alone;
    no_more_of_a_policy_roll_than_it_says: live, down, crashed;
    a_failure_halts_the_others_until_it_recovers: live, crashed;
    a_failure_halts_the_others_until_the_next_change: live;
    a_failure_halts_the_others_until_a_person_resumes: live, down;
    a_failure_that_is_undone_goes_on_halting_the_others: live, crashed;
    a_rollout_that_takes_too_long_has_failed: live, down;
    the_next_wave_goes_when_the_one_before_is_complete: live, crashed;
    restart_now_does_not_wait: live, down;
    skip_takes_the_present_content: live, down;
    a_lever_that_comes_back_with_an_undo_does_nothing: live, down;
    a_refused_change_is_tried_for_a_few_and_told: live;
}

/// All day, every day.
fn always() -> Value {
    json!([{"schedule": "0 0 * * *", "duration": "24h"}])
}

/// On the next 29 February and on no other day.
fn hardly_ever() -> Value {
    json!([{"schedule": "0 0 29 2 *", "duration": "1m"}])
}

async fn change(t: &Test, value: &str) {
    t.config("web", &[("a", value)]).await;
}

/// `web` uses key `a` of `ConfigMap` `web`; markers are not governed by policies that select `tier: web`.
async fn web(t: &Test) {
    change(t, "A").await;
    t.deploy(app("web")).await;
}

fn app(name: &str) -> Workload {
    deployment(name).labelled("tier", "web").uses(env("web", "a"))
}

/// The policy `web`, for everything but the markers.
async fn governed_by(t: &Test, restart: Value) {
    // An applied `{}` would be a null.
    let spec = if restart == json!({}) {
        restart
    } else {
        json!({"restart": restart})
    };
    policy(t, "web", for_web(spec)).await;
}

async fn lever(t: &Test, name: &str, which: &str) {
    let now = Timestamp::now();
    t.annotate(name, &format!("windlass.dev/{which}"), format!("{now:.0}"))
        .await;
}

async fn changes_within_settle_are_one_rollout(t: &Test) {
    install(t).await;
    web(t).await;
    governed_by(t, json!({"settle": "10s"})).await;
    t.start_and_adopt(&[]).await;
    change(t, "B").await;
    t.state("Settling", 1).await;
    change(t, "C").await;
    t.await_template_changes("web", 1).await;
    t.complete("web").await;
    t.everything_before_is_done().await;
    t.rolls("web", 1).await;
}

async fn two_restarts_are_no_closer_than_the_interval(t: &Test) {
    install(t).await;
    web(t).await;
    governed_by(t, json!({"minInterval": "1h"})).await;
    t.start_and_adopt(&[]).await;
    t.meanwhile(change(t, "B")).await;
    t.await_template_changes("web", 1).await;
    t.complete("web").await;
    t.meanwhile(change(t, "C")).await;
    t.held("MinInterval", 1).await;
    t.rolls("web", 1).await;
    assert!(t.event("web", "MinInterval").await.contains("not before"));
    governed_by(t, json!({"minInterval": "1s"})).await;
    t.await_template_changes("web", 2).await;
}

async fn a_freeze_holds_and_its_end_lets_go(t: &Test) {
    install(t).await;
    web(t).await;
    governed_by(t, json!({"freezes": always()})).await;
    t.start_and_adopt(&[]).await;
    t.meanwhile(change(t, "B")).await;
    t.held("Frozen", 1).await;
    t.meanwhile(async {}).await;
    t.held("Frozen", 1).await;
    t.everything_before_is_done().await;
    t.rolls("web", 0).await;
    assert_eq!(condition(t, "web", "Progressing", "True").await.reason, "Frozen");
    t.meanwhile(governed_by(t, json!({}))).await;
    t.rolls("web", 1).await;
}

async fn a_change_and_back_in_a_freeze_costs_nothing(t: &Test) {
    install(t).await;
    web(t).await;
    governed_by(t, json!({"freezes": always()})).await;
    t.start_and_adopt(&[]).await;
    t.meanwhile(change(t, "B")).await;
    t.held("Frozen", 1).await;
    t.meanwhile(change(t, "A")).await;
    t.held("Frozen", 0).await;
    t.meanwhile(governed_by(t, json!({}))).await;
    t.everything_before_is_done().await;
    t.rolls("web", 0).await;
}

async fn outside_its_windows_nothing_begins(t: &Test) {
    install(t).await;
    web(t).await;
    governed_by(t, json!({"windows": hardly_ever()})).await;
    t.start_and_adopt(&[]).await;
    t.meanwhile(change(t, "B")).await;
    t.held("OutsideWindow", 1).await;
    let note = t.event("web", "OutsideWindow").await;
    assert!(note.contains("-02-29T00:00:00Z"), "{note}");
    t.rolls("web", 0).await;
    t.meanwhile(governed_by(t, json!({"windows": always()}))).await;
    t.rolls("web", 1).await;
}

async fn what_the_cluster_freezes_no_namespace_lifts(t: &Test) {
    install(t).await;
    web(t).await;
    let name = unique_policy();
    let spec = |restart: Value| {
        let selector = json!({"matchLabels": {"tier": "web"}});
        json!({"workloads": {"selector": selector, "namespaceSelector": only_here(t)}, "restart": restart})
    };
    cluster_policy(t, &name, spec(json!({"freezes": always()}))).await;
    governed_by(t, json!({"windows": always()})).await;
    t.start_and_adopt(&[]).await;
    t.meanwhile(change(t, "B")).await;
    t.held("Frozen", 1).await;
    lever(t, "web", "restart-now").await;
    assert!(t.event("web", "OverrideHandled").await.contains("not yet"));
    t.everything_before_is_done().await;
    t.rolls("web", 0).await;
    t.meanwhile(cluster_policy(t, &name, spec(json!({"maxParallel": 5}))))
        .await;
    t.rolls("web", 1).await;
    let gone = cluster_policies(t).delete(&name, &DeleteParams::default()).await;
    gone.expect("it was there");
}

async fn a_suspended_policy_holds(t: &Test) {
    install(t).await;
    web(t).await;
    policy(t, "web", for_web(json!({"suspend": true}))).await;
    t.start_and_adopt(&[]).await;
    t.meanwhile(change(t, "B")).await;
    t.held("Suspended", 1).await;
    assert!(t.event("web", "Suspended").await.contains("RolloutPolicy"));
    t.everything_before_is_done().await;
    t.rolls("web", 0).await;
    assert_eq!(condition(t, "web", "Ready", "True").await.reason, "Suspended");
    t.meanwhile(policy(t, "web", for_web(json!({"suspend": false})))).await;
    t.rolls("web", 1).await;
}

async fn the_emergency_stop_holds_everything(t: &Test) {
    install(t).await;
    web(t).await;
    change(t, "A").await;
    t.deploy(deployment("other").uses(env("web", "a"))).await;
    policy(t, "web", for_web(json!({}))).await;
    t.start_and_adopt(&[]).await;
    let everything = json!({"workloads": {"selector": {}}, "suspend": true});
    cluster_policy(t, "stop", everything).await;
    // It would stop the tests that come later in this cluster as well.
    let stopped = AssertUnwindSafe(everything_is_held(t)).catch_unwind().await;
    let gone = cluster_policies(t).delete("stop", &DeleteParams::default()).await;
    stopped.unwrap_or_else(|panic| resume_unwind(panic));
    gone.expect("it was there");
    t.rolls("web", 1).await;
    t.rolls("other", 1).await;
}

async fn everything_is_held(t: &Test) {
    await_condition("the stop to be seen", async || {
        let stop = cluster_policies(t).get("stop").await?;
        let seen = stop.status.unwrap_or_default().observed_generation;
        ensure!(seen == stop.metadata.generation, "not yet");
        Ok(())
    })
    .await;
    change(t, "B").await;
    t.held("Suspended", 2).await;
    // The markers are stopped as well.
    for name in ["web", "other"] {
        assert_eq!(t.template_changes(name).await, 0);
    }
}

const CROWD: [&str; 4] = ["web-0", "web-1", "web-2", "web-3"];

/// Four that use the same key and become ready by the test's hand only.
async fn crowd(t: &Test, flags: &[&str]) {
    change(t, "A").await;
    for name in CROWD {
        t.deploy(app(name).made_ready_by_hand()).await;
        t.complete_by_hand(name).await;
    }
    t.settle_in().await;
    t.start(flags).await;
    for name in CROWD {
        t.adopted(name).await;
    }
}

/// Those that were restarted.
async fn restarted(t: &Test) -> Vec<String> {
    let mut restarted = Vec::new();
    for name in CROWD {
        let deployment: Deployment = t.deployment(name).await;
        if template_annotation(&deployment, CONFIG_DIGEST).is_some() {
            restarted.push(name.to_owned());
        }
    }
    restarted
}

async fn restarted_are(t: &Test, count: usize) -> Vec<String> {
    await_condition(&format!("{count} to be restarted"), async || {
        let restarted = restarted(t).await;
        ensure!(restarted.len() == count, "{restarted:?}");
        Ok(restarted)
    })
    .await
}

async fn no_more_of_a_policy_roll_than_it_says(t: &Test) {
    install(t).await;
    governed_by(t, json!({"maxParallel": 1})).await;
    crowd(t, &["--max-parallel", "0"]).await;
    t.meanwhile(change(t, "B")).await;
    for done in 1..=CROWD.len() {
        let restarted = restarted_are(t, done).await;
        t.held("Budget", u32::try_from(CROWD.len() - done).expect("few")).await;
        // Also while nobody watches, and by somebody who has just come.
        t.meanwhile(async {}).await;
        t.held("Budget", u32::try_from(CROWD.len() - done).expect("few")).await;
        t.everything_before_is_done().await;
        assert_eq!(restarted_are(t, done).await, restarted);
        for name in &restarted {
            t.complete_by_hand(name).await;
        }
    }
    for name in CROWD {
        t.rolls(name, 1).await;
    }
}

fn halting() -> Value {
    json!({"maxParallel": 1, "haltOnFailure": true, "deadline": "5s"})
}

/// One fails, the others are held for it.
async fn halted(t: &Test) -> String {
    install(t).await;
    governed_by(t, halting()).await;
    crowd(t, &[]).await;
    change(t, "B").await;
    let failed = restarted_are(t, 1).await.remove(0);
    t.state("Failed", 1).await;
    t.held("Halted", 3).await;
    t.meanwhile(async {}).await;
    t.held("Halted", 3).await;
    t.everything_before_is_done().await;
    restarted_are(t, 1).await;
    let halted = condition(t, "web", "Halted", "True").await;
    assert_eq!(halted.reason, "Halted");
    failed
}

async fn a_failure_halts_the_others_until_it_recovers(t: &Test) {
    let failed = halted(t).await;
    t.complete_by_hand(&failed).await;
    // Whoever goes next must not fail either, however slow this test is.
    await_condition("all to be restarted", async || {
        let restarted = restarted(t).await;
        for name in &restarted {
            t.complete_by_hand(name).await;
        }
        ensure!(restarted.len() == CROWD.len(), "{restarted:?}");
        Ok(())
    })
    .await;
    t.held("Halted", 0).await;
    condition(t, "web", "Halted", "False").await;
}

async fn a_failure_that_is_undone_goes_on_halting_the_others(t: &Test) {
    let failed = halted(t).await;
    next_second().await;
    t.undo(&failed).await;
    t.complete(&failed).await;
    t.event(&failed, "RolledBack").await;
    t.meanwhile(async {}).await;
    t.held("RolledBack", 1).await;
    t.held("Halted", 3).await;
    t.everything_before_is_done().await;
    restarted_are(t, 0).await;
    // Once it runs the new content they go on.
    lever(t, &failed, "resume").await;
    restarted_are(t, 1).await;
    t.complete_by_hand(&failed).await;
    restarted_are(t, 2).await;
}

async fn a_failure_halts_the_others_until_the_next_change(t: &Test) {
    let failed = halted(t).await;
    change(t, "C").await;
    // Nobody has recovered yet.
    await_condition("the first to be restarted for it", async || {
        let mut changes = 0;
        for name in CROWD {
            changes += t.template_changes(name).await;
        }
        ensure!(changes > 1, "only {failed} was, for the one before");
        Ok(())
    })
    .await;
    // The one that failed gets the new content, too, and whoever is first must not fail again.
    for name in CROWD {
        let expected = if name == failed { 2 } else { 1 };
        await_condition(&format!("{name} to be restarted"), async || {
            for name in restarted(t).await {
                t.complete_by_hand(&name).await;
            }
            let changes = t.template_changes(name).await;
            ensure!(changes == expected, "{changes} of {expected}");
            Ok(())
        })
        .await;
    }
}

async fn a_failure_halts_the_others_until_a_person_resumes(t: &Test) {
    let failed = halted(t).await;
    let other = CROWD.iter().find(|name| **name != failed).expect("three others");
    t.meanwhile(lever(t, other, "resume")).await;
    restarted_are(t, 2).await;
    assert!(t.event(other, "OverrideHandled").await.contains("windlass.dev/resume"));
    t.complete_by_hand(other).await;
    t.held("Halted", 2).await;
    // And at the one that failed: then all may go.
    t.meanwhile(lever(t, &failed, "resume")).await;
    restarted_are(t, 3).await;
}

async fn a_rollout_that_takes_too_long_has_failed(t: &Test) {
    install(t).await;
    governed_by(t, json!({"maxParallel": 1, "deadline": "5s"})).await;
    crowd(t, &[]).await;
    t.meanwhile(change(t, "B")).await;
    // Each gives its slot back when its time is over.
    restarted_are(t, CROWD.len()).await;
    t.state("Failed", 4).await;
    assert!(t.event(CROWD[0], "RolloutFailed").await.contains("5s"));
    for name in CROWD {
        t.complete_by_hand(name).await;
    }
    t.state("Failed", 0).await;
}

async fn the_next_wave_goes_when_the_one_before_is_complete(t: &Test) {
    install(t).await;
    let wave = |name: &str| json!({"selector": {"matchLabels": {"wave": name}}});
    governed_by(t, json!({"waves": [wave("canary"), wave("some")]})).await;
    change(t, "A").await;
    let waves = [
        ("canary", "web-0"),
        ("some", "web-1"),
        ("some", "web-2"),
        ("others", "web-3"),
    ];
    for (wave, name) in waves {
        t.deploy(app(name).labelled("wave", wave).made_ready_by_hand()).await;
        t.complete_by_hand(name).await;
    }
    t.settle_in().await;
    t.start(&[]).await;
    for name in CROWD {
        t.adopted(name).await;
    }
    t.meanwhile(change(t, "B")).await;
    assert_eq!(restarted_are(t, 1).await, ["web-0"]);
    t.held("EarlierWave", 3).await;
    t.meanwhile(async {}).await;
    t.held("EarlierWave", 3).await;
    let note = t.event("web-3", "EarlierWave").await;
    assert!(note.contains("wave 1") && note.contains("web-0"), "{note}");
    t.complete_by_hand("web-0").await;
    assert_eq!(restarted_are(t, 3).await, ["web-0", "web-1", "web-2"]);
    t.complete_by_hand("web-1").await;
    t.everything_before_is_done().await;
    restarted_are(t, 3).await;
    t.complete_by_hand("web-2").await;
    restarted_are(t, 4).await;
}

async fn restart_now_does_not_wait(t: &Test) {
    install(t).await;
    web(t).await;
    governed_by(t, json!({"windows": hardly_ever(), "minInterval": "1h"})).await;
    t.start_and_adopt(&[]).await;
    t.meanwhile(change(t, "B")).await;
    t.held("OutsideWindow", 1).await;
    t.meanwhile(lever(t, "web", "restart-now")).await;
    t.await_template_changes("web", 1).await;
    t.complete("web").await;
    assert!(
        t.event("web", "OverrideHandled")
            .await
            .contains("windlass.dev/restart-now")
    );
    // Left behind it does nothing more.
    t.meanwhile(change(t, "C")).await;
    t.held("OutsideWindow", 1).await;
    t.everything_before_is_done().await;
    t.rolls("web", 1).await;
}

async fn skip_takes_the_present_content(t: &Test) {
    install(t).await;
    web(t).await;
    governed_by(t, json!({"windows": hardly_ever()})).await;
    t.start_and_adopt(&[]).await;
    t.meanwhile(change(t, "B")).await;
    t.held("OutsideWindow", 1).await;
    t.meanwhile(lever(t, "web", "skip")).await;
    t.held("OutsideWindow", 0).await;
    t.event("web", "Skipped").await;
    t.meanwhile(governed_by(t, json!({}))).await;
    t.everything_before_is_done().await;
    t.rolls("web", 0).await;
    t.meanwhile(change(t, "C")).await;
    t.rolls("web", 1).await;
}

async fn a_lever_that_comes_back_with_an_undo_does_nothing(t: &Test) {
    install(t).await;
    web(t).await;
    governed_by(t, json!({"windows": hardly_ever()})).await;
    t.start_and_adopt(&[]).await;
    change(t, "B").await;
    t.held("OutsideWindow", 1).await;
    lever(t, "web", "restart-now").await;
    t.await_template_changes("web", 1).await;
    t.complete("web").await;
    t.everything_before_is_done().await;
    t.meanwhile(t.undo("web")).await;
    t.complete("web").await;
    t.everything_before_is_done().await;
    // Ours and the way back.
    t.rolls("web", 2).await;
}

async fn a_refused_change_is_tried_for_a_few_and_told(t: &Test) {
    install(t).await;
    change(t, "A").await;
    let names: Vec<String> = (0..8).map(|number| format!("web-{number}")).collect();
    for name in &names {
        t.deploy(app(name)).await;
    }
    t.start_and_adopt(&[]).await;
    let rule = unique_policy();
    refuse_restarts(t, &rule).await;
    change(t, "B").await;
    t.held("ChangeRefused", 5).await;
    let told = async || {
        let mut told = 0;
        for name in &names {
            let events = t.events(name, "Rejected").await;
            told += events.len();
            assert!(
                events.iter().all(|(note, _)| note.contains("no restarts today")),
                "{events:?}"
            );
        }
        told
    };
    await_condition("each that was tried to be told of", async || {
        let told = told().await;
        ensure!(told == 3, "{told}");
        Ok(())
    })
    .await;
    // The markers are refused as well.
    for name in &names {
        assert_eq!(t.template_changes(name).await, 0);
    }
    let rules: Api<ValidatingAdmissionPolicyBinding> = Api::all(t.client.clone());
    rules
        .delete(&rule, &DeleteParams::default())
        .await
        .expect("it was there");
    await_condition_within(Duration::from_mins(4), "all to be restarted", async || {
        for name in &names {
            let changes = t.template_changes(name).await;
            ensure!(changes == 1, "{name}: {changes}");
        }
        Ok(())
    })
    .await;
}

/// An admission policy as an operator writes one, in force.
async fn refuse_restarts(t: &Test, name: &str) {
    let rule: ValidatingAdmissionPolicy = from(json!({
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"],
            }]},
            "validations": [{
                "expression": "object.spec.template == oldObject.spec.template",
                "message": "no restarts today",
            }],
        },
    }));
    let rules: Api<ValidatingAdmissionPolicy> = Api::all(t.client.clone());
    rules
        .create(&PostParams::default(), &rule)
        .await
        .expect("the rule is accepted");
    let binding: ValidatingAdmissionPolicyBinding = from(json!({
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": only_here(t)},
        },
    }));
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(t.client.clone());
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .expect("the binding is accepted");
    await_condition("the rule to be in force", async || {
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {"windlass.test/tried": "now"}}}}});
        let dry = kube::api::PatchParams {
            dry_run: true,
            ..kube::api::PatchParams::default()
        };
        let refused = t
            .api::<Deployment>()
            .patch("web-0", &dry, &kube::api::Patch::Merge(patch))
            .await;
        ensure!(refused.is_err(), "it is not yet");
        Ok(())
    })
    .await;
}
