//! Wrong arguments, a start before there is anything to read, and the end.

use std::{ffi::OsStr, fs, net::TcpListener, os::unix::ffi::OsStrExt as _, process::Output};

use rustix::process::Signal;
use windlass_core::agent_protocol::challenge::VolumeState::{Applied, Pending};

use crate::{
    kubelet::Kubelet,
    support::{Agent, eventually, folder, only, path, windlass},
};

fn run(words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = windlass();
    command.arg("agent").args(words).envs(variables.iter().copied());
    command.output().expect("it runs")
}

#[test]
fn wrong_arguments_are_one_line_and_exit_code_2() {
    for (words, variables, said) in [
        (
            &[][..],
            &[][..],
            "--volume is missing; accepts one or more distinct absolute paths",
        ),
        (
            &["--volume", "/a", "--notify-http", "http://web/reload"],
            &[],
            "--notify-http: \"http://web/reload\" is not valid; accepts an http URL whose host is an IP address or localhost",
        ),
        (
            &[
                "--volume",
                "/a",
                "--notify-http",
                "http://localhost",
                "--notify-exec",
                "true",
            ],
            &[],
            "--notify-exec: not together with --notify-http; accepts one of --notify-http, --notify-signal and --notify-exec",
        ),
        (
            &["--volume", "/a"],
            &[("WINDLASS_AGENT_TIMEOUT", "soon")],
            "WINDLASS_AGENT_TIMEOUT: \"soon\" is not valid; accepts a duration",
        ),
        // An empty variable counts as not set.
        (
            &[],
            &[("WINDLASS_AGENT_VOLUME", "/a,/a"), ("WINDLASS_AGENT_TIMEOUT", "")],
            "WINDLASS_AGENT_VOLUME: \"/a\" is set twice; accepts one or more distinct absolute paths",
        ),
        (
            &["--volume", "/a", "--notify-http", "http://localhost"],
            &[("WINDLASS_AGENT_NOTIFY_EXEC", "x")],
            "WINDLASS_AGENT_NOTIFY_EXEC: not together with --notify-http;",
        ),
        // The flag wins, and is named.
        (
            &["--volume", "/a", "--timeout", "later"],
            &[("WINDLASS_AGENT_TIMEOUT", "soon")],
            "--timeout: \"later\" is not valid;",
        ),
        // The controller's variable.
        (
            &["--volume", "/a", "--retries", "many"],
            &[("WINDLASS_LOG_FORMAT", "xml")],
            "--retries: \"many\" is not valid;",
        ),
        (&["--volum", "/a"], &[], "unknown flag --volum; did you mean --volume?"),
    ] {
        let output = run(words, variables);
        let text = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with(&format!("windlass: {said}")), "{text}");
    }
}

#[test]
fn a_value_that_is_no_text_is_an_error_of_its_variable() {
    let mut command = windlass();
    command.args(["agent", "--volume", "/a"]);
    command.env("WINDLASS_AGENT_RETRIES", OsStr::from_bytes(&[0xff]));
    let output = command.output().expect("it runs");
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.starts_with("windlass: WINDLASS_AGENT_RETRIES: its value is not text; accepts a whole number"),
        "{text}"
    );
}

#[test]
fn a_bad_variable_does_not_keep_people_from_what_is_only_printed() {
    for words in [&["--help"][..], &["agent", "--help"], &["version"]] {
        let mut command = windlass();
        let output = command.args(words).env("WINDLASS_AGENT_RETRIES", "s3cret").output();
        let output = output.expect("it runs");
        assert!(output.status.success() && !output.stdout.is_empty(), "{words:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_port_that_is_taken_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(
        &["--volume", "/a", "--admin-address", &address, "--log-level", "off"],
        &[],
    );
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert!(
        text.contains(&format!("cannot listen on {address} (flag --admin-address)")),
        "{text}"
    );
}

#[test]
fn it_is_ready_once_every_volume_was_read() {
    let (_root, root) = folder();
    let (here, there) = (Kubelet::with([("a", "0")]), root.join("there"));
    let agent = Agent::start(&[&path(&here), &there], &[]);
    eventually("the first is applied", || {
        (agent.ask().1.volumes.first()?.state == Applied).then_some(())
    });
    let (status, body) = agent.get("/readyz");
    assert_eq!(
        (status, body.as_str()),
        (503, "not ready: initial read of every volume\n")
    );
    let missing = agent.ask().1.volumes.swap_remove(1);
    assert_eq!(missing.state, Pending);
    assert_eq!(missing.message, Some(format!("{} does not exist", there.display())));
    fs::create_dir(&there).expect("a folder");
    fs::write(there.join("b"), "1").expect("a file");
    eventually("it is ready", || (agent.get("/readyz").0 == 200).then_some(()));
    assert_eq!(agent.get("/livez").0, 200);
}

#[test]
fn a_volume_that_goes_away_and_comes_back_is_followed_again() {
    let (_root, root) = folder();
    let volume = root.join("volume");
    fs::create_dir(&volume).expect("a folder");
    fs::write(volume.join("a"), "0").expect("a file");
    let agent = Agent::start(&[&volume], &[]);
    agent.until("a", "0", Applied);
    fs::rename(&volume, root.join("before")).expect("moved");
    let gone = only(agent.ask().1);
    assert_eq!((gone.state, gone.files.len()), (Pending, 0));
    fs::create_dir(&volume).expect("a folder");
    fs::write(volume.join("a"), "1").expect("a file");
    agent.until("a", "1", Applied);
}

#[test]
fn a_signal_ends_it_with_0_and_a_command_that_hangs_ends_with_it() {
    for flag in ["--notify-exec", "--validate"] {
        let (_root, root) = folder();
        let kubelet = Kubelet::with([("a", "0")]);
        let pids = root.join("pids");
        let command = format!(
            "sh -c 'sleep 1000 & echo $! $$ > {0}.new; mv {0}.new {0}; wait'",
            pids.display()
        );
        let mut agent = Agent::start(&[&path(&kubelet)], &[flag, &command, "--timeout", "1h"]);
        let text = eventually("the command runs", || fs::read_to_string(&pids).ok());
        agent.signal(Signal::TERM);
        assert_eq!(agent.wait().code(), Some(0), "{}", agent.log());
        for pid in text.split_whitespace() {
            eventually("it is gone", || (!runs(pid)).then_some(()));
        }
    }
}

#[test]
fn a_signal_ends_it_while_nobody_answers_it() {
    let kubelet = Kubelet::with([("a", "0")]);
    let endpoint = crate::support::Endpoint::start(|_| crate::support::Reply::Hang);
    let flags = ["--notify-http", &endpoint.url(), "--timeout", "1h"];
    let mut agent = Agent::start(&[&path(&kubelet)], &flags);
    eventually("it is asked", || (endpoint.heads().len() == 1).then_some(()));
    agent.signal(Signal::INT);
    assert_eq!(agent.wait().code(), Some(0), "{}", agent.log());
}

/// One that has ended and waits for its parent runs no more.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}
