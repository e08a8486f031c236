use super::*;

mod watched;

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";
const LORD_HOWE: &str = "Australia/Lord_Howe";

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

fn schedule(line: &str, duration: SignedDuration, zone: &str) -> Schedule {
    Schedule::parse(line, duration, zone).expect("a valid schedule")
}

fn utc(line: &str, duration: SignedDuration) -> Schedule {
    schedule(line, duration, "UTC")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn refusal(line: &str) -> String {
    Schedule::parse(line, hours(1), "UTC")
        .expect_err("an invalid schedule")
        .to_string()
}

/// The next starts after a moment.
fn starts(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let mut moment = at(after);
    (0..count)
        .map(|_| {
            moment = schedule.next_opening(moment).expect("a next opening");
            moment.to_string()
        })
        .collect()
}

fn within(windows: impl IntoIterator<Item = Schedule>) -> RolloutTimes {
    RolloutTimes::new(windows, [])
}

fn outside(freezes: impl IntoIterator<Item = Schedule>) -> RolloutTimes {
    RolloutTimes::new([], freezes)
}

fn frozen(until: &str) -> Permit {
    Permit::Frozen { until: Some(at(until)) }
}

fn closed(until: &str) -> Permit {
    Permit::OutsideWindow { until: Some(at(until)) }
}

#[test]
fn lines_begin_when_they_say() {
    // 2026-01-01 is a Thursday.
    let cases: &[(&str, [&str; 3])] = &[
        (
            "0 2 * * *",
            ["2026-01-01T02:00", "2026-01-02T02:00", "2026-01-03T02:00"],
        ),
        (
            "*/20 * * * *",
            ["2026-01-01T00:20", "2026-01-01T00:40", "2026-01-01T01:00"],
        ),
        (
            "5-10/5 8,20 * * *",
            ["2026-01-01T08:05", "2026-01-01T08:10", "2026-01-01T20:05"],
        ),
        (
            "0 2 * * 1-5",
            ["2026-01-01T02:00", "2026-01-02T02:00", "2026-01-05T02:00"],
        ),
        (
            "0 2 * * mon,SUN",
            ["2026-01-04T02:00", "2026-01-05T02:00", "2026-01-11T02:00"],
        ),
        (
            "0 0 * * 7",
            ["2026-01-04T00:00", "2026-01-11T00:00", "2026-01-18T00:00"],
        ),
        (
            "0 0 * * SAT-SUN",
            ["2026-01-03T00:00", "2026-01-04T00:00", "2026-01-10T00:00"],
        ),
        (
            "0 0 1 JAN,Jul *",
            ["2026-07-01T00:00", "2027-01-01T00:00", "2027-07-01T00:00"],
        ),
        (
            "0 0 31 * *",
            ["2026-01-31T00:00", "2026-03-31T00:00", "2026-05-31T00:00"],
        ),
        (
            "59 23 L * *",
            ["2026-01-31T23:59", "2026-02-28T23:59", "2026-03-31T23:59"],
        ),
        (
            "0 0 * * 5L",
            ["2026-01-30T00:00", "2026-02-27T00:00", "2026-03-27T00:00"],
        ),
        (
            "0 0 * * FRI#2",
            ["2026-01-09T00:00", "2026-02-13T00:00", "2026-03-13T00:00"],
        ),
        (
            "0 0 29 2 *",
            ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"],
        ),
    ];
    for (line, expected) in cases {
        let expected = expected.map(|time| format!("{time}:00Z"));
        assert_eq!(starts(&utc(line, hours(1)), "2026-01-01T00:00Z", 3), expected, "{line}");
    }
}

#[test]
fn where_both_days_are_given_either_is_enough() {
    let both = utc("0 0 13 * 5", hours(1));
    assert_eq!(
        starts(&both, "2026-02-01T00:00Z", 5),
        [
            "2026-02-06T00:00:00Z",
            "2026-02-13T00:00:00Z",
            "2026-02-20T00:00:00Z",
            "2026-02-27T00:00:00Z",
            "2026-03-06T00:00:00Z",
        ]
    );
    assert_eq!(
        starts(&both, "2026-04-11T00:00Z", 2),
        ["2026-04-13T00:00:00Z", "2026-04-17T00:00:00Z"],
        "the 13th is a Monday"
    );
}

#[test]
fn around_2100_a_leap_day_is_eight_years_away() {
    let leap = utc("0 0 29 2 *", hours(1));
    assert_eq!(starts(&leap, "2096-03-01T00:00Z", 1), ["2104-02-29T00:00:00Z"]);
    assert_eq!(
        within([leap]).permits(at("2096-03-01T00:00Z")),
        closed("2104-02-29T00:00Z")
    );
}

#[test]
fn what_is_no_line_of_five_fields_is_refused() {
    for line in ["", "0", "0 2 * *", "0 0 2 * * *", "0 0 2 * * * 2026"] {
        assert!(refusal(line).contains("accepted: five fields, minute hour"), "{line:?}");
    }
    for line in ["@daily", " @every 1h", "@reboot"] {
        assert!(refusal(line).contains("is a nickname"), "{line:?}");
    }
}

#[test]
fn a_refusal_names_the_field_and_what_it_may_be() {
    let cases = [
        ("60 0 * * *", "minute \"60\"; accepted: 0-59"),
        ("0 24 * * *", "hour \"24\"; accepted: 0-23"),
        ("0 0 0 * *", "day-of-month \"0\"; accepted: 1-31"),
        ("0 0 32 * *", "day-of-month \"32\""),
        ("0 0 * 13 *", "month \"13\"; accepted: 1-12, JAN-DEC"),
        ("0 0 * * 8", "day-of-week \"8\"; accepted: 0-7"),
        ("0 0 * * FRI-MON", "day-of-week \"FRI-MON\""),
        ("5-1 0 * * *", "minute \"5-1\""),
        ("*/0 0 * * *", "minute \"*/0\""),
        ("0/5 0 * * *", "minute \"0/5\""),
        ("1,,2 0 * * *", "minute \"1,,2\""),
        (", 0 * * *", "minute \",\""),
        ("-1 0 * * *", "minute \"-1\""),
        ("100 0 * * *", "minute \"100\""),
        ("JAN 0 * * *", "minute \"JAN\""),
        ("0 MON * * *", "hour \"MON\""),
        ("0 0 * MON *", "month \"MON\""),
        ("0 0 * * MONTUE", "day-of-week \"MONTUE\""),
        ("0 0 ? * *", "day-of-month \"?\""),
        ("0 0 15W * *", "day-of-month \"15W\""),
        ("0 0 1 * +1", "day-of-week \"+1\""),
        ("0 0 1 * L", "day-of-week \"L\""),
        ("0 0 * * 5#6", "day-of-week \"5#6\""),
        ("0 L * * *", "hour \"L\""),
        ("0 \u{0664} * * *", "hour \"\u{0664}\""),
    ];
    for (line, expected) in cases {
        let text = refusal(line);
        assert!(text.contains(expected), "{line:?}: {text}");
        assert!(text.starts_with("schedule: "), "{line:?}: {text}");
    }
}

#[test]
fn a_date_that_never_comes_is_refused() {
    for line in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *"] {
        assert!(refusal(line).contains("never occurs"), "{line:?}");
    }
    for line in ["0 0 29 2 *", "0 0 30 2 1", "0 0 31 4,5 *", "0 0 * 2 FRI#5"] {
        assert!(Schedule::parse(line, hours(1), "UTC").is_ok(), "{line:?}");
    }
}

#[test]
fn a_duration_is_more_than_nothing_and_no_longer_than_a_year() {
    for wrong in [
        SignedDuration::ZERO,
        hours(-1),
        hours(8784) + SignedDuration::from_nanos(1),
    ] {
        let error = Schedule::parse("0 0 * * *", wrong, "UTC").expect_err("refused");
        assert!(error.to_string().contains("more than 0s, at most 8784h"), "{error}");
    }
    for right in [SignedDuration::from_nanos(1), hours(8784)] {
        assert!(Schedule::parse("0 0 * * *", right, "UTC").is_ok());
    }
}

#[test]
fn a_time_zone_is_one_of_the_iana_database() {
    for right in ["UTC", "Etc/UTC", BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kolkata"] {
        assert!(Schedule::parse("0 0 * * *", hours(1), right).is_ok(), "{right}");
    }
    for wrong in ["", "Local", "Europe/Atlantis", "Etc/Unknown", "+02:00", "../etc/passwd"] {
        let error = Schedule::parse("0 0 * * *", hours(1), wrong).expect_err(wrong);
        assert!(error.to_string().starts_with("timeZone: "), "{error}");
    }
}

#[test]
fn a_schedule_is_equal_to_one_that_means_the_same() {
    assert_eq!(utc("0 0 * * 7", hours(1)), utc("0 0 * * SUN", minutes(60)));
    assert_ne!(utc("0 0 * * 7", hours(1)), utc("0 0 * * 7", hours(2)));
    assert_ne!(utc("0 0 * * 7", hours(1)), schedule("0 0 * * 7", hours(1), BERLIN));
}

#[test]
fn a_time_in_the_skipped_hour_comes_right_after_it() {
    let cases = [
        // 02:00 to 03:00, UTC+1 to UTC+2
        (
            BERLIN,
            "30 2 * * *",
            "2026-03-28T12:00Z",
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        (
            BERLIN,
            "0 2 * * *",
            "2026-03-28T12:00Z",
            ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"],
        ),
        (
            BERLIN,
            "59 1 * * *",
            "2026-03-28T12:00Z",
            ["2026-03-29T00:59:00Z", "2026-03-29T23:59:00Z"],
        ),
        (
            BERLIN,
            "0 3 * * *",
            "2026-03-28T12:00Z",
            ["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"],
        ),
        (
            BERLIN,
            "*/30 2-3 * * *",
            "2026-03-28T12:00Z",
            ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
        ),
        // 02:00 to 03:00, UTC-5 to UTC-4
        (
            NEW_YORK,
            "30 2 * * 0",
            "2026-03-08T00:00Z",
            ["2026-03-08T07:00:00Z", "2026-03-15T06:30:00Z"],
        ),
        // 02:00 to 02:30, UTC+10:30 to UTC+11
        (
            LORD_HOWE,
            "15 2 * * *",
            "2026-10-03T00:00Z",
            ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
        ),
        (
            LORD_HOWE,
            "45 2 * * *",
            "2026-10-03T00:00Z",
            ["2026-10-03T15:45:00Z", "2026-10-04T15:45:00Z"],
        ),
        // 00:00 to 01:00: the day begins at 01:00
        (
            "America/Havana",
            "0 0 * * *",
            "2026-03-07T12:00Z",
            ["2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"],
        ),
        // The whole of 2011-12-30, UTC-10 to UTC+14
        (
            "Pacific/Apia",
            "0 12 30 12 *",
            "2011-12-01T00:00Z",
            ["2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"],
        ),
    ];
    for (zone, line, after, expected) in cases {
        assert_eq!(
            starts(&schedule(line, hours(1), zone), after, 2),
            expected,
            "{line} {zone}"
        );
    }
}

#[test]
fn an_hour_that_is_repeated_at_the_edge_of_a_day_is_not_passed_over() {
    // At one o'clock on a Sunday it is midnight again: what began in that hour before goes on.
    let sundays = schedule("10 * * * 0", minutes(517), "America/Havana");
    assert!(!sundays.holds(at("2025-11-02T04:09Z")));
    assert!(sundays.holds(at("2025-11-02T04:10Z")));
    assert!(sundays.holds(at("2025-11-02T05:09Z")));
    // At the end of a Saturday it is eleven again.
    let saturdays = schedule("10 * * * 6", minutes(1), "America/Sao_Paulo");
    assert_eq!(
        starts(&saturdays, "2019-02-17T00:30Z", 3),
        ["2019-02-17T01:10:00Z", "2019-02-17T02:10:00Z", "2019-02-23T03:10:00Z"]
    );
}

#[test]
fn a_time_in_the_repeated_hour_comes_once() {
    let cases = [
        // 03:00 to 02:00, UTC+2 to UTC+1
        (
            BERLIN,
            "30 2 * * *",
            "2026-10-24T12:00Z",
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        (
            BERLIN,
            "0 2 * * *",
            "2026-10-24T12:00Z",
            ["2026-10-25T00:00:00Z", "2026-10-26T01:00:00Z"],
        ),
        (
            BERLIN,
            "0 3 * * *",
            "2026-10-24T12:00Z",
            ["2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"],
        ),
        (
            BERLIN,
            "30 2 * * *",
            "2026-10-25T00:30Z",
            ["2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"],
        ),
        (
            BERLIN,
            "30 2 * * *",
            "2026-10-25T01:10Z",
            ["2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"],
        ),
        (
            BERLIN,
            "30 2-3 * * *",
            "2026-10-25T00:00Z",
            ["2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"],
        ),
        // 02:00 to 01:00, UTC-4 to UTC-5
        (
            NEW_YORK,
            "30 1 * * *",
            "2026-11-01T00:00Z",
            ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
        ),
        // 02:00 to 01:30, UTC+11 to UTC+10:30
        (
            LORD_HOWE,
            "45 1 * * *",
            "2026-04-04T00:00Z",
            ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
        ),
        (
            LORD_HOWE,
            "15 1 * * *",
            "2026-04-04T00:00Z",
            ["2026-04-04T14:15:00Z", "2026-04-05T14:45:00Z"],
        ),
    ];
    for (zone, line, after, expected) in cases {
        assert_eq!(
            starts(&schedule(line, hours(1), zone), after, 2),
            expected,
            "{line} {zone}"
        );
    }
}

#[test]
fn the_hours_of_a_line_for_every_hour_are_those_that_pass() {
    let hourly = schedule("30 * * * *", minutes(10), BERLIN);
    assert_eq!(
        starts(&hourly, "2026-10-24T23:45Z", 4),
        [
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:30:00Z",
            "2026-10-25T03:30:00Z",
        ]
    );
    let quarters = schedule("*/15 * * * *", minutes(15), BERLIN);
    for change in ["2026-03-29T01:00Z", "2026-10-25T01:00Z"] {
        for minute in -120..120 {
            let moment = at(change) + minutes(minute);
            assert_eq!(within([quarters.clone()]).permits(moment), Permit::Open, "{moment}");
        }
    }
}

#[test]
fn an_opening_lasts_as_long_as_it_says_when_the_clocks_change() {
    let window = || within([schedule("0 0 * * *", hours(4), BERLIN)]);
    for start in ["2026-03-28T23:00Z", "2026-10-24T22:00Z"] {
        let end = at(start) + hours(4);
        assert_eq!(window().permits(end - SignedDuration::from_nanos(1)), Permit::Open);
        assert_ne!(window().permits(end), Permit::Open);
    }
    let once = within([schedule("30 2 * * *", minutes(20), BERLIN)]);
    assert_eq!(once.permits(at("2026-10-25T00:40Z")), Permit::Open);
    assert_eq!(
        once.permits(at("2026-10-25T01:40Z")),
        closed("2026-10-26T01:30Z"),
        "the second 02:40 of that night"
    );
}

#[test]
fn without_rules_every_time_is_right() {
    assert_eq!(RolloutTimes::default().permits(at("2026-01-01T00:00Z")), Permit::Open);
    assert_eq!(RolloutTimes::default().permits(Timestamp::MIN), Permit::Open);
    assert_eq!(RolloutTimes::default().permits(Timestamp::MAX), Permit::Open);
}

#[test]
fn a_window_holds_at_its_start_and_no_longer_at_its_end() {
    let night = within([utc("0 2 * * 1-5", hours(3))]);
    let cases = [
        ("2026-01-02T01:59:59.999999999Z", closed("2026-01-02T02:00Z")),
        ("2026-01-02T02:00Z", Permit::Open),
        ("2026-01-02T04:59:59.999999999Z", Permit::Open),
        ("2026-01-02T05:00Z", closed("2026-01-05T02:00Z")),
    ];
    for (now, expected) in cases {
        assert_eq!(night.permits(at(now)), expected, "{now}");
    }
}

#[test]
fn a_freeze_holds_across_the_end_of_the_year() {
    let holidays = outside([schedule("0 0 20 12 *", hours(336), BERLIN)]);
    let cases = [
        ("2026-12-19T22:59:59Z", Permit::Open),
        ("2026-12-19T23:00Z", frozen("2027-01-02T23:00Z")),
        ("2027-01-02T22:59Z", frozen("2027-01-02T23:00Z")),
        ("2027-01-02T23:00Z", Permit::Open),
    ];
    for (now, expected) in cases {
        assert_eq!(holidays.permits(at(now)), expected, "{now}");
    }
}

#[test]
fn freezes_that_overlap_or_adjoin_are_one() {
    let times = outside([
        utc("0 10 * * *", hours(2)),
        utc("30 11 * * *", hours(1)),
        utc("30 12 * * *", minutes(15)),
    ]);
    assert_eq!(times.permits(at("2026-01-01T10:00Z")), frozen("2026-01-01T12:45Z"));
    let itself = outside([utc("0 8-17 * * 1-5", minutes(90))]);
    assert_eq!(itself.permits(at("2026-01-01T09:00Z")), frozen("2026-01-01T18:30Z"));
}

#[test]
fn until_is_inside_a_window_and_outside_every_freeze() {
    let nights = utc("0 2 * * *", hours(3));
    let times = |freezes: &[Schedule]| RolloutTimes::new([nights.clone()], freezes.to_vec());
    let cases = [
        (
            "a freeze that ends within a window",
            times(&[utc("0 0 1 1 *", hours(4))]),
            "2026-01-01T01:00Z",
            frozen("2026-01-01T04:00Z"),
        ),
        (
            "a freeze that ends when the window ends",
            times(&[utc("0 0 1 1 *", hours(5))]),
            "2026-01-01T01:00Z",
            frozen("2026-01-02T02:00Z"),
        ),
        (
            "a freeze that covers the next windows",
            times(&[utc("0 12 1 1 *", hours(48))]),
            "2026-01-01T11:00Z",
            closed("2026-01-04T02:00Z"),
        ),
        (
            "a freeze that leaves the end of the next window",
            times(&[utc("0 0 2 1 *", minutes(299))]),
            "2026-01-01T11:00Z",
            closed("2026-01-02T04:59Z"),
        ),
        (
            "a freeze takes precedence outside of windows",
            times(&[utc("0 12 1 1 *", hours(1))]),
            "2026-01-01T12:00Z",
            frozen("2026-01-02T02:00Z"),
        ),
    ];
    for (sentence, times, now, expected) in cases {
        assert_eq!(times.permits(at(now)), expected, "{sentence}");
    }
}

#[test]
fn freezes_of_several_policies_add_up() {
    let own = [utc("0 10 * * *", hours(1))];
    let of_cluster = [utc("0 11 * * *", hours(1))];
    let times = RolloutTimes::new([], own.into_iter().chain(of_cluster));
    assert_eq!(times.permits(at("2026-01-01T10:30Z")), frozen("2026-01-01T12:00Z"));
}

#[test]
fn a_freeze_without_end_has_no_until() {
    for line in ["0 0 1 1 *", "* * * * *"] {
        let times = outside([utc(line, hours(8784))]);
        assert_eq!(
            times.permits(at("2026-06-01T00:00Z")),
            Permit::Frozen { until: None },
            "{line}"
        );
    }
}

#[test]
fn a_window_that_is_farther_than_ten_years_has_no_until() {
    let rare = within([utc("0 0 * 2 FRI#5", hours(1))]);
    assert_eq!(
        rare.permits(at("2026-01-01T00:00Z")),
        Permit::OutsideWindow { until: None }
    );
    assert_eq!(rare.permits(at("2060-01-01T00:00Z")), closed("2064-02-29T00:00Z"));
}

#[test]
fn where_it_takes_too_long_one_has_to_ask_again() {
    let now = at("2026-01-01T00:00Z");
    let cases = [
        ("a minute at every minute", outside([utc("* * * * *", minutes(1))])),
        (
            "windows in their own freezes",
            RolloutTimes::new([utc("0 2 * * *", hours(1))], [utc("0 2 * * *", hours(1))]),
        ),
    ];
    for (sentence, times) in cases {
        let (Permit::Frozen { until } | Permit::OutsideWindow { until }) = times.permits(now) else {
            panic!("{sentence}: open");
        };
        let until = until.expect(sentence);
        assert!(until > now + hours(48), "{sentence}: {until}");
        assert_ne!(times.permits(until), Permit::Open, "{sentence}");
    }
}

/// What whoever may write a policy could do to us.
fn hostile() -> Vec<(&'static str, RolloutTimes)> {
    let many = |lines: &[&str], duration: SignedDuration, zone: &str| -> Vec<Schedule> {
        let line = |n: usize| lines[n % lines.len()];
        (0..32).map(|n| schedule(line(n), duration, zone)).collect()
    };
    let rare = ["0 0 29 2 *", "59 23 29 FEB *", "0 0 * 2 FRI#5", "0 0 * 2 1#5"];
    vec![
        (
            "endless",
            RolloutTimes::new(
                many(&["* * * * *"], hours(8784), LORD_HOWE),
                many(&["* * * * *"], hours(8784), "Africa/Casablanca"),
            ),
        ),
        (
            "crumbs",
            RolloutTimes::new(
                many(&["* * * * *"], SignedDuration::from_nanos(1), LORD_HOWE),
                many(&["* * * * *"], minutes(1), "Africa/Casablanca"),
            ),
        ),
        (
            "rare",
            RolloutTimes::new(
                many(&rare, SignedDuration::from_nanos(1), LORD_HOWE),
                many(&rare, minutes(1), "Africa/Casablanca"),
            ),
        ),
        (
            "rare under crumbs",
            RolloutTimes::new(
                many(&rare, minutes(1), LORD_HOWE),
                many(&["0 0 29 2 *", "* * * * *"], minutes(1), BERLIN),
            ),
        ),
        (
            "windows under freezes",
            RolloutTimes::new(
                many(&["1-59/2 * * * *"], minutes(1), BERLIN),
                many(&["*/1 * 29 2 *", "1-59/2 * * * *"], minutes(1), BERLIN),
            ),
        ),
    ]
}

/// Without a bound on the look-ups each of these would take minutes.
#[test]
fn hostile_rules_are_answered() {
    for (sentence, times) in hostile() {
        for now in ["2026-01-01T00:00:30Z", "2026-10-25T01:30:30Z", "2096-03-01T00:00:30Z"] {
            let now = at(now);
            match times.permits(now) {
                Permit::Open => {}
                Permit::Frozen { until } | Permit::OutsideWindow { until } => {
                    assert!(until.is_none_or(|until| until > now), "{sentence}");
                }
            }
        }
    }
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    for now in [Timestamp::MIN, Timestamp::MAX] {
        for line in ["* * * * *", "0 0 29 2 *"] {
            for zone in ["UTC", BERLIN] {
                let rule = || [schedule(line, hours(8784), zone)];
                let _ = RolloutTimes::new(rule(), rule()).permits(now);
                let _ = within(rule()).permits(now);
            }
        }
    }
}
