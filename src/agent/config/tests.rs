use clap::FromArgMatches as _;

use super::*;
use crate::ops::LogFormat;

/// The configuration of a line of words. How errors read is the matter of `cli/tests.rs`.
fn config(line: &[&str]) -> Result<AgentConfig, String> {
    let command = AgentConfig::augment_args(clap::Command::new("agent").no_binary_name(true));
    let matches = command.try_get_matches_from(line).map_err(|error| error.to_string())?;
    let mut config = AgentConfig::from_arg_matches(&matches).expect("clap knows the flags");
    config.check().map_err(|conflict| {
        let Conflict { flag, why, accepts: _ } = conflict;
        format!("--{flag}: {why}")
    })?;
    Ok(config)
}

fn good(line: &[&str]) -> AgentConfig {
    config(&[&["--volume", "/a"], line].concat()).expect("a configuration")
}

fn bad(line: &[&str]) -> String {
    config(&[&["--volume", "/a"], line].concat()).expect_err("an error")
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = good(&[]);
    assert_eq!(config.volumes, [PathBuf::from("/a")]);
    assert_eq!((config.validate, config.notify), (None, Notify::Nobody));
    assert_eq!(config.debounce, Duration::from_millis(20));
    assert_eq!(config.timeout, Duration::from_secs(10));
    assert_eq!(config.retries, 5);
    assert_eq!(config.admin_address.to_string(), "[::]:9533");
    assert_eq!(config.token_file, None);
    assert_eq!(config.log_format, LogFormat::Text);
    assert_eq!(config.log_level.to_string(), "info");
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
        assert!(bad(&["--validate", text]).contains("--validate"), "{text}");
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
        assert!(bad(&["--notify-http", url]).contains("--notify-http"), "{url}");
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
        let target = SignalTarget::Named("nginx".to_owned());
        assert_eq!(notify, Notify::Signal { signal, target });
    }
    let notify = good(&["--notify-signal", "HUP", "--pid-file", "/run/a.pid"]).notify;
    assert!(matches!(
        notify,
        Notify::Signal {
            target: SignalTarget::PidFile(_),
            ..
        }
    ));
}

#[test]
fn what_does_not_go_together_is_named() {
    for (line, said) in [
        (
            &["--notify-http", "http://localhost", "--notify-signal", "HUP"][..],
            "--notify-signal: not together with --notify-http",
        ),
        (
            &["--notify-signal", "HUP"],
            "--notify-signal: needs a process to send it to",
        ),
        (
            &["--notify-signal", "HUP", "--process", "a", "--pid-file", "/b"],
            "--pid-file: not together with --process",
        ),
        (&["--process", "a"], "--process: needs --notify-signal"),
        (&["--pid-file", "/a"], "--pid-file: needs --notify-signal"),
        (
            &["--notify-exec", "a", "--notify-method", "GET"],
            "--notify-method: needs --notify-http",
        ),
        (&["--volume", "/a"], "--volume: \"/a\" is set twice"),
    ] {
        assert_eq!(bad(line), said);
    }
}

#[test]
fn what_no_flag_accepts_is_refused() {
    for line in [
        &["--notify-signal", "KILL", "--process", "a"][..],
        &["--notify-signal", "HUP", "--process", "/usr/bin/a"],
        &["--notify-http", "http://localhost", "--notify-method", "DELETE"],
        &["--retries", "101"],
        &["--timeout", "9ms"],
        &["--debounce", "61s"],
        &["--volume", "b"],
        &["--volume", "./b"],
        &["--volume", ""],
    ] {
        bad(line);
    }
    assert!(config(&[]).is_err());
}

#[test]
fn volumes_are_given_one_by_one_or_in_one_text() {
    let paths = [PathBuf::from("/a"), PathBuf::from("/b"), PathBuf::from("/c")];
    assert_eq!(good(&["--volume", "/b,/c"]).volumes, paths);
    assert_eq!(good(&["--volume", "/b", "--volume", "/c"]).volumes, paths);
}
