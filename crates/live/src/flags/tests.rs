//! Names, units, times and the command line, one by one.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use proptest::prelude::*;

use super::{
    Choice, CommandLineError, Flag, FlagSet, FlagValue, Json, NameError, RegisterError, Size, name::Name, timestamp,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Info,
    Debug,
}

impl Choice for Level {
    const CHOICES: &'static [(&'static str, Self)] = &[("info", Self::Info), ("debug", Self::Debug)];
}

#[test]
fn a_name_is_a_key_and_dashes_are_underscores() {
    let keys = |name| Name::new(name).expect("a name").keys();
    assert_eq!(keys("port"), ["port"]);
    assert_eq!(keys("max-conns"), ["max-conns", "max_conns"]);
    assert_eq!(keys("a-b_c"), ["a-b-c", "a-b_c", "a_b_c"]);
    assert_eq!(keys("web.port"), ["web.port"]);
}

#[test]
fn what_cannot_be_a_key_is_refused_at_registration() {
    for (name, reason) in [
        ("", NameError::Empty),
        ("a b", NameError::Character(' ')),
        ("größe", NameError::Character('ö')),
        ("a/b", NameError::Character('/')),
        ("a=b", NameError::Character('=')),
        ("..data", NameError::Begin),
        ("-v", NameError::Begin),
        ("_v", NameError::Begin),
        (&"x".repeat(254), NameError::TooLong),
    ] {
        assert_eq!(Name::new(name), Err(reason), "{name:?}");
        let error = FlagSet::new().add_static(Flag::new(name, 0_u8)).expect_err("refused");
        let name = name.to_owned();
        assert_eq!(error, RegisterError::Name { name, reason });
    }
    assert!(Name::new(&"x".repeat(253)).is_ok());
}

#[test]
fn two_flags_that_share_a_key_are_refused() {
    let mut set = FlagSet::new();
    set.add_static(Flag::new("max-conns", 0_u8)).expect("the first");
    let error = set.add_dynamic(Flag::new("max_conns", 0_u8)).expect_err("the second");
    assert_eq!(error.to_string(), "max_conns and max-conns are the same flag");
    assert!(set.add_static(Flag::new("max.conns", 0_u8)).is_ok());
}

#[test]
fn a_default_that_its_validator_refuses_is_refused() {
    let flag = Flag::new("n", 0_u8).validator(|n| if *n == 0 { Err("is 0".into()) } else { Ok(()) });
    let error = FlagSet::new().add_static(flag).expect_err("refused");
    assert_eq!(error.to_string(), "invalid default of n: is 0");
}

#[test]
fn values_are_read_as_people_write_them() {
    fn table<T: FlagValue + std::fmt::Debug>(rows: &[(&str, T)]) {
        for (text, value) in rows {
            assert_eq!(T::parse(text).as_ref(), Ok(value), "{text:?}");
        }
    }
    let seconds = Duration::from_secs;
    table(&[("true", true), (" false ", false)]);
    table(&[("0", 0_u16), ("65535", u16::MAX), (" 7\n", 7)]);
    table(&[("-1.5", -1.5), ("1e3", 1000.0)]);
    table(&[("", String::new()), (" a b ", " a b ".to_owned())]);
    table(&[
        ("0", Duration::ZERO),
        ("1h30m", seconds(5400)),
        ("250ms", Duration::from_millis(250)),
    ]);
    table(&[("2d", seconds(172_800)), ("1s500ms", Duration::from_millis(1500))]);
    table(&[
        ("0", Size(0)),
        ("512", Size(512)),
        ("64Ki", Size(65_536)),
        ("10M", Size(10_000_000)),
    ]);
    table(&[("1Mi", Size(1 << 20)), ("15Ei", Size(15 << 60)), ("3k", Size(3000))]);
    table(&[("debug", Level::Debug)]);
    table::<Vec<u8>>(&[("", vec![]), ("1", vec![1]), ("1, 2\n3\n", vec![1, 2, 3])]);
    table(&[("b,a,b", BTreeSet::from(["a".to_owned(), "b".to_owned()]))]);
    table::<IpAddr>(&[
        ("10.0.0.1", [10, 0, 0, 1].into()),
        ("::1", std::net::Ipv6Addr::LOCALHOST.into()),
    ]);
    table::<SocketAddr>(&[("[::1]:80", (std::net::Ipv6Addr::LOCALHOST, 80).into())]);
    table(&[("/etc/app", PathBuf::from("/etc/app"))]);
    table(&[("[1, 2]", Json(vec![1, 2]))]);
}

#[test]
fn values_that_mean_nothing_are_refused_in_one_line() {
    fn table<T: FlagValue + std::fmt::Debug>(texts: &[&str]) {
        for text in texts {
            let message = T::parse(text).expect_err(text);
            assert!(!message.contains('\n'), "{message}");
        }
    }
    table::<bool>(&["", "yes", "1", "True"]);
    table::<u8>(&["", "256", "-1", "1.0", "0x1"]);
    table::<f64>(&["", "NaN", "inf", "1,5"]);
    table::<Duration>(&[
        "",
        "5",
        "1.5s",
        "m",
        "30m1h",
        "1m1m",
        "-1s",
        "1 s",
        "99999999999d",
        "1w",
    ]);
    table::<Size>(&[
        "",
        "-1",
        "+1",
        "1.5Mi",
        "1mi",
        "16Ei",
        "Ki",
        "1KiB",
        "99999999999999999999",
    ]);
    table::<Level>(&["", "Debug", "info,debug"]);
    table::<Vec<u8>>(&["1,,2", ",", "1,", "1;2"]);
    table::<IpAddr>(&["", "10.0.0", "10.0.0.0/8"]);
    table::<Json<Vec<u8>>>(&["", "{", "[256]", "[1] 2"]);
}

#[test]
fn the_error_of_json_names_its_position() {
    let message = Json::<Vec<u8>>::parse("[1,\n x]").expect_err("no JSON");
    assert_eq!(message, "line 2, column 2: expected value");
}

#[test]
fn times_are_shown_as_rfc_3339() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_795_281_529, "2026-11-21T17:18:49Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(timestamp::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
    }
}

fn a_set() -> FlagSet {
    let mut set = FlagSet::new();
    set.add_static(Flag::new("port", 80_u16)).expect("a flag");
    set.add_dynamic(Flag::new("dry-run", false)).expect("a flag");
    set.add_dynamic(Flag::new("name", String::new())).expect("a flag");
    set.add_static(Flag::new("token", 0_u8).secret()).expect("a flag");
    set
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_command_line_is_taken_apart() {
    let mut set = a_set();
    let rest = set.command_line(words("--port=1 in --dry_run --name --port out -- --port 7"));
    assert_eq!(rest, Ok(words("in out --port 7")));
    let flags = set.without_source();
    let values: Vec<_> = flags.list().into_iter().map(|flag| flag.value).collect();
    assert_eq!(values, ["1", "true", "--port", "***"]);
    assert_eq!(
        flags
            .list()
            .iter()
            .filter(|flag| flag.source.to_string() == "command line")
            .count(),
        3
    );
}

#[test]
fn a_command_line_that_is_wrong_changes_nothing_and_says_why() {
    for (line, message) in [
        ("--port 1 --prot 2", "unknown flag --prot"),
        ("--port", "--port needs a value: whole number from 0 to 65535"),
        ("--port 1 --port 2", "--port is set twice"),
        ("--dry-run --dry_run=false", "--dry-run is set twice"),
        (
            "--port x",
            "--port: \"x\" is not a value of type whole number from 0 to 65535",
        ),
        ("--token hunter2", "--token: is not a valid value (secret, not shown)"),
        ("--port 1 --help", "help requested"),
    ] {
        let mut set = a_set();
        let error = set.command_line(words(line)).expect_err(line);
        assert_eq!(error.to_string(), message, "{line}");
        assert_eq!(set.without_source().list().first().expect("a flag").value, "80");
    }
}

#[test]
fn help_has_every_flag_and_no_secret() {
    let mut set = FlagSet::new();
    set.add_static(Flag::new("token", "hunter2".to_owned()).secret().help("who we are"))
        .expect("a flag");
    set.add_dynamic(Flag::new("level", Level::Info).help("how much to say"))
        .expect("a flag");
    assert_eq!(
        set.help(),
        "  --token (text; default ***)\n        who we are\n  \
         --level (one of info, debug; default info)\n        how much to say\n"
    );
    assert!(!format!("{set:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in ".*") {
        let _ = bool::parse(&text);
        let _ = i64::parse(&text);
        let _ = f64::parse(&text);
        let _ = Duration::parse(&text);
        let _ = Size::parse(&text);
        let _ = Level::parse(&text);
        let _ = Vec::<Duration>::parse(&text);
        let _ = BTreeSet::<Size>::parse(&text);
        let _ = IpAddr::parse(&text);
        let _ = Json::<Vec<Option<u8>>>::parse(&text);
        let _ = Name::new(&text);
    }

    #[test]
    fn no_text_like_a_unit_makes_a_parser_panic(text in "[0-9dhmsukKMGTPEi.+-]{0,24}") {
        let _ = Duration::parse(&text);
        let _ = Size::parse(&text);
    }

    #[test]
    fn what_is_shown_is_read_back(micros: u64, bytes: u64, list: Vec<i64>, number in -1e300_f64..1e300, flag: bool) {
        let duration = Duration::from_micros(micros);
        prop_assert_eq!(Duration::parse(&duration.show()), Ok(duration));
        prop_assert_eq!(Size::parse(&Size(bytes).show()), Ok(Size(bytes)));
        prop_assert_eq!(Vec::<i64>::parse(&list.show()), Ok(list.clone()));
        prop_assert_eq!(f64::parse(&number.show()), Ok(number));
        prop_assert_eq!(bool::parse(&flag.show()), Ok(flag));
        prop_assert_eq!(Json::<Vec<i64>>::parse(&Json(list.clone()).show()), Ok(Json(list)));
    }

    #[test]
    fn a_command_line_is_taken_whole_or_not_at_all(arguments in prop::collection::vec(
        prop_oneof![
            "--(port|dry-run|dry_run|name|token)(=[0-9a-z]{0,4})?",
            "-{0,3}[a-z=0-9]{0,6}",
            ".*",
        ],
        0..8,
    )) {
        let mut set = a_set();
        let count = arguments.len();
        match set.command_line(arguments) {
            Ok(rest) => prop_assert!(rest.len() <= count),
            Err(error) => {
                let one_line = !error.to_string().contains('\n') || matches!(error, CommandLineError::Unknown { .. });
                prop_assert!(one_line, "{}", error);
                let untouched = set.without_source().list().iter().all(|flag| flag.source.to_string() == "default");
                prop_assert!(untouched);
            }
        }
    }

    #[test]
    fn every_name_is_a_key_that_kubernetes_takes(name in "[-._a-zA-Z0-9]{1,20}") {
        if let Ok(name) = Name::new(&name) {
            for key in name.keys() {
                prop_assert!(!key.starts_with(".."));
                prop_assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
                prop_assert!(name.is_written(&key));
            }
        }
    }
}
