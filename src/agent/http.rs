//! Tells the application by a request.

use std::io;
use std::pin::pin;
use std::time::Duration;

use hyper::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::Endpoint;
use super::outcome::Outcome;

/// Tells once. The URL is never repeated in what comes back: people put tokens there.
pub(super) async fn tell(method: &Method, endpoint: &Endpoint, limit: Duration) -> Outcome {
    match timeout(limit, ask(method, endpoint)).await {
        Ok(Ok(status)) if status.is_success() => Outcome::Told,
        Ok(Ok(status)) => Outcome::Failed(format!("the application answered {status}")),
        Ok(Err(Failure::Connect(error))) => Outcome::Absent(format!("the application does not listen: {error}")),
        Ok(Err(Failure::Speak(error))) => Outcome::Failed(format!("the application gave no answer: {error}")),
        Err(_) => Outcome::Failed(format!("the application gave no answer within {limit:?}")),
    }
}

enum Failure {
    Connect(io::Error),
    Speak(hyper::Error),
}

async fn ask(method: &Method, endpoint: &Endpoint) -> Result<StatusCode, Failure> {
    let stream = connect(endpoint).await.map_err(Failure::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Failure::Speak)?;
    let mut request = Request::new(String::new());
    *request.method_mut() = method.clone();
    // Both were parsed as parts of a URL before.
    if let Ok(path) = endpoint.path.parse() {
        *request.uri_mut() = path;
    }
    let headers = request.headers_mut();
    if let Ok(host) = endpoint.authority.parse() {
        headers.insert(HOST, host);
    }
    headers.insert(USER_AGENT, hyper::header::HeaderValue::from_static("windlass-agent"));
    headers.insert(CONTENT_LENGTH, 0.into());
    let mut answer = pin!(sender.send_request(request));
    // The head is the answer; what follows is dropped with the connection.
    let response = tokio::select! {
        biased;
        response = &mut answer => response,
        _ = connection => answer.await,
    };
    response.map(|response| response.status()).map_err(Failure::Speak)
}

async fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in &endpoint.addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
