use proptest::{prop_assert, proptest};

use super::*;
use crate::annotation::{CONFIGMAPS, ENABLED};
use crate::types::name::{Name, SourceRef};
use crate::workload::asked::read;
use crate::workload::opt_in::{SourceScope, Strategy};

/// Annotations with their values.
type Words = &'static [(&'static str, &'static str)];

const AUTO: &str = reloader::AUTO;
const SEARCH: &str = reloader::SEARCH;
const CONFIGMAP_AUTO: &str = "configmap.reloader.stakater.com/auto";
const SECRET_AUTO: &str = "secret.reloader.stakater.com/auto";
const CONFIGMAPS_NAMED: &str = "configmap.reloader.stakater.com/reload";
const SECRETS_NAMED: &str = "secret.reloader.stakater.com/reload";
const CONFIGMAPS_EXCLUDED: &str = "configmaps.exclude.reloader.stakater.com/reload";
const SECRETS_EXCLUDED: &str = "secrets.exclude.reloader.stakater.com/reload";

const NO: Option<SourceScope> = None;
const WHOLE: Option<SourceScope> = Some(SourceScope::Whole);
const REFERENCED: Option<SourceScope> = Some(SourceScope::AsReferenced);

/// A workload in the namespace `shop`, and what the controller was told about reading it.
#[derive(Clone, Copy)]
struct Workload {
    kind: KindId,
    metadata: Words,
    template: Words,
    reading: AnnotationOptions,
}

fn bears(metadata: Words) -> Workload {
    Workload {
        kind: DEPLOYMENT,
        metadata,
        template: &[],
        reading: AnnotationOptions {
            compat: Compat {
                reloader: true,
                wave: true,
                auto_reload_all: false,
            },
            cross_namespace: false,
        },
    }
}

impl Workload {
    fn and_its_template(self, template: Words) -> Self {
        Self { template, ..self }
    }

    fn of_kind(self, kind: &str) -> Self {
        let kind = KindId::named(kind).expect("a built-in kind");
        Self { kind, ..self }
    }

    fn where_all_are_reloaded(mut self) -> Self {
        self.reading.compat.auto_reload_all = true;
        self
    }

    fn across_namespaces(mut self) -> Self {
        self.reading.cross_namespace = true;
        self
    }

    fn honouring(mut self, reloader: bool, wave: bool) -> Self {
        self.reading.compat.reloader = reloader;
        self.reading.compat.wave = wave;
        self
    }

    fn asks(self) -> Option<OptIn> {
        let in_words =
            |words: Words| move |name: &str| words.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
        let annotations = Annotations {
            workload: &in_words(self.metadata),
            template: &in_words(self.template),
        };
        read(&annotations, self.kind, &own(), self.reading).expect("our own annotations are valid")
    }

    fn means(self, changed: &Changed) -> Option<SourceScope> {
        let asked = self.asks()?;
        let selection = asked.selection(changed.source.kind);
        selection.source_scope(&own(), &changed.source, changed.referenced, changed.marked)
    }

    /// What is said about its annotations.
    fn left_out(self) -> Vec<String> {
        let asked = self.asks().expect("it asks for something");
        asked.left_out.iter().map(ToString::to_string).collect()
    }
}

fn own() -> Namespace {
    Namespace::from("shop")
}

/// A changed source, and what it is to the workload.
struct Changed {
    source: SourceRef,
    referenced: bool,
    marked: bool,
}

/// One that the pod template refers to.
fn changed(kind: SourceKind, name: &str) -> Changed {
    Changed {
        source: SourceRef {
            namespace: own(),
            kind,
            name: Name::from(name),
        },
        referenced: true,
        marked: false,
    }
}

fn config(name: &str) -> Changed {
    changed(SourceKind::ConfigMap, name)
}

fn secret(name: &str) -> Changed {
    changed(SourceKind::Secret, name)
}

impl Changed {
    fn unreferenced(self) -> Self {
        Self {
            referenced: false,
            ..self
        }
    }

    fn with_match(self) -> Self {
        Self { marked: true, ..self }
    }

    fn of(mut self, namespace: &str) -> Self {
        self.source.namespace = Namespace::from(namespace);
        self
    }
}

type Rows = Vec<(&'static str, Workload, Changed, Option<SourceScope>)>;

fn check(rows: Rows) {
    for (sentence, workload, changed, expected) in rows {
        assert_eq!(workload.means(&changed), expected, "{sentence}");
    }
}

#[test]
#[allow(clippy::too_many_lines)] // A table.
fn the_metadatas_words_or_the_templates_but_never_both() {
    check(vec![
        ("no word at all asks for nothing", bears(&[]), config("web"), NO),
        (
            "the template's words count where the metadata has none",
            bears(&[]).and_its_template(&[(AUTO, "true")]),
            config("web"),
            REFERENCED,
        ),
        (
            "every word of the template counts",
            bears(&[]).and_its_template(&[(CONFIGMAPS_NAMED, "extra"), (SEARCH, "true")]),
            config("extra").unreferenced(),
            WHOLE,
        ),
        (
            "auto on the metadata silences the template, whatever its value",
            bears(&[(AUTO, "false")]).and_its_template(&[(AUTO, "true")]),
            config("web"),
            NO,
        ),
        (
            "an empty value is there as well",
            bears(&[(AUTO, "")]).and_its_template(&[(AUTO, "true")]),
            config("web"),
            NO,
        ),
        (
            "a named list on the metadata silences the template's auto",
            bears(&[(CONFIGMAPS_NAMED, "other")]).and_its_template(&[(AUTO, "true")]),
            config("web"),
            NO,
        ),
        (
            "a typed auto on the metadata silences the template's list of that kind",
            bears(&[(CONFIGMAP_AUTO, "true")]).and_its_template(&[(CONFIGMAPS_NAMED, "extra")]),
            config("extra").unreferenced(),
            NO,
        ),
        (
            "search on the metadata silences the template",
            bears(&[(SEARCH, "false")]).and_its_template(&[(AUTO, "true")]),
            config("web"),
            NO,
        ),
        (
            "a word for Secrets on the metadata leaves the template's word for ConfigMaps",
            bears(&[(SECRET_AUTO, "true"), (SECRETS_NAMED, "tls")]).and_its_template(&[(AUTO, "true")]),
            config("web"),
            REFERENCED,
        ),
        (
            "an exclude list is none of these words",
            bears(&[(CONFIGMAPS_EXCLUDED, "other")]).and_its_template(&[(AUTO, "true")]),
            config("web"),
            REFERENCED,
        ),
        (
            "an exclude list on the metadata holds against the template's words",
            bears(&[(CONFIGMAPS_EXCLUDED, "web")]).and_its_template(&[(AUTO, "true")]),
            config("web"),
            NO,
        ),
        (
            "an exclude list on the template is not read",
            bears(&[]).and_its_template(&[(AUTO, "true"), (CONFIGMAPS_EXCLUDED, "web")]),
            config("web"),
            REFERENCED,
        ),
    ]);
}

#[test]
fn an_excluded_name_never_counts() {
    check(vec![
        (
            "against auto",
            bears(&[(AUTO, "true"), (CONFIGMAPS_EXCLUDED, "web")]),
            config("web"),
            NO,
        ),
        (
            "against a named list",
            bears(&[(CONFIGMAPS_NAMED, "web"), (CONFIGMAPS_EXCLUDED, "web")]),
            config("web"),
            NO,
        ),
        (
            "against search and match",
            bears(&[(SEARCH, "true"), (CONFIGMAPS_EXCLUDED, "web")]),
            config("web").with_match(),
            NO,
        ),
        (
            "against \"auto reload all\"",
            bears(&[(CONFIGMAPS_EXCLUDED, "web")]).where_all_are_reloaded(),
            config("web"),
            NO,
        ),
        (
            "a list is trimmed",
            bears(&[(AUTO, "true"), (CONFIGMAPS_EXCLUDED, "a , web,")]),
            config("web"),
            NO,
        ),
        (
            "each kind has its own list",
            bears(&[(AUTO, "true"), (SECRETS_EXCLUDED, "web")]),
            config("web"),
            REFERENCED,
        ),
        (
            "that of Secrets excludes Secrets",
            bears(&[(AUTO, "true"), (SECRETS_EXCLUDED, "web")]),
            secret("web"),
            NO,
        ),
        (
            "names are exact: no expression",
            bears(&[(AUTO, "true"), (CONFIGMAPS_EXCLUDED, "we.")]),
            config("web"),
            REFERENCED,
        ),
        (
            "names are exact: no wildcard",
            bears(&[(AUTO, "true"), (CONFIGMAPS_EXCLUDED, "we*")]),
            config("web"),
            REFERENCED,
        ),
        (
            "names are exact: a dot is a dot",
            bears(&[(AUTO, "true"), (CONFIGMAPS_EXCLUDED, "foo.bar")]),
            config("foo.bar"),
            NO,
        ),
        (
            "an exclude list by itself asks for nothing",
            bears(&[(CONFIGMAPS_EXCLUDED, "other")]),
            config("web"),
            NO,
        ),
    ]);
}

#[test]
#[allow(clippy::too_many_lines)] // A table.
fn a_named_source_counts_whole_and_without_a_reference() {
    check(vec![
        ("referenced", bears(&[(CONFIGMAPS_NAMED, "web")]), config("web"), WHOLE),
        (
            "not referenced",
            bears(&[(CONFIGMAPS_NAMED, "web")]),
            config("web").unreferenced(),
            WHOLE,
        ),
        (
            "what is not named does not count, referenced or not",
            bears(&[(CONFIGMAPS_NAMED, "web")]),
            config("other"),
            NO,
        ),
        (
            "each kind has its own list",
            bears(&[(CONFIGMAPS_NAMED, "web")]),
            secret("web"),
            NO,
        ),
        (
            "that of Secrets names Secrets",
            bears(&[(SECRETS_NAMED, "tls")]),
            secret("tls").unreferenced(),
            WHOLE,
        ),
        (
            "a list is split at commas and trimmed",
            bears(&[(CONFIGMAPS_NAMED, " a ,, web ")]),
            config("web"),
            WHOLE,
        ),
        (
            "an empty list names nothing",
            bears(&[(CONFIGMAPS_NAMED, " , "), (SECRET_AUTO, "true")]),
            config("web"),
            NO,
        ),
        (
            "auto beside it does not make less of what is named",
            bears(&[(AUTO, "true"), (CONFIGMAPS_NAMED, "web")]),
            config("web"),
            WHOLE,
        ),
        (
            "auto beside it counts for what is not named",
            bears(&[(AUTO, "true"), (CONFIGMAPS_NAMED, "web")]),
            config("other"),
            REFERENCED,
        ),
        (
            "auto: \"false\" beside it changes nothing",
            bears(&[(AUTO, "false"), (CONFIGMAPS_NAMED, "web")]),
            config("web").unreferenced(),
            WHOLE,
        ),
        (
            "an expression",
            bears(&[(CONFIGMAPS_NAMED, "web-[0-9]+")]),
            config("web-17").unreferenced(),
            WHOLE,
        ),
        (
            "an expression has to match the beginning",
            bears(&[(CONFIGMAPS_NAMED, "eb-.*")]),
            config("web-17"),
            NO,
        ),
        (
            "an expression has to match the end",
            bears(&[(CONFIGMAPS_NAMED, "web-[0-9]")]),
            config("web-17"),
            NO,
        ),
        (
            "a dot in a name stands for any character",
            bears(&[(CONFIGMAPS_NAMED, "foo.bar")]),
            config("foo-bar"),
            WHOLE,
        ),
        (
            "a plain name is no prefix",
            bears(&[(CONFIGMAPS_NAMED, "web")]),
            config("web-2"),
            NO,
        ),
        (
            "a bad expression is skipped and the others count",
            bears(&[(CONFIGMAPS_NAMED, "we(b,(?P<x,extra-.*")]),
            config("extra-1").unreferenced(),
            WHOLE,
        ),
        (
            "a list of one kind that cannot be read leaves the other's",
            bears(&[(CONFIGMAPS_NAMED, "we(b"), (SECRETS_NAMED, "tls")]),
            secret("tls"),
            WHOLE,
        ),
        (
            "another namespace's source of that name is another",
            bears(&[(CONFIGMAPS_NAMED, "web")]).across_namespaces(),
            config("web").of("bank"),
            NO,
        ),
    ]);
}

#[test]
fn search_finds_what_bears_match_and_is_referenced() {
    check(vec![
        (
            "both",
            bears(&[(SEARCH, "true")]),
            config("web").with_match(),
            REFERENCED,
        ),
        (
            "both, for Secrets",
            bears(&[(SEARCH, "true")]),
            secret("tls").with_match(),
            REFERENCED,
        ),
        (
            "search on the template",
            bears(&[]).and_its_template(&[(SEARCH, "true")]),
            config("web").with_match(),
            REFERENCED,
        ),
        ("no match", bears(&[(SEARCH, "true")]), config("web"), NO),
        (
            "no reference",
            bears(&[(SEARCH, "true")]),
            config("web").with_match().unreferenced(),
            NO,
        ),
        ("no search", bears(&[]), config("web").with_match(), NO),
        (
            "search takes no other word for true",
            bears(&[(SEARCH, "True")]),
            config("web").with_match(),
            NO,
        ),
        (
            "auto: \"false\" does not cancel it",
            bears(&[(SEARCH, "true"), (AUTO, "false")]),
            config("web").with_match(),
            REFERENCED,
        ),
        (
            "auto beside it finds what bears no match",
            bears(&[(SEARCH, "true"), (AUTO, "true")]),
            config("web"),
            REFERENCED,
        ),
        (
            "a named list beside it counts whole",
            bears(&[(SEARCH, "true"), (CONFIGMAPS_NAMED, "web")]),
            config("web").with_match(),
            WHOLE,
        ),
    ]);
}

#[test]
#[allow(clippy::too_many_lines)] // A table.
fn auto_counts_what_is_referenced() {
    check(vec![
        ("auto", bears(&[(AUTO, "true")]), config("web"), REFERENCED),
        (
            "auto is for both kinds",
            bears(&[(AUTO, "true")]),
            secret("tls"),
            REFERENCED,
        ),
        (
            "not referenced",
            bears(&[(AUTO, "true")]),
            config("web").unreferenced(),
            NO,
        ),
        (
            "not referenced, though it bears match",
            bears(&[(AUTO, "true")]),
            config("web").with_match().unreferenced(),
            NO,
        ),
        (
            "a typed auto",
            bears(&[(CONFIGMAP_AUTO, "true")]),
            config("web"),
            REFERENCED,
        ),
        (
            "a typed auto is for its kind",
            bears(&[(CONFIGMAP_AUTO, "true")]),
            secret("tls"),
            NO,
        ),
        (
            "that of Secrets",
            bears(&[(SECRET_AUTO, "true")]),
            secret("tls"),
            REFERENCED,
        ),
        (
            "that of Secrets is for Secrets",
            bears(&[(SECRET_AUTO, "true")]),
            config("web"),
            NO,
        ),
        (
            "auto: \"false\" does not cancel a typed auto",
            bears(&[(AUTO, "false"), (CONFIGMAP_AUTO, "true")]),
            config("web"),
            REFERENCED,
        ),
        (
            "a typed \"false\" does not cancel auto",
            bears(&[(AUTO, "true"), (CONFIGMAP_AUTO, "false")]),
            config("web"),
            REFERENCED,
        ),
        (
            "auto: \"false\" by itself",
            bears(&[(AUTO, "false")]),
            config("web"),
            NO,
        ),
        (
            "\"auto reload all\" is for those that say nothing",
            bears(&[]).where_all_are_reloaded(),
            config("web"),
            REFERENCED,
        ),
        (
            "\"auto reload all\" needs a reference",
            bears(&[]).where_all_are_reloaded(),
            config("web").unreferenced(),
            NO,
        ),
        (
            "auto: \"false\" switches it off",
            bears(&[(AUTO, "false")]).where_all_are_reloaded(),
            config("web"),
            NO,
        ),
        (
            "so does auto: \"false\" on the template",
            bears(&[]).and_its_template(&[(AUTO, "false")]).where_all_are_reloaded(),
            config("web"),
            NO,
        ),
        (
            "so does a word that means nothing",
            bears(&[(AUTO, "yes")]).where_all_are_reloaded(),
            config("web"),
            NO,
        ),
        (
            "an empty one does not",
            bears(&[(AUTO, "")]).where_all_are_reloaded(),
            config("web"),
            REFERENCED,
        ),
        (
            "a typed \"false\" switches it off for that kind",
            bears(&[(CONFIGMAP_AUTO, "false")]).where_all_are_reloaded(),
            config("web"),
            NO,
        ),
        (
            "a typed \"false\" leaves it on for the other kind",
            bears(&[(CONFIGMAP_AUTO, "false")]).where_all_are_reloaded(),
            secret("tls"),
            REFERENCED,
        ),
        (
            "a typed auto leaves it on for the other kind",
            bears(&[(CONFIGMAP_AUTO, "true")]).where_all_are_reloaded(),
            secret("tls"),
            REFERENCED,
        ),
        (
            "a named list leaves it on",
            bears(&[(CONFIGMAPS_NAMED, "web")]).where_all_are_reloaded(),
            config("other"),
            REFERENCED,
        ),
        (
            "auto: \"false\" switches it off beside a named list",
            bears(&[(AUTO, "false"), (CONFIGMAPS_NAMED, "web")]).where_all_are_reloaded(),
            config("other"),
            NO,
        ),
    ]);
}

#[test]
fn true_is_what_go_parses_as_true() {
    let cases: [Words; 6] = [
        &[(AUTO, "1")],
        &[(AUTO, "t")],
        &[(AUTO, "T")],
        &[(AUTO, "TRUE")],
        &[(AUTO, "true")],
        &[(AUTO, "True")],
    ];
    for words in cases {
        assert_eq!(bears(words).means(&config("web")), REFERENCED, "{words:?}");
    }
    let cases: [Words; 8] = [
        &[(AUTO, "tRUE")],
        &[(AUTO, "yes")],
        &[(AUTO, "on")],
        &[(AUTO, "2")],
        &[(AUTO, " true")],
        &[(AUTO, "0")],
        &[(AUTO, "f")],
        &[(AUTO, "FALSE")],
    ];
    for words in cases {
        assert_eq!(bears(words).means(&config("web")), NO, "{words:?}");
    }
}

#[test]
fn wave_counts_what_is_referenced_and_what_is_listed() {
    const UPDATE: (&str, &str) = (wave::UPDATE, "true");
    check(vec![
        ("referenced", bears(&[UPDATE]), config("web"), REFERENCED),
        ("a referenced Secret", bears(&[UPDATE]), secret("tls"), REFERENCED),
        ("not referenced", bears(&[UPDATE]), config("web").unreferenced(), NO),
        (
            "only exactly \"true\" opts in",
            bears(&[(wave::UPDATE, "True")]),
            config("web"),
            NO,
        ),
        (
            "it is the workload's annotation, not the template's",
            bears(&[]).and_its_template(&[UPDATE]),
            config("web"),
            NO,
        ),
        (
            "a list without it does nothing",
            bears(&[(wave::EXTRA_CONFIGMAPS, "extra")]),
            config("extra").unreferenced(),
            NO,
        ),
        (
            "what is listed counts whole",
            bears(&[UPDATE, (wave::EXTRA_CONFIGMAPS, "a, extra")]),
            config("extra").unreferenced(),
            WHOLE,
        ),
        (
            "what is listed and referenced counts whole",
            bears(&[UPDATE, (wave::EXTRA_CONFIGMAPS, "web")]),
            config("web"),
            WHOLE,
        ),
        (
            "each kind has its own list",
            bears(&[UPDATE, (wave::EXTRA_CONFIGMAPS, "extra")]),
            secret("extra").unreferenced(),
            NO,
        ),
        (
            "that of Secrets lists Secrets",
            bears(&[UPDATE, (wave::EXTRA_SECRETS, "extra")]),
            secret("extra").unreferenced(),
            WHOLE,
        ),
        (
            "its own namespace may be said",
            bears(&[UPDATE, (wave::EXTRA_CONFIGMAPS, "shop/extra")]),
            config("extra").unreferenced(),
            WHOLE,
        ),
        (
            "another namespace needs permission",
            bears(&[UPDATE, (wave::EXTRA_CONFIGMAPS, "bank/extra")]),
            config("extra").of("bank").unreferenced(),
            NO,
        ),
        (
            "with permission another namespace is read",
            bears(&[UPDATE, (wave::EXTRA_CONFIGMAPS, "bank/extra")]).across_namespaces(),
            config("extra").of("bank").unreferenced(),
            WHOLE,
        ),
        (
            "and then it does not mean one's own",
            bears(&[UPDATE, (wave::EXTRA_CONFIGMAPS, "bank/extra")]).across_namespaces(),
            config("extra").unreferenced(),
            NO,
        ),
        (
            "lists hold names: no wildcard",
            bears(&[UPDATE, (wave::EXTRA_CONFIGMAPS, "ext*")]),
            config("extra").unreferenced(),
            NO,
        ),
        (
            "lists hold names: a dot is a dot",
            bears(&[UPDATE, (wave::EXTRA_CONFIGMAPS, "foo.bar")]),
            config("foo-bar").unreferenced(),
            NO,
        ),
        (
            "what cannot be read is left out and the rest counts",
            bears(&[UPDATE, (wave::EXTRA_CONFIGMAPS, "Bad!,bank/x,extra")]),
            config("extra").unreferenced(),
            WHOLE,
        ),
    ]);
}

#[test]
fn in_whose_words_a_workload_asks() {
    const RELOADER: (&str, &str) = (AUTO, "true");
    const WAVE: (&str, &str) = (wave::UPDATE, "true");
    let table = [
        ("Reloader's", bears(&[RELOADER]), Some(Origin::Reloader)),
        ("Wave's", bears(&[WAVE]), Some(Origin::Wave)),
        ("both: Reloader's", bears(&[WAVE, RELOADER]), Some(Origin::Reloader)),
        (
            "both, and only Wave is honoured",
            bears(&[WAVE, RELOADER]).honouring(false, true),
            Some(Origin::Wave),
        ),
        (
            "Reloader's words ask for nothing, so Wave's count",
            bears(&[WAVE, (AUTO, "false")]),
            Some(Origin::Wave),
        ),
        (
            "\"auto reload all\" comes after what is said to Wave",
            bears(&[WAVE]).where_all_are_reloaded(),
            Some(Origin::Wave),
        ),
        (
            "\"auto reload all\" is for those that say nothing",
            bears(&[]).where_all_are_reloaded(),
            Some(Origin::Reloader),
        ),
        (
            "\"auto reload all\" is nothing where Reloader is not honoured",
            bears(&[]).where_all_are_reloaded().honouring(false, true),
            None,
        ),
        (
            "Reloader's, and only Wave is honoured",
            bears(&[RELOADER]).honouring(false, true),
            None,
        ),
        (
            "Wave's, and only Reloader is honoured",
            bears(&[WAVE]).honouring(true, false),
            None,
        ),
        (
            "neither is honoured",
            bears(&[WAVE, RELOADER]).honouring(false, false),
            None,
        ),
        (
            "ours win",
            bears(&[(ENABLED, "true"), WAVE, RELOADER]),
            Some(Origin::Windlass),
        ),
        ("ours keep off", bears(&[(ENABLED, "false"), WAVE, RELOADER]), None),
        (
            "ours keep off \"auto reload all\" too",
            bears(&[(ENABLED, "false")]).where_all_are_reloaded(),
            None,
        ),
        (
            "a list of ours without ours that opts in leaves theirs",
            bears(&[(CONFIGMAPS, "web"), RELOADER]),
            Some(Origin::Reloader),
        ),
    ];
    for (sentence, workload, expected) in table {
        assert_eq!(workload.asks().map(|asked| asked.origin), expected, "{sentence}");
    }
}

#[test]
fn ours_are_not_mixed_with_theirs() {
    check(vec![
        (
            "ours count what is referenced, whatever theirs exclude",
            bears(&[(ENABLED, "true"), (CONFIGMAPS_EXCLUDED, "web")]),
            config("web"),
            REFERENCED,
        ),
        (
            "theirs name nothing beside ours",
            bears(&[(ENABLED, "true"), (CONFIGMAPS_NAMED, "extra")]),
            config("extra").unreferenced(),
            NO,
        ),
        (
            "ours do not name for theirs",
            bears(&[(AUTO, "true"), (CONFIGMAPS, "extra")]),
            config("extra").unreferenced(),
            NO,
        ),
    ]);
}

#[test]
fn theirs_restart() {
    for words in [&[(AUTO, "true")] as Words, &[(wave::UPDATE, "true")]] {
        assert_eq!(
            bears(words).asks().expect("it asks").strategy,
            None::<Strategy>,
            "{words:?}"
        );
    }
}

#[test]
fn what_is_left_out_names_the_annotation() {
    let table: [(Workload, &[(&str, &str)]); 5] = [
        (
            bears(&[(CONFIGMAPS_NAMED, "web,we(b,*"), (SECRETS_NAMED, "[")]),
            &[
                (CONFIGMAPS_NAMED, "\"we(b\""),
                (CONFIGMAPS_NAMED, "\"*\""),
                (SECRETS_NAMED, "\"[\""),
            ],
        ),
        (bears(&[(CONFIGMAPS_NAMED, "we(b")]), &[(CONFIGMAPS_NAMED, "\"we(b\"")]),
        (
            bears(&[(wave::UPDATE, "true"), (wave::EXTRA_SECRETS, "ok,Bad!,bank/x,b*")]),
            &[
                (wave::EXTRA_SECRETS, "\"Bad!\""),
                (wave::EXTRA_SECRETS, "\"bank/x\""),
                (wave::EXTRA_SECRETS, "\"b*\""),
            ],
        ),
        (
            bears(&[(AUTO, "true"), (reloader::PAUSE_PERIOD, "soon")]),
            &[(reloader::PAUSE_PERIOD, "\"soon\"")],
        ),
        (
            bears(&[(AUTO, "true"), (reloader::ROLLOUT_STRATEGY, "Restart")]).of_kind("Rollout"),
            &[(reloader::ROLLOUT_STRATEGY, "\"Restart\"")],
        ),
    ];
    for (workload, expected) in table {
        let said = workload.left_out();
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for (said, (annotation, value)) in said.iter().zip(expected) {
            let begins = format!("annotation {annotation} has the value {value}; accepted: ");
            assert!(said.starts_with(&begins), "{said}");
        }
    }
}

/// Found by this test: whoever named nothing but a bad expression was taken for one that says nothing.
#[test]
fn a_list_that_cannot_be_read_at_all_counts_nothing_but_is_said() {
    let workload = bears(&[(CONFIGMAPS_NAMED, "we(b")]);
    assert_eq!(workload.means(&config("web")), NO);
    assert_eq!(workload.left_out().len(), 1);
}

#[test]
fn of_a_list_that_is_too_long_the_beginning_counts_and_the_rest_is_said_to_be_left_out() {
    let asks = |words: &[(&str, &str)]| {
        let get = |name: &str| words.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
        let annotations = Annotations {
            workload: &get,
            template: &|_| None,
        };
        let asked = read(&annotations, DEPLOYMENT, &own(), bears(&[]).reading).expect("none of ours is invalid");
        let OptIn {
            configmaps,
            secrets,
            left_out,
            ..
        } = asked.expect("it asks for something");
        let said: Vec<_> = left_out.iter().map(ToString::to_string).collect();
        (
            configmaps.named.len() + secrets.named.len(),
            configmaps.excluded.len(),
            said,
        )
    };
    let names = |count: usize, end: &str| -> String {
        let each = (0..count).map(|at| format!("n{at}{end}"));
        each.collect::<Vec<_>>().join(",")
    };
    let (few, many) = (names(256, ""), names(60_000, ""));
    let expressions = names(40, "[0-9]");
    let wave = |list| [(wave::UPDATE, "true"), (wave::EXTRA_SECRETS, list)];
    assert_eq!(asks(&[(CONFIGMAPS_NAMED, &few)]), (256, 0, vec![]));
    assert_eq!(asks(&wave(&few)), (256, 0, vec![]));
    for words in [[(CONFIGMAPS_NAMED, &*many), (SEARCH, "true")], wave(&many)] {
        let (named, _, said) = asks(&words);
        assert_eq!((named, said.len()), (256, 1));
        assert!(
            said[0].contains("\"n256\"") && said[0].contains("later ones are ignored"),
            "{said:?}"
        );
    }
    let (_, excluded, said) = asks(&[(AUTO, "true"), (CONFIGMAPS_EXCLUDED, &many)]);
    assert_eq!((excluded, said.len()), (256, 1));
    let (named, _, said) = asks(&[(CONFIGMAPS_NAMED, &expressions), (SECRETS_NAMED, &expressions)]);
    assert_eq!((named, said.len()), (64, 16), "40 of the one kind and 24 of the other");
    assert!(
        said[0].contains("\"n24[0-9]\"") && said[0].contains("at most 64 regular expressions"),
        "{said:?}"
    );
    let large = names(10, "(?:web-){30}");
    let (named, _, said) = asks(&[(CONFIGMAPS_NAMED, &large)]);
    assert_eq!((named, said.len()), (8, 2), "4 KiB each");
    assert!(
        said[0].contains("\"n8(?:web-){30}\"") && said[0].contains("at most 32 KiB together"),
        "{said:?}"
    );
    let plain = format!("{},last.*", names(61, &format!("{}.*", "a".repeat(64))));
    let (named, _, said) = asks(&[(CONFIGMAPS_NAMED, &plain)]);
    assert_eq!((named, said.len()), (61, 1), "{said:?}");
    assert!(
        said[0].contains("\"n60a") && said[0].contains("at most 4 KiB"),
        "{said:?}"
    );
    let (named, _, said) = asks(&[(CONFIGMAPS_NAMED, &"a".repeat(200_000))]);
    assert_eq!((named, said.len()), (0, 1), "no name is that long");
}

#[test]
fn what_can_be_read_is_not_complained_about() {
    let quiet = [
        bears(&[(AUTO, "yes"), (CONFIGMAPS_NAMED, " a ,,b.*")]),
        bears(&[(AUTO, "true"), (reloader::PAUSE_PERIOD, "5m")]),
        bears(&[(AUTO, "true"), (reloader::ROLLOUT_STRATEGY, "rollout")]).of_kind("Rollout"),
        bears(&[(wave::UPDATE, "true"), (wave::EXTRA_CONFIGMAPS, "a,shop/b")]),
        bears(&[(wave::UPDATE, "true"), (wave::EXTRA_CONFIGMAPS, "bank/b")]).across_namespaces(),
    ];
    for workload in quiet {
        assert_eq!(workload.left_out(), [""; 0], "{:?}", workload.metadata);
    }
}

#[test]
fn a_pause_is_a_go_duration() {
    let table: [(Words, Option<SignedDuration>); 11] = [
        (&[(reloader::PAUSE_PERIOD, "30s")], Some(SignedDuration::from_secs(30))),
        (&[(reloader::PAUSE_PERIOD, "5m")], Some(SignedDuration::from_mins(5))),
        (
            &[(reloader::PAUSE_PERIOD, "1h30m")],
            Some(SignedDuration::from_mins(90)),
        ),
        (&[(reloader::PAUSE_PERIOD, "1.5h")], Some(SignedDuration::from_mins(90))),
        (
            &[(reloader::PAUSE_PERIOD, "250ms")],
            Some(SignedDuration::from_millis(250)),
        ),
        (&[(reloader::PAUSE_PERIOD, "24h")], Some(SignedDuration::from_hours(24))),
        (&[(reloader::PAUSE_PERIOD, "24h1s")], None),
        (&[(reloader::PAUSE_PERIOD, "0s")], None),
        (&[(reloader::PAUSE_PERIOD, "-5m")], None),
        (&[(reloader::PAUSE_PERIOD, "5")], None),
        (&[(reloader::PAUSE_PERIOD, "5 minutes")], None),
    ];
    for (pause, expected) in table {
        let workload = bears([&[(AUTO, "true")], pause].concat().leak());
        assert_eq!(workload.asks().expect("it asks").pause, expected, "{pause:?}");
        assert_eq!(workload.left_out().len(), usize::from(expected.is_none()), "{pause:?}");
    }
}

#[test]
fn only_a_deployment_is_paused_and_only_by_its_metadata() {
    const PAUSE: (&str, &str) = (reloader::PAUSE_PERIOD, "5m");
    let paused = |workload: Workload| workload.asks().expect("it asks").pause.is_some();
    assert!(paused(bears(&[(AUTO, "true"), PAUSE])));
    for kind in ["StatefulSet", "DaemonSet", "Rollout"] {
        assert!(!paused(bears(&[(AUTO, "true"), PAUSE]).of_kind(kind)), "{kind}");
    }
    assert!(!paused(bears(&[]).and_its_template(&[(AUTO, "true"), PAUSE])));
    assert!(!paused(bears(&[(wave::UPDATE, "true"), PAUSE])));
    assert!(!paused(bears(&[(ENABLED, "true"), PAUSE])));
}

#[test]
fn a_rollout_may_ask_for_restart_at() {
    const RESTART: (&str, &str) = (reloader::ROLLOUT_STRATEGY, "restart");
    let restart_at = |workload: Workload| workload.asks().expect("it asks").restart_at;
    assert!(restart_at(bears(&[(AUTO, "true"), RESTART]).of_kind("Rollout")));
    assert!(!restart_at(bears(&[(AUTO, "true"), RESTART])));
    assert!(!restart_at(bears(&[(AUTO, "true")]).of_kind("Rollout")));
    assert!(!restart_at(
        bears(&[(AUTO, "true"), (reloader::ROLLOUT_STRATEGY, "rollout")]).of_kind("Rollout")
    ));
    assert!(!restart_at(
        bears(&[])
            .and_its_template(&[(AUTO, "true"), RESTART])
            .of_kind("Rollout")
    ));
}

#[test]
fn neither_a_pause_nor_a_rollout_strategy_asks_for_anything() {
    for words in [
        &[(reloader::PAUSE_PERIOD, "soon")] as Words,
        &[(reloader::ROLLOUT_STRATEGY, "nonsense")],
    ] {
        assert_eq!(bears(words).asks(), None, "{words:?}");
    }
}

proptest! {
    #[test]
    fn any_value_is_read_without_harm_and_what_is_said_stays_short(value in "\\PC{0,40}|[a-z.*+?(){}\\[\\]|,/0-9]{0,40}") {
        let names = [
            AUTO, SEARCH, CONFIGMAP_AUTO, SECRET_AUTO, CONFIGMAPS_NAMED, SECRETS_NAMED, CONFIGMAPS_EXCLUDED,
            SECRETS_EXCLUDED, reloader::PAUSE_PERIOD, reloader::ROLLOUT_STRATEGY, wave::EXTRA_CONFIGMAPS,
            wave::EXTRA_SECRETS,
        ];
        for name in names {
            for opted_in in [AUTO, wave::UPDATE] {
                let get = |asked: &str| [(name, value.as_str()), (opted_in, "true")]
                    .iter()
                    .find(|(it, _)| *it == asked)
                    .map(|(_, value)| *value);
                let annotations = Annotations { workload: &get, template: &|_| None };
                let asked = read(&annotations, DEPLOYMENT, &own(), bears(&[]).across_namespaces().reading)
                    .expect("none of ours is invalid");
                for said in asked.iter().flat_map(|asked| &asked.left_out) {
                    prop_assert!(said.to_string().len() < 1000, "{said}");
                    prop_assert!(said.to_string().contains(name), "{said}");
                }
            }
        }
    }
}
