//! What the guide and the examples show is what the API server and Windlass take: each document is
//! applied as a reader would, and each field of the definitions has to be shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use kube::api::{DeleteParams, DynamicObject, Patch, ValidationDirective};
use kube::core::ApiResource;
use serde_json::{Value, json};
use windlass::api::{ClusterRolloutPolicy, RolloutPolicy};

use crate::support::{
    Test, by,
    policies::{
        CLUSTER, NAMESPACED, cluster_policies, cluster_policy, install, only_here, policies, shipped, unique_policy,
    },
    tests,
};

tests! {
    what_the_guide_and_the_examples_show_is_accepted_and_kept: live;
}

const GUIDE: &str = "docs/policy.md";
const API_VERSION: &str = "windlass.dev/v1alpha1";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// One document, and where it stands.
struct Shown {
    at: String,
    manifest: Value,
}

impl Shown {
    fn text(&self, pointer: &str) -> &str {
        self.manifest.pointer(pointer).and_then(Value::as_str).unwrap_or("")
    }

    fn is_policy(&self) -> bool {
        self.text("/apiVersion") == API_VERSION
    }
}

/// The documents of a stream of YAML. `line`: where it begins.
fn documents(path: &str, line: usize, stream: &str) -> Vec<Shown> {
    let mut found = Vec::new();
    let mut begin = line;
    let mut text = String::new();
    for (number, content) in stream.lines().chain(["---"]).enumerate() {
        if content != "---" {
            text.extend([content, "\n"]);
            continue;
        }
        let at = format!("{path}:{begin}");
        let manifest: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{at}: {error}"));
        if !manifest.is_null() {
            found.push(Shown { at, manifest });
        }
        begin = line + number + 1;
        text.clear();
    }
    found
}

/// The documents of all blocks of YAML in a text for people.
fn documents_of_guide(path: &str) -> Vec<Shown> {
    let mut found = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (number, line) in read(path).lines().enumerate() {
        block = match (block, line) {
            (None, "```yaml") => Some((number + 2, String::new())),
            (Some((begin, text)), "```") => {
                found.extend(documents(path, begin, &text));
                None
            }
            (Some((begin, text)), line) => Some((begin, text + line + "\n")),
            (None, _) => None,
        };
    }
    found
}

/// The manifests in a file of examples, for tests that run them.
pub fn manifests(path: &str) -> Vec<Value> {
    let shown = documents(path, 1, &read(path));
    shown.into_iter().map(|shown| shown.manifest).collect()
}

fn examples(folder: &str) -> Vec<Shown> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    names.sort();
    let paths = names.into_iter().map(|name| format!("{folder}/{name}"));
    paths.flat_map(|path| documents(&path, 1, &read(&path))).collect()
}

/// The first thing that was written and is not there any more. What the server adds does not matter.
fn lost(written: &Value, kept: &Value, path: &str) -> Option<String> {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => written.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match kept.get(name) {
                Some(kept) => lost(value, kept, &path),
                None => Some(path),
            }
        }),
        (Value::Array(written), Value::Array(kept)) if written.len() == kept.len() => {
            let pairs = written.iter().zip(kept).enumerate();
            pairs
                .map(|(at, (written, kept))| lost(written, kept, &format!("{path}[{at}]")))
                .find_map(|lost| lost)
        }
        _ => (written != kept).then(|| path.to_owned()),
    }
}

/// What the API server makes of a manifest, without keeping it. An unknown field is refused, and not
/// dropped in silence as it is for most who apply something.
async fn tried(t: &Test, resource: &ApiResource, namespace: Option<&str>, manifest: &Value) -> kube::Result<Value> {
    let api: kube::Api<DynamicObject> = match namespace {
        Some(namespace) => kube::Api::namespaced_with(t.client.clone(), namespace, resource),
        None => kube::Api::all_with(t.client.clone(), resource),
    };
    let params = by("reader").apply().dry_run().validation(ValidationDirective::Strict);
    let name = manifest["metadata"]["name"].as_str().expect("a name");
    let kept = api.patch(name, &params, &Patch::Apply(manifest)).await?;
    Ok(serde_json::to_value(&kept).expect("JSON"))
}

/// Applies a policy and gives what is wrong with it.
async fn policy_trouble(t: &Test, shown: &Shown) -> Option<String> {
    let namespaced = shown.text("/kind") == "RolloutPolicy";
    let mut manifest = shown.manifest.clone();
    let metadata = manifest["metadata"].as_object_mut().expect("metadata");
    let spec = if namespaced {
        if metadata.insert("namespace".into(), json!(t.namespace)).is_none() {
            return Some("names no namespace".into());
        }
        if let Err(error) = tried(
            t,
            &ApiResource::erase::<RolloutPolicy>(&()),
            Some(&t.namespace),
            &manifest,
        )
        .await
        {
            return Some(error.to_string());
        }
        let params = by("reader").apply();
        let name = shown.text("/metadata/name");
        let kept = policies(t).patch(name, &params, &Patch::Apply(&manifest)).await;
        let kept = match kept {
            Ok(kept) => kept,
            Err(error) => return Some(error.to_string()),
        };
        if let Err(why) = kept.spec.policy.settings() {
            return Some(format!("Windlass says: {why}"));
        }
        serde_json::to_value(&kept.spec).expect("JSON")
    } else {
        if metadata.contains_key("namespace") {
            return Some("names a namespace".into());
        }
        // As it stands it would hold for tests that run at the same time.
        metadata.insert("name".into(), json!(unique_policy()));
        let kept = match tried(t, &ApiResource::erase::<ClusterRolloutPolicy>(&()), None, &manifest).await {
            Ok(kept) => kept,
            Err(error) => return Some(error.to_string()),
        };
        if let Some(trouble) = kept_for_real(t, &shown.manifest["spec"]).await {
            return Some(trouble);
        }
        kept["spec"].clone()
    };
    lost(&shown.manifest["spec"], &spec, "spec").map(|path| format!("{path} is not kept"))
}

/// A policy of the cluster, limited to the test's namespace.
async fn kept_for_real(t: &Test, spec: &Value) -> Option<String> {
    let mut spec = spec.clone();
    spec["workloads"]["namespaceSelector"] = only_here(t);
    let name = unique_policy();
    let kept = cluster_policy(t, &name, spec.clone()).await;
    let deleted = cluster_policies(t).delete(&name, &DeleteParams::default()).await;
    deleted.expect("it was there");
    if let Err(why) = kept.spec.policy.settings() {
        return Some(format!("Windlass says: {why}"));
    }
    let kept = serde_json::to_value(&kept.spec).expect("JSON");
    lost(&spec, &kept, "spec").map(|path| format!("{path} is not kept"))
}

/// Tries any other object and gives what is wrong with it.
async fn object_trouble(t: &Test, shown: &Shown) -> Option<String> {
    let (api_version, kind) = (shown.text("/apiVersion"), shown.text("/kind"));
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let plural = format!("{}s", kind.to_lowercase());
    let resource = ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: api_version.into(),
        kind: kind.into(),
        plural,
    };
    let mut manifest = shown.manifest.clone();
    let namespaced = manifest["metadata"].get("namespace").is_some();
    if namespaced {
        manifest["metadata"]["namespace"] = json!(t.namespace);
    }
    let namespace = namespaced.then_some(t.namespace.as_str());
    let kept = match tried(t, &resource, namespace, &manifest).await {
        Ok(kept) => kept,
        Err(error) => return Some(error.to_string()),
    };
    // Written as text, kept as data.
    if let Some(fields) = manifest.as_object_mut() {
        fields.remove("stringData");
    }
    lost(&manifest, &kept, "").map(|path| format!("{path} is not kept"))
}

async fn what_the_guide_and_the_examples_show_is_accepted_and_kept(t: &Test) {
    install(t).await;
    let readme = documents_of_guide("README.md");
    let of_readme: Vec<Shown> = readme.into_iter().filter(Shown::is_policy).collect();
    assert!(!of_readme.is_empty(), "README.md shows no policy");
    let shown = documents_of_guide(GUIDE)
        .into_iter()
        .chain(of_readme)
        .chain(documents_of_guide("docs/in-place.md"))
        .chain(examples("examples"))
        .chain(examples("examples/policies"))
        .chain(examples("examples/in-place"));
    let mut troubles = Vec::new();
    let mut count = 0;
    for shown in shown {
        let trouble = if shown.is_policy() {
            policy_trouble(t, &shown).await
        } else {
            object_trouble(t, &shown).await
        };
        troubles.extend(trouble.map(|trouble| format!("{}: {trouble}", shown.at)));
        count += 1;
    }
    assert!(troubles.is_empty(), "{}", troubles.join("\n"));
    assert!(
        count > 30,
        "only {count} documents were found: the test looks in the wrong place"
    );
}

/// Fields of selectors, which are as everywhere in Kubernetes.
const SELECTOR: [&str; 6] = [
    "matchLabels",
    "matchExpressions",
    "key",
    "operator",
    "values",
    "selector",
];

/// What a schema has: each field by its path, and the words of each choice.
#[derive(Default)]
struct Fields {
    paths: BTreeSet<String>,
    choices: BTreeMap<String, BTreeSet<String>>,
}

/// A selector is the same wherever it stands.
fn name_of(schema: &Value, path: &str) -> String {
    let is_selector = schema.pointer("/properties/matchExpressions").is_some();
    if is_selector {
        "selector".into()
    } else {
        path.to_owned()
    }
}

/// Goes down a schema and, with it, down what was written by it.
fn walk(schema: &Value, written: &[&Value], path: &str, all: &mut Fields, shown: &mut Fields) {
    let words = |values: &mut dyn Iterator<Item = &Value>| -> BTreeSet<String> {
        values.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let choices = words(&mut choices.iter());
        // Where the same can be chosen, one place may show it for all.
        let choice = choices.iter().cloned().collect::<Vec<_>>().join("|");
        let taken = words(&mut written.iter().copied());
        shown.choices.entry(choice.clone()).or_default().extend(taken);
        all.choices.entry(choice).or_default().extend(choices);
    }
    if let Some(items) = schema.get("items") {
        let written: Vec<&Value> = written.iter().filter_map(|it| it.as_array()).flatten().collect();
        walk(items, &written, &format!("{path}[]"), all, shown);
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let path = name_of(schema, path);
    for (name, property) in properties.into_iter().flatten() {
        let path = format!("{path}.{name}");
        let written: Vec<&Value> = written.iter().filter_map(|it| it.get(name)).collect();
        all.paths.insert(path.clone());
        if !written.is_empty() {
            shown.paths.insert(path.clone());
        }
        walk(property, &written, &path, all, shown);
    }
}

fn schema(definition: &str, part: &str) -> Value {
    let pointer = format!("/spec/versions/0/schema/openAPIV3Schema/properties/{part}");
    let shipped = shipped(definition);
    shipped
        .pointer(&pointer)
        .unwrap_or_else(|| panic!("no {pointer}"))
        .clone()
}

#[test]
fn every_field_of_the_definitions_is_shown_and_explained_in_the_guide() {
    let guide = documents_of_guide(GUIDE);
    let (mut all, mut shown) = (Fields::default(), Fields::default());
    for (definition, kind) in [(NAMESPACED, "RolloutPolicy"), (CLUSTER, "ClusterRolloutPolicy")] {
        let specs: Vec<&Value> = guide
            .iter()
            .filter(|shown| shown.text("/kind") == kind)
            .map(|shown| &shown.manifest["spec"])
            .collect();
        assert!(!specs.is_empty(), "the guide shows no {kind}");
        walk(&schema(definition, "spec"), &specs, "spec", &mut all, &mut shown);
    }
    assert!(all.paths.len() > 40, "the schema was not walked: {:?}", all.paths);
    let missing: Vec<&String> = all.paths.difference(&shown.paths).collect();
    assert!(missing.is_empty(), "{GUIDE} shows no {missing:?}");
    // An example shows how a field is written, the text what it means.
    let text = read(GUIDE);
    let names = all.paths.iter().filter_map(|path| path.rsplit('.').next());
    let fields = names
        .map(|name| name.trim_end_matches("[]"))
        .filter(|name| !SELECTOR.contains(name));
    let is_explained = |name: &&str| text.contains(&format!("`{name}`")) || text.contains(&format!("### {name}\n"));
    let missing: BTreeSet<&str> = fields.filter(|name| !is_explained(name)).collect();
    assert!(missing.is_empty(), "{GUIDE} does not explain {missing:?}");
    for (choice, words) in &all.choices {
        let missing: Vec<&String> = words.difference(&shown.choices[choice]).collect();
        assert!(missing.is_empty(), "{GUIDE} shows no {missing:?} of {choice}");
    }
}

#[test]
fn every_field_of_the_status_is_explained_in_the_guide() {
    let guide = read(GUIDE);
    for definition in [NAMESPACED, CLUSTER] {
        let (mut all, mut shown) = (Fields::default(), Fields::default());
        walk(&schema(definition, "status"), &[], "", &mut all, &mut shown);
        // A condition is as everywhere in Kubernetes.
        let own = all.paths.iter().filter(|path| !path.contains("[]"));
        let leaves: Vec<&str> = own
            .filter(|path| *path != ".workloads")
            .map(|path| path.trim_start_matches('.'))
            .collect();
        assert!(leaves.len() > 5, "{leaves:?}");
        for leaf in leaves {
            assert!(guide.contains(&format!("`{leaf}`")), "{GUIDE} does not explain {leaf}");
        }
    }
}

#[test]
fn a_field_without_an_example_is_found() {
    let schema = json!({"properties": {
        "old": {"type": "string", "enum": ["A", "B"]},
        "list": {"items": {"properties": {"new": {}, "selector": {"properties": {"matchExpressions": {}}}}}},
    }});
    let written = json!({"old": "A", "list": [{"selector": {}}]});
    let (mut all, mut shown) = (Fields::default(), Fields::default());
    walk(&schema, &[&written], "spec", &mut all, &mut shown);
    let missing: Vec<_> = all.paths.difference(&shown.paths).map(String::as_str).collect();
    assert_eq!(missing, ["selector.matchExpressions", "spec.list[].new"]);
    assert_eq!(shown.choices["A|B"], BTreeSet::from(["A".to_owned()]));

    let kept = json!({"a": [{"b": 1, "c": 2}], "d": 3});
    assert_eq!(lost(&json!({"a": [{"b": 1}]}), &kept, ""), None);
    assert_eq!(lost(&json!({"a": [{"x": 1}]}), &kept, "").as_deref(), Some(".a[0].x"));
    assert_eq!(lost(&json!({"d": 4}), &kept, "").as_deref(), Some(".d"));
}
