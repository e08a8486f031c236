//! Secrets come in two steps: that they are there, and, for those who use them, what they hold.

use super::*;
use crate::k8s::wire::{ReadSecret, WatchedSecret};

/// An index that watches Secrets as well.
fn fed() -> (Fed, WatchId) {
    let mut fed = Fed::new();
    let watch = fed
        .index
        .add_watch(WatchedKind::Sources(SourceKind::Secret), None, None);
    fed.index.list_start(watch);
    fed.index.list_end(watch, now());
    (fed, watch)
}

fn object(version: u64, value: &str) -> String {
    use base64::Engine as _;
    let value = base64::engine::general_purpose::STANDARD.encode(value);
    json!({
        "metadata": { "name": "login", "namespace": "shop", "uid": "s", "resourceVersion": version.to_string() },
        "data": { "password": value },
    })
    .to_string()
}

fn seen(version: u64) -> Source {
    let watched: WatchedSecret = serde_json::from_str(&object(version, "not looked at")).expect("it decodes");
    watched.source
}

fn read(version: u64, value: &str) -> Source {
    let ReadSecret(source) = serde_json::from_str(&object(version, value)).expect("it decodes");
    source
}

fn user() -> Workload {
    let reads = json!({ "env": [{ "valueFrom": { "secretKeyRef": { "name": "login", "key": "password" } } }] });
    deployment("web", "1", 6, Value::Null, reads)
}

fn wanted(index: &mut Index) -> Vec<FetchRequest> {
    index.take_fetch_requests()
}

#[test]
fn one_that_nobody_uses_is_never_asked_for() {
    let (mut fed, watch) = fed();
    assert!(
        fed.index
            .apply_source(watch, seen(5), Observation::Watched, now())
            .is_empty()
    );
    assert!(
        fed.index
            .apply_source(watch, seen(9), Observation::Watched, now())
            .is_empty()
    );
    assert_eq!(wanted(&mut fed.index), []);
    assert_eq!(fed.index.source_count(SourceKind::Secret), 1);
}

#[test]
fn whoever_begins_to_use_it_waits_until_it_is_read() {
    let (mut fed, watch) = fed();
    fed.index.apply_source(watch, seen(5), Observation::Listed, now());
    fed.workload(user());
    let unread = fed.index.counted_sources(fed.entry("web")).unread;
    assert_eq!(unread.len(), 1);
    assert!(fed.index.needs_reading(&unread[0]));
    assert_eq!(names(&fed.index.apply_read(read(5, "A"), now())), ["web"]);
    assert!(fed.index.counted_sources(fed.entry("web")).unread.is_empty());
    assert!(!fed.index.needs_reading(&unread[0]));
    assert!(fed.change_keys("web").is_empty(), "it was there all the time");
}

#[test]
fn a_change_is_asked_for_once_and_concerns_its_users_when_it_is_read() {
    let (mut fed, watch) = fed();
    fed.workload(user());
    fed.index.apply_source(watch, seen(5), Observation::Listed, now());
    fed.index.apply_read(read(5, "A"), now());
    fed.index.take_fetch_requests();
    assert!(
        fed.index
            .apply_source(watch, seen(9), Observation::Watched, now())
            .is_empty()
    );
    let wanted = wanted(&mut fed.index);
    let source = seen(9).reference;
    assert_eq!(wanted, [FetchRequest::Source(source.clone())]);
    assert!(fed.index.needs_reading(&source));
    assert_eq!(names(&fed.index.apply_read(read(9, "B"), now())), ["web"]);
    assert_eq!(fed.change_keys("web"), ["password"]);
    assert!(!fed.index.needs_reading(&source));
}

#[test]
fn an_answer_that_is_newer_than_the_event_spares_the_next_question() {
    let (mut fed, watch) = fed();
    fed.workload(user());
    fed.index.apply_source(watch, seen(5), Observation::Listed, now());
    fed.index.apply_read(read(9, "B"), now());
    fed.index.take_fetch_requests();
    fed.index.apply_source(watch, seen(9), Observation::Watched, now());
    assert_eq!(wanted(&mut fed.index), []);
}

/// Its users waited for ever, for content that nobody would ever read.
#[test]
fn one_that_is_deleted_before_it_was_read_is_missing() {
    let (mut fed, watch) = fed();
    fed.index.apply_source(watch, seen(5), Observation::Listed, now());
    fed.workload(user());
    let reference = seen(5).reference;
    let gone = Some(Version::new(7));
    assert_eq!(names(&fed.index.remove_source(watch, &reference, gone, now())), ["web"]);
    let unread = |fed: &Fed| fed.index.counted_sources(fed.entry("web")).unread.len();
    assert_eq!(unread(&fed), 0);
    fed.index.apply_source(watch, seen(9), Observation::Watched, now());
    assert_eq!(unread(&fed), 1, "it is back");
}

/// As in a list after a watch that broke off.
#[test]
fn one_that_a_list_does_not_name_before_it_was_read_is_missing() {
    let (mut fed, watch) = fed();
    fed.index.apply_source(watch, seen(5), Observation::Listed, now());
    fed.workload(user());
    fed.index.list_start(watch);
    assert_eq!(names(&fed.index.list_end(watch, now())), ["web"]);
    assert_eq!(fed.index.counted_sources(fed.entry("web")).unread, []);
    assert!(!fed.index.needs_reading(&seen(5).reference));
}

/// Two writes of labels that come before the content is read: whatever was there in between was there a moment ago,
/// not since its content was written.
#[test]
fn what_was_skipped_is_not_older_than_the_event_before_it() {
    let (mut fed, watch) = fed();
    let at = |version: u64| {
        let mut object: Value = serde_json::from_str(&object(version, "A")).expect("JSON");
        object["metadata"]["managedFields"] = json!([{ "time": "2026-01-01T00:00:00Z", "fieldsV1": { "f:data": {} } }]);
        object
    };
    let seen = |version| {
        serde_json::from_value::<WatchedSecret>(at(version))
            .expect("it decodes")
            .source
    };
    let read = |version| serde_json::from_value::<ReadSecret>(at(version)).expect("it decodes").0;
    fed.workload(user());
    fed.index.apply_source(watch, seen(5), Observation::Listed, now());
    fed.index.apply_read(read(5), now());
    fed.index.apply_source(watch, seen(9), Observation::Watched, now());
    fed.index.apply_source(watch, seen(12), Observation::Watched, now());
    fed.index.apply_read(read(12), now());
    let entry = &fed.index.sources[&seen(5).reference];
    let since = entry.unseen_since(Version::default());
    assert_eq!(since, Some(Second::from(now())));
}

#[test]
fn an_answer_from_before_it_was_deleted_is_not_believed() {
    let (mut fed, watch) = fed();
    fed.workload(user());
    fed.index.apply_source(watch, seen(5), Observation::Listed, now());
    fed.index.apply_read(read(5, "A"), now());
    let reference = seen(5).reference;
    fed.index
        .remove_source(watch, &reference, Some(Version::new(12)), now());
    assert!(fed.index.apply_read(read(9, "B"), now()).is_empty());
    assert_eq!(fed.index.source_count(SourceKind::Secret), 0);
}

#[test]
fn one_that_cannot_be_read_is_named_with_the_reason() {
    let (mut fed, watch) = fed();
    fed.workload(user());
    fed.index.apply_source(watch, seen(5), Observation::Listed, now());
    let source = seen(5).reference;
    assert_eq!(names(&fed.index.note_unreadable(&source, "forbidden")), ["web"]);
    let counted = fed.index.counted_sources(fed.entry("web"));
    assert_eq!(counted.unreadable, [(source.clone(), "forbidden".into())]);
    // It heals with the next try.
    fed.index.apply_read(read(5, "A"), now());
    assert!(fed.index.counted_sources(fed.entry("web")).unreadable.is_empty());
    // What is known stays good while a later version cannot be read.
    fed.index.apply_source(watch, seen(9), Observation::Watched, now());
    assert!(fed.index.note_unreadable(&source, "forbidden").is_empty());
    assert!(fed.index.needs_reading(&source));
}

#[test]
fn without_secrets_none_counts() {
    let rules = IndexSettings {
        sources: SourceKinds {
            configmaps: true,
            secrets: false,
        },
        ..IndexSettings::default()
    };
    let mut index = Index::new(rules);
    let workloads = index.add_watch(WatchedKind::Workloads(DEPLOYMENT), None, None);
    index.apply_workload(workloads, user(), Observation::Watched, now());
    let entry = index.workload(&reference("web")).expect("it is known");
    assert!(index.counted_sources(entry).uses.is_empty());
}

#[test]
fn one_that_goes_and_comes_back_the_same_changed_nothing() {
    let (mut fed, watch) = fed();
    fed.workload(user());
    fed.index.apply_source(watch, seen(5), Observation::Listed, now());
    fed.index.apply_read(read(5, "A"), now());
    let reference = seen(5).reference;
    fed.index.remove_source(watch, &reference, Some(Version::new(7)), now());
    fed.index.apply_source(watch, seen(9), Observation::Watched, now());
    assert!(fed.index.needs_reading(&reference));
    fed.index.apply_read(read(9, "A"), now());
    assert!(fed.change_keys("web").is_empty());
    assert_eq!(fed.index.source_count(SourceKind::Secret), 1);
}

/// Found by the simulation: GETs failed for as long as it took to change it and to change it back.
#[test]
fn versions_that_were_never_read_may_have_held_anything() {
    let (mut fed, watch) = fed();
    fed.workload(user());
    fed.index.apply_source(watch, seen(5), Observation::Listed, now());
    fed.index.apply_read(read(5, "A"), now());
    fed.index.apply_source(watch, seen(9), Observation::Watched, now());
    assert!(
        fed.index.apply_read(read(9, "A"), now()).is_empty(),
        "only its labels moved"
    );
    // Two more, of which the first was not read.
    fed.index.apply_source(watch, seen(12), Observation::Watched, now());
    fed.index.apply_source(watch, seen(13), Observation::Watched, now());
    assert_eq!(names(&fed.index.apply_read(read(13, "A"), now())), ["web"]);
    let unseen_since = |fed: &Fed| {
        let counted = fed.index.counted_sources(fed.entry("web"));
        fed.index.views(&counted, Version::new(9))[0].unseen_since
    };
    assert_eq!(unseen_since(&fed), Some(Second::from(now())));
    // One was told, and what was read is a later one.
    fed.index.apply_source(watch, seen(14), Observation::Watched, now());
    assert_eq!(names(&fed.index.apply_read(read(15, "A"), now())), ["web"]);
    fed.index.apply_source(watch, seen(15), Observation::Watched, now());
    fed.index.apply_source(watch, seen(16), Observation::Watched, now());
    assert!(
        fed.index.apply_read(read(16, "A"), now()).is_empty(),
        "it was read each time"
    );
}
