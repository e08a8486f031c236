//! The process: its command line, its end, its log.

use std::process::Output;

use crate::support::{
    Test,
    build::{deployment, env},
    controller::windlass,
    tests,
};

tests! {
    it_stops_cleanly_in_the_middle_of_work: live;
    it_logs_what_it_does: live;
}

/// Runs the controller with one flag beside the ones that it needs; it must not get far enough to
/// look for an API server.
fn controller(flags: &[&str]) -> Output {
    let mut command = windlass();
    command
        .arg("controller")
        .args(["--kubeconfig", "/nonexistent"])
        .args(flags);
    command.output().expect("the binary runs")
}

#[test]
fn a_bad_flag_is_one_line_that_names_it_and_what_it_takes() {
    for (flag, value, accepted) in [
        ("--settle", "soon", &["2s"][..]),
        ("--log-format", "xml", &["text", "json"]),
        ("--log-level", "loud", &["info", "debug"]),
        ("--write-concurrency", "0", &["1"]),
        ("--write-concurrency", "many", &[]),
        ("--resync", "never", &["10m"]),
        ("--admin-address", "nowhere", &["8080"]),
        ("--namespaces", "Not_A_Name", &[]),
    ] {
        let output = controller(&[flag, value]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flag} {value}: {message}");
        assert_eq!(message.trim().lines().count(), 1, "{flag} {value}: {message}");
        for word in [&[flag], accepted].concat() {
            assert!(message.contains(word), "{flag} {value}: no {word} in: {message}");
        }
    }
}

#[test]
fn an_unknown_flag_is_one_line_that_names_it() {
    let output = controller(&["--no-such-flag"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(message.trim().lines().count(), 1, "{message}");
    assert!(message.contains("--no-such-flag"), "{message}");
}

async fn it_stops_cleanly_in_the_middle_of_work(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    for number in 0..20 {
        t.deploy(deployment(&format!("web-{number}")).uses(env("web", "level")))
            .await;
    }
    t.start_and_adopt(&["--settle", "0s"]).await;

    t.config("web", &[("level", "B")]).await;
    t.stop().await;
    t.while_down(async {}).await;

    for number in 0..20 {
        t.await_template_changes(&format!("web-{number}"), 1).await;
    }
    t.everything_before_is_done().await;
    for number in 0..20 {
        assert_eq!(t.template_changes(&format!("web-{number}")).await, 1, "web-{number}");
    }
}

async fn it_logs_what_it_does(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;

    let log = t.windlass().log();
    for line in log.lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "not JSON: {line}"
        );
    }
    for word in ["Adopted", "Restarted"] {
        assert!(
            log.lines().any(|line| line.contains(word) && line.contains("web")),
            "{word}:\n{log}"
        );
    }
}
