//! Requests that ask for too much.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
};

use windlass::core::challenge::VolumeState::Applied;

use crate::{
    kubelet::Kubelet,
    support::{Agent, DEADLINE, challenge, path, token},
};

fn agent() -> (Kubelet, Agent) {
    let kubelet = Kubelet::with([("a", "0")]);
    let agent = Agent::start(&[&path(&kubelet)], &[]);
    agent.until("a", "0", Applied);
    (kubelet, agent)
}

#[test]
fn a_request_that_is_too_long_is_refused() {
    let (_kubelet, agent) = agent();
    let long = "x".repeat(100_000);
    for request in [
        format!("GET /v1/volumes?{long} HTTP/1.1\r\nhost: a\r\n\r\n"),
        format!("GET /v1/volumes HTTP/1.1\r\nhost: a\r\nauthorization: Windlass {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"),
        format!("{long} / HTTP/1.1\r\nhost: a\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(1000)),
    ] {
        let (status, ..) = agent.request(&request);
        assert!(matches!(status, 0 | 400 | 414 | 431), "{status}");
    }
    assert_eq!(agent.ask_with(challenge(), &token()).0, 200);
}

#[test]
fn a_body_is_never_read() {
    let (_kubelet, agent) = agent();
    let asked = challenge();
    let head = format!(
        "GET {} HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-length: 1000000000\r\n\r\n",
        asked.path_and_query(),
        asked.authorization(&token())
    );
    assert_eq!(agent.request(&head).0, 200);
}

#[test]
fn many_connections_do_not_keep_others_out_for_good() {
    let (_kubelet, agent) = agent();
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(agent.address()).expect("a connection");
        stream.write_all(b"GET /livez HTTP/1.1\r\n").expect("sent");
        idle.push(stream);
    }
    assert_eq!(agent.get("/livez").0, 200);
    let mut first = idle.swap_remove(0);
    first.set_read_timeout(Some(DEADLINE)).expect("a socket");
    // Ended by the other side, in order or not; and not by our own patience.
    let cut = first.read_to_end(&mut Vec::new()).err().map(|error| error.kind());
    assert!(matches!(cut, None | Some(ErrorKind::ConnectionReset)), "{cut:?}");
    assert_eq!(agent.ask_with(challenge(), &token()).0, 200);
}
