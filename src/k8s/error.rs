//! What a refused request means for us.

use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri};
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[cfg(test)]
mod tests;

/// The longest text of the API server's that is passed on to logs and Events.
const MESSAGE_CHARS: usize = 400;

/// Why a request did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// 409: somebody else wrote meanwhile.
    #[error("the object changed before the write")]
    Conflict,
    /// 404: it is gone.
    #[error("not found")]
    NotFound,
    /// 422 on the uid: another object of that name took its place.
    #[error("another object with the same name replaced it")]
    Replaced,
    /// RBAC.
    #[error("{0}")]
    Forbidden(String),
    /// Admission, validation, quota.
    #[error("{0}")]
    Rejected(String),
    /// Worth another try: overload, a server that is down, no answer in time, credentials that are not accepted.
    #[error("{0}")]
    Unavailable(String),
    /// The answer makes no sense.
    #[error("unexpected response: {0}")]
    Unexpected(&'static str),
}

/// All words of [`ApiError`], for metrics that start at zero.
pub const WORDS: &[&str] = &[
    "Conflict",
    "NotFound",
    "Replaced",
    "Forbidden",
    "Rejected",
    "Unavailable",
    "Unexpected",
];

impl ApiError {
    /// A word for metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Conflict => "Conflict",
            Self::NotFound => "NotFound",
            Self::Replaced => "Replaced",
            Self::Forbidden(_) => "Forbidden",
            Self::Rejected(_) => "Rejected",
            Self::Unavailable(_) => "Unavailable",
            Self::Unexpected(_) => "Unexpected",
        }
    }

    /// The same for an error of kube's own calls.
    #[must_use]
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(
                status.code,
                &status.message,
                status
                    .details
                    .as_ref()
                    .and_then(|details| details.causes.first())
                    .map(|cause| cause.field.as_str()),
            ),
            // Decoding errors quote what could not be decoded.
            kube::Error::SerdeError(_) => Self::Unexpected("cannot decode it"),
            other => Self::Unavailable(chain(other)),
        }
    }

    fn of_status(code: u16, message: &str, field: Option<&str>) -> Self {
        let message = || -> String { message.chars().take(MESSAGE_CHARS).collect() };
        match code {
            409 => Self::Conflict,
            404 => Self::NotFound,
            422 if field == Some("metadata.uid") => Self::Replaced,
            // A token that has just been made or has just run out: the next one is another.
            401 => Self::Unavailable(format!("the API server rejected the credentials: {}", message())),
            // The authorizer's own words; admission and quota answer 403 as well.
            403 if message().contains("cannot ") && message().contains(" resource ") => Self::Forbidden(message()),
            429 | 500.. => Self::Unavailable(message()),
            _ => Self::Rejected(message()),
        }
    }
}

/// The error with its causes, which is where hyper keeps what happened.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text.chars().take(MESSAGE_CHARS).collect()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
    details: Details,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    causes: Vec<Cause>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cause {
    field: String,
}

/// Sends one request, reads the answer to its end (or the connection is lost for the next one), and
/// decodes it as `T`. Nothing of the body is ever logged. The API server is told how long a write may take:
/// nothing comes of one later than that after it got there.
///
/// # Errors
/// See [`ApiError`]; a request that takes longer than `timeout` is `Unavailable`.
pub async fn send<T: DeserializeOwned>(
    client: &Client,
    mut request: Request<Vec<u8>>,
    timeout: Duration,
) -> Result<T, ApiError> {
    if request.method() != Method::GET {
        *request.uri_mut() = limited(request.uri(), timeout)?;
    }
    let exchange = async {
        let response = client
            .send(request.map(Body::from))
            .await
            .map_err(|error| ApiError::of(&error))?;
        let status = response.status();
        let body = response
            .into_body()
            .collect_bytes()
            .await
            .map_err(|error| ApiError::Unavailable(chain(&error)))?;
        Ok((status, body))
    };
    let (status, body) = tokio::time::timeout(timeout, exchange)
        .await
        .map_err(|_| ApiError::Unavailable(format!("no answer within {} s", timeout.as_secs())))??;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| ApiError::Unexpected("cannot decode it"));
    }
    let answer: Status = serde_json::from_slice(&body).unwrap_or_default();
    let message = if answer.message.is_empty() {
        reason(status)
    } else {
        &answer.message
    };
    let field = answer.details.causes.first().map(|cause| cause.field.as_str());
    Err(ApiError::of_status(status.as_u16(), message, field))
}

/// With the parameter that makes the API server give a request up
/// (<https://github.com/kubernetes/kubernetes/blob/v1.33.0/staging/src/k8s.io/apiserver/pkg/endpoints/filters/request_deadline.go>).
fn limited(uri: &Uri, timeout: Duration) -> Result<Uri, ApiError> {
    let given = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let more = if uri.query().is_some() { '&' } else { '?' };
    format!("{given}{more}timeout={}ms", timeout.as_millis())
        .parse()
        .map_err(|_| ApiError::Unexpected("cannot build the URL"))
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("no reason given")
}
