use super::*;

#[test]
fn the_reference_is_up_to_date() {
    let reference = include_str!("../../../docs/metrics.md");
    for section in metrics_reference().split_inclusive("<!-- end of what is generated -->\n") {
        assert!(
            reference.contains(section),
            "docs/metrics.md is out of date, run `cargo xtask generate`; it lacks\n{section}"
        );
    }
}

#[test]
fn each_hold_that_does_not_end_by_itself_raises_an_alert_or_is_wanted() {
    let alerts = include_str!("../../../charts/windlass/files/alerts.yaml");
    let named = |reason: Reason| {
        alerts
            .split(|it: char| !it.is_alphanumeric())
            .any(|word| word == reason.as_str())
    };
    for reason in Reason::ALL {
        match reason.resolution() {
            Some(Resolution::Person | Resolution::Retry) => assert!(named(reason), "{}", reason.as_str()),
            // A policy that was suspended and forgotten is worth knowing; the others are how somebody rolls.
            Some(Resolution::Owner) => assert_eq!(named(reason), reason == Reason::Suspended, "{}", reason.as_str()),
            Some(Resolution::Turn | Resolution::Time) | None => {}
        }
    }
}

#[test]
fn whatever_is_on_its_way_for_too_long_raises_an_alert() {
    let alerts = include_str!("../../../charts/windlass/files/alerts.yaml");
    let (_, alert) = alerts.split_once("- alert: WindlassStaleTooLong").expect("the alert");
    let (_, listed) = alert.split_once("reason=~\"").expect("its reasons");
    let (listed, _) = listed.split_once('"').expect("their end");
    let mut listed: Vec<&str> = listed.split('|').collect();
    let mut expected = words(|reason| reason.is_in_progress() || reason.resolution() == Some(Resolution::Turn));
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
}
