//! An API server for tests that checks the complete list of calls: each in order, none missing, none
//! more.

use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::task::JoinHandle;
use tower_test::mock;

/// What is answered to one call.
pub struct Answer {
    /// HTTP status.
    pub code: u16,
    /// JSON body.
    pub body: Value,
}

impl Answer {
    /// 200 with that body.
    #[must_use]
    pub fn ok(body: Value) -> Self {
        Self { code: 200, body }
    }
}

/// The server.
pub struct Api {
    client: Client,
    script: JoinHandle<Vec<Value>>,
}

impl Api {
    /// Expects these calls (`METHOD path?query`) in this order. Writes must say how long they may take
    /// besides, reads must not: that is not in `calls`.
    #[must_use]
    pub fn expecting<const N: usize>(calls: [(&'static str, Answer); N]) -> Self {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let script = tokio::spawn(async move {
            let mut bodies = Vec::new();
            for (expected, answer) in calls {
                let (request, send) = handle
                    .next_request()
                    .await
                    .unwrap_or_else(|| panic!("missing call: {expected}"));
                let found = format!("{} {}", request.method(), request.uri());
                let (call, limit) = match found.rsplit_once("timeout=") {
                    Some((call, limit)) => (&call[..call.len() - 1], Some(limit)),
                    None => (found.as_str(), None),
                };
                assert_eq!(call, expected);
                let millis = limit.map(|it| it.strip_suffix("ms").expect("ms").parse::<u64>().expect("a number"));
                assert_eq!(
                    millis.is_some_and(|it| it > 0),
                    request.method() != Method::GET,
                    "{found}"
                );
                let body = request.into_body().collect().await.expect("a body").to_bytes();
                bodies.push(serde_json::from_slice(&body).unwrap_or(Value::Null));
                let answer_body = Body::from(answer.body.to_string().into_bytes());
                let response = Response::builder()
                    .status(answer.code)
                    .body(answer_body)
                    .expect("a response");
                send.send_response(response);
            }
            if let Some((request, _)) = handle.next_request().await {
                panic!("one call too many: {} {}", request.method(), request.uri());
            }
            bodies
        });
        Self {
            client: Client::new(service, "default"),
            script,
        }
    }

    /// Takes calls and never answers.
    #[must_use]
    pub fn silent() -> Self {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let script = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Some(call) = handle.next_request().await {
                held.push(call);
            }
            Vec::new()
        });
        Self {
            client: Client::new(service, "default"),
            script,
        }
    }

    /// The client to give to what is tested.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Checks that every call came and none more; gives their bodies.
    pub async fn finish(self) -> Vec<Value> {
        drop(self.client);
        self.script.await.expect("the calls were as expected")
    }
}
