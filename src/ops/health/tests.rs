use super::*;

#[test]
fn readiness_needs_every_condition_and_names_those_that_miss() {
    let readiness = Readiness::new(&["first list of configmaps", "digest key"]);
    assert!(!readiness.is_ready());
    readiness.clone().set("digest key", true);
    assert_eq!(readiness.missing().collect::<Vec<_>>(), ["first list of configmaps"]);
    readiness.set("first list of configmaps", true);
    assert!(readiness.is_ready());
    readiness.set("digest key", false);
    assert_eq!(readiness.missing().collect::<Vec<_>>(), ["digest key"]);
}

#[test]
fn readiness_without_conditions_is_ready() {
    assert!(Readiness::new(&[]).is_ready());
}

#[test]
fn a_loop_that_ticks_is_alive_and_one_that_stops_is_not() {
    let liveness = Liveness::new(Duration::from_mins(1));
    let start = liveness.0.start;
    let at = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(liveness.stalled_at(at(60)), None);
    assert_eq!(liveness.stalled_at(at(61)), Some(Duration::from_secs(61)));
    liveness.tick_at(at(61));
    assert_eq!(liveness.stalled_at(at(121)), None);
    assert_eq!(liveness.stalled_at(at(122)), Some(Duration::from_secs(61)));
}

#[test]
fn a_fresh_loop_is_alive() {
    let liveness = Liveness::default();
    liveness.tick();
    assert_eq!(liveness.stalled(), None);
}
