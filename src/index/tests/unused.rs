//! Content that nobody uses is not kept, and is read when somebody begins to use it.

use super::*;

fn is_kept(fed: &Fed, name: &str) -> bool {
    let reference = config_map(name, "u", 1, &[]).reference;
    let entry = fed.index.sources.get(&reference).expect("it is known");
    entry.source().contents.iter().len() > 0
}

fn begin_to_use(fed: &mut Fed) -> Vec<FetchRequest> {
    let web = deployment("web", "1", 6, Value::Null, env("web", "a"));
    fed.index
        .apply_workload(fed.workloads, web, Observation::Watched, now());
    fed.index.take_fetch_requests()
}

fn wanted(name: &str) -> Vec<FetchRequest> {
    vec![FetchRequest::Source(config_map(name, "u", 1, &[]).reference)]
}

#[test]
fn what_nobody_uses_is_known_by_its_name_only() {
    let mut fed = Fed::new();
    let content: &[(&str, &str)] = &[("a", "1"), ("b", "1")];
    fed.see(config_map("seen", "u", 5, content));
    fed.see(config_map("seen", "u", 7, content));
    fed.list_sources(&[
        config_map("seen", "u", 7, content),
        config_map("listed", "u", 8, content),
    ]);
    assert!(!is_kept(&fed, "seen") && !is_kept(&fed, "listed"));
    assert_eq!(fed.index.source_count(SourceKind::ConfigMap), 2);
    assert_eq!(fed.index.take_fetch_requests(), []);
    assert!(!fed.index.needs_reading(&config_map("seen", "u", 1, &[]).reference));
    assert_eq!(fed.index.texts.count(), 1, "the namespace");
}

#[test]
fn at_the_start_nothing_has_to_be_read_of_what_is_used() {
    let mut index = Index::default();
    let sources = index.add_watch(WatchedKind::Sources(SourceKind::ConfigMap), None, None);
    let workloads = index.add_watch(WatchedKind::Workloads(DEPLOYMENT), None, None);
    assert!(!index.has_workloads());
    index.list_start(workloads);
    let web = deployment("web", "1", 6, Value::Null, env("web", "a"));
    index.apply_workload(workloads, web, Observation::Listed, now());
    index.list_end(workloads, now());
    assert!(index.has_workloads() && !index.started());
    index.list_start(sources);
    for name in ["web", "other"] {
        index.apply_source(
            sources,
            config_map(name, "u", 5, &[("a", "1")]),
            Observation::Listed,
            now(),
        );
    }
    index.list_end(sources, now());
    assert!(index.started());
    assert_eq!(index.take_fetch_requests(), []);
    let entry = index.workload(&reference("web")).expect("it is known");
    assert!(index.counted_sources(entry).unread.is_empty());
}

#[test]
fn whoever_begins_to_use_it_waits_until_it_is_read_once() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    assert_eq!(begin_to_use(&mut fed), wanted("web"));
    assert_eq!(fed.index.counted_sources(fed.entry("web")).unread.len(), 1);
    let reference = config_map("web", "u", 1, &[]).reference;
    assert!(fed.index.needs_reading(&reference));
    let read = config_map("web", "u", 5, &[("a", "1")]);
    assert_eq!(names(&fed.index.apply_read(read, now())), ["web"]);
    assert!(fed.index.counted_sources(fed.entry("web")).unread.is_empty());
    assert!(!fed.index.needs_reading(&reference));
    assert!(fed.entry("web").pending_change().is_none(), "it was there all the time");
    assert_eq!(fed.see(config_map("web", "u", 9, &[("a", "2")])), ["web"]);
    assert_eq!(fed.change_keys("web"), ["a"]);
    assert_eq!(fed.index.take_fetch_requests(), [], "the watch brings it whole");
}

/// Nobody looked at what it held before, so pods may run something else.
#[test]
fn what_was_not_used_until_now_was_not_watched_until_now() {
    for by_the_watch in [false, true] {
        let mut fed = Fed::new();
        fed.see(config_map("web", "u", 5, &[("a", "1")]));
        begin_to_use(&mut fed);
        let content = config_map("web", "u", 9, &[("a", "2")]);
        let effect = if by_the_watch {
            fed.see(content)
        } else {
            names(&fed.index.apply_read(content, now()))
        };
        assert_eq!(effect, ["web"], "by the watch: {by_the_watch}");
        let counted = fed.index.counted_sources(fed.entry("web"));
        let unseen_since = |verified| fed.index.views(&counted, Version::new(verified))[0].unseen_since;
        assert_eq!(unseen_since(0), Some(Second::new(0)));
        assert_eq!(unseen_since(9), None, "it was looked into");
        assert!(
            fed.entry("web").pending_change().is_none(),
            "nothing is known to have changed"
        );
    }
}

#[test]
fn what_the_watch_brought_meanwhile_is_not_read_and_no_older_answer_is_believed() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    begin_to_use(&mut fed);
    fed.see(config_map("web", "u", 9, &[("a", "2")]));
    assert!(!fed.index.needs_reading(&config_map("web", "u", 1, &[]).reference));
    for (version, value) in [(5, "1"), (9, "2"), (12, "3")] {
        let answer = config_map("web", "u", version, &[("a", value)]);
        assert!(fed.index.apply_read(answer, now()).is_empty(), "{version}");
    }
    assert_eq!(fed.see(config_map("web", "u", 12, &[("a", "3")])), ["web"]);
    assert_eq!(fed.change_keys("web"), ["a"], "the watch tells of it");
}

#[test]
fn when_the_last_user_goes_its_content_goes() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    for name in ["web", "api"] {
        fed.workload(deployment(name, name, 6, Value::Null, env("web", "a")));
    }
    assert!(is_kept(&fed, "web"));
    fed.index.forget(&reference("api"));
    assert!(is_kept(&fed, "web"), "one more uses it");
    fed.workload(deployment("web", "web", 7, Value::Null, env("other", "a")));
    assert!(!is_kept(&fed, "web"), "it uses another one");
    assert_eq!(fed.index.source_count(SourceKind::ConfigMap), 1);
}

#[test]
fn whoever_goes_on_using_it_keeps_it() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1"), ("b", "1")]));
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    let later = deployment("web", "1", 7, Value::Null, env("web", "b"));
    fed.index
        .apply_workload(fed.workloads, later, Observation::Watched, now());
    assert!(is_kept(&fed, "web"));
    let another = deployment("web", "2", 8, Value::Null, env("web", "b"));
    fed.index
        .apply_workload(fed.workloads, another, Observation::Watched, now());
    assert!(is_kept(&fed, "web"), "of the same name");
    assert_eq!(fed.index.take_fetch_requests(), []);
}

#[test]
fn what_a_pattern_names_is_used() {
    let mut fed = Fed::new();
    let annotations = json!({ "windlass.dev/enabled": "true", "windlass.dev/configmaps": "web-*" });
    for name in ["web-a", "other"] {
        fed.see(config_map(name, "u", 5, &[("a", "1")]));
    }
    fed.workload(deployment("web", "1", 6, annotations, json!({})));
    fed.see(config_map("web-b", "u", 7, &[("a", "1")]));
    assert!(is_kept(&fed, "web-a") && is_kept(&fed, "web-b") && !is_kept(&fed, "other"));
    fed.index.forget(&reference("web"));
    assert!(!is_kept(&fed, "web-a") && !is_kept(&fed, "web-b"));
}

#[test]
fn one_that_is_deleted_and_back_before_anybody_read_it_is_known_when_it_is_back() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    begin_to_use(&mut fed);
    assert_eq!(fed.lose("web", 7), ["web"]);
    let counted = fed.index.counted_sources(fed.entry("web"));
    assert!(counted.unread.is_empty(), "it is missing, which can be decided");
    assert!(fed.index.views(&counted, Version::default())[0].source.is_none());
    assert!(!fed.index.needs_reading(&config_map("web", "u", 1, &[]).reference));
    let before = config_map("web", "u", 5, &[("a", "1")]);
    assert!(fed.index.apply_read(before, now()).is_empty(), "from before it went");
    assert_eq!(fed.see(config_map("web", "u2", 9, &[("a", "1")])), ["web"]);
    assert!(is_kept(&fed, "web"));
    assert_eq!(fed.index.source_count(SourceKind::ConfigMap), 1);
}

#[test]
fn what_nobody_waits_for_any_more_is_not_read() {
    let mut fed = Fed::new();
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    begin_to_use(&mut fed);
    fed.index.forget(&reference("web"));
    assert!(!fed.index.needs_reading(&config_map("web", "u", 1, &[]).reference));
    let late = config_map("web", "u", 5, &[("a", "1")]);
    assert!(fed.index.apply_read(late, now()).is_empty());
    assert!(!is_kept(&fed, "web"));
}

#[test]
fn a_new_list_drops_and_reads_nothing_that_is_used() {
    let mut fed = Fed::new();
    let both = [
        config_map("web", "u", 5, &[("a", "1")]),
        config_map("other", "u", 5, &[("a", "1")]),
    ];
    fed.list_sources(&both);
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    assert!(fed.list_sources(&both).is_empty());
    assert!(is_kept(&fed, "web") && !is_kept(&fed, "other"));
    assert_eq!(fed.index.take_fetch_requests(), []);
    assert!(fed.list_sources(&both[..1]).is_empty());
    assert_eq!(fed.index.source_count(SourceKind::ConfigMap), 1);
}
