//! Telling the application by a signal.

use std::{fs, thread};

use windlass_core::agent_protocol::challenge::VolumeState::{Applied, Failed, Pending};

use crate::{
    kubelet::Kubelet,
    support::{Agent, Application, TICKS, eventually, folder, path},
};

#[test]
fn each_version_is_told_once_by_a_signal() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    thread::sleep(TICKS);
    let mut application = Application::start("windlass-test-counts");
    let flags = ["--notify-signal", "HUP", "--process", "windlass-test-counts"];
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "0", Applied);
    for version in 1..4 {
        kubelet.write([("a", version.to_string())]);
        agent.until("a", &version.to_string(), Applied);
        eventually("it is told", || (application.told() == version).then_some(()));
    }
    assert!(application.runs());
    assert_eq!(
        agent.metric("windlass_agent_notifications_total{result=\"told\"}"),
        3,
        "none at the start: it started after the files were there"
    );
}

#[test]
fn an_application_that_is_older_than_the_files_is_told_at_the_start_of_the_agent() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let application = Application::start("windlass-test-older");
    thread::sleep(TICKS);
    kubelet.write([("a", "1")]);
    let flags = ["--notify-signal", "SIGHUP", "--process", "windlass-test-older"];
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "1", Applied);
    eventually("it is told", || (application.told() == 1).then_some(()));

    // Killed, and the files change while no agent runs.
    agent.kill();
    kubelet.write([("a", "2")]);
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "2", Applied);
    eventually("it is told again", || (application.told() == 2).then_some(()));
}

#[test]
fn an_application_that_ignores_the_signal_was_told_all_the_same() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let mut application = Application::deaf("windlass-test-deaf");
    let flags = ["--notify-signal", "HUP", "--process", "windlass-test-deaf"];
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    kubelet.write([("a", "1")]);
    agent.until("a", "1", Applied);
    assert!(application.runs());
}

#[test]
fn an_application_that_is_not_seen_is_awaited_at_first_and_given_up_later() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let flags = [
        "--notify-signal",
        "HUP",
        "--process",
        "windlass-test-late",
        "--retries",
        "1",
    ];
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    eventually("more attempts than retries", || {
        (agent.metric("windlass_agent_notifications_total{result=\"absent\"}") >= 3).then_some(())
    });
    let message = agent.until("a", "0", Pending).expect("a reason");
    assert!(message.contains("shareProcessNamespace: true"), "{message}");

    let application = Application::start("windlass-test-late");
    agent.until("a", "0", Applied);
    assert_eq!(application.told(), 0, "it read the files when it started");
    drop(application);
    kubelet.write([("a", "1")]);
    agent.until("a", "1", Failed);

    // It comes back, and has read the files by itself.
    thread::sleep(TICKS);
    let _application = Application::start("windlass-test-late");
    agent.until("a", "1", Applied);
}

#[test]
fn a_pid_file_that_is_missing_or_makes_no_sense_is_said() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let (_root, root) = folder();
    let pid_file = root.join("app.pid");
    let flags = ["--notify-signal", "HUP", "--retries", "0", "--pid-file"];
    let file = pid_file.to_str().expect("a path");
    let agent = Agent::start(&[&path(&kubelet)], &[&flags[..], &[file]].concat());
    let said = |word: &str| {
        eventually(word, || {
            let message = crate::support::only(agent.ask().1).message?;
            message.contains(word).then_some(())
        });
    };
    said("No such file");
    fs::write(&pid_file, "many").expect("a file");
    said("does not contain a process ID");
    fs::write(&pid_file, "1\n").expect("a file");
    said("shareProcessNamespace: true");

    let application = Application::start("windlass-test-pid-file");
    thread::sleep(TICKS);
    kubelet.write([("a", "1")]);
    fs::write(&pid_file, format!("{}\n", application.pid())).expect("a file");
    agent.until("a", "1", Applied);
    eventually("it is told", || (application.told() >= 1).then_some(()));
}
