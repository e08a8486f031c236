use proptest::{prop_assert_eq, proptest};

use super::*;
use crate::annotation::{
    CONFIGMAPS, ENABLED, EXCLUDE_CONFIGMAPS, EXCLUDE_SECRETS, POLICY, SECRETS, STRATEGY, reloader, wave,
};
use crate::types::glob;
use crate::types::name::Name;
use crate::workload::asked::read;
use crate::workload::kind::DEPLOYMENT;

fn read_with(reading: AnnotationOptions, annotations: &[(&str, &str)]) -> Result<Option<OptIn>, InvalidAnnotation> {
    let get = |name: &str| annotations.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
    let annotations = Annotations {
        workload: &get,
        template: &|_| None,
    };
    read(&annotations, DEPLOYMENT, &Namespace::from("shop"), reading)
}

fn read_all(annotations: &[(&str, &str)]) -> Result<Option<OptIn>, InvalidAnnotation> {
    read_with(AnnotationOptions::default(), annotations)
}

fn across_namespaces() -> AnnotationOptions {
    AnnotationOptions {
        cross_namespace: true,
        ..AnnotationOptions::default()
    }
}

/// What these ask for, which they do without fault.
fn asked(reading: AnnotationOptions, annotations: &[(&str, &str)]) -> OptIn {
    read_with(reading, annotations).expect("valid").expect("opted in")
}

fn source(kind: SourceKind, namespace: &str, name: &str) -> SourceRef {
    SourceRef {
        namespace: Namespace::from(namespace),
        kind,
        name: Name::from(name),
    }
}

fn meant(opt_in: &OptIn, source: &SourceRef, referenced: bool) -> Option<SourceScope> {
    let selection = opt_in.selection(source.kind);
    selection.source_scope(&Namespace::from("shop"), source, referenced, false)
}

#[test]
fn only_true_opts_in() {
    assert_eq!(read_all(&[]), Ok(None));
    assert_eq!(read_all(&[(ENABLED, "false"), (STRATEGY, "nonsense")]), Ok(None));
    assert_eq!(read_all(&[(CONFIGMAPS, "web")]), Ok(None));
    assert_eq!(read_all(&[(ENABLED, "true")]), Ok(Some(OptIn::default())));
}

#[test]
fn the_words_of_others_ask_for_nothing_unless_they_are_honoured() {
    assert_eq!(read_all(&[(reloader::AUTO, "true"), (wave::UPDATE, "true")]), Ok(None));
}

#[test]
fn the_strategy_is_taken_as_it_is() {
    let strategy = |value| asked(AnnotationOptions::default(), &[(ENABLED, "true"), (STRATEGY, value)]).strategy;
    assert_eq!(strategy("Restart"), Some(Strategy::Restart));
    assert_eq!(strategy("Ignore"), Some(Strategy::Ignore));
}

#[test]
fn each_kind_of_source_has_its_own_lists() {
    let opt_in = asked(
        AnnotationOptions::default(),
        &[
            (ENABLED, "true"),
            (CONFIGMAPS, " a, b-*,,shop/c "),
            (EXCLUDE_CONFIGMAPS, "x?"),
            (SECRETS, "tls"),
            (EXCLUDE_SECRETS, "b-1"),
        ],
    );
    let (whole, referenced, no) = (Some(SourceScope::Whole), Some(SourceScope::AsReferenced), None);
    let table = [
        ("a name", SourceKind::ConfigMap, "a", whole),
        ("a pattern", SourceKind::ConfigMap, "b-1", whole),
        ("its own namespace may be said", SourceKind::ConfigMap, "c", whole),
        (
            "what is named for one kind is not for the other",
            SourceKind::ConfigMap,
            "tls",
            no,
        ),
        ("a Secret", SourceKind::Secret, "tls", whole),
        ("what is named for the other kind", SourceKind::Secret, "a", no),
    ];
    for (sentence, kind, name, expected) in table {
        assert_eq!(
            meant(&opt_in, &source(kind, "shop", name), false),
            expected,
            "{sentence}"
        );
    }
    let table = [
        ("excluded", SourceKind::ConfigMap, "xy", no),
        (
            "the pattern asks for one character more",
            SourceKind::ConfigMap,
            "x",
            referenced,
        ),
        ("excluded for the other kind", SourceKind::Secret, "xy", referenced),
        ("an excluded Secret", SourceKind::Secret, "b-1", no),
        ("named and referenced", SourceKind::ConfigMap, "a", whole),
    ];
    for (sentence, kind, name, expected) in table {
        assert_eq!(
            meant(&opt_in, &source(kind, "shop", name), true),
            expected,
            "{sentence}"
        );
    }
}

#[test]
fn excluded_beats_named() {
    let opt_in = asked(
        AnnotationOptions::default(),
        &[(ENABLED, "true"), (CONFIGMAPS, "web"), (EXCLUDE_CONFIGMAPS, "w*")],
    );
    assert_eq!(
        meant(&opt_in, &source(SourceKind::ConfigMap, "shop", "web"), true),
        None
    );
}

#[test]
fn another_namespace_is_named_only_where_that_is_allowed() {
    let words = [(ENABLED, "true"), (SECRETS, "bank/tls-*,web")];
    assert!(read_all(&words).is_err());
    let opt_in = asked(across_namespaces(), &words);
    let table = [
        (
            "the other namespace's",
            source(SourceKind::Secret, "bank", "tls-1"),
            Some(SourceScope::Whole),
        ),
        (
            "one's own is another",
            source(SourceKind::Secret, "shop", "tls-1"),
            None,
        ),
        (
            "what says no namespace is one's own",
            source(SourceKind::Secret, "shop", "web"),
            Some(SourceScope::Whole),
        ),
        ("and not the other's", source(SourceKind::Secret, "bank", "web"), None),
    ];
    for (sentence, source, expected) in table {
        assert_eq!(meant(&opt_in, &source, false), expected, "{sentence}");
    }
}

#[test]
fn what_is_no_namespace_is_refused_even_where_others_are_allowed() {
    for entry in [
        "/web",
        "b_nk/web",
        "Bank/web",
        "-b/web",
        "b-/web",
        "b*/web",
        "bank/",
        "bank/a/b",
        &format!("{}/a", "b".repeat(64)),
    ] {
        let read = read_with(across_namespaces(), &[(ENABLED, "true"), (CONFIGMAPS, entry)]);
        let said = read.expect_err(entry).to_string();
        assert!(said.contains("NAMESPACE/NAME"), "{said}");
    }
}

#[test]
fn a_bad_value_is_named_with_what_is_accepted() {
    let table = [
        (
            vec![(ENABLED, "yes")],
            "annotation windlass.dev/enabled has the value \"yes\"; accepted: \"true\", \"false\"",
        ),
        (
            vec![(ENABLED, "true"), (STRATEGY, "auto")],
            "accepted: Restart, InPlace, Auto, Ignore",
        ),
        (vec![(POLICY, "Web policy")], "windlass.dev/policy"),
        (
            vec![(ENABLED, "true"), (CONFIGMAPS, "other/web")],
            "\"other/web\"; accepted: a comma-separated list",
        ),
        (
            vec![(ENABLED, "true"), (SECRETS, "other/web")],
            "windlass.dev/secrets has the value \"other/web\"",
        ),
        (
            vec![(ENABLED, "true"), (CONFIGMAPS, "other/web")],
            "--allow-cross-namespace",
        ),
        (vec![(ENABLED, "true"), (CONFIGMAPS, "a,Bad_Name!")], "\"Bad_Name!\""),
        (
            vec![(ENABLED, "true"), (EXCLUDE_CONFIGMAPS, "-a")],
            "windlass.dev/exclude-configmaps",
        ),
        (
            vec![(ENABLED, "true"), (EXCLUDE_SECRETS, "a.")],
            "windlass.dev/exclude-secrets",
        ),
    ];
    for (annotations, expected) in table {
        let message = read_all(&annotations).expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_bad_value_of_ours_does_not_fall_back_to_the_words_of_others() {
    let honouring = AnnotationOptions {
        compat: Compat {
            reloader: true,
            wave: true,
            auto_reload_all: true,
        },
        cross_namespace: false,
    };
    for ours in [(ENABLED, "yes"), (POLICY, "Web")] {
        assert!(
            read_with(honouring, &[ours, (reloader::AUTO, "true")]).is_err(),
            "{ours:?}"
        );
    }
}

#[test]
fn a_long_value_is_cut() {
    let value = "y".repeat(100_000);
    assert!(
        read_all(&[(ENABLED, &value)])
            .expect_err("no such value")
            .to_string()
            .len()
            < 200
    );
}

#[test]
fn what_a_selection_refers_to_decides_what_a_reference_is_worth() {
    let table = [
        ("each counts", ReferenceFilter::All, true, false, true),
        ("each counts that is one", ReferenceFilter::All, false, true, false),
        ("marked and referenced", ReferenceFilter::Marked, true, true, true),
        ("not marked", ReferenceFilter::Marked, true, false, false),
        ("marked and not referenced", ReferenceFilter::Marked, false, true, false),
        ("none counts", ReferenceFilter::None, true, true, false),
    ];
    let web = source(SourceKind::ConfigMap, "shop", "web");
    for (sentence, kind_of, referenced, marked, counts) in table {
        let selection = Selection {
            referenced: kind_of,
            ..Selection::default()
        };
        let expected = counts.then_some(SourceScope::AsReferenced);
        assert_eq!(
            selection.source_scope(&web.namespace, &web, referenced, marked),
            expected,
            "{sentence}"
        );
    }
}

#[test]
fn nothing_is_meant_by_nothing() {
    assert!(Selection::nothing().is_nothing());
    assert!(!Selection::default().is_nothing());
    let named = Selection {
        named: Pattern::glob(None, "web").into_iter().collect(),
        ..Selection::nothing()
    };
    assert!(!named.is_nothing());
}

proptest! {
    #[test]
    fn any_value_is_read_without_harm(value in "\\PC{0,40}") {
        for name in [ENABLED, STRATEGY, CONFIGMAPS, EXCLUDE_CONFIGMAPS, SECRETS, EXCLUDE_SECRETS] {
            for reading in [AnnotationOptions::default(), across_namespaces()] {
                let _ = read_with(reading, &[(name, &value), (ENABLED, "true")]);
            }
        }
    }

    #[test]
    fn a_pattern_fits_as_a_shell_would_say(name in "[a-c]{0,8}", pattern in "[a-c*?]{0,8}") {
        prop_assert_eq!(glob::matches(&pattern, &name), by_recursion(pattern.as_bytes(), name.as_bytes()));
    }
}

/// The textbook definition, too slow to be used on what strangers write.
fn by_recursion(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), Some((_, tail))) => by_recursion(rest, name) || by_recursion(pattern, tail),
        (Some((b'*', rest)), None) => by_recursion(rest, name),
        (Some((b'?', rest)), Some((_, tail))) => by_recursion(rest, tail),
        (Some((p, rest)), Some((n, tail))) => p == n && by_recursion(rest, tail),
        _ => false,
    }
}

fn list(entries: usize, bytes: usize) -> String {
    (0..entries)
        .map(|at| format!("{at:0bytes$}"))
        .collect::<Vec<_>>()
        .join(",")
}

#[test]
fn a_list_is_taken_up_to_its_limits_and_refused_beyond_them() {
    for annotation in [CONFIGMAPS, SECRETS, EXCLUDE_CONFIGMAPS, EXCLUDE_SECRETS] {
        let read = |value: &str| read_all(&[(ENABLED, "true"), (annotation, value)]).map(|_| ());
        assert_eq!(read(&list(LIST_ENTRIES, 8)), Ok(()));
        assert_eq!(read(&list(LIST_BYTES / 64, 63)), Ok(()), "16 KiB");
        for long in [
            (list(LIST_ENTRIES + 1, 3), "257 entries in 1027 bytes"),
            (list(LIST_BYTES / 64 + 1, 63), "257 entries in 16447 bytes"),
            (" ".repeat(LIST_BYTES + 1), "0 entries in 16385 bytes"),
        ] {
            let (long, given) = long;
            let said = read(&long).expect_err("it is too long").to_string();
            assert!(said.contains(given), "{said}");
            assert!(
                said.contains(annotation) && said.ends_with("a list of at most 256 entries and 16 KiB"),
                "{said}"
            );
            assert!(said.len() < 300, "{said}");
        }
    }
}

/// Before, 256 entries of 63 bytes each were compared with each source of the namespace.
#[test]
fn entries_with_wildcards_are_few_where_plain_names_may_be_many() {
    let wildcards = |bytes: usize| list(bytes / 64, 63).replace(',', "*,") + "*";
    for annotation in [CONFIGMAPS, SECRETS, EXCLUDE_CONFIGMAPS, EXCLUDE_SECRETS] {
        let read = |value: &str| read_all(&[(ENABLED, "true"), (annotation, value)]).map(|_| ());
        assert_eq!(read(&wildcards(WILDCARD_BYTES)), Ok(()));
        assert_eq!(
            read(&format!("{},{}", list(150, 63), wildcards(WILDCARD_BYTES / 2))),
            Ok(())
        );
        let said = read(&format!("{},*", wildcards(WILDCARD_BYTES)))
            .expect_err("too much")
            .to_string();
        let expected = format!(
            "annotation {annotation} has 4097 bytes of entries with wildcards; accepted: at most 4 KiB of entries \
             with * or ? in one list"
        );
        assert_eq!(said, expected);
    }
}

#[test]
fn a_source_allows_each_of_a_few_namespaces_and_of_too_many_none() {
    assert_eq!(*allowed_namespaces(" a, b-2 ,,"), ["a", "b-2"].map(Namespace::from));
    assert_eq!(*allowed_namespaces("*,A,a/b,-,a.b,ok"), ["ok"].map(Namespace::from));
    assert_eq!(allowed_namespaces(&list(LIST_ENTRIES, 8)).len(), LIST_ENTRIES);
    assert!(allowed_namespaces(&list(LIST_ENTRIES + 1, 3)).is_empty());
    assert!(allowed_namespaces(&format!("a{}", " ".repeat(LIST_BYTES))).is_empty());
}
