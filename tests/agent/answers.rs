//! Who may ask, and what is answered.

use std::{fs, os::unix::fs::symlink};

use windlass_core::agent_protocol::challenge::{Challenge, Nonce, Token, VolumeState::Applied, VolumeState::Pending};

use crate::{
    kubelet::Kubelet,
    support::{Agent, challenge, eventually, folder, now, only, path, token},
};

fn agent() -> (Kubelet, Agent) {
    let kubelet = Kubelet::with([("password", "hunter2-hunter2")]);
    let agent = Agent::start(&[&path(&kubelet)], &[]);
    agent.until("password", "hunter2-hunter2", Applied);
    (kubelet, agent)
}

#[test]
fn a_question_is_answered_once() {
    let (_kubelet, agent) = agent();
    let asked = challenge();
    assert_eq!(agent.ask_with(asked, &token()).0, 200);
    let (status, head, body) = agent.ask_with(asked, &token());
    assert_eq!((status, body.as_str()), (409, "this nonce was used before\n"));
    assert!(!head.contains("windlass-seal"));
    // Nor does another time make it a new one.
    let later = Challenge {
        time: asked.time + 1,
        ..asked
    };
    assert_eq!(agent.ask_with(later, &token()).0, 409);
}

#[test]
fn without_the_token_everything_is_answered_alike() {
    let (_kubelet, agent) = agent();
    let stranger = Token::new(b"another token of enough bytes").expect("a token");
    let used = challenge();
    assert_eq!(agent.ask_with(used, &token()).0, 200);
    let long_ago = Challenge { time: 0, ..challenge() };
    let asked = challenge();
    let mut answers: Vec<String> = [challenge(), used, long_ago]
        .into_iter()
        .map(|asked| agent.ask_with(asked, &stranger))
        .chain([
            agent.request("GET /v1/volumes HTTP/1.1\r\nhost: a\r\n\r\n"),
            agent.request(&format!("GET {} HTTP/1.1\r\nhost: a\r\n\r\n", asked.path_and_query())),
            // The authorization of another question.
            agent.request(&format!(
                "GET {} HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\n\r\n",
                asked.path_and_query(),
                challenge().authorization(&token())
            )),
            // That of this one, for a query that says more.
            agent.request(&format!(
                "GET {}&path=/etc/passwd HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\n\r\n",
                asked.path_and_query(),
                asked.authorization(&token())
            )),
        ])
        .map(|(status, head, body)| {
            assert_eq!(status, 401, "{head}");
            let head: Vec<&str> = head.lines().filter(|line| !line.starts_with("date:")).collect();
            format!("{}\n{body}", head.join("\n"))
        })
        .collect();
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // What was refused did not use up its nonce.
    assert_eq!(agent.ask_with(asked, &token()).0, 200);
}

#[test]
fn clocks_that_are_apart_are_told_to_those_who_know_the_token() {
    let (_kubelet, agent) = agent();
    for skew in [-3600, 3600] {
        let asked = Challenge {
            time: now() + skew,
            ..challenge()
        };
        let (status, _, body) = agent.ask_with(asked, &token());
        assert_eq!(status, 400);
        assert!(
            body.starts_with("the clocks of agent and controller differ by 3"),
            "{body}"
        );
    }
    let asked = Challenge {
        time: now() - 200,
        ..challenge()
    };
    assert_eq!(agent.ask_with(asked, &token()).0, 200);
    let extreme = Challenge {
        time: i64::MIN,
        ..challenge()
    };
    assert_eq!(agent.ask_with(extreme, &token()).0, 400);
}

#[test]
fn two_answers_cannot_be_compared() {
    let (_kubelet, agent) = agent();
    let one = only(agent.ask().1).files["password"];
    let two = only(agent.ask().1).files["password"];
    assert_ne!(one, two);
}

#[test]
fn a_token_that_is_rotated_counts_at_once() {
    let (_kubelet, agent) = agent();
    let next = Token::new(b"the next token, of enough bytes").expect("a token");
    assert_eq!(agent.ask_with(challenge(), &next).0, 401);
    // As the kubelet does: renamed over.
    let fresh = agent.token_file().with_extension("new");
    fs::write(&fresh, "the next token, of enough bytes").expect("a file");
    fs::rename(fresh, agent.token_file()).expect("renamed over");
    assert_eq!(agent.ask_with(challenge(), &next).0, 200);
    assert_eq!(agent.ask_with(challenge(), &token()).0, 401);
}

#[test]
fn without_a_good_token_nobody_is_answered_and_the_log_says_why() {
    let (_kubelet, agent) = agent();
    let refused = |said: &str| {
        let (status, _, body) = agent.ask_with(challenge(), &token());
        assert_eq!(status, 503, "{body}");
        eventually(said, || agent.log().contains(said).then_some(()));
    };
    fs::write(agent.token_file(), "short\n").expect("a file");
    refused("the token has 5 bytes");
    fs::write(agent.token_file(), "").expect("a file");
    refused("the token is empty");
    fs::write(agent.token_file(), [b'x'; 5000]).expect("a file");
    refused("the token has more than 4096 bytes");
    fs::remove_file(agent.token_file()).expect("removed");
    refused("No such file");
    fs::create_dir(agent.token_file()).expect("a folder");
    refused("not a file");
    assert_eq!(agent.get("/readyz").0, 200);
}

#[test]
fn no_path_of_a_request_leads_anywhere() {
    let (_kubelet, agent) = agent();
    for path in [
        "/v1/volumes/../../etc/passwd",
        "/v1/volumes/%2e%2e/%2e%2e/etc/passwd",
        "/v1/volumes/",
        "/v1/volumes/password",
        "/v1/volumes%00",
        "/v1//volumes",
        "//v1/volumes",
        "/v1/./volumes",
        "/V1/volumes",
        "/etc/passwd",
        "/../../../etc/passwd",
    ] {
        let (status, body) = agent.get(path);
        assert_eq!((status, body.as_str()), (404, "not found\n"), "{path}");
    }
    for query in [
        "?path=/etc/passwd",
        "?nonce=../../etc/passwd&time=1",
        "?",
        "?%00",
        "?volume=0#x",
    ] {
        assert_eq!(agent.get(&format!("/v1/volumes{query}")).0, 401, "{query}");
    }
    for method in ["POST", "PUT", "DELETE", "HEAD", "TRACE"] {
        let (status, ..) = agent.request(&format!("{method} /v1/volumes HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(status, 405, "{method}");
    }
    let absolute = agent.request("GET http://elsewhere/livez HTTP/1.1\r\nhost: elsewhere\r\n\r\n");
    assert_eq!(absolute.0, 200, "the path counts, whatever the host");
}

#[test]
fn links_that_lead_out_are_not_digested() {
    let (_root, root) = folder();
    let volume = root.join("volume");
    fs::create_dir(&volume).expect("a folder");
    fs::write(root.join("secret"), "secret").expect("a file");
    fs::write(volume.join("a"), "0").expect("a file");
    symlink("/etc/passwd", volume.join("passwd")).expect("a link");
    symlink("../secret", volume.join("up")).expect("a link");
    symlink("a", volume.join("near")).expect("a link");
    let agent = Agent::start(&[&volume], &[]);
    agent.until("a", "0", Applied);
    let answer = only(agent.ask().1);
    assert_eq!(answer.files.keys().collect::<Vec<_>>(), ["a", "near"]);
    assert_eq!(answer.unreadable, ["passwd", "up"]);

    // A volume that is turned into a link to elsewhere is not read at all.
    fs::rename(&volume, root.join("before")).expect("moved");
    symlink("/etc", &volume).expect("a link");
    let answer = only(agent.ask().1);
    assert_eq!((answer.state, answer.files.len()), (Pending, 0));
    let message = answer.message.expect("a reason");
    assert!(
        message.contains("outside the volume") || message.contains("behind a link"),
        "{message}"
    );
}

#[test]
fn content_is_in_no_log_metric_or_answer() {
    let (mut kubelet, agent) = agent();
    kubelet.write([("password", "hunter3-hunter3")]);
    agent.until("password", "hunter3-hunter3", Applied);
    let (_, _, body) = agent.ask_with(challenge(), &token());
    let (_, metrics) = agent.get("/metrics");
    let everything = format!("{body}{metrics}{}", agent.log());
    assert!(!everything.contains("hunter"), "{everything}");
    assert!(!metrics.contains("password") && !metrics.contains(path(&kubelet).to_str().expect("a path")));
}

#[test]
fn a_thousand_strangers_use_up_nothing() {
    let (_kubelet, agent) = agent();
    let stranger = Token::new(b"another token of enough bytes").expect("a token");
    for number in 0..1000_u128 {
        let asked = Challenge {
            nonce: Nonce::from_bytes((number << 64).to_be_bytes()),
            time: now(),
        };
        assert_eq!(agent.ask_with(asked, &stranger).0, 401);
    }
    assert_eq!(agent.ask_with(challenge(), &token()).0, 200);
}
