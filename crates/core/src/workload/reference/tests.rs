use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::annotation::{CAUSE, CONFIG_DIGEST, reloader, wave};
use crate::compat::marks::{ControllerMarks, NamedSources, is_mark};
use crate::workload::template::{self, Fingerprint};

const ONE: &str = "0123456789abcdef0123456789abcdef01234567";
const TWO: &str = "1123456789abcdef0123456789abcdef01234567";

/// The uses of a pod spec, each as a line: `ConfigMap web keys=a,b required=a object`.
fn uses(spec: &Value) -> Vec<String> {
    discover(&json!({ "spec": spec }))
        .iter()
        .map(|found| {
            let keys = match &found.consumed {
                ConsumedKeys::Whole => "*".to_owned(),
                ConsumedKeys::Keys(keys) => join(keys),
            };
            let channels: Vec<&str> = [
                (Channel::Env, "Env"),
                (Channel::Mount, "Mount"),
                (Channel::SubPath, "SubPath"),
                (Channel::Init, "Init"),
            ]
            .iter()
            .filter(|(channel, _)| found.channels.contains(*channel))
            .map(|(_, word)| *word)
            .collect();
            let required = if found.required { " required" } else { "" };
            let needs = if found.required_keys.is_empty() {
                String::new()
            } else {
                format!(" needs={}", join(&found.required_keys))
            };
            format!(
                "{} {} keys={keys} {}{required}{needs}",
                found.kind.as_str(),
                found.name,
                channels.join("+")
            )
        })
        .collect()
}

fn join(keys: &[Key]) -> String {
    keys.iter().map(Key::as_str).collect::<Vec<_>>().join(",")
}

fn with(container: Value) -> Value {
    json!({ "containers": [container] })
}

#[test]
fn a_path_is_gone_as_the_kubelet_goes_it() {
    let keys = |sub_path: &str, items: Value| {
        let found = uses(&json!({
            "containers": [{ "volumeMounts": [{ "name": "v", "subPath": sub_path }] }],
            "volumes": [{ "name": "v", "configMap": { "name": "web", "items": items } }],
        }));
        let keys = found
            .iter()
            .filter_map(|line| line.split(' ').find_map(|word| word.strip_prefix("keys=")));
        keys.collect::<Vec<_>>().join(" ")
    };
    for path in [
        "app.conf",
        "./app.conf",
        "app.conf/",
        "app.conf/.",
        "././/app.conf",
        "..data/app.conf",
    ] {
        assert_eq!(keys(path, Value::Null), "app.conf", "{path}");
    }
    for path in [".", "./", "./."] {
        assert_eq!(keys(path, Value::Null), "*", "{path}: the whole volume");
    }
    let item = |path: &str| json!([{ "key": "k", "path": path }]);
    for (sub_path, path) in [
        ("d/a", "./d/a"),
        ("./d/a", "d/a"),
        ("d//a", "d/./a"),
        ("./d", "d//a"),
        ("d/", "d/a"),
        (".", "d/a"),
    ] {
        assert_eq!(keys(sub_path, item(path)), "k", "{sub_path} of {path}");
    }
    for (sub_path, path) in [("d/a", "d/ab"), ("./d", "dd/a"), ("d/a/b", "d/a"), (".d", "d")] {
        assert_eq!(keys(sub_path, item(path)), "", "{sub_path} of {path}");
    }
}

#[test]
#[allow(clippy::too_many_lines)] // A table.
fn each_way_of_using_a_source() {
    let volume =
        |source: Value, mount: Value| json!({ "containers": [{ "volumeMounts": [mount] }], "volumes": [source] });
    let table: Vec<(&str, Value, &[&str])> = vec![
        (
            "an env variable uses one key",
            with(
                json!({ "env": [{ "name": "A", "valueFrom": { "configMapKeyRef": { "name": "web", "key": "a" } } }] }),
            ),
            &["ConfigMap web keys=a Env required needs=a"],
        ),
        (
            "an optional env variable needs nothing",
            with(
                json!({ "env": [{ "valueFrom": { "configMapKeyRef": { "name": "web", "key": "a", "optional": true } } }] }),
            ),
            &["ConfigMap web keys=a Env"],
        ),
        (
            "envFrom uses all keys, whatever the prefix",
            with(json!({ "envFrom": [{ "prefix": "P_", "configMapRef": { "name": "web" } }] })),
            &["ConfigMap web keys=* Env required"],
        ),
        (
            "a Secret is a Secret",
            with(json!({ "envFrom": [{ "secretRef": { "name": "web", "optional": true } }] })),
            &["Secret web keys=* Env"],
        ),
        (
            "a mounted volume uses all keys",
            volume(
                json!({ "name": "v", "configMap": { "name": "web" } }),
                json!({ "name": "v", "mountPath": "/x" }),
            ),
            &["ConfigMap web keys=* Mount required"],
        ),
        (
            "items narrow it, and each is needed",
            volume(
                json!({ "name": "v", "configMap": { "name": "web", "items": [{ "key": "b", "path": "b" }, { "key": "a", "path": "x/a" }] } }),
                json!({ "name": "v" }),
            ),
            &["ConfigMap web keys=a,b Mount required needs=a,b"],
        ),
        (
            "a volume that no container mounts does not count",
            volume(
                json!({ "name": "v", "configMap": { "name": "web" } }),
                json!({ "name": "other" }),
            ),
            &[],
        ),
        (
            "subPath shows one file",
            volume(
                json!({ "name": "v", "configMap": { "name": "web" } }),
                json!({ "name": "v", "subPath": "app.conf" }),
            ),
            &["ConfigMap web keys=app.conf SubPath required"],
        ),
        (
            "subPath shows a folder of items, all of which are needed",
            volume(
                json!({ "name": "v", "configMap": { "name": "web", "items": [{ "key": "a", "path": "d/a" }, { "key": "b", "path": "dd/b" }] } }),
                json!({ "name": "v", "subPath": "d" }),
            ),
            &["ConfigMap web keys=a SubPath required needs=a,b"],
        ),
        (
            "subPathExpr may show anything",
            volume(
                json!({ "name": "v", "configMap": { "name": "web" } }),
                json!({ "name": "v", "subPathExpr": "$(POD)" }),
            ),
            &["ConfigMap web keys=* SubPath required"],
        ),
        (
            "a projected volume uses each of its sources",
            volume(
                json!({ "name": "v", "projected": { "sources": [
                    { "configMap": { "name": "web", "items": [{ "key": "a", "path": "a" }] } },
                    { "secret": { "name": "tls", "optional": true } },
                    { "serviceAccountToken": { "path": "token" } },
                ] } }),
                json!({ "name": "v" }),
            ),
            &["ConfigMap web keys=a Mount required needs=a", "Secret tls keys=* Mount"],
        ),
        (
            "a secret volume names its source otherwise",
            volume(
                json!({ "name": "v", "secret": { "secretName": "tls" } }),
                json!({ "name": "v" }),
            ),
            &["Secret tls keys=* Mount required"],
        ),
        (
            "an init container reads once",
            json!({ "initContainers": [{ "envFrom": [{ "configMapRef": { "name": "web" } }] }] }),
            &["ConfigMap web keys=* Init required"],
        ),
        (
            "a native sidecar goes on running",
            json!({ "initContainers": [{ "restartPolicy": "Always", "envFrom": [{ "configMapRef": { "name": "web" } }] }] }),
            &["ConfigMap web keys=* Env required"],
        ),
        (
            "several uses of one source are one",
            json!({
                "containers": [
                    { "env": [{ "valueFrom": { "configMapKeyRef": { "name": "web", "key": "b" } } }] },
                    { "env": [{ "valueFrom": { "configMapKeyRef": { "name": "web", "key": "a", "optional": true } } }],
                      "volumeMounts": [{ "name": "v" }] },
                ],
                "volumes": [{ "name": "v", "configMap": { "name": "web", "items": [{ "key": "c", "path": "c" }] } }],
            }),
            &["ConfigMap web keys=a,b,c Env+Mount required needs=b,c"],
        ),
        (
            "a pull secret does not count",
            json!({ "imagePullSecrets": [{ "name": "registry" }], "containers": [] }),
            &[],
        ),
        (
            "a reference without a name is none",
            with(json!({ "envFrom": [{ "configMapRef": {} }] })),
            &[],
        ),
        (
            "an empty name is none",
            with(json!({ "envFrom": [{ "configMapRef": { "name": "" } }] })),
            &[],
        ),
    ];
    for (name, spec, expected) in table {
        assert_eq!(uses(&spec), expected, "{name}");
    }
}

/// As a workload in the namespace `shop` uses it.
fn used(namespace: Option<&str>, kind: SourceKind, name: &str) -> Use {
    let mut uses = Uses::default();
    uses.name_whole(namespace.map(Namespace::from), kind, Name::from(name));
    uses.finish().first().expect("one use").clone()
}

fn source(namespace: &str, kind: SourceKind, name: &str) -> SourceRef {
    SourceRef {
        namespace: Namespace::from(namespace),
        kind,
        name: Name::from(name),
    }
}

#[test]
fn what_a_template_uses_is_of_its_own_namespace() {
    let found = discover(&json!({ "spec": with(json!({ "envFrom": [{ "configMapRef": { "name": "web" } }] })) }));
    assert!(found.iter().all(|used| used.namespace.is_none()));
}

#[test]
fn a_use_is_of_the_workloads_namespace_unless_it_says_another() {
    let shop = Namespace::from("shop");
    let (own, far) = (
        used(None, SourceKind::ConfigMap, "web"),
        used(Some("bank"), SourceKind::ConfigMap, "web"),
    );
    assert_eq!(own.source(&shop), source("shop", SourceKind::ConfigMap, "web"));
    assert_eq!(far.source(&shop), source("bank", SourceKind::ConfigMap, "web"));
    let table = [
        ("its own", &own, source("shop", SourceKind::ConfigMap, "web"), true),
        (
            "its own is not another's",
            &own,
            source("bank", SourceKind::ConfigMap, "web"),
            false,
        ),
        ("another's", &far, source("bank", SourceKind::ConfigMap, "web"), true),
        (
            "another's is not its own",
            &far,
            source("shop", SourceKind::ConfigMap, "web"),
            false,
        ),
        ("another kind", &own, source("shop", SourceKind::Secret, "web"), false),
        (
            "another name",
            &own,
            source("shop", SourceKind::ConfigMap, "web-2"),
            false,
        ),
    ];
    for (sentence, used, source, expected) in table {
        assert_eq!(used.is_of(&shop, &source), expected, "{sentence}");
    }
}

#[test]
fn what_is_named_counts_whole_and_needs_nothing() {
    let named = used(None, SourceKind::Secret, "tls");
    assert_eq!(named.consumed, ConsumedKeys::Whole);
    assert!(named.channels.contains(Channel::Named));
    assert!(!named.required && named.required_keys.is_empty());
}

#[test]
fn what_is_named_and_used_is_one_and_keeps_what_it_needs() {
    let template = json!({ "spec": with(
        json!({ "env": [{ "valueFrom": { "configMapKeyRef": { "name": "web", "key": "a" } } }] }),
    ) });
    let mut uses = Uses::default();
    uses.name_whole(None, SourceKind::ConfigMap, Name::from("web"));
    for found in &discover(&template) {
        uses.add(found);
    }
    uses.name_whole(Some(Namespace::from("bank")), SourceKind::ConfigMap, Name::from("web"));
    let uses = uses.finish();
    let [own, far] = &*uses else {
        panic!("two sources: {uses:?}")
    };
    assert_eq!(own.consumed, ConsumedKeys::Whole);
    assert!(own.channels.contains(Channel::Env) && own.channels.contains(Channel::Named));
    assert!(own.required);
    assert_eq!(join(&own.required_keys), "a");
    assert_eq!(*far, used(Some("bank"), SourceKind::ConfigMap, "web"));
}

#[test]
fn uses_are_ordered_by_namespace_own_first_then_kind_and_name() {
    let mut uses = Uses::default();
    let ordered = [
        (None, SourceKind::ConfigMap, "b"),
        (None, SourceKind::Secret, "a"),
        (None, SourceKind::Secret, "b"),
        (Some("bank"), SourceKind::Secret, "a"),
        (Some("zoo"), SourceKind::ConfigMap, "a"),
    ];
    for (namespace, kind, name) in ordered.iter().rev() {
        uses.name_whole(namespace.map(Namespace::from), *kind, Name::from(*name));
    }
    let finished = uses.finish();
    let found: Vec<_> = finished
        .iter()
        .map(|used| {
            (
                used.namespace.as_ref().map(Namespace::as_str),
                used.kind,
                used.name.as_str(),
            )
        })
        .collect();
    assert_eq!(found, ordered);
}

#[test]
fn uses_added_again_are_the_same() {
    let template = json!({ "spec": {
        "containers": [
            { "env": [{ "valueFrom": { "secretKeyRef": { "name": "tls", "key": "a", "optional": true } } }],
              "volumeMounts": [{ "name": "v" }] },
        ],
        "volumes": [{ "name": "v", "configMap": { "name": "web", "items": [{ "key": "c", "path": "c" }] } }],
    } });
    let found = discover(&template);
    let mut again = Uses::default();
    for used in found.iter().chain(&found) {
        again.add(used);
    }
    assert_eq!(again.finish(), found);
}

/// How closely JSON is shaped like a pod template.
#[derive(Clone, Copy)]
enum Shape {
    /// In every field.
    Tidy,
    /// Now and then a field holds something else.
    Broken,
}

fn any_json() -> BoxedStrategy<Value> {
    let words = prop::sample::select(vec![
        "metadata",
        "annotations",
        "spec",
        "containers",
        "initContainers",
        "volumes",
        "env",
        "envFrom",
        "valueFrom",
        "configMapKeyRef",
        "configMapRef",
        "name",
        "key",
        "items",
        "path",
        "optional",
        "volumeMounts",
        "subPath",
        "projected",
        "sources",
        "configMap",
        "a",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(words.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
    .boxed()
}

impl Shape {
    fn of(self, tidy: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
        match self {
            Self::Tidy => tidy.boxed(),
            Self::Broken => prop_oneof![15 => tidy, 1 => any_json()].boxed(),
        }
    }

    fn text(self, texts: &[&'static str]) -> BoxedStrategy<Value> {
        self.of(prop::sample::select(texts.to_vec()).prop_map(Value::from))
    }

    /// An object with most of these fields.
    fn object<const N: usize>(self, fields: [(&'static str, BoxedStrategy<Value>); N]) -> BoxedStrategy<Value> {
        let (names, values): (Vec<_>, Vec<_>) = fields
            .into_iter()
            .map(|(name, value)| (name, prop::option::weighted(0.85, value)))
            .unzip();
        self.of(values.prop_map(move |values| {
            let present = names.iter().zip(values);
            present
                .filter_map(|(name, value)| Some(((*name).to_owned(), value?)))
                .collect()
        }))
    }

    fn list(self, item: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
        self.of(prop::collection::vec(item, 0..4).prop_map(Value::from))
    }

    fn name(self) -> BoxedStrategy<Value> {
        self.text(&["web", "tls", "db"])
    }

    fn flag(self) -> BoxedStrategy<Value> {
        self.of(any::<bool>().prop_map(Value::from))
    }

    fn env(self) -> BoxedStrategy<Value> {
        let key = || {
            let key = self.text(&["a", "b", "c"]);
            self.object([("name", self.name()), ("key", key), ("optional", self.flag())])
        };
        let from = prop_oneof![
            self.object([("configMapKeyRef", key())]),
            self.object([("secretKeyRef", key())]),
        ];
        let reference = self.object([("name", self.text(&["LEVEL", "COLOUR"])), ("valueFrom", from.boxed())]);
        let mark = self.object([
            ("name", self.text(&["STAKATER_WEB_CONFIGMAP", "STAKATER_TLS_SECRET"])),
            ("value", self.text(&["1", ONE, TWO])),
        ]);
        prop_oneof![3 => reference, 1 => mark].boxed()
    }

    fn container(self) -> BoxedStrategy<Value> {
        let whole = || self.object([("name", self.name()), ("optional", self.flag())]);
        let env_from = prop_oneof![
            self.object([("configMapRef", whole())]),
            self.object([("secretRef", whole())]),
        ];
        let mount = prop_oneof![
            self.object([("name", self.text(VOLUMES))]),
            self.object([
                ("name", self.text(VOLUMES)),
                ("subPath", self.text(&["a", "d", "d/b", ".", "./a", "d/."]))
            ]),
            self.object([
                ("name", self.text(VOLUMES)),
                ("subPathExpr", self.text(&["a", "$(POD)"]))
            ]),
        ];
        self.object([
            ("name", self.text(&["web", "proxy"])),
            ("env", self.list(self.env())),
            ("envFrom", self.list(env_from.boxed())),
            ("volumeMounts", self.list(mount.boxed())),
            ("restartPolicy", self.text(&["Always", ""])),
        ])
    }

    fn volume(self) -> BoxedStrategy<Value> {
        let item = self.object([
            ("key", self.text(&["a", "b", "c"])),
            ("path", self.text(&["a", "d/b", "./d/c"])),
        ]);
        let files = |name: &'static str| {
            self.object([
                (name, self.name()),
                ("items", self.list(item.clone())),
                ("optional", self.flag()),
            ])
        };
        let projected = prop_oneof![
            self.object([("configMap", files("name"))]),
            self.object([("secret", files("name"))]),
        ];
        let sources = self.object([("sources", self.list(projected.boxed()))]);
        prop_oneof![
            self.object([("configMap", files("name"))]),
            self.object([("secret", files("secretName"))]),
            self.object([("projected", sources)]),
        ]
        .boxed()
    }

    fn template(self) -> BoxedStrategy<Value> {
        let volumes = prop::collection::vec(self.volume(), 0..=VOLUMES.len()).prop_map(|mut volumes| {
            for (volume, name) in volumes.iter_mut().zip(VOLUMES) {
                if let Some(fields) = volume.as_object_mut() {
                    fields.insert("name".to_owned(), (*name).into());
                }
            }
            Value::from(volumes)
        });
        let annotations = self.object([
            (reloader::LAST_RELOADED_FROM, self.text(&["{}", "x"])),
            (wave::CONFIG_HASH, self.text(&["1", "2"])),
            ("note", self.text(&["x", "y"])),
        ]);
        let metadata = self.object([("annotations", annotations), ("labels", self.object([]))]);
        let spec = self.object([
            ("containers", self.list(self.container())),
            ("initContainers", self.list(self.container())),
            ("volumes", self.of(volumes)),
            ("schedulerName", self.text(&["default-scheduler", wave::NO_SCHEDULER])),
        ]);
        self.object([("metadata", metadata), ("spec", spec)])
    }
}

const VOLUMES: &[&str] = &["v", "w"];

/// The same with the items of every list in the opposite order.
fn lists_reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().rev().map(lists_reversed).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), lists_reversed(field)))
            .collect(),
        other => other.clone(),
    }
}

/// The same with the fields of every object in the opposite order.
fn fields_reversed(value: &Value) -> Value {
    fn text(value: &Value) -> String {
        match value {
            Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(",")),
            Value::Object(fields) => {
                let fields = fields.iter().rev();
                let fields = fields.map(|(name, field)| format!("{}:{}", json!(name), text(field)));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
            other => other.to_string(),
        }
    }
    serde_json::from_str(&text(value)).expect("it was JSON before")
}

/// Every text in it, field names left out.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::String(text) => vec![text],
        _ => Vec::new(),
    }
}

/// The template as it is once every mark of others is off.
fn without_marks(mut template: Value) -> Value {
    if let Some(annotations) = template
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.retain(|name, _| !is_mark(name));
    }
    let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) else {
        return template;
    };
    spec.remove("schedulerName");
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) else {
                continue;
            };
            env.retain(|variable| !NamedSources::any().is_mark(variable));
            if env.is_empty() {
                container.remove("env");
            }
        }
    }
    template
}

fn marks(template: &Value) -> Option<Box<ControllerMarks>> {
    ControllerMarks::of(template, |_| Some("default-scheduler"), NamedSources::any())
}

fn fingerprints(template: &Value) -> [Fingerprint; 2] {
    [
        template::MarkHandling::Count,
        template::MarkHandling::LeftOut(NamedSources::any()),
    ]
    .map(|marks| Fingerprint::of(template, marks))
}

proptest! {
    #[test]
    fn any_json_is_walked_without_harm(value in any_json()) {
        for template in [&value, &json!({ "spec": value }), &json!({ "metadata": value })] {
            let _ = (discover(template), marks(template), fingerprints(template));
        }
    }

    #[test]
    fn a_broken_template_is_walked_without_harm(template in Shape::Broken.template()) {
        let _ = (marks(&template), fingerprints(&template));
        let found = discover(&template);
        prop_assert!(found.is_sorted_by(|a, b| (a.kind, &a.name) < (b.kind, &b.name)));
        for one in &found {
            if let ConsumedKeys::Keys(keys) = &one.consumed {
                prop_assert!(keys.is_sorted_by(|a, b| a < b));
            }
            prop_assert!(one.required_keys.is_sorted_by(|a, b| a < b));
            prop_assert!(one.required || one.required_keys.is_empty());
        }
    }

    #[test]
    fn nothing_is_found_that_does_not_stand_there(template in Shape::Broken.template()) {
        let said = texts(&template);
        for one in &discover(&template) {
            prop_assert!(said.contains(&one.name.as_str()), "{}", one.name);
            let keys = if let ConsumedKeys::Keys(keys) = &one.consumed { &**keys } else { &[] };
            for key in keys.iter().chain(&one.required_keys) {
                prop_assert!(said.iter().any(|text| text.contains(key.as_str())), "{key}");
            }
        }
        for variable in marks(&template).iter().flat_map(|marks| &marks.variables) {
            prop_assert!(said.contains(&&*variable.name) && said.contains(&&*variable.container));
        }
    }

    #[test]
    fn the_order_of_fields_changes_nothing(template in Shape::Broken.template()) {
        let other = fields_reversed(&template);
        prop_assert_eq!(discover(&other), discover(&template));
        prop_assert_eq!(marks(&other), marks(&template));
        prop_assert_eq!(fingerprints(&other), fingerprints(&template));
    }

    #[test]
    fn the_order_of_containers_volumes_and_variables_changes_no_use_and_moves_no_mark(template in Shape::Tidy.template()) {
        let other = lists_reversed(&template);
        prop_assert_eq!(discover(&other), discover(&template));
        let (before, after) = (marks(&template), marks(&other));
        prop_assert_eq!(before.is_some(), after.is_some());
        prop_assert!(!after.is_some_and(|after| after.moved_since(before.as_deref())));
    }

    #[test]
    fn marks_taken_off_are_off_and_change_nothing_else(template in Shape::Tidy.template()) {
        let bare = without_marks(template.clone());
        let ([counted, left_out], [bare_counted, bare_left_out]) = (fingerprints(&template), fingerprints(&bare));
        prop_assert_eq!(marks(&bare), None);
        prop_assert_eq!(left_out, bare_left_out);
        prop_assert_eq!(discover(&bare), discover(&template));
        if marks(&template).is_some() {
            prop_assert_ne!(counted, bare_counted);
        }
    }

    #[test]
    fn a_restart_of_ours_changes_no_fingerprint_no_use_and_no_mark(template in Shape::Tidy.template()) {
        prop_assume!(template.is_object());
        let mut restarted = template.clone();
        for name in [CONFIG_DIGEST, CAUSE] {
            restarted["metadata"]["annotations"][name] = "k1:abc".into();
        }
        prop_assert_eq!(fingerprints(&restarted), fingerprints(&template));
        prop_assert_eq!(discover(&restarted), discover(&template));
        prop_assert_eq!(marks(&restarted), marks(&template));
    }
}
