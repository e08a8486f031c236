use super::*;

#[test]
fn what_go_writes_is_read() {
    for (text, nanos) in [
        ("0", 0),
        ("0s", 0),
        ("1ns", 1),
        ("3us", 3_000),
        ("3µs", 3_000),
        ("500ms", 500_000_000),
        ("2s", 2_000_000_000),
        ("1m30s", 90_000_000_000),
        ("10m", 600_000_000_000),
        ("1h", 3_600_000_000_000),
        ("1.5s", 1_500_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("0.25h", 900_000_000_000),
        ("1h2m3.004s", 3_723_004_000_000),
        ("1.0000000000000000000000000000001s", 1_000_000_000),
    ] {
        assert_eq!(parse(text), Some(Duration::from_nanos(nanos)), "{text}");
    }
}

#[test]
fn anything_else_is_not() {
    for text in [
        "",
        "2",
        "s",
        ".s",
        "-2s",
        "+2s",
        "2 s",
        " 2s",
        "2s ",
        "2S",
        "2x",
        "1d",
        "2s3",
        "1e3s",
        "2 seconds",
        "PT2S",
        "1..5s",
        "99999999999999999999s",
        "9999999h",
        "٢s",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn what_is_written_is_short_and_is_read_again() {
    for (millis, text) in [
        (0, "0s"),
        (500, "500ms"),
        (2_000, "2s"),
        (90_000, "1m30s"),
        (3_600_000, "1h"),
        (5_400_001, "1h30m1ms"),
        (31_622_400_000, "8784h"),
    ] {
        let duration = Duration::from_millis(millis);
        assert_eq!(format(duration), text);
        assert_eq!(parse(text), Some(duration), "{text}");
    }
}
