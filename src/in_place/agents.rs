//! Requests to pods: what their agents prove, and what makes applications read their files again.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderName};
use hyper::{Method, StatusCode};
use tokio::sync::Semaphore;
use windlass_core::agent_protocol::challenge::{Answer, Challenge, FORMAT, Nonce, SEAL_HEADER, Token};
use windlass_core::agent_protocol::propagation::{AnswerVerdict, ExpectedSource, RunningPod, clean, expected, judge};
use windlass_core::policy::in_place::{self, NotifyHttp};

use crate::context::Context;
use crate::ops::http::{HttpError, Peer, Request, Response};
use crate::ops::{AgentResult, Metrics};

/// An agent reads some files and answers; who takes longer is asked again in the next round.
const AGENT_TIMEOUT: Duration = Duration::from_secs(3);
/// As long as a probe's default is generous: an application that reloads may take its time.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(10);
/// A digest for each of some thousand keys.
const MAX_ANSWER: usize = 512 * 1024;

/// Asks pods, a bounded number at a time.
pub(crate) struct AgentClient {
    turns: Semaphore,
    metrics: Metrics,
}

impl AgentClient {
    pub(crate) fn new(concurrency: usize, metrics: Metrics) -> Self {
        Self {
            turns: Semaphore::new(concurrency),
            metrics,
        }
    }

    /// What the agent of a pod proves.
    pub(crate) async fn ask(
        &self,
        context: &Context,
        pod: &RunningPod,
        port: u16,
        token: &Token,
        wanted: &[ExpectedSource],
    ) -> AnswerVerdict {
        let expected = match expected(pod, port, wanted) {
            Ok(expected) => expected,
            Err(why) => return AnswerVerdict::NotYet(why),
        };
        let Some(address) = pod.address else {
            return AnswerVerdict::NotYet("the pod has no address yet".to_owned());
        };
        if is_no_pods(address) {
            return AnswerVerdict::NotYet(format!("{address} is not the address of a pod"));
        }
        let mut bytes = [0; 16];
        if getrandom::fill(&mut bytes).is_err() {
            return AnswerVerdict::NotYet("no random numbers available".to_owned());
        }
        let challenge = Challenge {
            nonce: Nonce::from_bytes(bytes),
            time: context.clock.calendar().as_second(),
        };
        let path = challenge.path_and_query();
        let address = SocketAddr::new(address, port);
        let request = Request {
            method: Method::GET,
            path: &path,
            host: &address.to_string(),
            headers: &[(AUTHORIZATION, &challenge.authorization(token))],
            body: Bytes::new(),
            timeout: AGENT_TIMEOUT,
            limit: Some(MAX_ANSWER),
        };
        let answer = match self.send(&request, address).await {
            Ok(response) => read(&challenge, token, &response),
            Err(why) => Err((AgentResult::Unreachable, format!("no answer from the agent: {why}"))),
        };
        match answer {
            Ok(answer) => {
                self.metrics.agent_request(AgentResult::Answered);
                judge(&expected, &challenge.answer_key(token), &answer)
            }
            Err((result, why)) => {
                self.metrics.agent_request(result);
                AnswerVerdict::NotYet(clean(&why))
            }
        }
    }

    /// Calls an application.
    pub(crate) async fn notify(&self, pod: &RunningPod, notify: &NotifyHttp) -> Result<(), String> {
        let NotifyHttp {
            port,
            path,
            method,
            delay: _,
        } = notify;
        // Its address is its node's, where anything may listen on that port.
        if pod.host_network {
            return Err("the pod uses the network of its node and is not called".to_owned());
        }
        let address = pod.address.ok_or("the pod has no address yet")?;
        // A pod's own status names it, and whoever may write that could name anything.
        if address.is_loopback() || is_no_pods(address) {
            return Err(format!("{address} is not the address of a pod"));
        }
        let address = SocketAddr::new(address, *port);
        let request = Request {
            method: match method {
                in_place::Method::Post => Method::POST,
                in_place::Method::Put => Method::PUT,
                in_place::Method::Get => Method::GET,
            },
            path,
            host: &address.to_string(),
            headers: &[],
            body: Bytes::new(),
            timeout: NOTIFY_TIMEOUT,
            limit: Some(MAX_ANSWER),
        };
        match self.send(&request, address).await {
            Ok(response) if response.status.is_success() => Ok(()),
            // What it says besides is not for everybody who may read Events.
            Ok(response) => Err(format!(
                "{} {path} returned {}",
                request.method,
                response.status.as_u16()
            )),
            Err(why) => Err(clean(&format!("{} {path}: {why}", request.method))),
        }
    }

    async fn send(&self, request: &Request<'_>, address: SocketAddr) -> Result<Response, HttpError> {
        // Never closed.
        let _turn = self.turns.acquire().await;
        request.send(Peer::Addresses(&[address])).await
    }
}

/// Where clouds keep the credentials of their machines, and what is no single host's.
fn is_no_pods(address: IpAddr) -> bool {
    let link_local = match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    link_local || address.is_multicast() || address.is_unspecified()
}

/// What an answer holds, if it is one and the agent's own.
fn read(challenge: &Challenge, token: &Token, response: &Response) -> Result<Answer, (AgentResult, String)> {
    let refused = |why: &str| Err((AgentResult::Refused, format!("the agent {why}")));
    match response.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return refused("has another token, or is not an agent"),
        StatusCode::SERVICE_UNAVAILABLE => return refused("has no token"),
        StatusCode::TOO_MANY_REQUESTS => return refused("gets too many requests"),
        // An agent's own words, and bounded; whoever answers in its place could say no more than that.
        status => {
            let said: String = String::from_utf8_lossy(&response.body).chars().take(200).collect();
            return refused(&format!("returned {}: {said}", status.as_u16()));
        }
    }
    let invalid = |why: &str| (AgentResult::Invalid, format!("the agent {why}"));
    let seal = response.headers.get(HeaderName::from_static(SEAL_HEADER));
    let seal = seal.and_then(|seal| seal.to_str().ok()).unwrap_or_default();
    if !challenge.answer_key(token).verify_seal(&response.body, seal) {
        return Err(invalid("did not sign the answer"));
    }
    let answer: Answer = serde_json::from_slice(&response.body).map_err(|_| invalid("sent an unreadable answer"))?;
    if answer.format == FORMAT {
        Ok(answer)
    } else {
        Err(invalid("runs an unsupported protocol version"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_machines_keep_credentials_no_pod_is() {
        let of = |text: &str| is_no_pods(text.parse().expect("an address"));
        for text in [
            "169.254.169.254",
            "fe80::1",
            "::ffff:169.254.169.254",
            "224.0.0.1",
            "0.0.0.0",
            "::",
        ] {
            assert!(of(text), "{text}");
        }
        for text in ["10.244.0.7", "fd00::7", "192.0.2.1"] {
            assert!(!of(text), "{text}");
        }
    }
}
