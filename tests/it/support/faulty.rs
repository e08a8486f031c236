//! An API server that is not well: a proxy before the real one, which does not answer some requests, or not as it
//! should.

use std::{
    path::PathBuf,
    process::Child,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::Test;

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is taken, and nothing comes of it.
    Silence,
    /// It is refused.
    Refused(u16, String),
    /// The answer is a watch that ends with an error.
    ErrorEvent(u16),
}

/// The proxy.
pub struct Faulty {
    shared: Arc<Shared>,
    proxy: Child,
}

struct Shared {
    faults: Mutex<Vec<(&'static str, Fault, usize)>>,
    asked: Mutex<Vec<String>>,
    /// Connections that are open end when it changes.
    cut: watch::Sender<u32>,
}

impl Test {
    /// A way to the API server with the kubeconfig that leads through it.
    pub async fn faulty(&self) -> (Faulty, PathBuf) {
        let (proxy, port) = self.cluster.plain_proxy();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            asked: Mutex::default(),
            cut: watch::channel(0).0,
        });
        let accepting = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = accepting.clone();
                tokio::spawn(async move {
                    let mut cut = shared.cut.subscribe();
                    tokio::select! {
                        _ = serve(client, port, &shared) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        let path = self.scratch.path().join("faulty.kubeconfig");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "faulty",
            "clusters": [{"name": "faulty", "cluster": {"server": format!("http://127.0.0.1:{own}")}}],
            "users": [{"name": "faulty", "user": {}}],
            "contexts": [{"name": "faulty", "context": {"cluster": "faulty", "user": "faulty"}}]
        });
        std::fs::write(&path, kubeconfig.to_string()).expect("a file");
        (Faulty { shared, proxy }, path)
    }
}

impl Faulty {
    /// From now on the first `times` requests whose path and query contain this text end so.
    pub fn set(&self, text: &'static str, fault: Fault, times: usize) {
        lock(&self.shared.faults).push((text, fault, times));
    }

    /// From now on all is well.
    pub fn heal(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Ends all connections that are open.
    pub fn cut(&self) {
        self.shared.cut.send_modify(|count| *count += 1);
    }

    /// How many requests have contained this text so far.
    pub fn asked(&self, text: &str) -> usize {
        lock(&self.shared.asked).iter().filter(|it| it.contains(text)).count()
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request; after its answer the connection is closed.
async fn serve(mut client: TcpStream, port: u16, shared: &Shared) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let target = text.split(' ').nth(1).unwrap_or_default().to_owned();
    lock(&shared.asked).push(target.clone());
    let fault = {
        let mut faults = lock(&shared.faults);
        let found = faults
            .iter_mut()
            .find(|(text, _, left)| *left > 0 && target.contains(text));
        found.map(|(_, fault, left)| {
            *left -= 1;
            fault.clone()
        })
    };
    let answer = |code: u16, body: Value| {
        let body = format!("{body}\n");
        format!(
            "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let status = |code: u16, message: &str| json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "message": message});
    match fault {
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Refused(code, message)) => client.write_all(answer(code, status(code, &message)).as_bytes()).await,
        Some(Fault::ErrorEvent(code)) => {
            let event = json!({"type": "ERROR", "object": status(code, "etcdserver: this is an error of a test")});
            client.write_all(answer(200, event).as_bytes()).await
        }
        None => {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            let head = text.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            server.write_all(head.as_bytes()).await?;
            copy_bidirectional(&mut client, &mut server).await.map(drop)
        }
    }
}
