use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

const LIMIT: usize = 8;

/// Takes one connection, reads a request's head and answers with this. Gives the request.
async fn answering(answer: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.windows(4).any(|it| it == b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.expect("more of the head");
            request.extend(byte);
        }
        stream.write_all(answer.as_bytes()).await.expect("it is taken");
        String::from_utf8(request).expect("text").to_ascii_lowercase()
    });
    (address, task)
}

fn request(method: Method, limit: Option<usize>) -> Request<'static> {
    Request {
        method,
        path: "/a?b=c",
        host: "web:80",
        headers: &[(hyper::header::USER_AGENT, "windlass")],
        body: Bytes::new(),
        timeout: Duration::from_secs(30),
        limit,
    }
}

#[tokio::test]
async fn a_request_says_what_it_is_to_say_and_an_answer_is_read() {
    let (address, asked) = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\nX-A: b\r\n\r\n12345678").await;
    let answer = request(Method::PUT, Some(LIMIT))
        .send(Peer::Addresses(&[address]))
        .await;
    let Response { status, headers, body } = answer.expect("an answer");
    assert_eq!((status, &*body), (StatusCode::NOT_FOUND, &b"12345678"[..]));
    assert_eq!(headers.get("x-a").expect("a header"), "b");
    let asked = asked.await.expect("a request");
    assert!(asked.starts_with("put /a?b=c http/1.1\r\n"), "{asked}");
    for line in [
        "host: web:80",
        "content-length: 0",
        "connection: close",
        "user-agent: windlass",
    ] {
        assert_eq!(asked.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line}: {asked}");
    }
}

#[tokio::test]
async fn a_body_is_sent_and_one_that_nobody_wants_is_not_read() {
    let (address, asked) = answering("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await;
    let post = Request {
        body: "{}".into(),
        ..request(Method::POST, None)
    };
    let answer = post
        .send(Peer::Addresses(&[address]))
        .await
        .expect("the head is enough");
    assert!(answer.body.is_empty());
    assert!(asked.await.expect("a request").contains("\r\ncontent-length: 2\r\n"));
}

#[tokio::test]
async fn an_answer_is_bounded_however_it_comes() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n4\r\n6789\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n123456789",
    ] {
        let (address, _asked) = answering(answer).await;
        let answer = request(Method::GET, Some(LIMIT))
            .send(Peer::Addresses(&[address]))
            .await;
        assert!(matches!(answer, Err(HttpError::TooLong)), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_or_too_late_or_not_there_is_told_apart() {
    let (garbage, _asked) = answering("SSH-2.0-x\r\n\r\n").await;
    let answer = request(Method::GET, Some(LIMIT))
        .send(Peer::Addresses(&[garbage]))
        .await;
    assert!(matches!(answer, Err(HttpError::Broken(_))), "{answer:?}");

    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address");
    let hurried = Request {
        timeout: Duration::from_millis(20),
        ..request(Method::GET, Some(LIMIT))
    };
    let error = hurried.send(Peer::Addresses(&[address])).await.expect_err("silence");
    assert_eq!(error.to_string(), "no answer within 20ms");

    drop(silent);
    let error = request(Method::GET, None).send(Peer::Addresses(&[address])).await;
    assert!(matches!(error, Err(HttpError::Connect { port, .. }) if port == address.port()));
    let nowhere = request(Method::GET, None).send(Peer::Addresses(&[])).await;
    assert!(matches!(nowhere, Err(HttpError::Connect { .. })));
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let (address, _asked) = answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let gone = closed.local_addr().expect("an address");
    drop(closed);
    let answer = request(Method::GET, None).send(Peer::Addresses(&[gone, address])).await;
    assert_eq!(answer.expect("an answer").status, StatusCode::NO_CONTENT);
}
