//! What matching patterns costs, and that what is remembered of it is true.

use windlass_core::workload::opt_in::WILDCARD_BYTES;

use super::*;
use crate::index::matching::SLICE;

/// A list of patterns that fit no name and have to be compared to the end.
fn patterns(each: &str) -> String {
    let pattern = |at: usize| format!("*{}{each}{at:03}*", "a".repeat(56));
    let all: Vec<String> = (0..WILDCARD_BYTES / 64).map(pattern).collect();
    all.join(",")
}

fn long_name(at: usize) -> String {
    format!("{}-{at}", "a".repeat(240))
}

fn asking_for(configmaps: &str, excluded: &str, version: u64) -> Workload {
    let annotations = json!({
        "windlass.dev/enabled": "true",
        "windlass.dev/configmaps": configmaps,
        "windlass.dev/exclude-configmaps": excluded,
    });
    deployment("web", "w", version, annotations, json!({ "name": "c" }))
}

fn counted(fed: &Fed) -> Vec<String> {
    let counted = fed.index.counted_sources(fed.entry("web"));
    counted.uses.iter().map(|(source, _)| source.name.to_string()).collect()
}

/// Before, each decision, and each change of any source of the namespace, compared all patterns with all names.
#[test]
fn a_pattern_is_compared_with_a_name_once_and_a_slice_at_a_time() {
    let mut fed = Fed::new();
    let names: Vec<String> = (0..1000).map(long_name).collect();
    for (at, name) in names.iter().enumerate() {
        fed.see(config_map(name, "u", at as u64 + 1, &[("a", "1")]));
    }
    // Not by the fixture, which reads at once what the workload uses.
    let asking = asking_for(&patterns("b"), &patterns("c"), 2000);
    fed.index
        .apply_workload(fed.workloads, asking, Observation::Watched, now());
    let cost = fed.entry("web").opt_in().expect("it asks").configmaps.cost();
    assert!(cost <= 2 * WILDCARD_BYTES + 128, "{cost}");

    let mut slices = 0;
    let mut begun = fed.index.steps();
    while fed.index.match_sources(fed.entry("web")).is_err() {
        let steps = fed.index.steps() - begun;
        assert!(steps <= SLICE + cost + 250, "{steps} steps in one slice");
        (slices, begun) = (slices + 1, fed.index.steps());
    }
    assert!(slices > 1, "it is more than one slice");
    let all = fed.index.steps();
    assert!(all <= names.len() * (cost + 250), "{all} steps");

    assert_eq!(counted(&fed).len(), 0);
    fed.see(config_map(&names[7], "u", 3000, &[("a", "2")]));
    assert_eq!(fed.index.match_sources(fed.entry("web")), Ok(()));
    assert_eq!(
        fed.index.steps(),
        all,
        "no decision and no change of a known source compares anything"
    );
    fed.see(config_map(&long_name(1000), "u", 3001, &[("a", "2")]));
    assert!(
        fed.index.steps() <= all + cost + 250,
        "a new name is compared, and no other"
    );
}

#[test]
fn what_is_remembered_holds_until_the_workload_asks_for_something_else() {
    let mut fed = Fed::new();
    for (at, name) in ["web-a", "web-b", "api"].iter().enumerate() {
        fed.see(config_map(name, "u", at as u64 + 1, &[("a", "1")]));
    }
    let (some, none) = (format!("{},web-?", patterns("b")), patterns("c"));
    let some = some.split_once(',').expect("a list").1;
    fed.workload(asking_for(some, &none, 10));
    assert!(fed.entry("web").pattern_cache().is_some(), "it is remembered");
    for _ in 0..2 {
        assert_eq!(counted(&fed), ["web-a", "web-b"]);
    }
    assert_eq!(fed.see(config_map("web-a", "u", 11, &[("a", "2")])), ["web"]);
    assert!(fed.see(config_map("api", "u", 12, &[("a", "2")])).is_empty());
    fed.lose("web-b", 13);
    assert_eq!(counted(&fed), ["web-a"]);
    assert_eq!(fed.see(config_map("web-c", "u", 14, &[("a", "2")])), ["web"]);
    assert_eq!(counted(&fed), ["web-a", "web-c"]);

    let excluded = none.split_once(',').expect("a list").1;
    fed.workload(asking_for(some, &format!("{excluded},*-c"), 15));
    assert_eq!(counted(&fed), ["web-a"]);
    assert!(fed.see(config_map("web-c", "u", 16, &[("a", "3")])).is_empty());
    fed.workload(asking_for("api", "", 17));
    assert!(fed.entry("web").pattern_cache().is_none(), "plain names cost nothing");
    assert_eq!(counted(&fed), ["api"]);
}

#[test]
fn numbers_are_given_anew_when_few_of_the_names_are_left() {
    let mut fed = Fed::new();
    let (some, none) = (format!("{},web-?", patterns("b")), patterns("c"));
    let some = some.split_once(',').expect("a list").1;
    fed.workload(asking_for(some, &none, 1));
    for at in 0..17_000_u64 {
        let name = format!("job-{at}");
        fed.see(config_map(&name, "u", 2 * at + 2, &[]));
        fed.lose(&name, 2 * at + 3);
    }
    fed.see(config_map("web-a", "u", 40_000, &[("a", "1")]));
    assert_eq!(counted(&fed), ["web-a"]);
    assert!(fed.index.numbered(&Namespace::from("shop")) < 1000);
}
