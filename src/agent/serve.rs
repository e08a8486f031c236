//! What is served: probes, metrics, and the answers.

use hyper::header::{ALLOW, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use windlass_core::agent_protocol::challenge;

use super::answers::Answers;
use super::metrics::Metrics;
use crate::ops::server::{self, Handler, plain};
use crate::ops::{Liveness, Readiness};

pub(super) struct Service {
    pub(super) readiness: Readiness,
    pub(super) liveness: Liveness,
    pub(super) metrics: Metrics,
    pub(super) answers: Answers,
}

impl Handler for Service {
    async fn answer(&self, request: &Parts) -> Response<String> {
        let path = request.uri.path();
        if path == challenge::PATH {
            if request.method == Method::GET {
                return self.answers.answer(request).await;
            }
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return response;
        }
        let answer: fn(&Self) -> Response<String> = match path {
            "/livez" => |service| server::livez(&service.liveness),
            "/readyz" => |service| server::readyz(&service.readiness),
            "/metrics" => |service| server::metrics(service.metrics.encode()),
            _ => return server::not_found(),
        };
        server::refuse_writing(&request.method).unwrap_or_else(|| answer(self))
    }
}
