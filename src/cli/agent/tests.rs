use super::*;
use crate::ops::LogFormat;

/// The configuration of a line of words, with environment variables.
fn config(line: &[&str], env: &[(&str, &str)]) -> Result<AgentConfig, String> {
    let words = std::iter::once("agent").chain(line.iter().copied());
    let command = <AgentArgs as clap::Args>::augment_args(clap::Command::new("agent"));
    let matches = command.try_get_matches_from(words).expect("clap knows the flags");
    let raw = <AgentArgs as clap::FromArgMatches>::from_arg_matches(&matches).expect("all are given");
    let lookup = |name: &str| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    AgentConfig::new(raw, &lookup).map_err(|error| error.to_string())
}

fn good(line: &[&str]) -> AgentConfig {
    config(&[&["--volume", "/a"], line].concat(), &[]).expect("a configuration")
}

fn bad(line: &[&str]) -> String {
    config(&[&["--volume", "/a"], line].concat(), &[]).expect_err("an error")
}

#[test]
fn the_defaults_are_the_documented_ones() {
    assert_eq!(
        good(&[]),
        AgentConfig {
            volumes: vec!["/a".into()],
            validate: None,
            notify: Notify::Nobody,
            debounce: Duration::from_millis(20),
            timeout: Duration::from_secs(10),
            retries: 5,
            admin_address: "[::]:9533".parse().expect("an address"),
            token_file: None,
            log_format: LogFormat::Text,
            log_level: "info".parse().expect("a level"),
        }
    );
}

#[test]
fn every_flag_has_a_variable_and_the_flag_wins() {
    let env = [
        ("WINDLASS_AGENT_VOLUME", "/a,/b"),
        ("WINDLASS_AGENT_NOTIFY_EXEC", "app reload"),
        ("WINDLASS_AGENT_RETRIES", "7"),
        ("WINDLASS_AGENT_TOKEN_FILE", "/token"),
        ("WINDLASS_AGENT_NOTIFY_HTTP", ""),
        // The controller's, and what commands are given.
        ("WINDLASS_VOLUME", "/c"),
        ("WINDLASS_LOG_FORMAT", "json"),
    ];
    let config = config(&["--retries", "9"], &env).expect("a configuration");
    assert_eq!(config.volumes, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert_eq!(config.retries, 9);
    assert_eq!(config.token_file, Some("/token".into()));
    assert!(matches!(config.notify, Notify::Exec(_)));
    assert_eq!(config.log_format, LogFormat::Text);
}

#[test]
fn commands_are_split_as_a_shell_would_and_run_by_none() {
    for (text, program, arguments) in [
        ("nginx -t", "nginx", &["-t"][..]),
        ("  a  'b c' \"d\" e\\ f ", "a", &["b c", "d", "e f"]),
        ("sh -c 'exit $X > y'", "sh", &["-c", "exit $X > y"]),
        ("a ''", "a", &[""]),
        ("a $HOME `b` *", "a", &["$HOME", "`b`", "*"]),
    ] {
        let words = good(&["--validate", text]).validate.expect("a command");
        assert_eq!(
            (&*words.program, &*words.arguments),
            (
                program,
                &arguments.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()[..]
            ),
            "{text}"
        );
    }
    for text in ["'open", "''", "   "] {
        let said = bad(&["--validate", text]);
        assert!(said.contains("accepts a command and its arguments"), "{said}");
    }
}

#[test]
fn an_endpoint_is_an_http_url_without_a_name_to_look_up() {
    for (url, addresses, authority, path) in [
        (
            "http://localhost:8080/-/reload",
            &["127.0.0.1:8080", "[::1]:8080"][..],
            "localhost:8080",
            "/-/reload",
        ),
        ("http://127.0.0.1", &["127.0.0.1:80"], "127.0.0.1", "/"),
        ("http://[::1]:9/x?y=1&z", &["[::1]:9"], "[::1]:9", "/x?y=1&z"),
        ("http://10.0.0.1:1?a", &["10.0.0.1:1"], "10.0.0.1:1", "/?a"),
    ] {
        let Notify::Http { method, endpoint } = good(&["--notify-http", url]).notify else {
            panic!("{url}");
        };
        assert_eq!(method, Method::POST);
        let expected: Vec<SocketAddr> = addresses.iter().map(|it| it.parse().expect("an address")).collect();
        assert_eq!(endpoint.addresses, expected, "{url}");
        assert_eq!((&*endpoint.authority, &*endpoint.path), (authority, path));
    }
    for url in [
        "https://localhost/",
        "http://web/",
        "http://web.shop.svc:80/",
        "http://user@localhost/",
        "http://localhost:0/",
        "http://localhost:99999/",
        "http://localhost:x/",
        "http://localhost:/",
        "http://[localhost]/",
        "http://1.2.3/",
        "http:///reload",
        "localhost:8080",
        "/reload",
        "unix:/run/app.sock",
        "http://localhost/a b",
        "http://localhost.evil.example/",
    ] {
        assert!(bad(&["--notify-http", url]).starts_with("--notify-http: "), "{url}");
    }
    let put = good(&["--notify-http", "http://localhost", "--notify-method", "PUT"]).notify;
    assert!(matches!(put, Notify::Http { method, .. } if method == Method::PUT));
}

#[test]
fn a_signal_needs_somebody_to_get_it() {
    for (name, signal) in [
        ("HUP", Signal::Hup),
        ("SIGUSR1", Signal::Usr1),
        ("WINCH", Signal::Winch),
    ] {
        let notify = good(&["--notify-signal", name, "--process", "nginx"]).notify;
        let whom = Whom::Named("nginx".to_owned());
        assert_eq!(notify, Notify::Signal { signal, whom });
    }
    let notify = good(&["--notify-signal", "HUP", "--pid-file", "/run/a.pid"]).notify;
    assert!(matches!(
        notify,
        Notify::Signal {
            whom: Whom::PidFile(_),
            ..
        }
    ));
}

#[test]
fn what_does_not_go_together_is_one_line_that_says_what_does() {
    for (line, said) in [
        (
            &["--notify-http", "http://localhost", "--notify-signal", "HUP"][..],
            "--notify-signal: not together with --notify-http; accepts one of --notify-http, --notify-signal and --notify-exec",
        ),
        (
            &["--notify-signal", "HUP"],
            "--notify-signal: nobody to send it to; accepts HUP, INT, QUIT, TERM, USR1, USR2 or WINCH, together with --process or --pid-file",
        ),
        (
            &["--notify-signal", "KILL", "--process", "a"],
            "--notify-signal: \"KILL\" is not valid; accepts HUP, INT, QUIT, TERM, USR1, USR2 or WINCH, together with --process or --pid-file",
        ),
        (
            &["--notify-signal", "HUP", "--process", "a", "--pid-file", "/b"],
            "--pid-file: not together with --process; accepts a path; only together with --notify-signal, and not with --process",
        ),
        (
            &["--process", "a"],
            "--process: nothing to go with; accepts the name of a program, such as nginx; only together with --notify-signal, and not with --pid-file",
        ),
        (
            &["--notify-signal", "HUP", "--process", "/usr/bin/a"],
            "--process: \"/usr/bin/a\" is not valid; accepts the name of a program, such as nginx; only together with --notify-signal, and not with --pid-file",
        ),
        (
            &["--notify-exec", "a", "--notify-method", "GET"],
            "--notify-method: nothing to go with; accepts POST, GET or PUT; only together with --notify-http",
        ),
        (
            &["--retries", "-1"],
            "--retries: \"-1\" is not valid; accepts a whole number from 0 to 100",
        ),
        (
            &["--timeout", "0s"],
            "--timeout: \"0s\" is not valid; accepts a duration from 10ms to 1h, such as 500ms, 10s or 1m30s",
        ),
    ] {
        assert_eq!(bad(line), said);
    }
    let env = [("WINDLASS_AGENT_NOTIFY_EXEC", "x")];
    let said = config(&["--volume", "/a", "--notify-http", "http://localhost"], &env).expect_err("an error");
    assert!(
        said.starts_with("WINDLASS_AGENT_NOTIFY_EXEC: not together with --notify-http;"),
        "{said}"
    );
}

#[test]
fn volumes_are_absolute_and_each_is_named_once() {
    assert_eq!(good(&["--volume", "/b"]).volumes.len(), 2);
    for volume in ["b", "./b", "", "/a"] {
        let said = bad(&["--volume", volume]);
        assert!(said.starts_with("--volume: "), "{said}");
    }
    assert!(
        config(&[], &[])
            .expect_err("an error")
            .starts_with("--volume is missing")
    );
}
