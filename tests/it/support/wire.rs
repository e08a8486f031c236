//! What passes between the controller and the API server.

use std::{
    path::PathBuf,
    process::Child,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

use super::Test;

/// Everything that passes between a controller and the API server, readable.
pub struct Wire {
    seen: Arc<Mutex<Seen>>,
    proxy: Child,
}

#[derive(Default)]
struct Seen {
    sent: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    /// What is received as what instead; both of one length.
    spoilt: Option<(&'static str, &'static str)>,
}

impl Test {
    /// Listens in on a controller that is started with the kubeconfig that comes with it.
    pub async fn wire(&self) -> (Wire, PathBuf) {
        let (proxy, port) = self.cluster.plain_proxy();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("it is bound").port();
        let seen = Arc::<Mutex<Seen>>::default();
        let recorder = seen.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
                    continue;
                };
                let connection = {
                    let mut seen = recorder.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.sent.push(Vec::new());
                    seen.received.push(Vec::new());
                    seen.sent.len() - 1
                };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                let sent = move |seen: &mut Seen, bytes: &mut [u8]| seen.sent[connection].extend_from_slice(bytes);
                let received = move |seen: &mut Seen, bytes: &mut [u8]| {
                    seen.received[connection].extend_from_slice(bytes);
                    if let Some((right, wrong)) = seen.spoilt {
                        spoil(bytes, right.as_bytes(), wrong.as_bytes());
                    }
                };
                tokio::spawn(pass_on(from_client, to_server, recorder.clone(), sent));
                tokio::spawn(pass_on(from_server, to_client, recorder.clone(), received));
            }
        });
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "plain",
            "clusters": [{"name": "plain", "cluster": {"server": format!("http://127.0.0.1:{own}")}}],
            "users": [{"name": "plain", "user": {}}],
            "contexts": [{"name": "plain", "context": {"cluster": "plain", "user": "plain"}}]
        });
        let path = self.scratch.path().join("plain.kubeconfig");
        std::fs::write(&path, kubeconfig.to_string()).expect("a file");
        (Wire { seen, proxy }, path)
    }
}

async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    seen: Arc<Mutex<Seen>>,
    note: impl Fn(&mut Seen, &mut [u8]),
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        note(
            &mut seen.lock().unwrap_or_else(PoisonError::into_inner),
            &mut buffer[..count],
        );
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

fn spoil(bytes: &mut [u8], right: &[u8], wrong: &[u8]) {
    for at in 0..(bytes.len() + 1).saturating_sub(right.len()) {
        let found = &mut bytes[at..at + right.len()];
        if found == right {
            found.copy_from_slice(wrong);
        }
    }
}

impl Wire {
    /// From now on the controller receives the second text wherever the first was sent; of one length.
    pub fn spoil(&self, texts: Option<(&'static str, &'static str)>) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).spoilt = texts;
    }

    /// How often this text has been received so far.
    pub fn received(&self, text: &str) -> usize {
        self.count(|seen| &seen.received, text)
    }

    /// How often this text has been sent so far.
    pub fn sent(&self, text: &str) -> usize {
        self.count(|seen| &seen.sent, text)
    }

    fn count(&self, side: impl Fn(&Seen) -> &Vec<Vec<u8>>, text: &str) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let streams = side(&seen).iter();
        streams
            .map(|bytes| {
                bytes
                    .windows(text.len())
                    .filter(|window| *window == text.as_bytes())
                    .count()
            })
            .sum()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}
