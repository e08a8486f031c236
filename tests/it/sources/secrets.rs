//! Secrets: as `ConfigMap`s, but no value is read that nobody uses, and none is ever seen.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{
    CONFIG_DIGEST, OBSERVED, Test, annotation,
    audit::Request,
    await_condition,
    build::{Use, Workload, deployment, env, env_from, projected, volume},
    cluster::LIMITED_USER,
    encoding::{base64, hex},
    markers::SECRET_MARKER,
    next_second, template_annotation, tests, value,
};

tests! {
    each_use_restarts_on_its_keys_and_on_no_others: live, down, live_paged;
    a_used_key_restarts_once: down, crashed, paused;
    a_changed_secret_costs_one_get: embedded;
    no_value_passes_the_wire_but_by_that_get: embedded, live_paged;
    without_secrets_as_sources_none_is_asked_for: embedded;
    releases_of_helm_are_never_seen: live, live_paged;
    no_value_is_ever_seen_elsewhere: live;
    what_cannot_be_decoded_is_not_shown: embedded;
    a_digest_cannot_be_checked_against_a_guess: live;
    a_secret_that_cannot_be_read_holds_its_users_only: embedded;
    a_secret_that_asks_to_be_ignored_does_not_count: live, down;
    deleted_and_created_again_with_the_same_content_is_nothing: live, down, crashed;
    secrets_are_named_and_excluded_by_pattern: live, down;
    a_secret_that_begins_to_count_restarts_nothing: live, down, paused;
    sources_without_the_label_do_not_count_and_are_not_missed: live, down;
    a_source_that_appears_or_goes_is_a_change: live, down;
    unless_the_flags_say_that_it_is_none: live, down;
}

async fn start(t: &Test, flags: &[&str]) {
    t.deploy_secret_marker().await;
    t.start_and_adopt(flags).await;
}

async fn rolls(t: &Test, name: &str, times: usize) {
    t.await_template_changes(name, times).await;
    t.complete(name).await;
    t.everything_of_secrets_is_done().await;
    t.rolls(name, times).await;
}

async fn each_use_restarts_on_its_keys_and_on_no_others(t: &Test) {
    let used: &[(&str, &str)] = &[("used", "conf/app.conf")];
    let of_a_key = [
        ("env", env("env", "used")),
        ("env-in-init", env("env-in-init", "used").in_init()),
        ("items", volume("items").items(used)),
        ("projected-items", projected("projected-items").items(used)),
        ("sub-path", volume("sub-path").sub_path("used")),
    ];
    let of_all = [
        ("env-from", env_from("env-from")),
        ("volume", volume("volume")),
        ("projected", projected("projected")),
    ];
    let [of_a_key, of_all] = [of_a_key.to_vec(), of_all.to_vec()].map(|uses: Vec<(&str, Use)>| {
        uses.into_iter()
            .map(|(name, used)| (name, used.of_secret()))
            .collect::<Vec<_>>()
    });
    for (name, used) in of_a_key.iter().chain(&of_all) {
        t.secret(name, &[("used", "A"), ("also", "A"), ("unused", "A")]).await;
        t.deploy(deployment(name).uses(used.clone())).await;
    }
    start(t, &[]).await;
    let change = async |content: &[(&str, &str)]| {
        for (name, _) in of_a_key.iter().chain(&of_all) {
            t.secret(name, content).await;
        }
    };
    let rolled = async |of_keys: usize, of_whole: usize| {
        for (name, _) in &of_a_key {
            t.await_template_changes(name, of_keys).await;
        }
        for (name, _) in &of_all {
            t.await_template_changes(name, of_whole).await;
        }
        t.everything_of_secrets_is_done().await;
        for (name, _) in &of_a_key {
            assert_eq!(t.template_changes(name).await, of_keys, "rollouts of {name}");
        }
        for (name, _) in &of_all {
            assert_eq!(t.template_changes(name).await, of_whole, "rollouts of {name}");
        }
    };

    t.meanwhile(change(&[("used", "A"), ("also", "A"), ("unused", "B")]))
        .await;
    rolled(0, 1).await;
    t.meanwhile(change(&[("used", "B"), ("also", "A"), ("unused", "B")]))
        .await;
    rolled(1, 2).await;
}

async fn a_used_key_restarts_once(t: &Test) {
    t.secret("web", &[("level", "A"), ("unused", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level").of_secret())).await;
    start(t, &[]).await;

    t.meanwhile(t.secret("web", &[("level", "A"), ("unused", "B")])).await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.secret("web", &[("level", "B"), ("unused", "B")])).await;
    rolls(t, "web", 1).await;
    let message = t.event("web", "Restarted").await;
    assert!(message.contains("Secret web (key level)"), "{message}");
}

async fn a_changed_secret_costs_one_get(t: &Test) {
    let lease = t.another_namespace().await;
    t.secret("shared", &[("level", "A")]).await;
    t.secret("unused", &[("level", "A")]).await;
    for name in ["one", "two", "three"] {
        t.deploy(
            deployment(name)
                .uses(env("shared", "level").of_secret())
                .uses(volume("shared").of_secret()),
        )
        .await;
    }
    let audit = t.audit("windlass");
    start(t, &["--lease-namespace", &lease]).await;
    let at_the_start = BTreeMap::from([("shared".to_owned(), 1), (SECRET_MARKER.to_owned(), 1)]);
    assert_eq!(audit.reads("secrets"), at_the_start);

    t.secret("unused", &[("level", "B")]).await;
    t.secret("shared", &[("level", "B")]).await;
    for name in ["one", "two", "three"] {
        t.await_template_changes(name, 1).await;
    }
    t.everything_of_secrets_is_done().await;
    t.stop().await;

    let after = BTreeMap::from([("shared".to_owned(), 2), (SECRET_MARKER.to_owned(), 3)]);
    assert_eq!(audit.reads("secrets"), after);
    let lists = |it: &&Request| it.resource == "secrets" && it.verb != "get";
    let requests = audit.requests();
    let others: Vec<_> = requests.iter().filter(lists).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(audit.ended_watches("secrets") >= 1, "the audit log has them");
}

async fn no_value_passes_the_wire_but_by_that_get(t: &Test) {
    let on_the_wire = |text: &str| base64(value(text).as_bytes());
    t.secret("used", &[("a", "used-A"), ("b", "also-A")]).await;
    t.secret("unused", &[("a", "unused-A")]).await;
    t.deploy(deployment("web").uses(env("used", "a").of_secret())).await;
    t.deploy_secret_marker().await;
    t.settle_in().await;
    let (wire, kubeconfig) = t.wire().await;
    let controller = t.installation(kubeconfig, own_lease(t)).await;
    controller.await_ready().await;
    t.all_adopted().await;
    assert_eq!(wire.received(&on_the_wire("used-A")), 1);

    t.secret("unused", &[("a", "unused-B")]).await;
    t.secret("used", &[("a", "used-B"), ("b", "also-B")]).await;
    t.await_template_changes("web", 1).await;
    t.everything_of_secrets_is_done().await;
    controller.stop().await;

    for (text, times) in [
        ("used-A", 1),
        ("also-A", 1),
        ("used-B", 1),
        ("also-B", 1),
        ("unused-A", 0),
        ("unused-B", 0),
    ] {
        assert_eq!(wire.received(&on_the_wire(text)), times, "{text}");
        assert_eq!(wire.sent(&on_the_wire(text)), 0, "{text}");
    }
    assert!(wire.received("\"name\":\"unused\"") >= 1, "its metadata is watched");
}

fn own_lease(t: &Test) -> Vec<String> {
    vec!["--lease-namespace".to_owned(), t.namespace.clone()]
}

async fn without_secrets_as_sources_none_is_asked_for(t: &Test) {
    let lease = t.another_namespace().await;
    t.config("web", &[("level", "A")]).await;
    t.secret("web", &[("level", "A")]).await;
    t.deploy(
        deployment("web")
            .uses(env("web", "level"))
            .uses(volume("web").of_secret())
            .uses(env("absent", "level").of_secret())
            .annotated("windlass.dev/secrets", "web,w*"),
    )
    .await;
    let audit = t.audit("windlass");
    t.start_and_adopt(&["--sources", "configmaps", "--lease-namespace", &lease])
        .await;

    t.secret("web", &[("level", "B")]).await;
    t.rolls("web", 0).await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    t.stop().await;

    let asked: Vec<_> = audit
        .requests()
        .into_iter()
        .filter(|it| it.resource == "secrets")
        .collect();
    assert!(asked.is_empty(), "{asked:?}");
    assert_eq!(audit.ended_watches("secrets"), 0);
    assert!(audit.ended_watches("configmaps") >= 1, "the audit log has watches");
    let own = audit.of_namespace(&lease).requests();
    // Not even for the digest key.
    let of_secrets: Vec<_> = own.iter().filter(|it| it.resource == "secrets").collect();
    assert!(of_secrets.is_empty(), "{of_secrets:?}");
    let key = own.iter().find(|it| it.name == "windlass-digest-key");
    assert!(key.is_some_and(|it| it.resource == "configmaps"), "{own:?}");
}

async fn release(t: &Test, name: &str, text: &str) {
    let data = json!({"release": base64(value(text).as_bytes())});
    t.secret_object(name, json!({"type": "helm.sh/release.v1", "data": data}))
        .await;
}

async fn releases_of_helm_are_never_seen(t: &Test) {
    let lease = t.another_namespace().await;
    release(t, "sh.helm.release.v1.web.v1", "A").await;
    t.secret("plain", &[("a", "A")]).await;
    t.deploy(deployment("web").annotated("windlass.dev/secrets", "*.v1,*.v2,plain"))
        .await;
    start(t, &["--lease-namespace", &lease]).await;
    let secrets = async |count| t.metric("windlass_sources", &[("kind", "Secret")], count).await;
    // The plain one and the marker's.
    secrets(2).await;

    release(t, "sh.helm.release.v1.web.v1", "B").await;
    release(t, "sh.helm.release.v1.web.v2", "A").await;
    t.secret("later", &[("a", "A")]).await;
    rolls(t, "web", 0).await;
    secrets(3).await;
    t.secret("plain", &[("a", "B")]).await;
    rolls(t, "web", 1).await;
}

async fn no_value_is_ever_seen_elsewhere(t: &Test) {
    // In text, in bytes that are no text, and in a MiB; beside it in the annotation of `kubectl apply`,
    // which is metadata and thus comes with every watch.
    let contents = |text: &str| {
        let secret = value(text);
        let binary = [&[0xff, 0, 0xfe][..], secret.as_bytes(), &[0x80, 0xff]].concat();
        let large = secret.repeat(1_000_000 / secret.len());
        json!({
            "stringData": {"text": secret.clone(), "Key.With_All-characters": secret},
            "data": {"binary": base64(&binary), "large": base64(large.as_bytes())}
        })
    };
    let applied = |text: &str| {
        let applied = json!({"data": {"text": base64(value(text).as_bytes())}, "stringData": {"text": value(text)}});
        json!({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied.to_string()}})
    };
    let write = async |text: &str| {
        t.secret_object("web", contents(text)).await;
        t.mark::<Secret>("web", applied(text)).await;
        t.config("web", &[("level", text)]).await;
        t.mark::<ConfigMap>("web", applied(text)).await;
    };
    write("A").await;
    t.deploy(
        deployment("web")
            .uses(env_from("web").of_secret())
            .uses(volume("web").of_secret())
            .uses(env("web", "level")),
    )
    .await;
    start(t, &["--log-level", "trace"]).await;

    write("B").await;
    t.await_template_changes("web", 1).await;
    t.delete_secret("web").await;
    t.event("web", "SourceMissing").await;
    write("C").await;
    t.await_template_changes("web", 2).await;
    t.everything_of_secrets_is_done().await;

    assert!(t.logs().contains("\"TRACE\""), "nothing was traced");
    t.nothing_leaked().await;
}

async fn what_cannot_be_decoded_is_not_shown(t: &Test) {
    for name in ["of-config", "of-secret"] {
        t.config(name, &[("level", "A")]).await;
        t.secret(name, &[("level", "A")]).await;
    }
    t.deploy(deployment("of-config").uses(env("of-config", "level"))).await;
    t.deploy(deployment("of-secret").uses(env("of-secret", "level").of_secret()))
        .await;
    t.settle_in().await;
    let (wire, kubeconfig) = t.wire().await;
    let mut flags = own_lease(t);
    // That one prints what it could not decode.
    flags.extend(["--log-level", "trace,kube_client::client=trace"].map(str::to_owned));
    let controller = t.installation(kubeconfig, flags).await;
    controller.await_ready().await;
    t.all_adopted().await;

    wire.spoil(Some((r#""data":{"level":"#, r#""data":["level","#)));
    t.config("of-config", &[("level", "B")]).await;
    t.secret("of-secret", &[("level", "B")]).await;
    await_condition("both to be noticed", async || {
        let log = controller.log();
        let read = log
            .lines()
            .any(|line| line.contains("cannot read the source") && line.contains("of-secret"));
        anyhow::ensure!(read, "the Secret is not");
        let undecodable = [("resource", "configmaps"), ("reason", "undecodable")];
        let watched = controller.metric("windlass_watch_restarts_total", &undecodable).await?;
        anyhow::ensure!(watched > 0.5, "the ConfigMap is not");
        Ok(())
    })
    .await;
    t.nothing_leaked().await;
    for name in ["of-config", "of-secret"] {
        assert_eq!(t.template_changes(name).await, 0, "{name}");
    }

    wire.spoil(None);
    for name in ["of-config", "of-secret"] {
        t.await_template_changes(name, 1).await;
    }
    controller.stop().await;
}

async fn a_digest_cannot_be_checked_against_a_guess(t: &Test) {
    let secret = "hunter2";
    let key = "password";
    t.secret_object("web", json!({"data": {key: base64(secret.as_bytes())}}))
        .await;
    t.deploy(deployment("web").uses(env("web", key).of_secret())).await;
    start(t, &[]).await;
    let before = t.deployment("web").await;
    let adopted = annotation(&before, OBSERVED).expect("it was adopted").to_owned();
    let secret_again = "hunter3";
    t.secret_object("web", json!({"data": {key: base64(secret_again.as_bytes())}}))
        .await;
    rolls(t, "web", 1).await;

    let after = t.deployment("web").await;
    let written = [
        adopted,
        annotation(&after, OBSERVED).expect("it was adopted").to_owned(),
        template_annotation(&after, CONFIG_DIGEST).expect("it was restarted"),
    ];
    let uid = after.metadata.uid.clone().unwrap_or_default();
    let names = [
        t.namespace.as_str(),
        "web",
        key,
        "Secret",
        &uid,
        "",
        "windlass",
        "windlass.dev",
    ];
    let guesses: Vec<_> = [secret, secret_again]
        .iter()
        .flat_map(|it| guesses(it, key, &names))
        .collect();
    // The search does find one where there is one.
    let plain = Sha256::digest(secret);
    for leak in [
        json!({"src": {"web": URL_SAFE_NO_PAD.encode(&plain[..12])}}).to_string(),
        json!({"src": base64(&[&[1, 2, 3, 4, 5], &plain[..6]].concat())}).to_string(),
        format!("k1.{}", hex(&plain[..8])),
    ] {
        assert!(reproduced(&leak, &guesses).is_some(), "{leak}");
    }
    for text in written {
        assert_eq!(reproduced(&text, &guesses), None, "{text}");
    }
}

/// What somebody would try who knows how such digests are usually made.
fn guesses(secret: &str, key: &str, names: &[&str]) -> Vec<[u8; 32]> {
    let encoded = base64(secret.as_bytes());
    let mut inputs = Vec::new();
    for value in [secret, &encoded] {
        inputs.push(value.to_owned());
        for separator in ["", "=", ":", "\0", "\n", "/"] {
            inputs.push(format!("{key}{separator}{value}"));
        }
        for end in [";", "\n", ","] {
            inputs.push(format!("{key}={value}{end}"));
        }
        inputs.push(json!({key: value}).to_string());
        for name in names {
            inputs.push(format!("{name}{value}"));
            inputs.push(format!("{name}/{key}{value}"));
        }
    }
    let mut digests = Vec::new();
    for input in &inputs {
        digests.push(Sha256::digest(input).into());
        digests.push(Sha256::digest(Sha256::digest(input)).into());
        for name in names {
            let mut mac = Hmac::<Sha256>::new_from_slice(name.as_bytes()).expect("any length will do");
            mac.update(input.as_bytes());
            digests.push(mac.finalize().into_bytes().into());
            let mut mac = Hmac::<Sha256>::new_from_slice(name.as_bytes()).expect("any length will do");
            mac.update(&Sha256::digest(input));
            digests.push(mac.finalize().into_bytes().into());
        }
    }
    digests
}

/// A part of the text that is, or holds, the beginning of one of these digests in hex or base64.
fn reproduced(text: &str, digests: &[[u8; 32]]) -> Option<String> {
    let is_of_base64 = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
    text.split(|c| !is_of_base64(c)).find_map(|part| {
        let as_base64 = URL_SAFE_NO_PAD.decode(part.replace('+', "-").replace('/', "_"));
        let pairs = part.as_bytes().chunks(2).map(std::str::from_utf8);
        let as_hex: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair.ok()?, 16).ok()).collect();
        let found = [as_base64.ok(), as_hex].into_iter().flatten().any(|bytes| {
            // Four bytes are the same by chance once in four thousand million times.
            bytes
                .windows(4)
                .any(|window| digests.iter().any(|digest| digest.starts_with(window)))
        });
        found.then(|| part.to_owned())
    })
}

/// All that it needs, but to read Secrets only of these names.
fn rights(readable: &[&str]) -> Value {
    json!([
        {"apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch", "create"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": readable},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch", "patch"]},
        {"apiGroups": ["windlass.dev"], "resources": ["rolloutpolicies"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get", "list"]},
        {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch", "update"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update", "patch"]}
    ])
}

async fn a_secret_that_cannot_be_read_holds_its_users_only(t: &Test) {
    t.secret("closed", &[("a", "A")]).await;
    t.secret("open", &[("a", "A")]).await;
    t.deploy(deployment("web").uses(env("closed", "a").of_secret())).await;
    t.deploy(deployment("other").uses(env("open", "a").of_secret())).await;
    t.settle_in().await;
    t.grant("few", rights(&["open", "windlass-digest-key"])).await;
    let limited = t.cluster.limited.clone().expect("only run in a cluster of ours");
    let mut flags = own_lease(t);
    flags.extend(["--workload-kinds", "Deployment"].map(str::to_owned));
    let audit = t.audit(LIMITED_USER);
    let controller = t.installation(limited, flags).await;
    controller.await_ready().await;

    let message = t.warning("web", "SourceUnreadable").await;
    assert!(
        message.contains("Secret closed") && message.contains("get"),
        "{message}"
    );
    let held = async |count: u32| {
        await_condition("the metric to say so", async || {
            let held = controller
                .metric("windlass_workloads_held", &[("reason", "SourceUnreadable")])
                .await?;
            anyhow::ensure!((held - f64::from(count)).abs() < 0.5, "{held} are held");
            Ok(())
        })
        .await;
    };
    held(1).await;
    t.adopted("other").await;
    t.secret("closed", &[("a", "B")]).await;
    t.secret("open", &[("a", "B")]).await;
    t.await_template_changes("other", 1).await;
    t.rolls("web", 0).await;
    assert_eq!(t.event_count("web", "SourceUnreadable").await, 1);
    let tries = audit.reads("secrets").get("closed").copied().unwrap_or(0);
    assert!((1..=12).contains(&tries), "{tries} tries to read it");

    t.grant("more", rights(&["closed"])).await;
    t.adopted("web").await;
    held(0).await;
    t.rolls("web", 0).await;
    t.secret("closed", &[("a", "C")]).await;
    t.await_template_changes("web", 1).await;
    controller.stop().await;
}

async fn ignore(t: &Test, source: &str, value: impl Into<Value>) {
    t.mark::<Secret>(source, json!({"annotations": {"windlass.dev/ignore": value.into()}}))
        .await;
}

async fn a_secret_that_asks_to_be_ignored_does_not_count(t: &Test) {
    t.secret("web", &[("a", "A")]).await;
    ignore(t, "web", "true").await;
    t.deploy(deployment("web").uses(env("web", "a").of_secret())).await;
    start(t, &[]).await;

    t.meanwhile(t.secret("web", &[("a", "B")])).await;
    rolls(t, "web", 0).await;

    // From here on it counts, with the content that it has here.
    t.meanwhile(ignore(t, "web", Value::Null)).await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.secret("web", &[("a", "C")])).await;
    rolls(t, "web", 1).await;
}

async fn deleted_and_created_again_with_the_same_content_is_nothing(t: &Test) {
    t.secret("web", &[("a", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "a").of_secret())).await;
    start(t, &[]).await;

    t.meanwhile(async {
        t.delete_secret("web").await;
        t.secret("web", &[("a", "A")]).await;
    })
    .await;
    rolls(t, "web", 0).await;
    t.state("Current", 4).await;
    t.meanwhile(async {
        t.delete_secret("web").await;
        t.secret("web", &[("a", "B")]).await;
    })
    .await;
    rolls(t, "web", 1).await;
}

async fn secrets_are_named_and_excluded_by_pattern(t: &Test) {
    for name in ["keys-a", "keys-b", "key", "noise", "noise-more"] {
        t.secret(name, &[("a", "A")]).await;
    }
    // By the same name, and not meant.
    t.config("keys-a", &[("a", "A")]).await;
    t.deploy(
        deployment("web")
            .uses(env("noise", "a").of_secret())
            .uses(volume("noise-more").of_secret())
            .annotated("windlass.dev/secrets", "keys-?, none-*")
            .annotated("windlass.dev/exclude-secrets", "noise,noise-*,keys-b"),
    )
    .await;
    start(t, &[]).await;

    t.meanwhile(async {
        for name in ["keys-b", "key", "noise", "noise-more"] {
            t.secret(name, &[("a", "B")]).await;
        }
        t.config("keys-a", &[("a", "B")]).await;
    })
    .await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.secret("keys-a", &[("a", "B")])).await;
    rolls(t, "web", 1).await;
    // What begins to match is taken as it is.
    t.meanwhile(t.secret("keys-c", &[("a", "A")])).await;
    rolls(t, "web", 1).await;
    t.meanwhile(t.secret("keys-c", &[("a", "B")])).await;
    rolls(t, "web", 2).await;
}

/// Found with one that was first read long after its list: pods that had been started before were
/// taken for ones that run something else.
async fn a_secret_that_begins_to_count_restarts_nothing(t: &Test) {
    t.secret("own", &[("a", "A")]).await;
    t.deploy(deployment("web").uses(env("own", "a").of_secret())).await;
    start(t, &[]).await;
    t.secret("own", &[("a", "B")]).await;
    rolls(t, "web", 1).await;
    t.replace_pods("web").await;
    next_second().await;

    t.meanwhile(async {
        t.secret("new", &[("a", "A")]).await;
        t.annotate("web", "windlass.dev/secrets", "new").await;
    })
    .await;
    rolls(t, "web", 1).await;
    t.secret("later", &[("a", "A")]).await;
    t.secret("later", &[("a", "B")]).await;
    t.everything_of_secrets_is_done().await;
    t.meanwhile(t.annotate("web", "windlass.dev/secrets", "new,later"))
        .await;
    rolls(t, "web", 1).await;
    t.meanwhile(t.secret("later", &[("a", "C")])).await;
    rolls(t, "web", 2).await;
}

async fn sources_without_the_label_do_not_count_and_are_not_missed(t: &Test) {
    let ours = || json!({"labels": {"team": "web"}});
    t.config("ours", &[("a", "A")]).await;
    t.secret("ours", &[("a", "A")]).await;
    t.mark::<ConfigMap>("ours", ours()).await;
    t.mark::<Secret>("ours", ours()).await;
    t.config("theirs", &[("a", "A")]).await;
    t.secret("theirs", &[("a", "A")]).await;
    t.deploy(
        deployment("web")
            .uses(env("ours", "a"))
            .uses(volume("ours").of_secret())
            .uses(env("theirs", "a"))
            .uses(volume("theirs").of_secret())
            .uses(env("absent", "a").of_secret()),
    )
    .await;
    t.deploy_secret_marker().await;
    t.settle_in().await;
    t.mark::<Secret>(SECRET_MARKER, ours()).await;
    for marker in ["marker-1", "marker-2"] {
        t.mark::<ConfigMap>(marker, ours()).await;
    }
    t.start(&["--source-selector", "team in (web, shop)"]).await;
    t.all_adopted().await;

    t.meanwhile(async {
        t.config("theirs", &[("a", "B")]).await;
        t.secret("theirs", &[("a", "B")]).await;
    })
    .await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.secret("ours", &[("a", "B")])).await;
    rolls(t, "web", 1).await;
    t.meanwhile(t.config("ours", &[("a", "B")])).await;
    rolls(t, "web", 2).await;
    assert_eq!(t.event_count("web", "SourceMissing").await, 0);

    // One that gains the label is taken as it is.
    t.meanwhile(t.mark::<Secret>("theirs", ours())).await;
    rolls(t, "web", 2).await;
    t.meanwhile(t.secret("theirs", &[("a", "C")])).await;
    rolls(t, "web", 3).await;
    // One that loses it does not count any more, and is not missed either.
    t.meanwhile(t.mark::<Secret>("theirs", json!({"labels": {"team": null}})))
        .await;
    rolls(t, "web", 3).await;
    t.meanwhile(t.secret("theirs", &[("a", "D")])).await;
    rolls(t, "web", 3).await;
    assert_eq!(t.event_count("web", "SourceMissing").await, 0);
}

fn with_optional_sources(name: &str) -> Workload {
    deployment(name)
        .uses(env("maybe", "a").optional().of_secret())
        .uses(volume("maybe").optional())
}

async fn a_source_that_appears_or_goes_is_a_change(t: &Test) {
    t.deploy(with_optional_sources("web")).await;
    start(t, &[]).await;

    t.meanwhile(t.secret("maybe", &[("a", "A")])).await;
    rolls(t, "web", 1).await;
    t.meanwhile(t.config("maybe", &[("a", "A")])).await;
    rolls(t, "web", 2).await;
    t.meanwhile(t.delete_secret("maybe")).await;
    rolls(t, "web", 3).await;
    t.meanwhile(t.delete_config("maybe")).await;
    rolls(t, "web", 4).await;
}

async fn unless_the_flags_say_that_it_is_none(t: &Test) {
    t.deploy(with_optional_sources("web")).await;
    start(t, &["--on-create=false", "--on-delete=false"]).await;

    t.meanwhile(async {
        t.secret("maybe", &[("a", "A")]).await;
        t.config("maybe", &[("a", "A")]).await;
    })
    .await;
    rolls(t, "web", 0).await;
    t.meanwhile(t.secret("maybe", &[("a", "B")])).await;
    rolls(t, "web", 1).await;
    t.meanwhile(t.config("maybe", &[("a", "B")])).await;
    rolls(t, "web", 2).await;
    t.meanwhile(async {
        t.delete_secret("maybe").await;
        t.delete_config("maybe").await;
    })
    .await;
    rolls(t, "web", 2).await;
    // A key of one that is there is no source.
    t.meanwhile(t.config("maybe", &[("a", "C")])).await;
    rolls(t, "web", 2).await;
    t.meanwhile(t.config("maybe", &[("a", "C"), ("b", "A")])).await;
    rolls(t, "web", 3).await;
}
