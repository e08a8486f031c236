use clap::FromArgMatches as _;
use windlass_core::notice::{NoticeKind, NoticeKinds};

use super::*;

/// The configuration of a line of words. How errors read is the matter of `cli/tests.rs`.
fn config(line: &[&str]) -> Result<ControllerConfig, String> {
    let command = ControllerConfig::augment_args(clap::Command::new("controller").no_binary_name(true));
    let matches = command.try_get_matches_from(line).map_err(|error| error.to_string())?;
    let mut config = ControllerConfig::from_arg_matches(&matches).expect("clap knows the flags");
    config.check().map_err(|conflict| {
        let Conflict { flag, why, accepts: _ } = conflict;
        format!("--{flag}: {why}")
    })?;
    Ok(config)
}

fn good(flag: &str, value: &str) -> ControllerConfig {
    config(&[&format!("--{flag}={value}")]).expect(value)
}

fn names(names: &[Namespace]) -> Vec<&str> {
    names.iter().map(Namespace::as_str).collect()
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let ControllerConfig {
        watch,
        rollouts,
        in_place,
        lease,
        notifications,
        observability,
        connection,
    } = config(&[]).expect("defaults are valid");
    let mut kinds: Vec<KindId> = KindId::built_in().collect();
    kinds.sort_unstable();
    assert_eq!(
        watch,
        Watch {
            namespaces: Vec::new(),
            exclude_namespaces: Vec::new(),
            namespace_selector: None,
            cluster_policies: ClusterPolicies::Required,
            sources: SourceKinds {
                configmaps: true,
                secrets: true,
            },
            source_selector: None,
            workload_kinds: kinds,
            workload_kind: Vec::new(),
            compat: Compat::default(),
            compat_auto_reload_all: false,
            on_create: true,
            on_delete: true,
            allow_cross_namespace: false,
        }
    );
    assert_eq!(watch.presence(), PresencePolicy::default());
    assert_eq!(
        rollouts,
        Rollouts {
            observe_only: false,
            settle: Duration::from_secs(2),
            flap_limit: 5,
            max_parallel: 20,
            write_concurrency: 16,
            resync: Duration::from_mins(10),
        }
    );
    assert_eq!(in_place, InPlace { agent_concurrency: 32 });
    assert_eq!(lease.times, None);
    assert_eq!((&*lease.name, lease.namespace), ("windlass", None));
    assert_eq!(
        notifications,
        Notifications {
            cloudevents: None,
            slack: None,
            teams: None,
            on: NoticeKinds::new(&NoticeKind::ALL).expect("all of them make sense"),
            interval: Duration::from_secs(10),
            cluster: None,
            ca_file: None,
        }
    );
    assert_eq!(
        observability,
        Observability {
            otlp_endpoint: None,
            admin_address: "[::]:8080".parse().expect("an address"),
            log_format: LogFormat::Text,
            log_level: "info".parse().expect("a level"),
        }
    );
    assert_eq!(
        connection,
        Connection {
            kubeconfig: None,
            context: None,
        }
    );
}

#[test]
fn good_values_are_taken() {
    for (value, expected) in [
        ("b,a", &["a", "b"][..]),
        (" a , b ,a", &["a", "b"]),
        ("0-9", &["0-9"]),
        (" ", &[]),
    ] {
        assert_eq!(names(&good("namespaces", value).watch.namespaces), expected, "{value}");
    }
    for (value, settle) in [("0s", Duration::ZERO), ("1h", Duration::from_hours(1))] {
        assert_eq!(good("settle", value).rollouts.settle, settle, "{value}");
    }
    for (value, count) in [("1", 1), ("256", 256)] {
        assert_eq!(good("write-concurrency", value).rollouts.write_concurrency, count);
    }
    assert_eq!(good("resync", "1s").rollouts.resync, Duration::from_secs(1));
    assert!(good("observe-only", "true").rollouts.observe_only);
    assert_eq!(good("lease-name", "a.b-c").lease.name, "a.b-c");
    let namespace = good("lease-namespace", "ops").lease.namespace;
    assert_eq!(namespace, Some("ops".into()));
    let address = good("admin-address", "127.0.0.1:0").observability.admin_address;
    assert_eq!(address.to_string(), "127.0.0.1:0");
    let path = good("kubeconfig", "/a b").connection.kubeconfig;
    assert_eq!(path, Some(PathBuf::from("/a b")));
    assert_eq!(good("context", "kind-a").connection.context.as_deref(), Some("kind-a"));
    let selector = good("source-selector", "a in (c, b)").watch.source_selector;
    assert_eq!(selector.expect("a selector").to_string(), "a in (b,c)");
    let both = good("compat", "wave,reloader").watch.compat;
    assert!(both.reloader && both.wave);
}

#[test]
fn kinds_are_built_in_or_described() {
    let line = [
        "--workload-kinds=Deployment",
        "--workload-kind=apps.example.org/v1/Service=.spec.template,v1/Job=.spec",
        "--workload-kind=a.b/v1/A=.t",
    ];
    let kinds = config(&line).expect("kinds").watch.kinds();
    let words: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    assert_eq!(words, ["Deployment", "Service", "Job", "A"]);
}

#[test]
fn an_election_has_times_that_fit_together() {
    let seconds = Duration::from_secs;
    let times = LeaseTimes::new(seconds(20), seconds(10), seconds(2), REQUEST_TIMEOUT).expect("they fit");
    let flags = ["--leader-election=true", "--lease-duration=20s"];
    assert_eq!(config(&flags).expect("they fit").lease.times, Some(times));
    for (line, said) in [
        (
            &["--lease-duration=8s"][..],
            "--lease-renew-deadline: 10s does not fit to --lease-duration",
        ),
        (
            &["--lease-renew-deadline=14500ms"],
            "--lease-renew-deadline: 14s500ms does not fit to --lease-duration",
        ),
        (
            &["--lease-renew-deadline=0s"],
            "--lease-renew-deadline: 0s does not fit to --lease-duration",
        ),
        (
            &["--lease-retry-period=6s"],
            "--lease-retry-period: 6s does not fit to --lease-renew-deadline",
        ),
        (
            &["--lease-retry-period=0s"],
            "--lease-retry-period: 0s does not fit to --lease-renew-deadline",
        ),
    ] {
        assert_eq!(config(line).expect_err("they do not fit"), said);
    }
}

#[test]
fn what_no_flag_accepts_is_refused() {
    let long_namespace = "a".repeat(64);
    let long_lease = "a".repeat(243);
    for (flag, value) in [
        ("namespaces", "A"),
        ("namespaces", "a,,b"),
        ("namespaces", "a b"),
        ("namespaces", "-a"),
        ("namespaces", "a.b"),
        ("namespaces", &long_namespace),
        ("namespace-selector", "a b"),
        ("cluster-policies", "perhaps"),
        ("sources", ""),
        ("sources", "configmap"),
        ("workload-kinds", "Job"),
        ("workload-kind", "apps/v1/Deployment=.spec.template"),
        ("workload-kind", "v1/A=spec"),
        ("compat", "waves"),
        ("settle", "2"),
        ("settle", "-2s"),
        ("settle", "1h1ns"),
        ("flap-limit", "11"),
        ("write-concurrency", "0"),
        ("write-concurrency", "257"),
        ("write-concurrency", "-1"),
        ("write-concurrency", "many"),
        ("agent-concurrency", "1025"),
        ("resync", "999ms"),
        ("resync", "25h"),
        ("observe-only", "yes"),
        ("lease-name", "Windlass"),
        ("lease-name", "a..b"),
        ("lease-name", &long_lease),
        ("lease-namespace", "a.b"),
        ("leader-election", "yes"),
        ("lease-duration", "1s"),
        ("lease-duration", "15500ms"),
        ("lease-duration", "2h"),
        ("notify-on", "Restarted,Stopped"),
        ("notify-on", "Recovered"),
        ("notify-interval", "999ms"),
        ("notify-interval", "2h"),
        ("notify-cluster", "<!channel>"),
        ("notify-slack", "ftp://hooks.example.org/s3cret"),
        ("admin-address", ":8080"),
        ("admin-address", "localhost:8080"),
        ("admin-address", "[::]"),
        ("log-format", "yaml"),
        ("log-level", "loud"),
        ("log-level", "info\nkube"),
    ] {
        let said = config(&[&format!("--{flag}={value}")]).expect_err(value);
        assert!(said.contains(flag), "{flag}: {said}");
    }
    assert!(config(&[&format!("--lease-name={}", "a".repeat(242))]).is_ok());
}

#[test]
fn a_url_to_notify_is_never_shown() {
    for flag in ["notify-cloudevents", "notify-slack", "notify-teams"] {
        let config = good(flag, "https://hooks.example.org/s3cret");
        let shown = format!("{config:?}");
        assert!(
            shown.contains("hooks.example.org") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}

#[test]
fn flags_that_exclude_each_other_are_named() {
    for (line, said) in [
        (
            &["--namespaces=a,b", "--exclude-namespaces=b,a"][..],
            "--exclude-namespaces: excludes all of --namespaces",
        ),
        (
            &["--namespaces=a", "--namespace-selector=b"],
            "--namespace-selector: not with --namespaces",
        ),
        (
            &["--cluster-policies=false"],
            "--cluster-policies: false needs --namespaces",
        ),
        (
            &["--compat=wave", "--compat-auto-reload-all=true"],
            "--compat-auto-reload-all: true needs --compat reloader",
        ),
    ] {
        assert_eq!(config(line).expect_err("they exclude each other"), said);
    }
    let watch = config(&["--namespaces=a,b", "--exclude-namespaces=b"]).expect("one is left");
    assert_eq!(names(&watch.watch.namespaces), ["a"]);
    let watch = config(&["--compat=reloader", "--compat-auto-reload-all=true"]).expect("Reloader's");
    assert!(watch.watch.compat.auto_reload_all);
}

#[test]
fn policies_of_the_cluster_may_be_left_out_with_namespaces_only() {
    let with = |line: &[&str]| config(line).map(|config| config.watch.cluster_policies).ok();
    assert_eq!(with(&[]), Some(ClusterPolicies::Required));
    assert_eq!(with(&["--cluster-policies=true"]), Some(ClusterPolicies::Required));
    let named = |given: &'static str| with(&["--namespaces=shop", given]);
    assert_eq!(named("--cluster-policies="), Some(ClusterPolicies::IfPermitted));
    assert_eq!(named("--cluster-policies=true"), Some(ClusterPolicies::Required));
    assert_eq!(named("--cluster-policies=false"), Some(ClusterPolicies::Ignored));
}

#[test]
fn an_empty_flag_means_none_where_that_is_possible() {
    let line = [
        "--namespaces=",
        "--namespace-selector=",
        "--source-selector=",
        "--compat=",
        "--lease-namespace=",
        "--notify-slack=",
        "--notify-cluster=",
        "--notify-ca-file=",
        "--otlp-endpoint=",
        "--kubeconfig=",
        "--context=",
    ];
    assert_eq!(config(&line), config(&[]));
}

/// The help is written by people; this is what else would have to be kept in mind.
#[test]
fn the_help_names_every_kind_and_the_limits_that_hold() {
    let command = ControllerConfig::augment_args(clap::Command::new("controller"));
    let help = |flag: &str| {
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(flag));
        arg.and_then(clap::Arg::get_long_help).expect(flag).to_string()
    };
    for kind in KindId::built_in() {
        assert!(help("workload-kinds").contains(kind.row().kind), "{}", kind.row().kind);
    }
    assert!(help("lease-name").contains(&(253 - LONGEST_SUFFIX.len()).to_string()));
    assert!(help("flap-limit").contains(&RESTARTS_KEPT.to_string()));
    for kind in NoticeKind::ALL {
        assert!(help("notify-on").contains(kind.as_str()));
    }
}
