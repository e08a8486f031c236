//! Requests that ask for too much.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use windlass_core::agent_protocol::challenge::VolumeState::Applied;

use crate::{
    kubelet::Kubelet,
    support::{Agent, challenge, path, token},
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

/// What Kubernetes gives a probe that says nothing else, as those of docs/agent.md do.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// How many probes in a row have to fail until the kubelet acts.
const FAILURE_THRESHOLD: usize = 3;

/// One probe, as the kubelet makes it.
fn probe(address: SocketAddr) -> bool {
    let deadline = Instant::now() + PROBE_TIMEOUT;
    let Ok(mut stream) = TcpStream::connect_timeout(&address, PROBE_TIMEOUT) else {
        return false;
    };
    let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut answer = Vec::new();
    while let Some(left) = deadline
        .checked_duration_since(Instant::now())
        .filter(|it| !it.is_zero())
    {
        stream.set_read_timeout(Some(left)).expect("a socket");
        let mut part = [0; 1024];
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&part[..count]),
        }
    }
    answer.starts_with(b"HTTP/1.1 200 OK\r\n")
}

#[test]
fn idle_connections_that_come_back_do_not_keep_the_probe_out() {
    let (_kubelet, agent) = agent();
    let address = agent.address();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let open = || {
                    let mut stream = TcpStream::connect(address).expect("a connection");
                    let _ = stream.write_all(b"GET /livez HTTP/1.1\r\n");
                    stream.set_nonblocking(true).expect("a socket");
                    stream
                };
                let mut idle: Vec<TcpStream> = (0..16).map(|_| open()).collect();
                while !done.load(Ordering::Relaxed) {
                    for stream in &mut idle {
                        let waits = stream.read(&mut [0]).err().map(|error| error.kind());
                        if waits != Some(ErrorKind::WouldBlock) {
                            *stream = open();
                        }
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
        let answered = (0..10).filter(|_| {
            thread::sleep(Duration::from_millis(50));
            (0..FAILURE_THRESHOLD).any(|_| probe(address))
        });
        let answered = answered.count();
        // A panic before this would leave them running.
        done.store(true, Ordering::Relaxed);
        assert_eq!(answered, 10, "times that one of three probes was answered");
    });
    assert_eq!(agent.ask_with(challenge(), &token()).0, 200);
}
