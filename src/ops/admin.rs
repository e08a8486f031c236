//! The controller's admin server: `/livez`, `/readyz`, `/metrics`, and nothing else.

use std::future::Future;
use std::net::SocketAddr;

use hyper::Response;
use hyper::http::request::Parts;

use super::health::{Liveness, Readiness};
use super::metrics::Metrics;
use super::server::{self, AdminError, Handler, Server};

#[cfg(test)]
mod tests;

/// A bound admin server: it has its port, and answers once [`Admin::serve`] runs.
#[derive(Debug)]
pub struct Admin(Server);

impl Admin {
    /// Takes the port. On a machine without IPv6, `[::]` falls back to `0.0.0.0`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        Server::bind(address).await.map(Self)
    }

    /// Where it listens; the port is the real one when port 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }

    /// Answers until `shutdown` is done, then finishes the answers under way, for at most a second.
    pub async fn serve(
        self,
        readiness: Readiness,
        liveness: Liveness,
        metrics: Metrics,
        shutdown: impl Future<Output = ()>,
    ) {
        let state = State {
            readiness,
            liveness,
            metrics,
        };
        self.0.serve(state, shutdown).await;
    }
}

/// What the answers are made of.
struct State {
    readiness: Readiness,
    liveness: Liveness,
    metrics: Metrics,
}

impl Handler for State {
    async fn answer(&self, request: &Parts) -> Response<String> {
        let answer: fn(&Self) -> Response<String> = match request.uri.path() {
            "/livez" => |state| server::livez(&state.liveness),
            "/readyz" => |state| server::readyz(&state.readiness),
            "/metrics" => |state| server::metrics(state.metrics.encode()),
            _ => return server::not_found(),
        };
        server::refuse_writing(&request.method).unwrap_or_else(|| answer(self))
    }
}
