//! Telling the application by a request or a command.

use std::{fs, net::TcpListener};

use windlass_core::agent_protocol::challenge::VolumeState::{Applied, Failed, Pending};

use crate::{
    kubelet::Kubelet,
    support::{Agent, Endpoint, Reply, eventually, folder, only, path},
};

#[test]
fn without_a_way_to_tell_it_the_files_are_enough() {
    let mut kubelet = Kubelet::with([("a", "1"), ("b", "2")]);
    let agent = Agent::start(&[&path(&kubelet)], &[]);
    agent.until("a", "1", Applied);
    kubelet.write([("a", "3")]);
    agent.until("a", "3", Applied);
    let volume = only(agent.ask().1);
    assert_eq!(volume.path, path(&kubelet).display().to_string());
    assert_eq!(volume.files.len(), 1, "a key that is gone is not there");
    assert_eq!(agent.metric("windlass_agent_swaps_total{volume=\"0\"}"), 1);
    assert_eq!(agent.metric("windlass_agent_state{state=\"Applied\",volume=\"0\"}"), 1);
    assert!(agent.metric("windlass_agent_last_applied_timestamp_seconds{volume=\"0\"}") > 0);
}

#[test]
fn each_version_is_told_once_by_a_request() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let endpoint = Endpoint::start(|_| Reply::Status(204));
    let flags = ["--notify-http", &endpoint.url(), "--notify-method", "PUT"];
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "0", Applied);
    for version in 1..5 {
        kubelet.write([("a", version.to_string())]);
        agent.until("a", &version.to_string(), Applied);
        // The same files once more are nothing new.
        kubelet.write([("a", version.to_string())]);
    }
    let heads = endpoint.heads();
    assert_eq!(heads.len(), 5, "one at the start and one for each version: {heads:?}");
    for head in &heads {
        assert!(head.starts_with("PUT /-/reload?all=1 HTTP/1.1\n"), "{head}");
        assert!(head.to_lowercase().contains("\nhost: 127.0.0.1:"), "{head}");
    }
    assert_eq!(agent.metric("windlass_agent_notifications_total{result=\"told\"}"), 5);
}

#[test]
fn an_application_that_starts_later_is_told_as_soon_as_it_answers() {
    let kubelet = Kubelet::with([("a", "0")]);
    // Taken, so that nobody else gets it, and closed until the application starts.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let url = format!("http://{address}/reload");
    let agent = Agent::start(&[&path(&kubelet)], &["--notify-http", &url, "--retries", "1"]);
    eventually("more attempts than retries", || {
        (agent.metric("windlass_agent_notifications_total{result=\"absent\"}") >= 3).then_some(())
    });
    let message = agent.until("a", "0", Pending).expect("a reason");
    assert!(message.contains("cannot connect to the application"), "{message}");
    let endpoint = Endpoint::on(TcpListener::bind(address).expect("the port"), |_| Reply::Status(200));
    agent.until("a", "0", Applied);
    assert_eq!(endpoint.heads().len(), 1);
}

#[test]
fn an_application_that_fails_at_first_is_told_again() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let endpoint = Endpoint::start(|number| Reply::Status(if matches!(number, 1 | 2) { 503 } else { 200 }));
    let agent = Agent::start(&[&path(&kubelet)], &["--notify-http", &endpoint.url()]);
    agent.until("a", "0", Applied);
    kubelet.write([("a", "1")]);
    agent.until("a", "1", Applied);
    assert_eq!(endpoint.heads().len(), 4);
    assert_eq!(agent.metric("windlass_agent_notifications_total{result=\"failed\"}"), 2);
}

#[test]
fn an_application_that_hangs_is_given_up_until_the_next_version() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let endpoint = Endpoint::start(|number| match number {
        1 | 2 => Reply::Hang,
        _ => Reply::Status(200),
    });
    let flags = ["--notify-http", &endpoint.url(), "--timeout", "2s", "--retries", "1"];
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "0", Applied);
    kubelet.write([("a", "1")]);
    let message = agent.until("a", "1", Failed).expect("a reason");
    assert!(message.contains("no answer within 2s"), "{message}");
    assert_eq!(endpoint.heads().len(), 3);
    assert!(agent.log().contains("new content not applied"), "{}", agent.log());
    assert!(!agent.log().contains("all=1"), "the query of a URL may be a secret");

    kubelet.write([("a", "2")]);
    assert_eq!(agent.until("a", "2", Applied), None);
}

#[test]
fn a_newer_version_does_not_wait_for_the_retries_of_an_older_one() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let endpoint = Endpoint::start(|number| Reply::Status(if (1..4).contains(&number) { 500 } else { 200 }));
    // The pauses between so many retries come to an hour.
    let flags = ["--notify-http", &endpoint.url(), "--retries", "100"];
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "0", Applied);
    kubelet.write([("a", "1")]);
    eventually("two attempts", || (endpoint.heads().len() >= 3).then_some(()));
    kubelet.write([("a", "2")]);
    agent.until("a", "2", Applied);
}

#[test]
fn while_it_is_being_told_the_new_files_are_pending() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let endpoint = Endpoint::start(|number| if number == 1 { Reply::Hang } else { Reply::Status(200) });
    let flags = ["--notify-http", &endpoint.url(), "--timeout", "1h"];
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "0", Applied);
    kubelet.write([("a", "1")]);
    eventually("it is asked", || (endpoint.heads().len() == 2).then_some(()));
    agent.until("a", "1", Pending);
    assert_eq!(agent.metric("windlass_agent_state{state=\"Pending\",volume=\"0\"}"), 1);
}

#[test]
fn an_agent_that_was_killed_before_it_told_tells_after_its_start() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let endpoint = Endpoint::start(|number| if number == 1 { Reply::Hang } else { Reply::Status(200) });
    let flags = ["--notify-http", &endpoint.url(), "--timeout", "1h"];
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "0", Applied);
    kubelet.write([("a", "1")]);
    eventually("it is asked", || (endpoint.heads().len() == 2).then_some(()));
    agent.kill();

    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "1", Applied);
    assert_eq!(endpoint.heads().len(), 3);

    // And when the files changed while no agent ran.
    agent.kill();
    kubelet.write([("a", "2")]);
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "2", Applied);
    assert_eq!(endpoint.heads().len(), 4);
}

#[test]
fn a_command_is_told_which_volume_it_is() {
    let (_root, root) = folder();
    let (mut one, two) = (Kubelet::with([("a", "0")]), Kubelet::with([("b", "0")]));
    let notes = root.join("notes");
    let command = format!("sh -c 'echo $WINDLASS_VOLUME >> {}'", notes.display());
    let agent = Agent::start(&[&path(&one), &path(&two)], &["--notify-exec", &command]);
    let told = || {
        let text = fs::read_to_string(&notes).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (first, second) = (path(&one).display().to_string(), path(&two).display().to_string());
    let mut expected = vec![first.clone(), second];
    expected.sort();
    eventually("both at the start", || (told() == expected).then_some(()));
    eventually("both are applied", || {
        agent
            .ask()
            .1
            .volumes
            .iter()
            .all(|volume| volume.state == Applied)
            .then_some(())
    });
    one.write([("a", "1")]);
    expected.push(first);
    expected.sort();
    eventually("the one that changed", || (told() == expected).then_some(()));
}

#[test]
fn a_command_that_fails_is_given_up_with_its_own_words() {
    let mut kubelet = Kubelet::with([("a", "good")]);
    let command = "sh -c 'grep -q good $WINDLASS_VOLUME/a || { echo no such port; exit 1; }'";
    let agent = Agent::start(&[&path(&kubelet)], &["--notify-exec", command, "--retries", "0"]);
    agent.until("a", "good", Applied);
    kubelet.write([("a", "bad")]);
    let message = agent.until("a", "bad", Failed);
    assert_eq!(message.as_deref(), Some("no such port"));
}
