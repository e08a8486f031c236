use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::super::metrics::Vocabulary;
use super::super::server::{DRAIN_TIMEOUT, without_ipv6};
use super::*;

/// As the chart's probes have it (`timeoutSeconds`).
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

struct Server {
    address: SocketAddr,
    readiness: Readiness,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn server(liveness: Liveness) -> Server {
    let readiness = Readiness::new(&["first list of configmaps", "first list of deployments"]);
    let metrics = Metrics::new(&Vocabulary {
        workload_kinds: &["Deployment"],
        source_kinds: &["ConfigMap"],
        states: &["Current"],
        held_reasons: &["RolledBack"],
        stale_reasons: &["Rolling"],
        error_reasons: &["Forbidden"],
        watched: &["configmaps"],
        requests: &[],
    });
    let admin = Admin::bind("127.0.0.1:0".parse().expect("an address"))
        .await
        .expect("a port");
    let address = admin.local_addr();
    let (stop, stopped) = oneshot::channel();
    let serve = admin.serve(readiness.clone(), liveness, metrics, async move {
        let _ = stopped.await;
    });
    Server {
        address,
        readiness,
        stop,
        task: tokio::spawn(serve),
    }
}

/// Sends text as it is and returns everything that comes back until the server closes.
async fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // A reset after the answer is as good as an orderly end.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = send(address, &format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let status = head.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

#[tokio::test]
async fn readyz_names_what_is_missing_until_nothing_is() {
    let server = server(Liveness::default()).await;
    let missing = "not ready: first list of configmaps\nnot ready: first list of deployments\n";
    assert_eq!(get(server.address, "/readyz").await, (503, missing.to_owned()));
    server.readiness.set("first list of configmaps", true);
    server.readiness.set("first list of deployments", true);
    assert_eq!(get(server.address, "/readyz").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn livez_fails_only_when_the_loop_stands_still() {
    let alive = server(Liveness::default()).await;
    assert_eq!(get(alive.address, "/livez").await, (200, "ok\n".to_owned()));

    let liveness = Liveness::new(Duration::ZERO);
    let still = server(liveness).await;
    std::thread::sleep(Duration::from_millis(2));
    let (status, body) = get(still.address, "/livez").await;
    assert_eq!(status, 503);
    assert!(body.starts_with("the main loop has been blocked for "), "{body}");
}

#[tokio::test]
async fn metrics_come_in_the_text_format() {
    let server = server(Liveness::default()).await;
    let answer = send(server.address, "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(answer.contains("\nwindlass_leader 0\n"), "{answer}");
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let server = server(Liveness::default()).await;
    for path in ["/", "/metrics/", "/debug/pprof", "/%6Civez"] {
        assert_eq!(get(server.address, path).await.0, 404, "{path}");
    }
    let post = "POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody";
    let answer = send(server.address, post).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("allow: GET, HEAD\r\n"), "{answer}");
}

#[tokio::test]
async fn a_connection_gets_one_answer() {
    let server = server(Liveness::default()).await;
    let twice = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2);
    let answer = send(server.address, &twice).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = server(Liveness::default()).await;
    let long = format!("GET /livez HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    let answer = send(server.address, &long).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn idle_clients_that_come_back_at_once_do_not_keep_the_probe_out() {
    let server = server(Liveness::default()).await;
    let address = server.address;
    let mut idle = JoinSet::new();
    for _ in 0..300 {
        idle.spawn(async move {
            loop {
                let mut stream = TcpStream::connect(address).await.expect("a connection");
                let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost:").await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        });
    }
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let probe = timeout(PROBE_TIMEOUT, get(address, "/livez")).await;
        assert_eq!(probe.expect("an answer within the probe's time").0, 200);
    }
}

#[tokio::test]
async fn shutdown_ends_the_server_although_a_client_hangs_on() {
    let server = server(Liveness::default()).await;
    let _idle = TcpStream::connect(server.address).await.expect("a connection");
    assert_eq!(get(server.address, "/livez").await.0, 200);
    server.stop.send(()).expect("the server waits for it");
    timeout(DRAIN_TIMEOUT * 5, server.task)
        .await
        .expect("in time")
        .expect("no panic");
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "the port is free again"
    );
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_address_and_flag() {
    let first = Admin::bind("127.0.0.1:0".parse().expect("an address"))
        .await
        .expect("a port");
    let error = Admin::bind(first.local_addr()).await.expect_err("taken");
    let said = error.to_string();
    assert_eq!(
        said,
        format!("cannot listen on {} (flag --admin-address)", first.local_addr())
    );
}

#[tokio::test]
async fn the_default_address_works_with_and_without_ipv6() {
    let admin = Admin::bind("[::]:0".parse().expect("an address"))
        .await
        .expect("a port");
    assert!(admin.local_addr().ip().is_unspecified());
}

#[test]
fn only_the_unspecified_ipv6_address_falls_back_and_only_when_ipv6_is_missing() {
    let unsupported = || io::Error::from_raw_os_error(97); // EAFNOSUPPORT on Linux
    let taken = || io::Error::from(io::ErrorKind::AddrInUse);
    for (falls_back, address, error) in [
        (true, "[::]:8080", unsupported()),
        (true, "[::]:8080", io::Error::from(io::ErrorKind::AddrNotAvailable)),
        (false, "[::]:8080", taken()),
        (false, "[::]:80", io::Error::from(io::ErrorKind::PermissionDenied)),
        (false, "[::1]:8080", unsupported()),
        (false, "0.0.0.0:8080", unsupported()),
    ] {
        let address = address.parse().expect("an address");
        assert_eq!(without_ipv6(address, &error), falls_back, "{address} {error}");
    }
}
