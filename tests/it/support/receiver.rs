//! A receiver of notifications: takes JSON by HTTP, or hangs.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Is in every receiver's URL, and may be nowhere else.
pub const SECRET: &str = "T0123-known-to-nobody";

/// How it treats whoever sends something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// Takes it.
    Takes,
    /// Reads it and never answers.
    Hangs,
}

/// One receiver on a port of its own.
pub struct Receiver {
    port: u16,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    /// Listens for as long as the test runs.
    pub async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let bodies: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = bodies.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(take(stream, manners, kept.clone()));
            }
        });
        Self { port, bodies }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/services/{SECRET}?key={SECRET}", self.port)
    }

    /// What it was sent so far.
    pub fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().expect("not poisoned").clone()
    }
}

/// The JSON of one request. `None`: whoever sent it hung up.
pub async fn read_json(stream: &mut (impl AsyncRead + Unpin)) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let Ok(read @ 1..) = stream.read(&mut part).await else {
            return None;
        };
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes);
        // Until it is whole it is no JSON.
        let body = text.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str(body));
        if let Some(Ok(body)) = body {
            return Some(body);
        }
    }
}

async fn take(mut stream: TcpStream, manners: Manners, bodies: Arc<Mutex<Vec<Value>>>) {
    let Some(body) = read_json(&mut stream).await else {
        return;
    };
    bodies.lock().expect("not poisoned").push(body);
    if manners == Manners::Hangs {
        std::future::pending::<()>().await;
    }
    // Whoever hung up does not need an answer.
    let _ = stream
        .write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        .await;
}
