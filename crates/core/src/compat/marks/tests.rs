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
        .map(|(name, value)| {
            // As Reloader writes them.
            let value = if is_named_as_a_mark(name) {
                format!("{value:0>40}")
            } else {
                (*value).to_owned()
            };
            json!({ "name": name, "value": value })
        })
        .collect();
    json!({ "name": name, "env": env })
}

fn is_named_as_a_mark(variable: &str) -> bool {
    source_of(variable).is_some()
}

/// On a workload that has no annotation, and uses any source.
fn marks(template: &Value) -> Option<Box<ControllerMarks>> {
    ControllerMarks::of(template, |_| None, NamedSources::any())
}

fn found(template: &Value) -> ControllerMarks {
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
            None,
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
        let marks = ControllerMarks::of(
            &unscheduled,
            |name| held.filter(|_| name == wave::SCHEDULING_DISABLED),
            NamedSources::any(),
        );
        marks.expect("there is a mark").scheduler
    };
    assert_eq!(with(Some("mine")).as_deref(), Some("mine"));
    assert_eq!(with(Some("")).as_deref(), Some(""));
    assert_eq!(with(None).as_deref(), Some(""));
    let scheduled = annotated(&[(wave::CONFIG_HASH, "5f9c")]);
    assert_eq!(
        ControllerMarks::of(&scheduled, |_| Some("mine"), NamedSources::any())
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
    let of = |name| source_of(name).map(|(kind, called)| (kind, called.to_owned()));
    assert_eq!(
        of("STAKATER_WEB_CONFIGMAP"),
        Some((SourceKind::ConfigMap, "WEB".to_owned()))
    );
    assert_eq!(
        of("STAKATER_FOO_BAR_SECRET"),
        Some((SourceKind::Secret, "FOO_BAR".to_owned()))
    );
    assert_eq!(
        of("STAKATER_SECRET_CONFIGMAP"),
        Some((SourceKind::ConfigMap, "SECRET".to_owned()))
    );
    for name in [
        "STAKATER_WEB",
        "STAKATER_SECRET",
        "WEB_CONFIGMAP",
        "stakater_web_configmap",
        "MY_STAKATER_WEB_SECRET",
        "",
    ] {
        assert_eq!(of(name), None, "{name}");
    }
    for (source, part) in [
        ("web", "WEB"),
        ("foo-bar", "FOO_BAR"),
        ("a.b-c", "A_B_C"),
        ("a--b", "A_B"),
        ("1.x", "1_X"),
    ] {
        assert_eq!(variable_part(source), part, "{source}");
    }
    assert!(is_mark(reloader::LAST_RELOADED_FROM) && is_mark(wave::CONFIG_HASH));
    assert!(!is_mark(reloader::AUTO) && !is_mark(wave::UPDATE) && !is_mark(CONFIG_DIGEST));
}

const SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

/// Every one that looked like Reloader's by its name was deleted.
#[test]
fn whose_a_variable_is() {
    let template = json!({ "spec": { "containers": [{
        "name": "web",
        "envFrom": [{ "configMapRef": { "name": "web-flags" } }],
        "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "tls.web", "key": "a" } } }],
    }] } });
    let uses = crate::workload::reference::discover(&template);
    let named = |list: &str| OptIn {
        secrets: crate::workload::opt_in::Selection {
            named: crate::workload::pattern::Pattern::expression(list)
                .into_iter()
                .collect(),
            ..Default::default()
        },
        ..OptIn::default()
    };
    let (exact, expression) = (named("licence"), named("licence-.*"));
    let plain = |name: &str, value: &str| json!({ "name": name, "value": value });
    let upper = SHA1.to_uppercase();
    let table = [
        (
            "of a source by envFrom",
            plain("STAKATER_WEB_FLAGS_CONFIGMAP", SHA1),
            None,
            true,
        ),
        ("of a source by env", plain("STAKATER_TLS_WEB_SECRET", SHA1), None, true),
        (
            "of one of the other kind",
            plain("STAKATER_TLS_WEB_CONFIGMAP", SHA1),
            None,
            false,
        ),
        (
            "of one that it does not use",
            plain("STAKATER_LICENCE_SECRET", SHA1),
            None,
            false,
        ),
        (
            "of one that its annotations name",
            plain("STAKATER_LICENCE_SECRET", SHA1),
            Some(&exact),
            true,
        ),
        (
            "of one that its annotations do not name",
            plain("STAKATER_LICENSE_SECRET", SHA1),
            Some(&exact),
            false,
        ),
        (
            "an expression may name any",
            plain("STAKATER_LICENCE_2_SECRET", SHA1),
            Some(&expression),
            true,
        ),
        (
            "but of its kind",
            plain("STAKATER_LICENCE_2_CONFIGMAP", SHA1),
            Some(&expression),
            false,
        ),
        ("no SHA-1", plain("STAKATER_TLS_WEB_SECRET", "v2"), None, false),
        ("nothing", plain("STAKATER_TLS_WEB_SECRET", ""), None, false),
        (
            "a digit less",
            plain("STAKATER_TLS_WEB_SECRET", &SHA1[1..]),
            None,
            false,
        ),
        ("in capitals", plain("STAKATER_TLS_WEB_SECRET", &upper), None, false),
        (
            "from elsewhere",
            json!({ "name": "STAKATER_TLS_WEB_SECRET", "valueFrom": { "secretKeyRef": { "name": "tls.web", "key": "a" } } }),
            None,
            false,
        ),
        ("no value", json!({ "name": "STAKATER_TLS_WEB_SECRET" }), None, false),
        ("no object", json!("STAKATER_TLS_WEB_SECRET"), None, false),
    ];
    for (sentence, item, opt_in, is_mark) in table {
        let named = NamedSources { uses: &uses, opt_in };
        assert_eq!(named.is_mark(&item), is_mark, "{sentence}");
        let with = containers(json!([{ "name": "web", "env": [item] }]));
        let variables = ControllerMarks::of(&with, |_| None, named).map_or(0, |marks| marks.variables.len());
        assert_eq!(variables, usize::from(is_mark), "{sentence}");
    }
}

#[test]
fn a_variable_that_shares_its_name_with_one_of_the_application_stays() {
    let env = json!([
        { "name": "STAKATER_WEB_SECRET", "value": SHA1 },
        { "name": "STAKATER_WEB_SECRET", "valueFrom": { "secretKeyRef": { "name": "web", "key": "a" } } },
        { "name": "STAKATER_WEB_CONFIGMAP", "value": SHA1 },
    ]);
    let found = found(&containers(json!([{ "name": "web", "env": env }])));
    let names: Vec<_> = found.variables.iter().map(|variable| &*variable.name).collect();
    assert_eq!(names, ["STAKATER_WEB_CONFIGMAP"]);
}

#[test]
fn an_expression_lets_only_variables_of_sources_that_count_be_taken_off() {
    let found = found(&with_env(&[
        ("STAKATER_WEB_CONFIGMAP", "1"),
        ("STAKATER_TLS_SECRET", "2"),
        ("STAKATER_BUILD_SECRET", "3"),
    ]));
    let source = |kind, name: &str| SourceRef {
        namespace: "shop".into(),
        kind,
        name: name.into(),
    };
    let counting = [
        source(SourceKind::Secret, "tls"),
        source(SourceKind::ConfigMap, "build"),
    ];
    let uses = crate::workload::reference::discover(&containers(json!([
        { "name": "web", "envFrom": [{ "configMapRef": { "name": "web" } }] },
    ])));
    let names = |marks: &ControllerMarks| marks.variables.iter().map(|it| it.name.to_string()).collect::<Vec<_>>();
    let left = found.of_sources(counting.iter(), &uses);
    assert_eq!(names(&left), ["STAKATER_WEB_CONFIGMAP", "STAKATER_TLS_SECRET"]);
    assert!(found.of_sources([].iter(), &[]).variables.is_empty());
}

/// These held the workload for an hour as if another controller were at work.
#[test]
fn marks_that_are_old_by_their_own_account_are_no_news() {
    let annotation = |hash: &str, at: Option<i64>| {
        let mut mark = json!({ "type": "CONFIGMAP", "name": "web", "hash": hash });
        if let Some(at) = at {
            mark["observedAt"] = at.into();
        }
        annotated(&[(reloader::LAST_RELOADED_FROM, &mark.to_string())])
    };
    let none = json!({});
    let ours = Some(jiff::Timestamp::from_second(1000).expect("a time"));
    let table = [
        (
            "long before our last word",
            none.clone(),
            annotation("1", Some(900)),
            ours,
            false,
        ),
        (
            "about our last word",
            none.clone(),
            annotation("1", Some(999)),
            ours,
            true,
        ),
        (
            "after our last word",
            none.clone(),
            annotation("1", Some(1001)),
            ours,
            true,
        ),
        (
            "before we ever had one",
            none.clone(),
            annotation("1", Some(1)),
            None,
            true,
        ),
        ("it does not say when", none.clone(), annotation("1", None), ours, true),
        (
            "a variable never says when",
            none,
            with_env(&[("STAKATER_WEB_CONFIGMAP", "1")]),
            ours,
            true,
        ),
        (
            "older than was there",
            annotation("2", Some(990)),
            annotation("1", Some(980)),
            None,
            false,
        ),
        (
            "later than was there",
            annotation("1", Some(980)),
            annotation("2", Some(990)),
            None,
            true,
        ),
        (
            "what was there",
            annotation("1", Some(980)),
            annotation("1", Some(980)),
            None,
            false,
        ),
    ];
    for (sentence, before, after, ours, is_news) in table {
        let before = marks(&before);
        assert_eq!(
            found(&after).news(before.as_deref(), ours).is_some(),
            is_news,
            "{sentence}"
        );
    }
}
