use serde_json::json;
use windlass_core::types::name::{Name, Namespace};
use windlass_core::workload::kind::DEPLOYMENT;
use windlass_core::workload::opt_in::AnnotationOptions;

use super::*;
use crate::index::{Observation, WatchedKind};
use crate::k8s::wire::WatchedWorkload;
use crate::report::labels;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn reference(number: usize) -> WorkloadRef {
    WorkloadRef {
        namespace: Namespace::from("shop"),
        kind: DEPLOYMENT,
        name: Name::from(format!("web-{number}").as_str()),
    }
}

/// An index with that many Deployments, of which each has its status.
fn index(count: usize, status: (State, Reason)) -> Index {
    let mut index = Index::default();
    let watch = index.add_watch(WatchedKind::Workloads(DEPLOYMENT), None, None);
    for number in 0..count {
        let object = json!({
            "metadata": {
                "name": format!("web-{number}"), "namespace": "shop", "uid": number.to_string(), "resourceVersion": "1",
                "annotations": { "windlass.dev/enabled": "true" },
            },
            "spec": { "template": { "spec": { "containers": [{ "envFrom": [{ "configMapRef": { "name": "web" } }] }] } } },
        });
        let workload = serde_json::from_str::<WatchedWorkload>(&object.to_string()).expect("it decodes");
        let workload = workload.workload(DEPLOYMENT, AnnotationOptions::default());
        index.apply_workload(watch, workload, Observation::Listed, NOW);
        index.set_status(&reference(number), status);
    }
    index
}

fn has(metrics: &Metrics, line: &str) {
    let text = metrics.encode();
    assert!(text.lines().any(|it| it == line), "no line {line:?} in\n{text}");
}

#[test]
fn a_scrape_counts_what_is_in_the_index_now() {
    let metrics = labels::metrics();
    let mut counted = BTreeSet::new();
    let mut index = index(2, (State::Held, Reason::SourceMissing));
    index.workload_mut(&reference(1)).expect("it is there").note_stale(NOW);
    let later = NOW + jiff::SignedDuration::from_secs(90);
    set(&metrics, &index, &mut counted, later);
    has(&metrics, "windlass_workloads{kind=\"Deployment\",state=\"Held\"} 2");
    has(&metrics, "windlass_workloads{kind=\"Deployment\",state=\"Current\"} 0");
    has(&metrics, "windlass_workloads_held{reason=\"SourceMissing\"} 2");
    let age = "windlass_oldest_unapplied_change_age_seconds{reason=\"SourceMissing\"}";
    has(&metrics, &format!("{age} 90"));

    index.forget(&reference(0));
    index.forget(&reference(1));
    set(&metrics, &index, &mut counted, later);
    has(&metrics, "windlass_workloads{kind=\"Deployment\",state=\"Held\"} 0");
    has(&metrics, "windlass_workloads_held{reason=\"SourceMissing\"} 0");
    has(&metrics, &format!("{age} 0"));
}
