//! A small HTTP server that anybody may reach: bounded in everything.
//!
//! One request per connection, no body is ever read, each connection has a deadline, and their number is
//! limited. A new connection is always accepted: when there are too many, an idle one is closed for it
//! (`connections`), so that nobody can keep a probe out. It runs on hyper itself: with a handful of fixed
//! paths a router would only add code, and none of the ready-made servers bounds connections.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use self::connections::{Connections, Progress, Stage};
use super::health::{Liveness, Readiness};

mod connections;
#[cfg(test)]
mod tests;

/// A kubelet and a few scrapers need two or three at a time; at 8 KiB of buffer each this bounds
/// what a flood can cost to half a MiB.
const MAX_CONNECTIONS: usize = 64;
/// Of these, how many may come from one address. All of a node's kubelet, of a Prometheus or of a sidecar
/// proxy come from one, and are far fewer.
const MAX_CONNECTIONS_PER_ADDRESS: usize = 32;
/// A probe sends its request at once; who dribbles is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(3);
/// For the whole connection, so that a reader that takes nothing off is cut off as well. It is
/// Prometheus' default scrape timeout: nobody waits longer for the answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// hyper's smallest. A request line with headers fits; a longer one is answered with 431.
const MAX_REQUEST_HEAD: usize = 8 * 1024;
/// How long answers under way may take once the process is stopping.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// After a failed accept, mostly for want of file descriptors: time for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Why the admin server could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address} (flag --admin-address)")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}

/// What answers the requests.
pub trait Handler: Send + Sync + 'static {
    /// The answer to one request, of which nothing but the head is ever read.
    fn answer(&self, request: &Parts) -> impl Future<Output = Response<String>> + Send;
}

/// A bound server: it has its port, and answers once [`Server::serve`] runs.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    drain: Duration,
}

impl Server {
    /// Takes the port. On a machine without IPv6, `[::]` falls back to `0.0.0.0`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let refused = |source| AdminError::Bind { address, source };
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) if without_ipv6(address, &error) => {
                let fallback = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
                info!(%address, %fallback, %error, "IPv6 is not available; listening on IPv4 only");
                TcpListener::bind(fallback).await.map_err(refused)?
            }
            Err(error) => return Err(refused(error)),
        };
        let address = listener.local_addr().map_err(refused)?;
        info!(%address, "admin server listening");
        Ok(Self {
            listener,
            address,
            drain: DRAIN_TIMEOUT,
        })
    }

    /// Where it listens; the port is the real one when port 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// How long answers under way may take once the process is stopping; a second by default.
    #[must_use]
    pub fn drain(mut self, time: Duration) -> Self {
        self.drain = time;
        self
    }

    /// Answers until `shutdown` is done, then finishes the answers under way for as long as they may take.
    pub async fn serve(self, handler: impl Handler, shutdown: impl Future<Output = ()>) {
        let handler = Arc::new(handler);
        let mut shutdown = pin!(shutdown);
        let mut connections = JoinSet::new();
        let mut open = Connections::new(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => open.forget_closed(),
                accepted = self.listener.accept() => {
                    match accepted {
                        Ok((stream, peer)) => {
                            let address = peer.ip().to_canonical();
                            open.make_room(address);
                            let progress = Progress::default();
                            let answer = answer_one(stream, Arc::clone(&handler), progress.clone());
                            let task = connections.spawn(answer);
                            open.add(address, progress, task);
                            // Its request is read before the next connection can take its place.
                            yield_now().await;
                        }
                        Err(error) if is_of_one_connection(&error) => {}
                        Err(error) => {
                            warn!(%error, "cannot accept a connection to the admin server");
                            sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            }
        }
        drop(self.listener);
        // Dropping the set afterwards ends those that are not done.
        let drained = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(self.drain, drained).await;
    }
}

/// Whether the failure means that there is no IPv6 here. The error for that has no name in the
/// standard library, so the ones that certainly mean something else are taken out.
pub(super) fn without_ipv6(address: SocketAddr, error: &io::Error) -> bool {
    address.is_ipv6()
        && address.ip().is_unspecified()
        && !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// Whether the client gave up before it was accepted: the next one can be accepted at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}

async fn answer_one(stream: TcpStream, handler: Arc<impl Handler>, progress: Progress) {
    let service = service_fn(|request: Request<_>| {
        let (handler, progress) = (Arc::clone(&handler), progress.clone());
        async move {
            progress.set(Stage::Answering);
            let (head, _body) = request.into_parts();
            let answer = handler.answer(&head).await;
            progress.set(Stage::Writing);
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(MAX_REQUEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "admin connection closed early"),
        Err(_) => debug!("admin connection closed at its deadline"),
    }
}

/// The answer to `/livez`.
#[must_use]
pub fn livez(liveness: &Liveness) -> Response<String> {
    match liveness.stalled() {
        None => plain(StatusCode::OK, "ok\n"),
        Some(still) => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the main loop has been blocked for {} s\n", still.as_secs()),
        ),
    }
}

/// The answer to `/readyz`.
#[must_use]
pub fn readyz(readiness: &Readiness) -> Response<String> {
    let missing: Vec<_> = readiness.missing().collect();
    if missing.is_empty() {
        plain(StatusCode::OK, "ok\n")
    } else {
        let lines = missing.join("\nnot ready: ");
        plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {lines}\n"))
    }
}

/// Metrics in the Prometheus text format.
#[must_use]
pub fn metrics(encoded: String) -> Response<String> {
    let mut response = Response::new(encoded);
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// The answer to a path that does not exist.
#[must_use]
pub fn not_found() -> Response<String> {
    plain(StatusCode::NOT_FOUND, "not found\n")
}

/// The answer to a method that would change something; `None` for those that only read.
#[must_use]
pub fn refuse_writing(method: &Method) -> Option<Response<String>> {
    if method == Method::GET || method == Method::HEAD {
        return None;
    }
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    Some(response)
}

/// A few words.
pub fn plain(status: StatusCode, text: impl Into<String>) -> Response<String> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}
