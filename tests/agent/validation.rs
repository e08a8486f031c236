//! What the validator refuses is not told.

use windlass_core::agent_protocol::challenge::VolumeState::{self, Applied, Refused};

use crate::{
    kubelet::Kubelet,
    support::{Agent, Endpoint, Reply, eventually, folder, path},
};

/// Refuses what begins with "bad", and says so in colours.
const VALIDATOR: &str =
    r#"sh -c 'if grep -q ^bad "$WINDLASS_VOLUME/a"; then printf "\033[31mline 1:\n bad\033[0m" >&2; exit 1; fi'"#;

#[test]
fn what_is_refused_is_not_told_and_a_new_version_starts_again() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let endpoint = Endpoint::start(|_| Reply::Status(200));
    let flags = ["--validate", VALIDATOR, "--notify-http", &endpoint.url()];
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "0", Applied);
    kubelet.write([("a", "bad")]);
    let message = agent.until("a", "bad", Refused).expect("its words");
    assert_eq!(message, "[31mline 1: bad [0m");
    eventually("it is in the log", || agent.log().contains("line 1: bad").then_some(()));
    assert_eq!(endpoint.heads().len(), 1, "the application keeps what it has");

    kubelet.write([("a", "bad too")]);
    agent.until("a", "bad too", Refused);
    assert_eq!(endpoint.heads().len(), 1);

    kubelet.write([("a", "good")]);
    assert_eq!(agent.until("a", "good", Applied), None);
    assert_eq!(endpoint.heads().len(), 2);
    assert_eq!(agent.metric("windlass_agent_validations_total{result=\"refused\"}"), 2);
    assert_eq!(agent.metric("windlass_agent_validations_total{result=\"accepted\"}"), 2);
}

#[test]
fn what_is_refused_at_the_start_is_not_told_either() {
    let kubelet = Kubelet::with([("a", "bad")]);
    let agent = Agent::start(&[&path(&kubelet)], &["--validate", VALIDATOR]);
    agent.until("a", "bad", Refused);
    assert_eq!(
        agent.get("/readyz").0,
        200,
        "which is no reason to keep the application from starting"
    );
}

#[test]
fn a_validator_that_hangs_or_is_missing_lets_nothing_through() {
    for (validator, word) in [
        ("sleep 1000", "did not finish within 100ms and was killed"),
        ("/no/such/validator", "cannot start /no/such/validator"),
    ] {
        let kubelet = Kubelet::with([("a", "0")]);
        let endpoint = Endpoint::start(|_| Reply::Status(200));
        let flags = [
            "--validate",
            validator,
            "--timeout",
            "100ms",
            "--retries",
            "1",
            "--notify-http",
            &endpoint.url(),
        ];
        let agent = Agent::start(&[&path(&kubelet)], &flags);
        let message = agent.until("a", "0", Refused).expect("a reason");
        assert!(message.contains(word), "{message}");
        assert_eq!(agent.metric("windlass_agent_validations_total{result=\"failed\"}"), 2);
        assert_eq!(endpoint.heads().len(), 0);
    }
}

#[test]
fn what_was_validated_is_what_is_told_of() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let (_root, root) = folder();
    let (begun, gate) = (root.join("begun"), root.join("gate"));
    let endpoint = Endpoint::start(|_| Reply::Status(200));
    // Looks at the files, says so, and ends when it is let go.
    let validator = format!(
        "sh -c '! grep -q bad \"$WINDLASS_VOLUME/a\" || exit 1; if grep -q slow \"$WINDLASS_VOLUME/a\"; then : > {}; while [ ! -e {} ]; do sleep 0.02; done; fi'",
        begun.display(),
        gate.display()
    );
    let flags = [
        "--validate",
        &*validator,
        "--notify-http",
        &endpoint.url(),
        "--timeout",
        "1h",
    ];
    let agent = Agent::start(&[&path(&kubelet)], &flags);
    agent.until("a", "0", Applied);
    kubelet.write([("a", "slow")]);
    eventually("it is being looked at", || begun.exists().then_some(()));
    kubelet.write([("a", "bad")]);
    std::fs::write(gate, "").expect("a file");
    agent.until("a", "bad", Refused);
    assert_eq!(
        endpoint.heads().len(),
        1,
        "good files that were replaced meanwhile are not told of"
    );
}

#[test]
fn volumes_that_belong_together_are_accepted_once_both_are_there() {
    let (mut one, mut two) = (Kubelet::with([("a", "0")]), Kubelet::with([("a", "0")]));
    let (first, second) = (path(&one), path(&two));
    let endpoint = Endpoint::start(|_| Reply::Status(200));
    let validator = format!("cmp {0}/a {1}/a", first.display(), second.display());
    let flags = ["--validate", &*validator, "--notify-http", &endpoint.url()];
    let agent = Agent::start(&[&first, &second], &flags);
    let states = |wanted: [VolumeState; 2]| {
        eventually("the states", || {
            let answer = agent.ask().1;
            let states: Vec<VolumeState> = answer.volumes.iter().map(|volume| volume.state).collect();
            (states == wanted).then_some(())
        });
    };
    states([Applied, Applied]);
    one.write([("a", "1")]);
    states([Refused, Applied]);
    assert_eq!(endpoint.heads().len(), 2);
    two.write([("a", "1")]);
    states([Applied, Applied]);
    assert_eq!(endpoint.heads().len(), 4);
}
