//! The admin server: `/livez`, `/readyz`, `/metrics`, and nothing else.
//!
//! Anybody who reaches the pod reaches this port, so it is small and bounded: one request per
//! connection, no body is ever read, each connection has a deadline, and their number is limited.
//! It runs on hyper itself, which the Kubernetes client brings anyway: with three fixed paths a
//! router would only add code, and none of its ready-made servers bounds connections.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::health::{Liveness, Readiness};
use super::metrics::Metrics;

#[cfg(test)]
mod tests;

/// A kubelet and a few scrapers need two or three at a time; at 8 KiB of buffer each this bounds
/// what a flood can cost to half a MiB.
const MAX_CONNECTIONS: usize = 64;
/// A probe sends its request at once; who dribbles is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(3);
/// For the whole connection, so that a reader that takes nothing off is cut off as well. It is
/// Prometheus' default scrape timeout: nobody waits longer for the answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// hyper's smallest. A request line with headers fits; a longer one is answered with 431.
const MAX_REQUEST_HEAD: usize = 8 * 1024;
/// How long answers under way may take once the process is stopping.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
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

/// A bound admin server: it has its port, and answers once [`Admin::serve`] runs.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
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
                info!(%address, %fallback, %error, "no IPv6 on this machine: listening on IPv4 only");
                TcpListener::bind(fallback).await.map_err(refused)?
            }
            Err(error) => return Err(refused(error)),
        };
        let address = listener.local_addr().map_err(refused)?;
        info!(%address, "admin server listening");
        Ok(Self { listener, address })
    }

    /// Where it listens; the port is the real one when port 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is done, then finishes the answers under way, for at most a second.
    pub async fn serve(
        self,
        readiness: Readiness,
        liveness: Liveness,
        metrics: Metrics,
        shutdown: impl Future<Output = ()>,
    ) {
        let state = Arc::new(State {
            readiness,
            liveness,
            metrics,
        });
        let mut shutdown = pin!(shutdown);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                    match accepted {
                        Ok((stream, _)) => {
                            connections.spawn(answer_one(stream, Arc::clone(&state)));
                        }
                        Err(error) => {
                            warn!(%error, "admin server cannot accept a connection");
                            sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            }
        }
        drop(self.listener);
        // Dropping the set afterwards ends those that are not done.
        let drained = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(DRAIN_TIMEOUT, drained).await;
    }
}

/// Whether the failure means that there is no IPv6 here. The error for that has no name in the
/// standard library, so the ones that certainly mean something else are taken out.
fn without_ipv6(address: SocketAddr, error: &io::Error) -> bool {
    address.is_ipv6()
        && address.ip().is_unspecified()
        && !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// What the answers are made of.
struct State {
    readiness: Readiness,
    liveness: Liveness,
    metrics: Metrics,
}

async fn answer_one(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(|request: Request<_>| {
        ready(Ok::<_, Infallible>(
            state.answer(request.method(), request.uri().path()),
        ))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(MAX_REQUEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "admin connection ended early"),
        Err(_) => debug!("admin connection cut off at its deadline"),
    }
}

impl State {
    fn answer(&self, method: &Method, path: &str) -> Response<String> {
        let answer: fn(&Self) -> Response<String> = match path {
            "/livez" => Self::livez,
            "/readyz" => Self::readyz,
            "/metrics" => Self::metrics,
            _ => return plain(StatusCode::NOT_FOUND, "not found\n"),
        };
        if method == Method::GET || method == Method::HEAD {
            answer(self)
        } else {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
    }

    fn livez(&self) -> Response<String> {
        match self.liveness.stalled() {
            None => plain(StatusCode::OK, "ok\n"),
            Some(still) => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("the main loop has stood still for {} s\n", still.as_secs()),
            ),
        }
    }

    fn readyz(&self) -> Response<String> {
        let missing: Vec<_> = self.readiness.missing().collect();
        if missing.is_empty() {
            plain(StatusCode::OK, "ok\n")
        } else {
            let lines = missing.join("\nnot ready: ");
            plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {lines}\n"))
        }
    }

    fn metrics(&self) -> Response<String> {
        let mut response = Response::new(self.metrics.encode());
        let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        response
    }
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response<String> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}
