//! Tells the application by a request.

use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::USER_AGENT;

use super::config::Endpoint;
use super::outcome::Outcome;
use crate::ops::http::{HttpError, Peer, Request};

/// Tells once. The URL is never repeated in what comes back: people put tokens there.
pub(super) async fn tell(method: &Method, endpoint: &Endpoint, limit: Duration) -> Outcome {
    let Endpoint {
        addresses,
        authority,
        path,
    } = endpoint;
    let request = Request {
        method: method.clone(),
        path,
        host: authority,
        headers: &[(USER_AGENT, "windlass-agent")],
        body: Bytes::new(),
        timeout: limit,
        // The head is the answer.
        limit: None,
    };
    match request.send(Peer::Addresses(addresses)).await {
        Ok(answer) if answer.status.is_success() => Outcome::Told,
        Ok(answer) => Outcome::Failed(format!("the application returned {}", answer.status)),
        Err(HttpError::Connect { port: _, why }) => {
            Outcome::Absent(format!("cannot connect to the application: {why}"))
        }
        Err(error) => Outcome::Failed(format!("request to the application failed: {error}")),
    }
}
