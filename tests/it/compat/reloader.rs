//! Standing in for Reloader: its annotations as it reads them, its marks, and itself still at work.
//! The whole table of decisions is in the tests of `core::compat`; here each word is said once.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{ConfigMap, Secret},
};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::{
    CONFIG_DIGEST, OBSERVED, Test, Workload, annotation, await_condition,
    build::{deployment, env, volume},
    next_second, template_annotation, tests,
};

tests! {
    auto_counts_all_that_is_referenced: live, down;
    typed_auto_counts_one_kind: live;
    a_list_is_of_names_and_expressions: live, down;
    search_counts_what_is_referenced_and_marked: live, down;
    excluded_is_excluded_even_where_it_is_named: live;
    a_source_marked_to_be_ignored_does_not_count: live;
    the_template_speaks_where_the_workload_is_silent: live;
    auto_reload_all_counts_those_that_say_nothing: live, down;
    without_compat_its_words_mean_nothing: live, down;
    taking_over_restarts_nothing_and_marks_go_with_the_first_change: live, down, crashed;
    variables_of_the_application_itself_stay: live, down;
    one_that_is_still_at_work_is_not_fought: live, paused;
    one_at_work_by_annotations_is_not_fought_either: live, crashed;
    marks_that_an_undo_brings_back_are_no_rival: live, down, crashed;
    marks_that_a_manifest_brings_back_are_no_rival: live, down, crashed;
    a_pause_period_gathers_changes_for_one_rollout: live, down, crashed, paused;
    a_pause_period_that_ran_out_while_it_was_away_ends: down, crashed;
    a_pause_ends_when_nobody_asks_for_it_any_more: live, down, crashed;
    a_pause_by_a_person_is_left_alone: live;
}

const AUTO: &str = "reloader.stakater.com/auto";
const LAST_RELOADED_FROM: &str = "reloader.stakater.com/last-reloaded-from";
const PAUSE_PERIOD: &str = "deployment.reloader.stakater.com/pause-period";
const PAUSED_AT: &str = "deployment.reloader.stakater.com/paused-at";

/// A Deployment that uses the `ConfigMap` and the Secret of its name and has not opted in.
fn reloaded(name: &str) -> Workload {
    deployment(name)
        .not_opted_in()
        .uses(env(name, "a"))
        .uses(volume(name).of_secret())
}

async fn write(t: &Test, name: &str, text: &str) {
    t.config(name, &[("a", text)]).await;
    t.secret(name, &[("a", text)]).await;
}

async fn deploy(t: &Test, workload: Workload) {
    let name = workload.manifest()["metadata"]["name"].as_str().expect("it has a name");
    write(t, name, "A").await;
    t.deploy(workload).await;
}

/// Starts it and waits until it has taken over these.
async fn start(t: &Test, names: &[&str], flags: &[&str]) {
    for name in names {
        t.complete(name).await;
    }
    t.start_and_adopt(&[&["--compat", "reloader"][..], flags].concat())
        .await;
    for name in names {
        t.adopted(name).await;
    }
}

/// As [`Test::rolls`], where Secrets changed as well: those are read one by one, behind the events.
async fn rolls(t: &Test, name: &str, times: usize) {
    t.everything_before_is_done().await;
    t.rolls(name, times).await;
}

async fn auto_counts_all_that_is_referenced(t: &Test) {
    deploy(t, reloaded("web").annotated(AUTO, "true")).await;
    deploy(t, reloaded("off").annotated(AUTO, "yes")).await;
    write(t, "other", "A").await;
    start(t, &["web"], &[]).await;

    t.meanwhile(async {
        write(t, "other", "B").await;
        write(t, "off", "B").await;
    })
    .await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.config("web", &[("a", "B")])).await;
    rolls(t, "web", 1).await;
    t.meanwhile(t.secret("web", &[("a", "B")])).await;
    rolls(t, "web", 2).await;
    t.rolls("off", 0).await;
}

async fn typed_auto_counts_one_kind(t: &Test) {
    deploy(
        t,
        reloaded("of-config").annotated("configmap.reloader.stakater.com/auto", "1"),
    )
    .await;
    deploy(
        t,
        reloaded("of-secret").annotated("secret.reloader.stakater.com/auto", "True"),
    )
    .await;
    start(t, &["of-config", "of-secret"], &[]).await;

    t.secret("of-config", &[("a", "B")]).await;
    t.config("of-secret", &[("a", "B")]).await;
    rolls(t, "of-config", 0).await;
    rolls(t, "of-secret", 0).await;
    t.config("of-config", &[("a", "B")]).await;
    t.secret("of-secret", &[("a", "B")]).await;
    rolls(t, "of-config", 1).await;
    rolls(t, "of-secret", 1).await;
}

async fn a_list_is_of_names_and_expressions(t: &Test) {
    let names = ["exact", "flags-1", "flags-22", "xflags-1", "exactly"];
    for name in names {
        write(t, name, "A").await;
    }
    let list = r"exact, flags-\d, broken(, nothing.*";
    deploy(
        t,
        reloaded("web")
            .annotated("configmap.reloader.stakater.com/reload", list)
            .annotated("secret.reloader.stakater.com/reload", r"flags-\d\d"),
    )
    .await;
    start(t, &["web"], &[]).await;
    let message = t.warning("web", "InvalidAnnotation").await;
    assert!(
        message.contains("broken(") && message.contains("configmap.reloader.stakater.com/reload"),
        "{message}"
    );

    t.meanwhile(async {
        // Referenced, but a list is not `auto`.
        write(t, "web", "B").await;
        for name in ["exactly", "xflags-1"] {
            write(t, name, "B").await;
        }
        t.config("flags-22", &[("a", "B")]).await;
        t.secret("flags-1", &[("a", "B")]).await;
        t.secret("exact", &[("a", "B")]).await;
    })
    .await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.config("exact", &[("a", "B")])).await;
    rolls(t, "web", 1).await;
    t.meanwhile(t.config("flags-1", &[("a", "B")])).await;
    rolls(t, "web", 2).await;
    t.meanwhile(t.secret("flags-22", &[("a", "B")])).await;
    rolls(t, "web", 3).await;
}

async fn search_counts_what_is_referenced_and_marked(t: &Test) {
    let mark = || json!({"annotations": {"reloader.stakater.com/match": "true"}});
    for name in ["web", "unmarked", "unused"] {
        write(t, name, "A").await;
    }
    for name in ["web", "unused"] {
        t.mark::<ConfigMap>(name, mark()).await;
        t.mark::<Secret>(name, mark()).await;
    }
    t.deploy(
        reloaded("web")
            .uses(env("unmarked", "a"))
            .uses(volume("unmarked").of_secret())
            .annotated("reloader.stakater.com/search", "true"),
    )
    .await;
    start(t, &["web"], &[]).await;

    t.meanwhile(async {
        write(t, "unmarked", "B").await;
        write(t, "unused", "B").await;
    })
    .await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.config("web", &[("a", "B")])).await;
    rolls(t, "web", 1).await;
    t.meanwhile(t.secret("web", &[("a", "B")])).await;
    rolls(t, "web", 2).await;
    // One that is marked later is taken as it is.
    t.meanwhile(t.mark::<Secret>("unmarked", mark())).await;
    rolls(t, "web", 2).await;
    t.meanwhile(t.secret("unmarked", &[("a", "C")])).await;
    rolls(t, "web", 3).await;
}

async fn excluded_is_excluded_even_where_it_is_named(t: &Test) {
    write(t, "extra", "A").await;
    deploy(
        t,
        reloaded("web")
            .annotated(AUTO, "true")
            .annotated("configmap.reloader.stakater.com/reload", "extra,web")
            .annotated("configmaps.exclude.reloader.stakater.com/reload", "web, ex.*"),
    )
    .await;
    start(t, &["web"], &[]).await;

    t.config("web", &[("a", "B")]).await;
    rolls(t, "web", 0).await;
    // Excluding is by exact names, and of one kind.
    t.config("extra", &[("a", "B")]).await;
    rolls(t, "web", 1).await;
    t.secret("web", &[("a", "B")]).await;
    rolls(t, "web", 2).await;
}

async fn a_source_marked_to_be_ignored_does_not_count(t: &Test) {
    deploy(t, reloaded("web").annotated(AUTO, "true")).await;
    let ignore = |value: Value| json!({"annotations": {"reloader.stakater.com/ignore": value}});
    t.mark::<ConfigMap>("web", ignore(json!("true"))).await;
    t.mark::<Secret>("web", ignore(json!("yes"))).await;
    start(t, &["web"], &[]).await;

    t.config("web", &[("a", "B")]).await;
    rolls(t, "web", 0).await;
    t.secret("web", &[("a", "B")]).await;
    rolls(t, "web", 1).await;
    t.mark::<ConfigMap>("web", ignore(Value::Null)).await;
    rolls(t, "web", 1).await;
    t.config("web", &[("a", "C")]).await;
    rolls(t, "web", 2).await;
}

async fn the_template_speaks_where_the_workload_is_silent(t: &Test) {
    deploy(t, reloaded("silent").template_annotated(AUTO, "true")).await;
    // Of `ConfigMap`s the workload speaks, and then for itself alone; of Secrets it does not.
    deploy(
        t,
        reloaded("speaks")
            .annotated("configmap.reloader.stakater.com/reload", "nothing")
            .template_annotated(AUTO, "true"),
    )
    .await;
    start(t, &["silent", "speaks"], &[]).await;

    t.config("speaks", &[("a", "B")]).await;
    rolls(t, "speaks", 0).await;
    t.secret("speaks", &[("a", "B")]).await;
    rolls(t, "speaks", 1).await;
    t.config("silent", &[("a", "B")]).await;
    rolls(t, "silent", 1).await;
}

async fn auto_reload_all_counts_those_that_say_nothing(t: &Test) {
    deploy(t, reloaded("silent")).await;
    deploy(t, reloaded("no").annotated(AUTO, "false")).await;
    deploy(t, reloaded("hands-off").annotated("windlass.dev/enabled", "false")).await;
    deploy(
        t,
        reloaded("only-secrets")
            .annotated(AUTO, "false")
            .annotated("secret.reloader.stakater.com/auto", "true"),
    )
    .await;
    start(t, &["silent", "only-secrets"], &["--compat-auto-reload-all"]).await;

    let names = ["silent", "no", "hands-off", "only-secrets"];
    t.meanwhile(async {
        for name in names {
            t.config(name, &[("a", "B")]).await;
        }
    })
    .await;
    for (name, times) in names.into_iter().zip([1, 0, 0, 0]) {
        rolls(t, name, times).await;
    }
    t.meanwhile(async {
        for name in names {
            t.secret(name, &[("a", "B")]).await;
        }
    })
    .await;
    for (name, times) in names.into_iter().zip([2, 0, 0, 1]) {
        rolls(t, name, times).await;
    }
}

async fn without_compat_its_words_mean_nothing(t: &Test) {
    let list = "configmap.reloader.stakater.com/reload";
    let workloads = [
        reloaded("auto").annotated(AUTO, "true"),
        reloaded("template").template_annotated(AUTO, "true"),
        reloaded("list").annotated(list, "list"),
        reloaded("search").annotated("reloader.stakater.com/search", "true"),
        reloaded("paused")
            .annotated(AUTO, "true")
            .annotated(PAUSE_PERIOD, "1s")
            .annotated(PAUSED_AT, "2020-01-01T00:00:00Z")
            .with("paused", true),
        // Asked for in our own words, and its marks are a template like any other.
        reloaded("marked")
            .annotated("windlass.dev/enabled", "true")
            .annotated(PAUSE_PERIOD, "1h")
            .template_annotated(LAST_RELOADED_FROM, "{}")
            .with_variable("STAKATER_MARKED_CONFIGMAP", "0123"),
    ];
    for workload in workloads {
        deploy(t, workload).await;
    }
    t.mark::<ConfigMap>(
        "marked",
        json!({"annotations": {"reloader.stakater.com/ignore": "true"}}),
    )
    .await;
    t.start_and_adopt(&[]).await;

    let silent = ["auto", "template", "list", "search", "paused"];
    t.meanwhile(async {
        for name in silent.into_iter().chain(["marked"]) {
            write(t, name, "B").await;
        }
    })
    .await;
    t.await_template_changes("marked", 1).await;
    t.everything_before_is_done().await;
    for name in silent {
        assert_eq!(t.template_changes(name).await, 0, "{name}");
        assert_eq!(annotation(&t.deployment(name).await, OBSERVED), None, "{name}");
    }
    assert!(is_paused(&t.deployment("paused").await));
    let marked = t.deployment("marked").await;
    assert_eq!(template_annotation(&marked, LAST_RELOADED_FROM), Some("{}".to_owned()));
    assert!(variables(&marked).contains(&"STAKATER_MARKED_CONFIGMAP".to_owned()));
    assert!(!is_paused(&marked));
}

fn is_paused(deployment: &Deployment) -> bool {
    deployment.spec.as_ref().and_then(|spec| spec.paused) == Some(true)
}

/// The names of the environment variables of the only container.
fn variables(deployment: &Deployment) -> Vec<String> {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let container = pod.and_then(|pod| pod.containers.first()).expect("it has a container");
    container.env.iter().flatten().map(|it| it.name.clone()).collect()
}

/// As Reloader leaves a Deployment that it has reloaded.
fn left_by_reloader(name: &str) -> Workload {
    let mark = json!({
        "type": "CONFIGMAP", "name": name, "namespace": "any", "hash": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "containerRefs": ["app"], "observedAt": 1_700_000_000
    });
    reloaded(name)
        .annotated(AUTO, "true")
        .template_annotated(LAST_RELOADED_FROM, &mark.to_string())
        .template_annotated("team", "shop")
        .with_variable("APP_MODE", "fast")
        .with_variable("STAKATER_WEB_CONFIGMAP", "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        .with_variable("STAKATER_WEB_SECRET", "5ba93c9db0cff93f52b521d7420e43f6eda2784f")
}

async fn taking_over_restarts_nothing_and_marks_go_with_the_first_change(t: &Test) {
    deploy(t, left_by_reloader("web")).await;
    start(t, &["web"], &[]).await;
    rolls(t, "web", 0).await;
    let before = variables(&t.deployment("web").await);
    assert_eq!(
        before,
        ["WEB_A", "APP_MODE", "STAKATER_WEB_CONFIGMAP", "STAKATER_WEB_SECRET"]
    );

    t.meanwhile(t.config("web", &[("a", "B")])).await;
    rolls(t, "web", 1).await;
    let after = t.deployment("web").await;
    assert_eq!(variables(&after), ["WEB_A", "APP_MODE"]);
    assert_eq!(template_annotation(&after, "team"), Some("shop".to_owned()));
    let mark = template_annotation(&after, LAST_RELOADED_FROM).expect("it is written anew");
    let mark: Value = serde_json::from_str(&mark).expect("JSON");
    let digest = template_annotation(&after, CONFIG_DIGEST).expect("it was restarted");
    assert_eq!(mark["hash"], digest.as_str());
    assert_eq!(mark["type"], "CONFIGMAP");
    assert_eq!(mark["name"], "web");
    assert_eq!(mark["namespace"], t.namespace.as_str());
    assert!(
        mark["containerRefs"].is_array() && mark["observedAt"].is_i64(),
        "{mark}"
    );

    // And so on; what we wrote ourselves is not taken for somebody else at work.
    t.meanwhile(t.secret("web", &[("a", "B")])).await;
    rolls(t, "web", 2).await;
    let mark = template_annotation(&t.deployment("web").await, LAST_RELOADED_FROM).expect("it is written anew");
    assert!(mark.contains("\"SECRET\""), "{mark}");
    assert_eq!(t.event_count("web", "OtherController").await, 0);
    t.held("OtherController", 0).await;
}

/// What Reloader does about a change.
async fn reload(t: &Test, name: &str, hash: &str) {
    let variable = json!({"name": "STAKATER_WEB_CONFIGMAP", "value": hash});
    let container = json!({"name": "app", "env": [variable]});
    t.patch_deployment(
        name,
        json!({"spec": {"template": {"spec": {"containers": [container]}}}}),
    )
    .await;
}

async fn one_that_is_still_at_work_is_not_fought(t: &Test) {
    deploy(t, left_by_reloader("web")).await;
    start(t, &["web"], &["--settle", "5s"]).await;

    t.meanwhile(async {
        t.config("web", &[("a", "B")]).await;
        reload(t, "web", "356a192b7913b04c54574d18c28d46e6395428ab").await;
    })
    .await;
    rolls(t, "web", 1).await;
    assert_eq!(t.event_count("web", "Restarted").await, 0);

    // Later ones are left to it, and that is said.
    t.config("web", &[("a", "C")]).await;
    let message = t.warning("web", "OtherController").await;
    assert!(message.contains("Reloader"), "{message}");
    t.held("OtherController", 1).await;
    rolls(t, "web", 1).await;
    reload(t, "web", "da4b9237bacccdf19c0760cab7aec4a8359010b0").await;
    t.held("OtherController", 0).await;
    rolls(t, "web", 2).await;
    assert_eq!(t.event_count("web", "Restarted").await, 0);
    assert!(variables(&t.deployment("web").await).contains(&"STAKATER_WEB_CONFIGMAP".to_owned()));
}

/// One of its own was deleted with the first restart.
async fn variables_of_the_application_itself_stay(t: &Test) {
    t.secret("licence", &[("key", "A")]).await;
    let web = left_by_reloader("web")
        // Of a source that it uses, and of none; a value like that of a mark, and another one.
        .with_variable_of_secret("STAKATER_LICENCE_SECRET", "licence", "key")
        .with_variable("STAKATER_LICENCE_CONFIGMAP", "5ba93c9db0cff93f52b521d7420e43f6eda2784f")
        .with_variable("STAKATER_BUILD_SECRET", "5ba93c9db0cff93f52b521d7420e43f6eda2784f")
        .with_variable("STAKATER_WEB_B_SECRET", "2026-11");
    write(t, "web-b", "A").await;
    deploy(t, web.uses(volume("web-b").of_secret())).await;
    start(t, &["web"], &[]).await;

    t.meanwhile(t.config("web", &[("a", "B")])).await;
    rolls(t, "web", 1).await;
    let own = [
        "WEB_A",
        "APP_MODE",
        "STAKATER_LICENCE_SECRET",
        "STAKATER_LICENCE_CONFIGMAP",
        "STAKATER_BUILD_SECRET",
        "STAKATER_WEB_B_SECRET",
    ];
    assert_eq!(variables(&t.deployment("web").await), own);

    // And one that its team changes is no sign of anybody at work: it is a rollout like any other.
    let variable = json!({"name": "STAKATER_BUILD_SECRET", "value": "356a192b7913b04c54574d18c28d46e6395428ab"});
    let container = json!({"name": "app", "env": [variable]});
    t.patch_deployment(
        "web",
        json!({"spec": {"template": {"spec": {"containers": [container]}}}}),
    )
    .await;
    rolls(t, "web", 2).await;
    t.meanwhile(t.config("web", &[("a", "C")])).await;
    rolls(t, "web", 3).await;
    assert_eq!(t.event_count("web", "OtherController").await, 0);
}

/// What Reloader writes with the strategy `annotations`.
async fn reload_by_annotation(t: &Test, name: &str, hash: &str, at: i64) {
    let mark = json!({"type": "CONFIGMAP", "name": "web", "namespace": "any", "hash": hash, "observedAt": at});
    let annotations = json!({LAST_RELOADED_FROM: mark.to_string()});
    t.patch_deployment(
        name,
        json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}),
    )
    .await;
}

async fn one_at_work_by_annotations_is_not_fought_either(t: &Test) {
    deploy(t, left_by_reloader("web")).await;
    start(t, &["web"], &[]).await;
    t.meanwhile(t.config("web", &[("a", "B")])).await;
    rolls(t, "web", 1).await;
    t.meanwhile(async {}).await;
    t.state("Current", 3).await;

    // It was slower than we were.
    let now = jiff::Timestamp::now().as_second();
    reload_by_annotation(t, "web", "356a192b7913b04c54574d18c28d46e6395428ab", now).await;
    rolls(t, "web", 2).await;
    t.config("web", &[("a", "C")]).await;
    t.warning("web", "OtherController").await;
    t.held("OtherController", 1).await;
}

/// It was held for an hour as if Reloader were at work.
async fn marks_that_an_undo_brings_back_are_no_rival(t: &Test) {
    deploy(t, left_by_reloader("web")).await;
    start(t, &["web"], &[]).await;
    t.config("web", &[("a", "B")]).await;
    rolls(t, "web", 1).await;

    // The controller that sees them come back may not have seen them before.
    t.meanwhile(async {}).await;
    t.state("Current", 3).await;
    next_second().await;
    t.undo("web").await;
    rolls(t, "web", 2).await;
    assert!(variables(&t.deployment("web").await).contains(&"STAKATER_WEB_CONFIGMAP".to_owned()));
    t.state("Current", 3).await;
    t.config("web", &[("a", "C")]).await;
    rolls(t, "web", 3).await;
    t.held("OtherController", 0).await;
    assert_eq!(t.event_count("web", "OtherController").await, 0);
    assert!(!variables(&t.deployment("web").await).contains(&"STAKATER_WEB_CONFIGMAP".to_owned()));
}

async fn marks_that_a_manifest_brings_back_are_no_rival(t: &Test) {
    deploy(t, left_by_reloader("web")).await;
    let exported = t.deployment("web").await;
    let mark = template_annotation(&exported, LAST_RELOADED_FROM).expect("Reloader left one");
    start(t, &["web"], &[]).await;
    t.config("web", &[("a", "B")]).await;
    rolls(t, "web", 1).await;
    t.meanwhile(async {}).await;
    t.state("Current", 3).await;

    // What was exported at that time is applied again.
    let annotations = json!({LAST_RELOADED_FROM: mark});
    t.patch_deployment(
        "web",
        json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}),
    )
    .await;
    rolls(t, "web", 2).await;
    t.state("Current", 3).await;
    t.config("web", &[("a", "C")]).await;
    rolls(t, "web", 3).await;

    t.meanwhile(async {}).await;
    t.state("Current", 3).await;
    reload(t, "web", "da39a3ee5e6b4b0d3255bfef95601890afd80709").await;
    rolls(t, "web", 4).await;
    t.state("Current", 3).await;
    t.config("web", &[("a", "D")]).await;
    rolls(t, "web", 5).await;

    // One of before that, which was never seen here.
    t.meanwhile(async {}).await;
    t.state("Current", 3).await;
    reload_by_annotation(t, "web", "77de68daecd823babbb58edb1c8e14d7106e83bb", 1_600_000_000).await;
    rolls(t, "web", 6).await;
    t.state("Current", 3).await;
    t.config("web", &[("a", "E")]).await;
    rolls(t, "web", 7).await;
    t.held("OtherController", 0).await;
    assert_eq!(t.event_count("web", "OtherController").await, 0);
}

fn paused_for(period: &str) -> Workload {
    reloaded("web").annotated(AUTO, "true").annotated(PAUSE_PERIOD, period)
}

async fn await_paused(t: &Test, paused: bool) {
    await_condition(&format!("web to be paused: {paused}"), async || {
        let web = t.deployment("web").await;
        ensure!(is_paused(&web) == paused, "it is not so");
        ensure!(
            annotation(&web, PAUSED_AT).is_some() == paused,
            "the annotation says otherwise"
        );
        Ok(())
    })
    .await;
}

/// How many templates have got pods of their own since the first.
async fn rollouts(t: &Test) -> usize {
    let of_web = ListParams::default().labels("app=web");
    let revisions = t.api::<ReplicaSet>().list(&of_web).await.expect("a list");
    revisions.items.len() - 1
}

/// The pods of a workload run the content of now.
async fn is_current(t: &Test) {
    t.complete("web").await;
    t.state("Current", 3).await;
    let witness = template_annotation(&t.deployment("web").await, CONFIG_DIGEST);
    let observed = t.baseline("web").await;
    let mark = observed["mark"].as_str().context("no mark").expect("it was restarted");
    assert!(witness.expect("it was restarted").contains(mark), "{observed}");
}

async fn a_pause_period_gathers_changes_for_one_rollout(t: &Test) {
    deploy(t, paused_for("1h")).await;
    start(t, &["web"], &[]).await;

    t.config("web", &[("a", "B")]).await;
    await_paused(t, true).await;
    let first = template_annotation(&t.deployment("web").await, CONFIG_DIGEST).expect("it is restarted");
    t.meanwhile(async {
        t.config("web", &[("a", "C")]).await;
        t.secret("web", &[("a", "B")]).await;
    })
    .await;
    assert_eq!(rollouts(t).await, 0, "it is paused");
    t.annotate("web", PAUSE_PERIOD, "5s").await;
    await_paused(t, false).await;
    is_current(t).await;
    t.everything_before_is_done().await;
    assert_eq!(rollouts(t).await, 1);
    let second = template_annotation(&t.deployment("web").await, CONFIG_DIGEST).expect("it is restarted");
    assert_ne!(first, second, "the later changes are in it");
    let changes = t.template_changes("web").await;
    assert!(changes <= 2, "{changes} template changes");

    // Without any further change it ends as well.
    t.annotate("web", PAUSE_PERIOD, "1h").await;
    t.config("web", &[("a", "D")]).await;
    await_paused(t, true).await;
    t.annotate("web", PAUSE_PERIOD, "5s").await;
    await_paused(t, false).await;
    is_current(t).await;
    t.everything_before_is_done().await;
    assert_eq!(rollouts(t).await, 2);
    assert_eq!(t.template_changes("web").await, changes + 1);
}

async fn a_pause_period_that_ran_out_while_it_was_away_ends(t: &Test) {
    // Until it has been seen.
    deploy(t, paused_for("1h")).await;
    start(t, &["web"], &[]).await;

    t.config("web", &[("a", "B")]).await;
    await_paused(t, true).await;
    t.meanwhile(async {
        t.annotate("web", PAUSE_PERIOD, "4s").await;
        t.secret("web", &[("a", "B")]).await;
        for _ in 0..5 {
            next_second().await;
        }
    })
    .await;
    await_paused(t, false).await;
    is_current(t).await;
    assert_eq!(rollouts(t).await, 1);
}

async fn a_pause_ends_when_nobody_asks_for_it_any_more(t: &Test) {
    deploy(t, paused_for("1h")).await;
    start(t, &["web"], &[]).await;
    t.config("web", &[("a", "B")]).await;
    await_paused(t, true).await;
    t.meanwhile(t.annotate("web", PAUSE_PERIOD, Value::Null)).await;
    await_paused(t, false).await;
    is_current(t).await;
    assert_eq!(rollouts(t).await, 1);

    t.annotate("web", PAUSE_PERIOD, "1h").await;
    t.config("web", &[("a", "C")]).await;
    await_paused(t, true).await;
    t.meanwhile(async {
        let none = json!({AUTO: null, PAUSE_PERIOD: null});
        t.patch_deployment("web", json!({"metadata": {"annotations": none}}))
            .await;
    })
    .await;
    await_paused(t, false).await;
    t.complete("web").await;
    assert_eq!(rollouts(t).await, 2);
}

async fn a_pause_by_a_person_is_left_alone(t: &Test) {
    deploy(t, paused_for("1s")).await;
    start(t, &["web"], &[]).await;
    t.patch_deployment("web", json!({"spec": {"paused": true}})).await;

    t.config("web", &[("a", "B")]).await;
    t.held("Paused", 1).await;
    // Longer than the period.
    for _ in 0..2 {
        next_second().await;
    }
    t.everything_before_is_done().await;
    assert!(is_paused(&t.deployment("web").await));
    assert_eq!(t.template_changes("web").await, 0);

    t.patch_deployment("web", json!({"spec": {"paused": null}})).await;
    t.await_template_changes("web", 1).await;
    await_paused(t, false).await;
    is_current(t).await;
    assert_eq!(rollouts(t).await, 1);
}
