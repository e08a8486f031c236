//! Sources of other namespaces: only by a flag, and only with the source's consent. Nobody who may
//! edit workloads in one namespace gets at anything in another by an annotation.

use anyhow::ensure;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

use crate::support::{
    OBSERVED, Test, annotation, await_condition,
    build::{Workload, deployment, env},
    tests,
};

tests! {
    without_the_flag_a_name_elsewhere_is_refused: live;
    without_consent_nothing_is_read_nor_told: embedded;
    with_the_flag_and_consent_a_change_restarts_once: live, down, crashed, paused;
    consent_given_later_is_taken_as_it_is: live, down;
    no_annotation_reaches_into_another_namespace: embedded;
    no_annotation_reaches_further_than_consent: embedded;
}

const FLAG: &str = "--allow-cross-namespace";

/// Works in both namespaces.
async fn start(t: &Test, other: &Test, flags: &[&str]) {
    other.deploy_secret_marker().await;
    other.settle_in().await;
    let both = format!("{},{}", t.namespace, other.namespace);
    t.start_and_adopt(&[&["--namespaces", &both][..], flags].concat()).await;
    other.all_adopted().await;
}

/// Whatever was to be done because of something in one of them is done.
async fn everything_before_is_done(t: &Test, other: &Test) {
    other.everything_of_secrets_is_done().await;
    t.everything_before_is_done().await;
}

async fn rolls(t: &Test, other: &Test, name: &str, times: usize) {
    t.await_template_changes(name, times).await;
    t.complete(name).await;
    everything_before_is_done(t, other).await;
    t.rolls(name, times).await;
}

/// Lets these namespaces name both the `ConfigMap` and the Secret.
async fn share(of: &Test, name: &str, with: impl Into<Value>) {
    let consent = json!({"annotations": {"windlass.dev/allow-from": with.into()}});
    of.mark::<ConfigMap>(name, consent.clone()).await;
    of.mark::<Secret>(name, consent).await;
}

async fn write(of: &Test, name: &str, text: &str) {
    of.config(name, &[("a", text)]).await;
    of.secret(name, &[("a", text)]).await;
}

async fn without_the_flag_a_name_elsewhere_is_refused(t: &Test) {
    let other = t.beside().await;
    write(&other, "shared", "A").await;
    share(&other, "shared", t.namespace.clone()).await;
    start(t, &other, &[]).await;
    let name = format!("{}/shared", other.namespace);
    t.deploy(deployment("one").annotated("windlass.dev/configmaps", &name))
        .await;
    t.deploy(deployment("two").annotated("windlass.dev/secrets", &name))
        .await;

    for (workload, annotation) in [("one", "windlass.dev/configmaps"), ("two", "windlass.dev/secrets")] {
        let message = t.warning(workload, "InvalidAnnotation").await;
        assert!(message.contains(FLAG) && message.contains(annotation), "{message}");
    }
    write(&other, "shared", "B").await;
    for workload in ["one", "two"] {
        rolls(t, &other, workload, 0).await;
    }
}

async fn without_consent_nothing_is_read_nor_told(t: &Test) {
    let other = t.beside().await;
    write(&other, "private", "A").await;
    start(t, &other, &[FLAG]).await;
    let audit = t.audit("windlass").of_namespace(&other.namespace);

    let mut told = Vec::new();
    for name in ["private", "missing"] {
        let named = format!("{}/{name}", other.namespace);
        t.deploy(
            deployment(name)
                .annotated("windlass.dev/secrets", &named)
                .annotated("windlass.dev/configmaps", &format!("{named},{}/*", other.namespace)),
        )
        .await;
        t.adopted(name).await;
        t.complete(name).await;
        let message = t.warning(name, "NotShared").await;
        assert!(message.contains("windlass.dev/allow-from"), "{message}");
        assert!(message.contains(&t.namespace), "{message}");
        everything_before_is_done(t, &other).await;
        let mut messages: Vec<_> = t.events(name, "NotShared").await;
        messages.sort();
        told.push(format!("{messages:?}").replace(name, "NAME"));
    }
    assert_eq!(told[0], told[1], "what is there is told from what is not");

    write(&other, "private", "B").await;
    write(&other, "missing", "A").await;
    for name in ["private", "missing"] {
        rolls(t, &other, name, 0).await;
    }
    assert_eq!(audit.reads("secrets").get("private"), None);
    assert_eq!(audit.reads("secrets").get("missing"), None);
}

async fn with_the_flag_and_consent_a_change_restarts_once(t: &Test) {
    let other = t.beside().await;
    for name in ["shared", "app-one", "app-two"] {
        write(&other, name, "A").await;
    }
    for name in ["shared", "app-one"] {
        share(&other, name, format!("somebody, {}", t.namespace)).await;
    }
    // By the same name, and not meant.
    write(t, "shared", "A").await;
    let names = format!("{0}/shared, {0}/app-*", other.namespace);
    t.deploy(
        deployment("web")
            .annotated("windlass.dev/configmaps", &names)
            .annotated("windlass.dev/secrets", &names),
    )
    .await;
    start(t, &other, &[FLAG]).await;

    t.meanwhile(async {
        write(t, "shared", "B").await;
        write(&other, "app-two", "B").await;
    })
    .await;
    rolls(t, &other, "web", 0).await;
    t.meanwhile(other.secret("shared", &[("a", "B")])).await;
    rolls(t, &other, "web", 1).await;
    t.meanwhile(other.config("app-one", &[("a", "B")])).await;
    rolls(t, &other, "web", 2).await;
    assert_eq!(t.event_count("web", "NotShared").await, 0);
}

async fn consent_given_later_is_taken_as_it_is(t: &Test) {
    let other = t.beside().await;
    write(&other, "shared", "A").await;
    let name = format!("{}/shared", other.namespace);
    t.deploy(
        deployment("web")
            .annotated("windlass.dev/configmaps", &name)
            .annotated("windlass.dev/secrets", &name),
    )
    .await;
    start(t, &other, &[FLAG]).await;
    t.warning("web", "NotShared").await;
    t.meanwhile(async {
        write(&other, "shared", "B").await;
        share(&other, "shared", t.namespace.clone()).await;
    })
    .await;
    rolls(t, &other, "web", 0).await;
    t.meanwhile(other.secret("shared", &[("a", "C")])).await;
    rolls(t, &other, "web", 1).await;
    t.meanwhile(other.config("shared", &[("a", "C")])).await;
    rolls(t, &other, "web", 2).await;

    let told = t.event_count("web", "NotShared").await;
    t.meanwhile(share(&other, "shared", Value::Null)).await;
    rolls(t, &other, "web", 2).await;
    await_condition("the withdrawal to be told", async || {
        ensure!(t.event_count("web", "NotShared").await > told, "it is not");
        Ok(())
    })
    .await;
    t.meanwhile(write(&other, "shared", "D")).await;
    rolls(t, &other, "web", 2).await;

    t.meanwhile(share(&other, "shared", t.namespace.clone())).await;
    rolls(t, &other, "web", 2).await;
    t.meanwhile(other.secret("shared", &[("a", "E")])).await;
    rolls(t, &other, "web", 3).await;
}

/// What somebody would try who may write workloads in one namespace and nothing in the other.
fn attempts(t: &Test, other: &Test) -> Vec<Workload> {
    let elsewhere = &other.namespace;
    let names = [
        format!("{elsewhere}/victim"),
        format!("{elsewhere}/*"),
        format!("{elsewhere}/v?ctim"),
        "*/victim".to_owned(),
        "v*".to_owned(),
        "victim".to_owned(),
        format!("../{elsewhere}/victim"),
        format!("../../{elsewhere}/secrets/victim"),
        format!("{}/../{elsewhere}/victim", t.namespace),
        format!("{}*/victim", &elsewhere[..4]),
        format!("{elsewhere}%2Fvictim"),
        format!("/{elsewhere}/victim"),
    ];
    let expressions = [
        "v.*",
        "victim",
        "(.*/)?victim",
        &format!("{elsewhere}/victim"),
        &format!("{elsewhere}.victim"),
        &format!("../{elsewhere}/victim"),
    ]
    .map(str::to_owned);
    let mut attempts: Vec<(&[&str], &String)> = Vec::new();
    for name in &names {
        attempts.push((NAMES, name));
        attempts.push((EXTRA, name));
    }
    for expression in &expressions {
        attempts.push((RELOAD, expression));
    }
    let mut workloads: Vec<_> = attempts
        .into_iter()
        .enumerate()
        .map(|(number, (annotations, value))| {
            let workload = deployment(&format!("attempt-{number:02}")).not_opted_in();
            let workload = match annotations[0].split('.').next() {
                Some("windlass") => workload.annotated("windlass.dev/enabled", "true"),
                Some("wave") => workload.annotated("wave.pusher.com/update-on-config-change", "true"),
                _ => workload,
            };
            annotations
                .iter()
                .fold(workload, |workload, annotation| workload.annotated(annotation, value))
        })
        .collect();
    // By the template; a path instead of a name is refused by the API server.
    workloads.push(deployment("attempt-name").uses(env("victim", "a").optional().of_secret()));
    workloads
}

const NAMES: &[&str] = &["windlass.dev/configmaps", "windlass.dev/secrets"];
const EXTRA: &[&str] = &["wave.pusher.com/extra-configmaps", "wave.pusher.com/extra-secrets"];
const RELOAD: &[&str] = &[
    "configmap.reloader.stakater.com/reload",
    "secret.reloader.stakater.com/reload",
];

async fn no_annotation_reaches_into_another_namespace(t: &Test) {
    reaches_nothing(t, &[]).await;
}

async fn no_annotation_reaches_further_than_consent(t: &Test) {
    reaches_nothing(t, &[FLAG]).await;
}

async fn reaches_nothing(t: &Test, flags: &[&str]) {
    let other = t.beside().await;
    write(&other, "victim", "A").await;
    // To somebody else, and in ways that might be taken for everybody.
    share(&other, "victim", format!("somebody, *, {0}x, x{0}, {0}/*", t.namespace)).await;
    write(&other, "used", "A").await;
    other.deploy(deployment("web").uses(env("used", "a").of_secret())).await;
    start(t, &other, &[&["--compat", "reloader,wave"][..], flags].concat()).await;
    let audit = t.audit("windlass").of_namespace(&other.namespace);

    let mut names = Vec::new();
    for workload in attempts(t, &other) {
        names.push(
            workload.manifest()["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
        t.deploy(workload).await;
    }
    // The baseline of another's workload, as it is and as if it were one's own.
    t.deploy(deployment("attempt-forged")).await;
    names.push("attempt-forged".to_owned());
    let own = t.adopted("attempt-forged").await;
    let mut forged = other.baseline("web").await;
    t.annotate("attempt-forged", OBSERVED, forged.to_string()).await;
    everything_before_is_done(t, &other).await;
    forged["uid"] = own["uid"].clone();
    t.annotate("attempt-forged", OBSERVED, forged.to_string()).await;
    everything_before_is_done(t, &other).await;
    let before = t.template_changes("attempt-forged").await;

    write(&other, "victim", "B").await;
    share(&other, "victim", Value::Null).await;
    everything_before_is_done(t, &other).await;

    for name in &names {
        let expected = if name == "attempt-forged" { before } else { 0 };
        assert_eq!(t.template_changes(name).await, expected, "rollouts of {name}");
    }
    assert_eq!(other.template_changes("web").await, 0);
    assert!(annotation(&other.deployment("web").await, OBSERVED).is_some());
    assert_eq!(audit.reads("secrets").get("victim"), None);
    // With consent it would have been.
    if flags.contains(&FLAG) {
        share(&other, "victim", t.namespace.clone()).await;
        everything_before_is_done(t, &other).await;
        other.secret("victim", &[("a", "C")]).await;
        t.await_template_changes("attempt-00", 1).await;
    }
}
