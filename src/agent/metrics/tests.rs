use super::*;

#[test]
fn every_series_is_there_from_the_start() {
    let text = Metrics::new(2).encode();
    for line in [
        "windlass_agent_swaps_total{volume=\"1\"} 0",
        "windlass_agent_validations_total{result=\"refused\"} 0",
        "windlass_agent_notifications_total{result=\"told\"} 0",
        "windlass_agent_notifications_total{result=\"absent\"} 0",
        "windlass_agent_state{state=\"Pending\",volume=\"0\"} 1",
        "windlass_agent_state{state=\"Applied\",volume=\"1\"} 0",
        "windlass_agent_last_applied_timestamp_seconds{volume=\"1\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    assert!(text.contains("windlass_agent_build_info{"));
}

#[test]
fn a_volume_is_in_one_state() {
    let metrics = Metrics::new(1);
    metrics.state(0, VolumeState::Refused);
    let text = metrics.encode();
    let set: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("windlass_agent_state{") && line.ends_with(" 1"))
        .collect();
    assert_eq!(set, ["windlass_agent_state{state=\"Refused\",volume=\"0\"} 1"]);
}
