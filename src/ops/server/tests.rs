use std::net::IpAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::{AbortHandle, JoinHandle};

use super::*;

/// Several times what the chart's probes have (`timeoutSeconds`), for a busy machine: a flood that keeps probes out
/// does so for as long as it lasts.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// More than the buffers of a connection hold.
const LONG: usize = 512 * 1024;

struct Fixed;

impl Handler for Fixed {
    async fn answer(&self, request: &Parts) -> Response<String> {
        match request.uri.path() {
            "/long" => Response::new("x".repeat(LONG)),
            _ => plain(StatusCode::OK, "ok\n"),
        }
    }
}

async fn serve() -> (SocketAddr, JoinHandle<()>) {
    let server = Server::bind("127.0.0.1:0".parse().expect("an address"))
        .await
        .expect("a port");
    let address = server.local_addr();
    (address, tokio::spawn(server.serve(Fixed, std::future::pending())))
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Little fits into the buffer of a client that does not read.
    socket.set_recv_buffer_size(4096).expect("a socket");
    socket
        .bind(SocketAddr::from((from, 0)))
        .expect("an address of this machine");
    socket.connect(to).await.expect("a connection")
}

/// Opens connections without end, from this address, sends this on each, reads nothing, and opens another one
/// as soon as the server closes one.
fn flood(clients: usize, from: Ipv4Addr, to: SocketAddr, request: &'static str) -> JoinSet<()> {
    let mut flood = JoinSet::new();
    for _ in 0..clients {
        flood.spawn(async move {
            loop {
                let mut stream = connect(from, to).await;
                let _ = stream.write_all(request.as_bytes()).await;
                // It must not read, so it looks for the end of the other side now and then.
                while stream.write_all(b"x").await.is_ok() {
                    sleep(Duration::from_millis(20)).await;
                }
            }
        });
    }
    flood
}

async fn probe(to: SocketAddr) -> String {
    let mut stream = TcpStream::connect(to).await.expect("a connection");
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

async fn every_probe_is_answered(to: SocketAddr, flood: &str) {
    for _ in 0..5 {
        let answer = timeout(PROBE_TIMEOUT, probe(to)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{flood}: no answer within the probe's time"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{flood}: {answer:?}");
        // The flood has time to come back.
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn no_flood_of_clients_that_hang_on_keeps_a_probe_out() {
    for request in [
        "",
        "GET /livez HTTP/1.1\r\nhost:",
        // These do not take their answer.
        "GET /long HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        for from in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)] {
            let (address, _task) = serve().await;
            let flood = flood(4 * MAX_CONNECTIONS, from, address, request);
            // It is all there.
            sleep(Duration::from_millis(200)).await;
            every_probe_is_answered(address, &format!("{request:?} from {from}")).await;
            drop(flood);
        }
    }
}

#[tokio::test]
async fn a_flood_of_many_addresses_keeps_no_probe_out() {
    let (address, _task) = serve().await;
    let mut floods = Vec::new();
    for last in 2..130 {
        floods.push(flood(2, Ipv4Addr::new(127, 0, 1, last), address, ""));
    }
    sleep(Duration::from_millis(200)).await;
    every_probe_is_answered(address, "two of each of 128 addresses").await;
}

#[tokio::test]
async fn a_flood_of_one_address_closes_no_connection_of_another() {
    let (address, _task) = serve().await;
    // It sends the rest of its request later.
    let mut slow = connect(Ipv4Addr::new(127, 0, 0, 3), address).await;
    slow.write_all(b"GET /livez HTTP/1.1\r\n").await.expect("sent");
    let _flood = flood(4 * MAX_CONNECTIONS, Ipv4Addr::new(127, 0, 0, 2), address, "");
    sleep(Duration::from_millis(500)).await;
    slow.write_all(b"host: a\r\n\r\n").await.expect("it is open");
    let mut answer = String::new();
    let read = timeout(PROBE_TIMEOUT, slow.read_to_string(&mut answer)).await;
    read.expect("an answer").expect("it is read");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
}

fn task() -> AbortHandle {
    tokio::spawn(std::future::pending::<()>()).abort_handle()
}

/// Connections of these addresses and stages, the oldest first; which ones are left when one more comes from
/// this address.
async fn left(limits: (usize, usize), open: &[(u8, Stage)], new: u8) -> Vec<usize> {
    let address = |last: u8| IpAddr::from([10, 0, 0, last]);
    let mut connections = Connections::new(limits.0, limits.1);
    let mut tasks = Vec::new();
    for (last, stage) in open {
        let (progress, task) = (Progress::default(), task());
        progress.set(*stage);
        tasks.push(task.clone());
        connections.add(address(*last), progress, task);
    }
    connections.make_room(address(new));
    yield_now().await;
    let left = tasks.iter().enumerate().filter(|(_, task)| !task.is_finished());
    left.map(|(number, _)| number).collect()
}

#[tokio::test]
async fn the_oldest_idle_connection_of_the_address_that_has_the_most_is_closed() {
    use Stage::{Answering, Reading, Writing};
    for (what, limits, open, new, expected) in [
        (
            "there is room",
            (3, 2),
            &[(1, Reading), (2, Reading)][..],
            1,
            &[0, 1][..],
        ),
        (
            "all have one: the oldest",
            (3, 2),
            &[(1, Reading), (2, Reading), (3, Reading)],
            4,
            &[1, 2],
        ),
        (
            "one has more",
            (3, 3),
            &[(1, Reading), (2, Reading), (2, Reading)],
            3,
            &[0, 2],
        ),
        (
            "its own, at its limit",
            (9, 2),
            &[(1, Reading), (2, Reading), (2, Reading)],
            2,
            &[0, 2],
        ),
        (
            "not one that is being answered",
            (3, 9),
            &[(1, Answering), (1, Reading), (2, Reading)],
            3,
            &[0, 2],
        ),
        (
            "one that does not read its answer",
            (2, 9),
            &[(1, Answering), (1, Writing)],
            3,
            &[0],
        ),
        (
            "when all are being answered, the oldest",
            (2, 9),
            &[(1, Answering), (1, Answering)],
            3,
            &[1],
        ),
    ] {
        assert_eq!(left(limits, open, new).await, expected, "{what}");
    }
}
