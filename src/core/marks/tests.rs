use serde_json::json;

use super::*;

const DIGEST: &str = "k1:abc";

fn reloaded_from(hash: &str) -> String {
    json!({ "type": "CONFIGMAP", "name": "web", "namespace": "shop", "hash": hash }).to_string()
}

/// A pod template with these annotations.
fn annotated(annotations: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<String, Value> = annotations
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    json!({ "metadata": { "annotations": annotations } })
}

/// A pod template of one container, `web`, with this environment.
fn with_env(variables: &[(&str, &str)]) -> Value {
    containers(json!([container("web", variables)]))
}

fn containers(containers: Value) -> Value {
    json!({ "spec": { "containers": containers } })
}

fn container(name: &str, variables: &[(&str, &str)]) -> Value {
    let env: Vec<Value> = variables
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    json!({ "name": name, "env": env })
}

/// On a workload that has no annotation.
fn marks(template: &Value) -> Option<Box<Marks>> {
    Marks::of(template, |_| None)
}

fn found(template: &Value) -> Marks {
    *marks(template).expect("there are marks")
}

#[test]
fn what_counts_as_a_mark() {
    let table = [
        ("nothing", json!({}), None),
        (
            "an empty template",
            json!({ "metadata": {}, "spec": { "containers": [{ "name": "web" }] } }),
            None,
        ),
        (
            "Reloader's annotation",
            annotated(&[(reloader::LAST_RELOADED_FROM, "{}")]),
            Some(Origin::Reloader),
        ),
        (
            "Reloader's annotation with somebody's hash",
            annotated(&[(reloader::LAST_RELOADED_FROM, &reloaded_from("5f9c"))]),
            Some(Origin::Reloader),
        ),
        (
            "Reloader's annotation, and it is no JSON",
            annotated(&[(reloader::LAST_RELOADED_FROM, "5f9c"), (CONFIG_DIGEST, "5f9c")]),
            Some(Origin::Reloader),
        ),
        (
            "Wave's annotation",
            annotated(&[(wave::CONFIG_HASH, "5f9c")]),
            Some(Origin::Wave),
        ),
        (
            "Reloader's variable",
            with_env(&[("STAKATER_WEB_CONFIGMAP", "5f9c")]),
            Some(Origin::Reloader),
        ),
        (
            "Reloader's variable of a Secret",
            with_env(&[("STAKATER_TLS_SECRET", "5f9c")]),
            Some(Origin::Reloader),
        ),
        (
            "a variable of Reloader's name without a value",
            containers(json!([{ "name": "web", "env": [{ "name": "STAKATER_WEB_CONFIGMAP" }] }])),
            Some(Origin::Reloader),
        ),
        (
            "Wave's scheduler",
            json!({ "spec": { "schedulerName": wave::NO_SCHEDULER } }),
            Some(Origin::Wave),
        ),
        (
            "another scheduler",
            json!({ "spec": { "schedulerName": "default-scheduler" } }),
            None,
        ),
        (
            "another variable",
            with_env(&[("STAKATER_WEB", "x"), ("WEB_CONFIGMAP", "x"), ("LEVEL", "x")]),
            None,
        ),
        (
            "what people ask Reloader for",
            annotated(&[(reloader::AUTO, "true"), (reloader::SEARCH, "true")]),
            None,
        ),
        ("our own annotations", annotated(&[(CONFIG_DIGEST, DIGEST)]), None),
    ];
    for (sentence, template, expected) in table {
        assert_eq!(marks(&template).map(|marks| marks.origin), expected, "{sentence}");
    }
}

#[test]
fn what_we_wrote_in_their_stead_is_no_mark() {
    let mark = |hash: &str, digest: &[(&str, &str)]| {
        let text = reloaded_from(hash);
        marks(&annotated(
            &[&[(reloader::LAST_RELOADED_FROM, text.as_str())], digest].concat(),
        ))
        .is_some()
    };
    assert!(!mark(DIGEST, &[(CONFIG_DIGEST, DIGEST)]));
    assert!(
        mark(DIGEST, &[(CONFIG_DIGEST, "k1:other")]),
        "somebody wrote it after us"
    );
    assert!(mark(DIGEST, &[]), "our digest is gone");
    assert!(
        marks(&annotated(&[(reloader::LAST_RELOADED_FROM, "{}")])).is_some(),
        "no hash and no digest are not the same hash"
    );
}

#[test]
fn ours_beside_a_mark_of_another_leaves_only_the_others() {
    let found = found(&annotated(&[
        (reloader::LAST_RELOADED_FROM, &reloaded_from(DIGEST)),
        (CONFIG_DIGEST, DIGEST),
        (wave::CONFIG_HASH, "5f9c"),
    ]));
    assert_eq!(*found.annotations, [wave::CONFIG_HASH]);
    assert_eq!(found.origin, Origin::Wave);
}

/// One that moved to our own annotations was held as one that Reloader is at work on.
#[test]
fn ours_of_an_earlier_restart_goes_and_is_nobody_at_work() {
    let ours = |text: &str| format!("k1795268550.{text}");
    let stale = found(&annotated(&[
        (
            reloader::LAST_RELOADED_FROM,
            &reloaded_from(&ours("NeZrSYqORF4hQQpPe8E2lg")),
        ),
        (CONFIG_DIGEST, &ours("lfQG9ms4zobLJJf7s8Ve9Q")),
    ]));
    assert_eq!(*stale.annotations, [reloader::LAST_RELOADED_FROM]);
    assert!(!stale.moved_since(None));
}

#[test]
fn each_mark_is_found_where_it_stands() {
    let found = found(&json!({
        "metadata": { "annotations": { (reloader::LAST_RELOADED_FROM): "{}", (wave::CONFIG_HASH): "5f9c" } },
        "spec": {
            "initContainers": [container("migrate", &[("STAKATER_TLS_SECRET", "1")])],
            "containers": [
                container("web", &[("LEVEL", "info"), ("STAKATER_WEB_CONFIGMAP", "2")]),
                container("proxy", &[("STAKATER_WEB_CONFIGMAP", "3")]),
                { "env": [{ "name": "STAKATER_WEB_CONFIGMAP" }] },
            ],
        },
    }));
    assert_eq!(*found.annotations, [reloader::LAST_RELOADED_FROM, wave::CONFIG_HASH]);
    let places: Vec<_> = found
        .variables
        .iter()
        .map(|it| (it.list, &*it.container, &*it.name))
        .collect();
    assert_eq!(
        places,
        [
            ("containers", "web", "STAKATER_WEB_CONFIGMAP"),
            ("containers", "proxy", "STAKATER_WEB_CONFIGMAP"),
            ("initContainers", "migrate", "STAKATER_TLS_SECRET"),
        ]
    );
}

#[test]
fn the_scheduler_that_pods_were_meant_for() {
    let unscheduled = json!({ "spec": { "schedulerName": wave::NO_SCHEDULER } });
    let with = |held: Option<&'static str>| {
        let marks = Marks::of(&unscheduled, |name| held.filter(|_| name == wave::SCHEDULING_DISABLED));
        marks.expect("there is a mark").scheduler
    };
    assert_eq!(with(Some("mine")).as_deref(), Some("mine"));
    assert_eq!(with(Some("")).as_deref(), Some(""));
    assert_eq!(with(None).as_deref(), Some(""));
    let scheduled = annotated(&[(wave::CONFIG_HASH, "5f9c")]);
    assert_eq!(
        Marks::of(&scheduled, |_| Some("mine"))
            .expect("there is a mark")
            .scheduler,
        None
    );
}

#[test]
fn marks_move_when_one_is_written() {
    let reloaded = |hash: &str| annotated(&[(reloader::LAST_RELOADED_FROM, &reloaded_from(hash))]);
    let hashed = |hash: &str| annotated(&[(wave::CONFIG_HASH, hash)]);
    let variable = |value: &str| with_env(&[("STAKATER_WEB_CONFIGMAP", value)]);
    let two = |first: &str, second: &str| {
        containers(json!([
            container("web", &[("STAKATER_WEB_CONFIGMAP", first)]),
            container("proxy", &[("STAKATER_TLS_SECRET", second)]),
        ]))
    };
    let two_in_the_other_order = containers(json!([
        container("proxy", &[("STAKATER_TLS_SECRET", "2")]),
        container("web", &[("STAKATER_WEB_CONFIGMAP", "1")]),
    ]));
    let unscheduled = json!({ "spec": { "schedulerName": wave::NO_SCHEDULER } });
    let table = [
        ("the same annotation", reloaded("1"), reloaded("1"), false),
        (
            "another value of Reloader's annotation",
            reloaded("1"),
            reloaded("2"),
            true,
        ),
        ("another value of Wave's annotation", hashed("1"), hashed("2"), true),
        ("the same variable", variable("1"), variable("1"), false),
        ("another value of a variable", variable("1"), variable("2"), true),
        ("the first one", json!({}), variable("1"), true),
        (
            "the first one after a scheduler",
            unscheduled.clone(),
            hashed("1"),
            true,
        ),
        (
            "another variable of the same value",
            variable("1"),
            with_env(&[("STAKATER_WEB_SECRET", "1")]),
            true,
        ),
        (
            "a name and a value that together read the same",
            with_env(&[("STAKATER_A_SECRET", "_SECRET1")]),
            with_env(&[("STAKATER_A_SECRET_SECRET", "1")]),
            true,
        ),
        ("one of two", two("1", "2"), two("1", "3"), true),
        ("a second one", variable("1"), two("1", "2"), true),
        (
            "another's besides",
            variable("1"),
            {
                let mut both = variable("1");
                both["metadata"] = hashed("1")["metadata"].take();
                both
            },
            true,
        ),
        // Found by this test: each of these held the workload for an hour's quarrel with nobody.
        (
            "the containers stand in another order",
            two("1", "2"),
            two_in_the_other_order,
            false,
        ),
        (
            "a container went with its variable",
            two("1", "2"),
            variable("1"),
            false,
        ),
        (
            "the container has another name",
            variable("1"),
            containers(json!([container("app", &[("STAKATER_WEB_CONFIGMAP", "1")])])),
            false,
        ),
        ("nothing but a scheduler", json!({}), unscheduled, false),
        (
            "something else of the template",
            variable("1"),
            with_env(&[("STAKATER_WEB_CONFIGMAP", "1"), ("LEVEL", "debug")]),
            false,
        ),
    ];
    for (sentence, before, after, moved) in table {
        assert_eq!(
            marks(&after).is_some_and(|after| after.moved_since(marks(&before).as_deref())),
            moved,
            "{sentence}"
        );
    }
}

#[test]
fn names_of_marks() {
    for name in [
        "STAKATER_WEB_CONFIGMAP",
        "STAKATER_WEB_SECRET",
        "STAKATER_FOO_BAR_SECRET",
    ] {
        assert!(is_mark_variable(name), "{name}");
    }
    for name in [
        "STAKATER_WEB",
        "WEB_CONFIGMAP",
        "stakater_web_configmap",
        "MY_STAKATER_WEB_SECRET",
        "",
    ] {
        assert!(!is_mark_variable(name), "{name}");
    }
    assert!(is_mark(reloader::LAST_RELOADED_FROM) && is_mark(wave::CONFIG_HASH));
    assert!(!is_mark(reloader::AUTO) && !is_mark(wave::UPDATE) && !is_mark(CONFIG_DIGEST));
}
