//! A receiver on a port of its own that answers as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Endpoint;

/// How it answers a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With this status line and these headers.
    With(&'static str),
    Never,
    HangUp,
}

/// It, and what it was sent: heads and bodies.
pub struct Receiver {
    address: String,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<(String, String)>>>,
}

impl Receiver {
    /// Answers as said, and in the end with the last again and again.
    pub async fn start(answers: &[Answer]) -> Self {
        Self::start_with(answers, None).await
    }

    pub async fn start_with(answers: &[Answer], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let requests: Arc<Mutex<Vec<_>>> = Arc::default();
        let (answers, noted) = (answers.to_vec(), requests.clone());
        tokio::spawn(async move {
            let mut connections = 0;
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let answer = answers.get(connections).or(answers.last()).cloned().expect("an answer");
                connections += 1;
                let (tls, noted) = (tls.clone(), noted.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, answer, &noted).await,
                        Some(tls) => {
                            // Whoever does not trust us says so and goes.
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, answer, &noted).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address: format!("localhost:{port}"),
            scheme,
            requests,
        }
    }

    /// Where it is, with a path that nobody may see.
    pub fn endpoint(&self) -> Endpoint {
        let url = format!("{}://{}/services/s3cret?token=s3cret", self.scheme, self.address);
        url.parse().expect("a URL")
    }

    /// What came so far.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.requests.lock().expect("not poisoned").clone()
    }

    /// What came, once there are so many.
    pub async fn await_requests(&self, count: usize) -> Vec<(String, String)> {
        let came = async {
            while self.requests().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), came).await;
        in_time.unwrap_or_else(|_| panic!("{} of {count} requests came", self.requests().len()));
        self.requests()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer, noted: &Mutex<Vec<(String, String)>>) {
    let mut bytes = Vec::new();
    let request = loop {
        let mut part = [0; 4096];
        let Ok(read @ 1..) = stream.read(&mut part).await else {
            return;
        };
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    noted.lock().expect("not poisoned").push(request);
    match answer {
        Answer::With(head) => {
            let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        Answer::Never => std::future::pending().await,
        Answer::HangUp => {}
    }
}
