use std::time::Duration;

use super::*;

const VOCABULARY: Vocabulary<'static> = Vocabulary {
    workload_kinds: &["Deployment"],
    source_kinds: &["ConfigMap"],
    states: &["Current", "Rolling"],
    held_reasons: &["RolledBack"],
    stale_reasons: &["Rolling"],
    error_reasons: &["Forbidden"],
    watched: &["configmaps"],
    requests: &[(Verb::Patch, "deployments"), (Verb::Create, "events")],
};

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "no line {line:?} in\n{text}");
}

#[test]
fn every_series_with_known_labels_is_zero_from_the_start() {
    let text = Metrics::new(&VOCABULARY).encode();
    for line in [
        "windlass_workloads{kind=\"Deployment\",state=\"Current\"} 0",
        "windlass_workloads{kind=\"Deployment\",state=\"Rolling\"} 0",
        "windlass_sources{kind=\"ConfigMap\"} 0",
        "windlass_changes_total{kind=\"ConfigMap\"} 0",
        "windlass_restarts_total{kind=\"Deployment\",result=\"patched\"} 0",
        "windlass_restarts_total{kind=\"Deployment\",result=\"conflict\"} 0",
        "windlass_workloads_held{reason=\"RolledBack\"} 0",
        "windlass_change_to_patch_seconds_count 0",
        "windlass_change_to_current_seconds_count 0",
        "windlass_oldest_unapplied_change_age_seconds{reason=\"Rolling\"} 0",
        "windlass_watch_idle_seconds{resource=\"configmaps\"} 0",
        "windlass_workqueue_depth 0",
        "windlass_api_requests_total{code=\"200\",resource=\"deployments\",verb=\"patch\"} 0",
        "windlass_api_requests_total{code=\"201\",resource=\"events\",verb=\"create\"} 0",
        "windlass_api_request_duration_seconds_count{resource=\"deployments\",verb=\"patch\"} 0",
        "windlass_watch_restarts_total{reason=\"expired\",resource=\"configmaps\"} 0",
        "windlass_decision_duration_seconds_count 0",
        "windlass_events_dropped_total 0",
        "windlass_notifications_total{result=\"delivered\",sink=\"slack\"} 0",
        "windlass_notifications_total{result=\"dropped\",sink=\"cloudevents\"} 0",
        "windlass_notifications_limited_total 0",
        "windlass_errors_total{reason=\"Forbidden\"} 0",
        "windlass_leader 0",
    ] {
        has(&text, line);
    }
    assert!(text.contains("windlass_build_info{revision=\""), "{text}");
}

#[test]
fn each_method_moves_its_own_series() {
    let metrics = Metrics::new(&VOCABULARY);
    metrics.workloads("Deployment", "Rolling", 3);
    metrics.sources("ConfigMap", 4);
    metrics.change("ConfigMap");
    for result in RestartResult::ALL {
        metrics.restart("Deployment", result);
    }
    metrics.workloads_held("RolledBack", 2);
    metrics.change_to_patch(Duration::from_millis(4));
    metrics.change_to_current(Duration::from_secs(7));
    metrics.oldest_unapplied_change_age("Rolling", Duration::from_millis(2500));
    metrics.watch_idle("configmaps", Duration::from_secs(61));
    metrics.workqueue_depth(9);
    for (code, _) in CODES {
        metrics.api_request(Verb::Patch, "deployments", code, Duration::from_millis(3));
    }
    for reason in WatchRestart::ALL {
        metrics.watch_restart("configmaps", reason);
    }
    metrics.decision(Duration::from_micros(20));
    metrics.event_dropped();
    metrics.error("Forbidden");
    metrics.leader(true);

    let text = metrics.encode();
    for line in [
        "windlass_workloads{kind=\"Deployment\",state=\"Rolling\"} 3",
        "windlass_sources{kind=\"ConfigMap\"} 4",
        "windlass_changes_total{kind=\"ConfigMap\"} 1",
        "windlass_workloads_held{reason=\"RolledBack\"} 2",
        "windlass_change_to_patch_seconds_bucket{le=\"0.0025\"} 0",
        "windlass_change_to_patch_seconds_bucket{le=\"0.005\"} 1",
        "windlass_change_to_current_seconds_bucket{le=\"10\"} 1",
        "windlass_oldest_unapplied_change_age_seconds{reason=\"Rolling\"} 2.5",
        "windlass_watch_idle_seconds{resource=\"configmaps\"} 61",
        "windlass_workqueue_depth 9",
        "windlass_decision_duration_seconds_bucket{le=\"0.0001\"} 1",
        "windlass_events_dropped_total 1",
        "windlass_errors_total{reason=\"Forbidden\"} 1",
        "windlass_leader 1",
    ] {
        has(&text, line);
    }
    for result in RestartResult::ALL {
        let word = result.as_str();
        has(
            &text,
            &format!("windlass_restarts_total{{kind=\"Deployment\",result=\"{word}\"}} 1"),
        );
    }
    for reason in WatchRestart::ALL {
        let word = reason.as_str();
        has(
            &text,
            &format!("windlass_watch_restarts_total{{reason=\"{word}\",resource=\"configmaps\"}} 1"),
        );
    }
    for (_, word) in CODES {
        has(
            &text,
            &format!("windlass_api_requests_total{{code=\"{word}\",resource=\"deployments\",verb=\"patch\"}} 1"),
        );
    }
}

const CODES: [(ApiCode, &str); 5] = [
    (ApiCode::Status(200), "200"),
    (ApiCode::Status(409), "409"),
    (ApiCode::Status(7), "invalid"),
    (ApiCode::Timeout, "timeout"),
    (ApiCode::Transport, "transport"),
];

#[test]
fn clones_share_one_registry_and_two_instances_share_none() {
    let (one, other) = (Metrics::new(&VOCABULARY), Metrics::new(&VOCABULARY));
    one.clone().event_dropped();
    has(&one.encode(), "windlass_events_dropped_total 1");
    has(&other.encode(), "windlass_events_dropped_total 0");
}

#[test]
fn nothing_but_our_own_and_the_process_metrics_is_there() {
    for line in Metrics::new(&VOCABULARY)
        .encode()
        .lines()
        .filter(|l| !l.starts_with('#'))
    {
        assert!(line.starts_with("windlass_") || line.starts_with("process_"), "{line}");
    }
}

#[test]
fn the_catalogue_is_what_is_served() {
    let text = Metrics::new(&VOCABULARY).encode();
    let mut served: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE windlass_"))
        .collect();
    let mut catalogued: Vec<String> = catalogue::ALL
        .iter()
        .map(|(kind, family)| format!("{} {kind}", family.name))
        .collect();
    served.sort_unstable();
    catalogued.sort_unstable();
    assert_eq!(served, catalogued);
}

#[test]
fn the_labels_of_the_catalogue_are_those_that_are_served() {
    let metrics = Metrics::new(&VOCABULARY);
    for family in metrics.0.registry.gather() {
        let Some(name) = family.name().strip_prefix("windlass_") else {
            continue;
        };
        let row = catalogue::ALL.iter().find(|(_, row)| row.name == name);
        let (_, row) = row.expect("a row");
        let mut labels: Vec<&str> = row.labels.iter().copied().map(label::Label::name).collect();
        labels.sort_unstable();
        for metric in family.get_metric() {
            let served: Vec<&str> = metric
                .get_label()
                .iter()
                .map(prometheus::proto::LabelPair::name)
                .collect();
            assert_eq!(served, labels, "{name}");
        }
    }
}
