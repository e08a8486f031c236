use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use windlass_core::types::name::{Name, Uid};
use windlass_core::types::time::Second;
use windlass_core::workload::kind::DEPLOYMENT;
use windlass_core::workload::{Source, SourceAnnotations, Workload};

use super::*;
use crate::k8s::wire::{WatchedConfigMap, WatchedWorkload};

mod delegations;
mod elsewhere;
mod failures;
mod interner;
mod pattern_cache;
mod policies;
mod secrets;
mod standby;
mod unused;
mod waves;

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time")
}

/// An index whose first lists are complete and empty.
struct Fed {
    index: Index,
    sources: WatchId,
    workloads: WatchId,
    /// The `ConfigMap`s as they are in the cluster.
    there: BTreeMap<SourceRef, Source>,
}

impl Fed {
    fn new() -> Self {
        let mut index = Index::default();
        let sources = index.add_watch(
            WatchedKind::Sources(SourceKind::ConfigMap),
            None,
            Some(Second::new(NOW - 100)),
        );
        let workloads = index.add_watch(WatchedKind::Workloads(DEPLOYMENT), None, None);
        let mut fed = Self {
            index,
            sources,
            workloads,
            there: BTreeMap::new(),
        };
        fed.list_sources(&[]);
        fed.index.list_start(workloads);
        fed.index.list_end(workloads, now());
        fed
    }

    fn list_sources(&mut self, listed: &[Source]) -> Vec<String> {
        self.index.list_start(self.sources);
        let mut effect = Vec::new();
        for source in listed {
            self.there.insert(source.reference.clone(), source.clone());
            effect.extend(
                self.index
                    .apply_source(self.sources, source.clone(), Observation::Listed, now()),
            );
        }
        effect.extend(self.index.list_end(self.sources, now()));
        names(&effect)
    }

    fn see(&mut self, source: Source) -> Vec<String> {
        self.there.insert(source.reference.clone(), source.clone());
        names(
            &self
                .index
                .apply_source(self.sources, source, Observation::Watched, now()),
        )
    }

    fn lose(&mut self, name: &str, version: u64) -> Vec<String> {
        let gone = config_map(name, "u", version, &[]);
        names(
            &self
                .index
                .remove_source(self.sources, &gone.reference, Some(Version::new(version)), now()),
        )
    }

    /// A workload comes or changes, and what it begins to use is read.
    fn workload(&mut self, workload: Workload) -> bool {
        let reference = workload.reference.clone();
        let effect = self
            .index
            .apply_workload(self.workloads, workload, Observation::Watched, now());
        let entry = self.index.workload(&reference);
        let unread = entry
            .map(|entry| self.index.counted_sources(entry).unread)
            .unwrap_or_default();
        for source in unread {
            if let Some(read) = self.there.get(&source) {
                self.index.apply_read(read.clone(), now());
            }
        }
        self.index.take_fetch_requests();
        effect
    }

    fn entry(&self, name: &str) -> &WorkloadEntry {
        self.index.workload(&reference(name)).expect("it is known")
    }

    fn change_keys(&self, name: &str) -> Vec<String> {
        let change = self.entry(name).pending_change();
        change
            .map(|change| change.keys.iter().map(|(_, key)| key.to_string()).collect())
            .unwrap_or_default()
    }
}

fn names(effect: &[WorkloadRef]) -> Vec<String> {
    effect.iter().map(|workload| workload.name.to_string()).collect()
}

fn reference(name: &str) -> WorkloadRef {
    WorkloadRef {
        namespace: Namespace::from("shop"),
        kind: DEPLOYMENT,
        name: Name::from(name),
    }
}

fn config_map(name: &str, uid: &str, version: u64, data: &[(&str, &str)]) -> Source {
    let data: serde_json::Map<String, Value> = data.iter().map(|(key, value)| ((*key).into(), json!(value))).collect();
    let object = json!({
        "metadata": { "name": name, "namespace": "shop", "uid": uid, "resourceVersion": version.to_string() },
        "data": data,
    });
    serde_json::from_str::<WatchedConfigMap>(&object.to_string())
        .expect("it decodes")
        .source
}

/// A Deployment with one container whose spec is given.
fn deployment(name: &str, uid: &str, version: u64, annotations: Value, container: Value) -> Workload {
    let mut object = json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid, "resourceVersion": version.to_string(),
            "annotations": annotations,
        },
        "spec": { "template": { "spec": { "containers": [container] } } },
    });
    if object["metadata"]["annotations"].is_null() {
        object["metadata"]["annotations"] = json!({ "windlass.dev/enabled": "true" });
    }
    serde_json::from_str::<WatchedWorkload>(&object.to_string())
        .expect("it decodes")
        .workload(DEPLOYMENT, AnnotationOptions::default())
}

fn env(source: &str, key: &str) -> Value {
    json!({ "env": [{ "valueFrom": { "configMapKeyRef": { "name": source, "key": key } } }] })
}

fn env_from(source: &str, optional: bool) -> Value {
    json!({ "envFrom": [{ "configMapRef": { "name": source, "optional": optional } }] })
}

/// A pod that started while an optional one was away has read nothing of it.
#[test]
fn one_that_is_created_again_with_the_same_content_came_then() {
    let mut fed = Fed::new();
    let reads = json!({ "envFrom": [{ "configMapRef": { "name": "web", "optional": true } }] });
    fed.workload(deployment("web", "w", 6, Value::Null, reads));
    let reference = config_map("web", "u", 7, &[]).reference;
    fed.see(config_map("web", "u", 7, &[("a", "1")]));
    let written = |fed: &Fed| fed.index.sources[&reference].source().written;
    let before = written(&fed);
    fed.index
        .remove_source(fed.sources, &reference, Some(Version::new(8)), now());
    let later = now() + jiff::SignedDuration::from_secs(20);
    let again = config_map("web", "v", 9, &[("a", "1")]);
    fed.index.apply_source(fed.sources, again, Observation::Watched, later);
    assert!(written(&fed).is_exact());
    assert!(written(&fed).at() > before.at(), "{:?}", written(&fed));
}

#[test]
fn only_those_who_consume_a_changed_key_are_concerned() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1"), ("b", "1")]));
    fed.workload(deployment("uses-a", "1", 6, Value::Null, env("web", "a")));
    fed.workload(deployment("uses-b", "2", 7, Value::Null, env("web", "b")));
    fed.workload(deployment("uses-other", "3", 8, Value::Null, env("other", "a")));
    assert_eq!(
        fed.see(config_map("web", "u", 9, &[("a", "2"), ("b", "1")])),
        ["uses-a"]
    );
    assert_eq!(fed.change_keys("uses-a"), ["a"]);
    assert!(fed.entry("uses-b").pending_change().is_none());
}

#[test]
fn labels_of_a_source_concern_nobody() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    assert!(fed.see(config_map("web", "u", 9, &[("a", "1")])).is_empty());
}

#[test]
fn an_older_version_never_replaces_a_newer_one() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 9, &[("a", "2")]));
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    assert!(fed.see(config_map("web", "u", 5, &[("a", "1")])).is_empty());
    assert!(fed.list_sources(&[config_map("web", "u", 5, &[("a", "1")])]).is_empty());
    assert!(!fed.workload(deployment("web", "1", 4, Value::Null, env("other", "a"))));
    assert_eq!(fed.entry("web").workload().version, Version::new(6));
}

#[test]
fn a_new_list_is_a_comparison() {
    let mut fed = Fed::new();
    fed.see(config_map("same", "u", 5, &[("a", "1")]));
    fed.see(config_map("changed", "u", 5, &[("a", "1")]));
    fed.see(config_map("gone", "u", 5, &[("a", "1")]));
    for name in ["same", "changed", "gone"] {
        fed.workload(deployment(name, name, 6, Value::Null, env(name, "a")));
    }
    let effect = fed.list_sources(&[
        config_map("same", "u", 5, &[("a", "1")]),
        config_map("changed", "u", 8, &[("a", "2")]),
    ]);
    assert_eq!(effect, ["changed", "gone"]);
    assert_eq!(fed.index.source_count(SourceKind::ConfigMap), 2);
}

#[test]
fn what_was_written_unwatched_and_reads_the_same_is_looked_into() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    assert_eq!(fed.list_sources(&[config_map("web", "u", 9, &[("a", "1")])]), ["web"]);
    assert!(
        fed.entry("web").pending_change().is_none(),
        "nothing is known to have changed"
    );
    let uses = fed.index.counted_sources(fed.entry("web"));
    let unseen = |verified| {
        fed.index
            .views(&uses, Version::new(verified))
            .first()
            .and_then(|view| view.unseen_since)
    };
    assert_eq!(unseen(0), Some(Second::new(NOW)));
    assert_eq!(unseen(9), None, "it was looked into");
}

#[test]
fn a_list_that_begins_again_in_the_middle_forgets_nothing() {
    let mut fed = Fed::new();
    fed.see(config_map("a", "u", 5, &[]));
    fed.see(config_map("b", "u", 5, &[]));
    fed.index.list_start(fed.sources);
    fed.index
        .apply_source(fed.sources, config_map("a", "u", 5, &[]), Observation::Listed, now());
    fed.index.list_start(fed.sources);
    fed.index
        .apply_source(fed.sources, config_map("b", "u", 5, &[]), Observation::Listed, now());
    fed.index
        .apply_source(fed.sources, config_map("a", "u", 5, &[]), Observation::Listed, now());
    fed.index.list_end(fed.sources, now());
    assert_eq!(fed.index.source_count(SourceKind::ConfigMap), 2);
}

#[test]
fn a_required_source_that_goes_and_comes_back_the_same_is_no_change() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    assert_eq!(fed.lose("web", 7), ["web"]);
    assert_eq!(fed.index.source_count(SourceKind::ConfigMap), 0);
    assert_eq!(fed.see(config_map("web", "u2", 8, &[("a", "1")])), ["web"]);
    assert!(fed.entry("web").pending_change().is_none());
    fed.lose("web", 9);
    fed.see(config_map("web", "u3", 10, &[("a", "2")]));
    assert_eq!(fed.change_keys("web"), ["a"]);
}

#[test]
fn an_optional_source_that_goes_is_a_change() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    fed.workload(deployment("web", "1", 6, Value::Null, env_from("web", true)));
    assert_eq!(fed.lose("web", 7), ["web"]);
    assert!(fed.entry("web").pending_change().is_some());
}

#[test]
fn what_nobody_uses_leaves_nothing_behind() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    assert!(fed.lose("web", 6).is_empty());
    assert!(fed.index.sources.is_empty());
    fed.see(config_map("web", "u", 7, &[("a", "1")]));
    fed.workload(deployment("web", "1", 8, Value::Null, env("web", "a")));
    fed.lose("web", 9);
    fed.index.forget(&reference("web"));
    assert!(fed.index.sources.is_empty() && fed.index.used_by.is_empty());
}

#[test]
fn a_pattern_takes_up_what_comes_later_and_an_exclusion_leaves_it_out() {
    let mut fed = Fed::new();
    let annotations = json!({
        "windlass.dev/enabled": "true",
        "windlass.dev/configmaps": "web-*",
        "windlass.dev/exclude-configmaps": "web-x",
    });
    fed.workload(deployment("web", "1", 6, annotations, json!({})));
    assert_eq!(fed.see(config_map("web-a", "u", 7, &[("a", "1")])), ["web"]);
    assert!(fed.see(config_map("web-x", "u", 8, &[("a", "1")])).is_empty());
    assert!(fed.see(config_map("other", "u", 9, &[("a", "1")])).is_empty());
    let uses = fed.index.counted_sources(fed.entry("web"));
    assert_eq!(
        uses.uses
            .iter()
            .map(|(source, _)| source.to_string())
            .collect::<Vec<_>>(),
        ["ConfigMap web-a"]
    );
}

fn marked_as_ignored(ignored: bool) -> Option<Box<SourceAnnotations>> {
    let marks = SourceAnnotations {
        ignored,
        ..SourceAnnotations::default()
    };
    marks.boxed()
}

#[test]
fn an_ignored_source_does_not_count() {
    let mut fed = Fed::new();
    let mut ignored = config_map("web", "u", 5, &[("a", "1")]);
    ignored.annotations = marked_as_ignored(true);
    fed.see(ignored);
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    let uses = fed.index.counted_sources(fed.entry("web"));
    assert!(fed.index.views(&uses, Version::default()).is_empty());
}

#[test]
fn a_change_of_an_ignored_source_is_none_and_neither_is_its_coming_back() {
    let mut fed = Fed::new();
    let version = |version, value, ignored| {
        let mut source = config_map("web", "u", version, &[("a", value)]);
        source.annotations = marked_as_ignored(ignored);
        source
    };
    fed.see(version(5, "1", true));
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    assert!(fed.see(version(7, "2", true)).is_empty());
    assert_eq!(fed.see(version(8, "3", false)), ["web"]);
    assert!(fed.entry("web").pending_change().is_none());
    assert_eq!(fed.see(version(9, "4", false)), ["web"]);
    assert!(fed.entry("web").pending_change().is_some());
}

#[test]
fn a_workload_that_no_longer_asks_is_let_go() {
    let mut fed = Fed::new();
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    fed.index
        .set_status(&reference("web"), (State::Current, Reason::Unchanged));
    assert!(!fed.workload(deployment(
        "web",
        "1",
        7,
        json!({ "windlass.dev/enabled": "false" }),
        env("web", "a")
    )));
    assert!(fed.index.workload(&reference("web")).is_none());
    assert!(fed.index.used_by.is_empty());
}

#[test]
fn a_bad_annotation_leaves_the_last_good_word() {
    let mut fed = Fed::new();
    let good = json!({ "windlass.dev/enabled": "true", "windlass.dev/exclude-configmaps": "x" });
    fed.workload(deployment("web", "1", 6, good, env("web", "a")));
    assert!(fed.workload(deployment(
        "web",
        "1",
        7,
        json!({ "windlass.dev/enabled": "yes" }),
        env("web", "a")
    )));
    let entry = fed.entry("web");
    assert!(entry.workload().opt_in.is_err());
    assert!(entry.opt_in().is_some_and(|opt_in| {
        opt_in
            .configmaps
            .excludes(&Namespace::from("shop"), &config_map("x", "u", 1, &[]).reference)
    }));
}

#[test]
fn another_object_of_the_same_name_inherits_nothing() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    fed.see(config_map("web", "u", 7, &[("a", "2")]));
    if let Some(entry) = fed.index.workload_mut(&reference("web")) {
        entry.record_revisions(Some("{}".into()));
    }
    fed.workload(deployment("web", "2", 8, Value::Null, env("web", "a")));
    let entry = fed.entry("web");
    assert!(entry.last_baseline().is_none() && entry.pending_change().is_none());
}

#[test]
fn a_foreign_template_change_is_dated_when_it_was_watched() {
    let mut fed = Fed::new();
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    fed.workload(deployment("web", "1", 9, Value::Null, env("web", "b")));
    assert_eq!(
        fed.entry("web").foreign_change().map(|foreign| foreign.version),
        Some(Version::new(9))
    );
    let later = deployment("web", "1", 12, Value::Null, env("web", "c"));
    fed.index
        .apply_workload(fed.workloads, later, Observation::Listed, now());
    assert_eq!(
        fed.entry("web").foreign_change(),
        None,
        "in a list it may be older than its version"
    );
}

#[test]
fn a_change_that_was_taken_and_put_back_is_merged_with_what_came_meanwhile() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1"), ("b", "1")]));
    fed.workload(deployment("web", "1", 6, Value::Null, env_from("web", false)));
    fed.see(config_map("web", "u", 7, &[("a", "2"), ("b", "1")]));
    let taken = fed
        .index
        .workload_mut(&reference("web"))
        .and_then(WorkloadEntry::take_change);
    fed.see(config_map("web", "u", 8, &[("a", "2"), ("b", "2")]));
    if let Some(entry) = fed.index.workload_mut(&reference("web")) {
        entry.put_back(taken);
    }
    assert_eq!(fed.change_keys("web"), ["a", "b"]);
}
