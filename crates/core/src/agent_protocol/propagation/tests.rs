use std::sync::Arc;

use ::core::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::agent_protocol::challenge::{Challenge, FORMAT, FileDigest, Nonce, Token};
use crate::workload::key_strategy::{KeyRules, KeyStrategy, Rule, RuleSet};
use crate::workload::opt_in::Strategy;
use crate::workload::reference::{Channel, Channels, ConsumedKeys};

fn digest(text: &str) -> ValueDigest {
    ValueDigest::new(Sha256::digest(text).into())
}

fn contents(pairs: &[(&str, &str)]) -> Contents {
    pairs.iter().map(|(key, text)| (*key, digest(text))).collect()
}

fn used(name: &str) -> Use {
    Use {
        namespace: None,
        kind: SourceKind::ConfigMap,
        name: Name::from(name),
        consumed: ConsumedKeys::Whole,
        required: true,
        required_keys: Box::default(),
        channels: Channels::default().with(Channel::Mount),
        key_strategy: KeyStrategy::InPlace,
        extras: None,
    }
}

fn wanted(name: &str, pairs: &[(&str, &str)]) -> ExpectedSource {
    ExpectedSource {
        used: used(name),
        contents: Some(contents(pairs)),
    }
}

fn mount(volume: &str, path: &str) -> Mount {
    Mount {
        volume: volume.into(),
        path: path.into(),
        sub_path: false,
    }
}

fn container(name: &str, ports: &[u16], mounts: Vec<Mount>) -> Container {
    Container {
        name: name.into(),
        ports: ports.into(),
        mounts,
    }
}

fn volume(name: &str, source: &str, items: Option<&[(&str, &str)]>) -> Volume {
    let items = items.map(|items| {
        items
            .iter()
            .map(|(key, path)| (Key::from(*key), (*path).into()))
            .collect()
    });
    Volume {
        name: name.into(),
        parts: vec![VolumePart {
            kind: SourceKind::ConfigMap,
            name: Name::from(source),
            items,
        }],
        others: false,
    }
}

/// The application has ConfigMap `web` at /etc/web, and the agent at /watched.
fn pod() -> RunningPod {
    RunningPod {
        name: "web-1".into(),
        uid: Uid::from("u1"),
        created: None,
        node_ready: true,
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        host_network: false,
        unclear: false,
        volumes: vec![volume("config", "web", None)],
        containers: vec![
            container("app", &[8080], vec![mount("config", "/etc/web")]),
            container("sidecar", &[9533], vec![mount("config", "/watched/")]),
        ],
    }
}

fn key() -> AnswerKey {
    let challenge = Challenge {
        nonce: Nonce::from_bytes([7; 16]),
        time: 1,
    };
    challenge.answer_key(&Token::new(b"0123456789abcdef").expect("a token"))
}

fn shown(path: &str, state: VolumeState, files: &[(&str, &str)]) -> Answer {
    let key = key();
    let files: BTreeMap<String, FileDigest> = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), key.value(&digest(text))))
        .collect();
    Answer {
        format: FORMAT,
        volumes: vec![VolumeAnswer {
            path: path.to_owned(),
            state,
            message: None,
            files,
            unreadable: Vec::new(),
        }],
    }
}

#[test]
fn a_pod_takes_what_it_has_as_a_whole_volume_and_nothing_else() {
    let wanted_web = [wanted("web", &[("a", "1")])];
    assert_eq!(file_delivery(&pod(), &wanted_web), FileDelivery::Live);
    assert_eq!(file_delivery(&pod(), &[wanted("other", &[])]), FileDelivery::Nothing);
    let secret = ExpectedSource {
        used: Use {
            kind: SourceKind::Secret,
            ..used("web")
        },
        contents: None,
    };
    assert_eq!(
        file_delivery(&pod(), &[secret]),
        FileDelivery::Nothing,
        "a Secret of that name is another source"
    );

    let mut parts = pod();
    for container in &mut parts.containers {
        container.mounts[0].sub_path = true;
    }
    assert_eq!(file_delivery(&parts, &wanted_web), FileDelivery::Never);

    let mut unmounted = pod();
    unmounted.containers.iter_mut().for_each(|it| it.mounts.clear());
    assert_eq!(file_delivery(&unmounted, &wanted_web), FileDelivery::Nothing);
}

#[test]
fn the_agent_is_who_declares_the_port_or_bears_the_name() {
    let wanted = [wanted("web", &[("a", "1")])];
    let paths = |pod: &RunningPod, port| {
        expected(pod, port, &wanted).map(|all| all.iter().map(|it| it.path.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(paths(&pod(), 9533), Ok(vec!["/watched/".to_owned()]));
    let why = paths(&pod(), 1).expect_err("nobody listens there");
    assert!(why.contains("port 1"), "{why}");

    let mut named = pod();
    named.containers[1] = container(AGENT_CONTAINER, &[], vec![mount("config", "/elsewhere")]);
    assert_eq!(paths(&named, 9533), Ok(vec!["/elsewhere".to_owned()]));

    named.containers[1].mounts.clear();
    let why = paths(&named, 9533).expect_err("it has no volume");
    assert!(why.contains("volume config"), "{why}");
}

#[test]
fn an_answer_proves_what_it_shows_and_nothing_more() {
    let wanted = [wanted("web", &[("a", "1"), ("b", "2")])];
    let expected = expected(&pod(), 9533, &wanted).expect("an agent");
    let both = [("a", "1"), ("b", "2")];
    let judged = |answer: &Answer| judge(&expected, &key(), answer);
    let applied = |files: &[(&str, &str)]| shown("/watched", VolumeState::Applied, files);

    assert_eq!(judged(&applied(&both)), AnswerVerdict::Current);
    let older = [
        ("an older value", applied(&[("a", "1"), ("b", "old")])),
        ("a key that is not there yet", applied(&[("a", "1")])),
        (
            "a key that is still there",
            applied(&[("a", "1"), ("b", "2"), ("c", "3")]),
        ),
    ];
    for (what, answer) in older {
        assert!(
            matches!(judged(&answer), AnswerVerdict::NotYet(why) if why.contains("older")),
            "{what}"
        );
    }
    let elsewhere = shown("/elsewhere", VolumeState::Applied, &both);
    assert!(matches!(judged(&elsewhere), AnswerVerdict::NotYet(why) if why.contains("--volume")));
    let pending = shown("/watched", VolumeState::Pending, &both);
    assert!(matches!(judged(&pending), AnswerVerdict::NotYet(_)));

    let mut refused = shown("/watched", VolumeState::Refused, &both);
    refused.volumes[0].message = Some("line 3:\n\tunknown \u{1b}[31mdirective".to_owned());
    let AnswerVerdict::Refused(why) = judged(&refused) else {
        panic!("refused is refused");
    };
    assert!(
        why.ends_with("line 3: unknown [31mdirective"),
        "on one line, without escapes: {why}"
    );

    let mut unreadable = applied(&both);
    unreadable.volumes[0].unreadable.push("c".to_owned());
    assert!(
        matches!(judged(&unreadable), AnswerVerdict::NotYet(_)),
        "a file that nobody wants is there"
    );
}

#[test]
fn of_a_choice_of_keys_only_those_are_looked_at() {
    let mut pod = pod();
    pod.volumes = vec![volume("config", "web", Some(&[("a", "renamed"), ("gone", "gone")]))];
    let mut wanted = wanted("web", &[("a", "1"), ("b", "2")]);
    wanted.used.consumed = ConsumedKeys::Keys([Key::from("a"), Key::from("gone")].into());
    let expected = expected(&pod, 9533, &[wanted]).expect("an agent");
    let judged = |files: &[(&str, &str)]| judge(&expected, &key(), &shown("/watched", VolumeState::Applied, files));
    assert_eq!(judged(&[("renamed", "1")]), AnswerVerdict::Current);
    assert_eq!(judged(&[("renamed", "1"), ("besides", "x")]), AnswerVerdict::Current);
    assert!(matches!(
        judged(&[("renamed", "1"), ("gone", "x")]),
        AnswerVerdict::NotYet(_)
    ));
    assert!(matches!(judged(&[]), AnswerVerdict::NotYet(_)));
}

#[test]
fn keys_that_restart_are_not_asked_for() {
    let rule = Rule {
        kind: None,
        name: "*".into(),
        keys: ["boot*".into()].into(),
        strategy: Strategy::Restart,
    };
    let sorting = KeyRules {
        rules: &Arc::new(RuleSet::from_iter([rule])),
        default: Strategy::InPlace,
        notifies_app: false,
    };
    let mut sorted = Vec::new();
    sorting.split(used("web"), &mut sorted);
    let in_place = sorted
        .into_iter()
        .find(|used| used.key_strategy == KeyStrategy::InPlace)
        .expect("some are");
    let wanted = ExpectedSource {
        used: in_place,
        contents: Some(contents(&[("a", "1"), ("boot", "new")])),
    };
    let expected = expected(&pod(), 9533, &[wanted]).expect("an agent");
    let answer = shown("/watched", VolumeState::Applied, &[("a", "1"), ("boot", "old")]);
    assert_eq!(judge(&expected, &key(), &answer), AnswerVerdict::Current);
}

#[test]
fn a_file_in_a_folder_cannot_be_proven_and_says_so() {
    let mut pod = pod();
    pod.volumes = vec![volume("config", "web", Some(&[("a", "conf.d/a")]))];
    let mut wanted = wanted("web", &[("a", "1")]);
    wanted.used.consumed = ConsumedKeys::Keys([Key::from("a")].into());
    let why = expected(&pod, 9533, &[wanted]).expect_err("it is in a folder");
    assert!(why.contains("conf.d/a"), "{why}");
}

#[test]
fn what_is_the_matter_is_told_of_a_few_pods_and_counted_of_the_rest() {
    let problem = |n: usize| PodProblem {
        pod: format!("web-{n}").into(),
        why: "no answer from the agent".to_owned(),
    };
    let progress = |problems: Vec<PodProblem>| PropagationProgress {
        since: Timestamp::UNIX_EPOCH,
        pods: 10,
        done: 7,
        trouble: None,
        problems,
        complete: false,
    };
    assert_eq!(progress(Vec::new()).describe(), "7/10 pods");
    let one = progress(vec![problem(1)]).describe();
    assert_eq!(one, "7/10 pods; web-1: no answer from the agent");
    let five = progress((1..=5).map(problem).collect()).describe();
    assert!(
        five.contains("web-3") && !five.contains("web-4") && five.ends_with("and 2 more"),
        "{five}"
    );
}

#[test]
fn of_many_words_the_first_and_the_last_are_kept() {
    assert_eq!(clean(&"é".repeat(200)), "é".repeat(200));
    let said = clean(&format!("FAILED {}because", "fine ".repeat(100)));
    assert!(
        said.starts_with("FAILED fine") && said.ends_with("fine because"),
        "{said}"
    );
}

proptest! {
    #[test]
    fn no_words_of_an_application_leave_their_line(text in any::<String>()) {
        let cleaned = clean(&text);
        prop_assert!(cleaned.chars().count() <= MESSAGE_CHARS);
        prop_assert!(!cleaned.chars().any(char::is_control));
    }

    #[test]
    fn nothing_but_the_wanted_content_is_taken_for_it(
        want in "[a-c]{0,2}", shown_text in "[a-c]{0,2}",
    ) {
        let expected = expected(&pod(), 9533, &[wanted("web", &[("a", &want)])]).expect("an agent");
        let verdict = judge(&expected, &key(), &shown("/watched", VolumeState::Applied, &[("a", &shown_text)]));
        prop_assert_eq!(verdict == AnswerVerdict::Current, want == shown_text);
    }
}
