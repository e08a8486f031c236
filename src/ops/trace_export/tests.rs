use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_000_000 + millis).expect("a time")
}

fn change_trace() -> ChangeTrace {
    ChangeTrace {
        kind: "Deployment",
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        sources: vec!["ConfigMap web".to_owned()],
        seen: at(0),
        decided: at(2_000),
        sent: at(2_010),
        accepted: at(2_020),
        ended: at(9_000),
        state: "Current",
        reason: "Unchanged",
        good: true,
    }
}

#[test]
fn a_journey_is_one_trace_whose_parts_follow_each_other() {
    let spans = spans(&change_trace());
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["change", "settle", "decide", "patch", "rollout"]);
    let (whole, parts) = spans.split_first().expect("a root");
    assert!(whole.parent_span_id.is_empty());
    assert_eq!((whole.trace_id.len(), whole.span_id.len()), (16, 8));
    let mut time = whole.start_time_unix_nano;
    for part in parts {
        assert_eq!(part.trace_id, whole.trace_id);
        assert_eq!(part.parent_span_id, whole.span_id);
        assert_eq!(part.start_time_unix_nano, time, "{}", part.name);
        time = part.end_time_unix_nano;
    }
    assert_eq!(time, whole.end_time_unix_nano);
}

#[test]
fn two_journeys_are_two_traces() {
    assert_ne!(spans(&change_trace())[0].trace_id, spans(&change_trace())[0].trace_id);
}

#[tokio::test]
async fn what_finds_no_room_is_dropped_and_nobody_waits() {
    // Nobody answers there, and the task that sends is never run in between.
    let endpoint = "http://192.0.2.1:4318".parse().expect("a URL");
    let tracer = TraceExporter::start(endpoint, "ops/windlass").expect("TLS");
    for _ in 0..QUEUED * 2 {
        tracer.take(change_trace());
    }
    assert_eq!(tracer.traces.capacity(), 0);
    tracer.finish(Duration::from_millis(10)).await;
}
