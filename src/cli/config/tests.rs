use std::path::PathBuf;

use windlass_core::notice::{OCCASIONS, Occasions};

use super::*;
use crate::ops::{LogFormat, Notifications};

fn no_env(_: &str) -> Option<OsString> {
    None
}

fn defaults() -> ControllerConfig {
    ControllerConfig::new(ControllerArgs::default(), &no_env).expect("defaults are valid")
}

/// The configuration with one environment variable set.
fn with_env(name: &str, value: &str) -> Result<ControllerConfig, String> {
    let env = |asked: &str| (asked == name).then(|| OsString::from(value));
    ControllerConfig::new(ControllerArgs::default(), &env).map_err(|error| error.to_string())
}

#[test]
fn the_defaults_are_the_documented_ones() {
    assert_eq!(
        defaults(),
        ControllerConfig {
            namespaces: Vec::new(),
            exclude_namespaces: Vec::new(),
            namespace_selector: None,
            cluster_policies: ClusterPolicies::Required,
            sources: Sources {
                configmaps: true,
                secrets: true,
            },
            source_selector: None,
            workload_kinds: ["DaemonSet", "Deployment", "StatefulSet", "Rollout", "CronJob"]
                .iter()
                .map(|kind| WorkloadKind::BuiltIn(KindId::named(kind).expect("a built-in kind")))
                .collect(),
            compat: Compat::default(),
            presence: Presence::default(),
            allow_cross_namespace: false,
            settle: Duration::from_secs(2),
            flap_limit: 5,
            max_parallel: 20,
            write_concurrency: 16,
            agent_concurrency: 32,
            resync: Duration::from_mins(10),
            observe_only: false,
            election: None,
            lease_name: "windlass".to_owned(),
            lease_namespace: None,
            notifications: Notifications {
                cloudevents: None,
                slack: None,
                teams: None,
                on: Occasions::new(&OCCASIONS).expect("all of them make sense"),
                interval: Duration::from_secs(10),
                cluster: None,
                ca_file: None,
            },
            #[cfg(feature = "otel")]
            otlp_endpoint: None,
            admin_address: "[::]:8080".parse().expect("an address"),
            log_format: LogFormat::Text,
            log_level: "info".parse().expect("a level"),
            kubeconfig: None,
            context: None,
        }
    );
}

#[test]
fn good_values_are_taken() {
    let config = |name: &str, value: &str| with_env(name, value).expect(value);
    for (value, names) in [
        ("b,a", &["a", "b"][..]),
        (" a , b ,a", &["a", "b"]),
        ("0-9", &["0-9"]),
        (" ", &[]),
    ] {
        assert_eq!(config("WINDLASS_NAMESPACES", value).namespaces, names, "{value}");
    }
    for (value, settle) in [("0s", Duration::ZERO), ("1h", Duration::from_hours(1))] {
        assert_eq!(config("WINDLASS_SETTLE", value).settle, settle, "{value}");
    }
    for (value, count) in [("1", 1), ("256", 256)] {
        assert_eq!(config("WINDLASS_WRITE_CONCURRENCY", value).write_concurrency, count);
    }
    assert_eq!(config("WINDLASS_RESYNC", "1s").resync, Duration::from_secs(1));
    assert!(config("WINDLASS_OBSERVE_ONLY", "true").observe_only);
    assert!(!config("WINDLASS_OBSERVE_ONLY", "false").observe_only);
    assert_eq!(config("WINDLASS_LEASE_NAME", "a.b-c").lease_name, "a.b-c");
    let namespace = config("WINDLASS_LEASE_NAMESPACE", "ops").lease_namespace;
    assert_eq!(namespace.as_deref(), Some("ops"));
    let address = config("WINDLASS_ADMIN_ADDRESS", "127.0.0.1:0").admin_address;
    assert_eq!(address.to_string(), "127.0.0.1:0");
    assert_eq!(config("WINDLASS_LOG_FORMAT", "json").log_format, LogFormat::Json);
    let level = config("WINDLASS_LOG_LEVEL", "info,kube=debug").log_level;
    assert_eq!(level.to_string(), "info,kube=debug");
    let path = config("WINDLASS_KUBECONFIG", "/a b").kubeconfig;
    assert_eq!(path, Some(PathBuf::from("/a b")));
    assert_eq!(config("WINDLASS_CONTEXT", "kind-a").context.as_deref(), Some("kind-a"));
}

#[test]
fn an_election_has_times_that_fit_together() {
    assert_eq!(defaults().election, None);
    let flags = |duration: &str| ControllerArgs {
        leader_election: Some("true".into()),
        lease_duration: Some(duration.into()),
        ..Default::default()
    };
    let seconds = Duration::from_secs;
    let times = Times::new(seconds(20), seconds(10), seconds(2), REQUEST_TIMEOUT).expect("they fit");
    let config = ControllerConfig::new(flags("20s"), &no_env).expect("they fit");
    assert_eq!(config.election, Some(times));
    let error = ControllerConfig::new(flags("8s"), &no_env).expect_err("the deadline is later");
    assert!(error.to_string().contains("--lease-renew-deadline"), "{error}");
}

#[test]
fn bad_values_are_named_with_their_origin_and_what_is_accepted() {
    let long_namespace = "a".repeat(64);
    let long_lease = "a".repeat(243);
    for (flag, bad) in [
        (NAMESPACES, "A"),
        (NAMESPACES, "a,,b"),
        (NAMESPACES, "a b"),
        (NAMESPACES, "-a"),
        (NAMESPACES, "a.b"),
        (NAMESPACES, long_namespace.as_str()),
        (SETTLE_FLAG, "2"),
        (SETTLE_FLAG, "-2s"),
        (SETTLE_FLAG, "1h1ns"),
        (WRITE_CONCURRENCY_FLAG, "0"),
        (WRITE_CONCURRENCY_FLAG, "257"),
        (WRITE_CONCURRENCY_FLAG, "-1"),
        (WRITE_CONCURRENCY_FLAG, "many"),
        (RESYNC_FLAG, "999ms"),
        (RESYNC_FLAG, "25h"),
        (OBSERVE_ONLY, "yes"),
        (LEASE_NAME, "Windlass"),
        (LEASE_NAME, "a..b"),
        (LEASE_NAME, long_lease.as_str()),
        (LEASE_NAMESPACE, "a.b"),
        (LEADER_ELECTION, "yes"),
        (LEASE_DURATION, "1s"),
        (LEASE_DURATION, "15500ms"),
        (LEASE_DURATION, "2h"),
        (LEASE_RENEW_DEADLINE, "14500ms"),
        (LEASE_RETRY_PERIOD, "6s"),
        (LEASE_RETRY_PERIOD, "0s"),
        (NOTIFY_ON, "Restarted,Stopped"),
        (NOTIFY_ON, "Recovered"),
        (NOTIFY_INTERVAL, "999ms"),
        (NOTIFY_INTERVAL, "2h"),
        (NOTIFY_CLUSTER, "<!channel>"),
        (ADMIN_ADDRESS, ":8080"),
        (ADMIN_ADDRESS, "localhost:8080"),
        (ADMIN_ADDRESS, "[::]"),
        (LOG_FORMAT, "yaml"),
        (LOG_LEVEL, "loud"),
        (LOG_LEVEL, "info\nkube"),
    ] {
        let (env, accepts) = (flag.env(), flag.accepts);
        let error = with_env(&env, bad).expect_err(bad);
        assert_eq!(error, format!("{env}: {bad:?} is not valid; accepts {accepts}"));
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn a_bad_url_to_notify_is_named_and_not_shown() {
    for flag in [NOTIFY_CLOUDEVENTS, NOTIFY_SLACK, NOTIFY_TEAMS] {
        for bad in [
            "ftp://hooks.example.org/s3cret",
            "hooks.example.org/s3cret",
            "https:///s3cret",
            "https://s3cret@hooks.example.org",
            "https://hooks.example.org/s3 cret",
        ] {
            let error = with_env(&flag.env(), bad).expect_err(bad);
            let expected = format!(
                "{}: its value, not shown here, is not valid; accepts {}",
                flag.env(),
                flag.accepts
            );
            assert_eq!(error, expected);
        }
        let config = with_env(&flag.env(), "https://hooks.example.org/s3cret").expect("it is good");
        let shown = format!("{config:?}");
        assert!(
            shown.contains("hooks.example.org") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}

#[test]
fn a_value_that_is_no_text_is_an_error_of_its_variable() {
    use std::os::unix::ffi::OsStringExt as _;
    let env = |name: &str| (name == "WINDLASS_SETTLE").then(|| OsString::from_vec(vec![0xff]));
    let error = ControllerConfig::new(ControllerArgs::default(), &env).expect_err("no text");
    assert!(error.to_string().starts_with("WINDLASS_SETTLE: "), "{error}");
}

#[test]
fn the_flag_wins_over_the_environment_and_is_named_in_its_error() {
    let env = |name: &str| (name == "WINDLASS_SETTLE").then(|| OsString::from("nonsense"));
    let args = |value: &str| ControllerArgs {
        settle: Some(value.into()),
        ..Default::default()
    };
    let config = ControllerConfig::new(args("5s"), &env).expect("the flag is good");
    assert_eq!(config.settle, Duration::from_secs(5));
    let error = ControllerConfig::new(args("x"), &env).expect_err("the flag is bad");
    assert!(
        error.to_string().starts_with("--settle: \"x\" is not valid; accepts "),
        "{error}"
    );
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    for flag in FLAGS {
        assert_eq!(with_env(&flag.env(), ""), Ok(defaults()), "{}", flag.name);
    }
}

#[test]
fn policies_of_the_cluster_may_be_left_out_with_namespaces_only() {
    let with = |namespaces: &str, given: Option<&str>| {
        let args = ControllerArgs {
            namespaces: Some(namespaces.into()),
            cluster_policies: given.map(Into::into),
            ..Default::default()
        };
        ControllerConfig::new(args, &no_env)
            .map(|config| config.cluster_policies)
            .ok()
    };
    assert_eq!(with("", None), Some(ClusterPolicies::Required));
    assert_eq!(with("", Some("true")), Some(ClusterPolicies::Required));
    assert_eq!(with("", Some("false")), None);
    assert_eq!(with("shop", None), Some(ClusterPolicies::IfPermitted));
    assert_eq!(with("shop", Some("true")), Some(ClusterPolicies::Required));
    assert_eq!(with("shop", Some("false")), Some(ClusterPolicies::Ignored));
    assert_eq!(with("shop", Some("perhaps")), None);
}

#[test]
fn an_empty_flag_means_none_where_that_is_possible_and_is_an_error_elsewhere() {
    let empty = || Some(OsString::new());
    let args = ControllerArgs {
        namespaces: empty(),
        lease_namespace: empty(),
        kubeconfig: empty(),
        context: empty(),
        ..Default::default()
    };
    assert_eq!(ControllerConfig::new(args, &no_env), Ok(defaults()));
    let args = ControllerArgs {
        settle: empty(),
        ..Default::default()
    };
    assert!(ControllerConfig::new(args, &no_env).is_err());
}

#[test]
fn the_texts_name_the_limits_that_hold() {
    let room = MAX_NAME - LONGEST_SUFFIX.len();
    assert!(LEASE_NAME.accepts.contains(&room.to_string()));
    assert!(is_subdomain(&"a".repeat(room)));
    for bound in [WRITE_CONCURRENCY.start(), WRITE_CONCURRENCY.end()] {
        assert!(WRITE_CONCURRENCY_FLAG.accepts.contains(&bound.to_string()));
    }
}
