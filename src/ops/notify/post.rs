//! One POST: no redirect is followed, no proxy asked, nothing kept open, and the answer's body not read.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::Endpoint;
use crate::ops::VERSION;

/// Sends to whatever endpoint.
#[derive(Clone)]
pub struct Poster(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Certificates to trust that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--notify-ca-file: {path:?}: {why}")]
pub struct TlsError {
    path: PathBuf,
    why: String,
}

/// Why something was not taken. Has no part of the URL in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// An answer that is no success.
    #[error("answered {status}")]
    Status {
        /// What it was.
        status: StatusCode,
        /// For how long the receiver wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// None in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// No connection, no TLS, no HTTP.
    #[error("{0}")]
    Broken(String),
}

impl PostError {
    /// Whether the same request may be taken later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                status.is_server_error()
                    || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            }
            Self::Timeout(_) | Self::Broken(_) => true,
        }
    }

    /// For how long the receiver wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Timeout(_) | Self::Broken(_) => None,
        }
    }
}

impl Poster {
    /// Trusts the certificate authorities of Mozilla's list, which is compiled in, and those of the file.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has suites for each version")
            .with_root_certificates(roots(ca_file)?)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        // Messages are further apart than receivers keep connections.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Self(client))
    }

    /// Sends it. Ok: the receiver has it.
    pub async fn post(
        &self,
        endpoint: &Endpoint,
        content_type: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(), PostError> {
        let request = Request::post(endpoint.uri().clone())
            .header(CONTENT_TYPE, content_type)
            .header(USER_AGENT, format!("windlass/{VERSION}"))
            .body(Full::new(body))
            .map_err(|_| PostError::Broken("no such request".to_owned()))?;
        let response = tokio::time::timeout(timeout, self.0.request(request))
            .await
            .map_err(|_| PostError::Timeout(timeout))?
            .map_err(|error| PostError::Broken(causes(&error)))?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(PostError::Status {
            status: response.status(),
            retry_after: retry_after(response.headers()),
        })
    }
}

pub(super) fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let Some(path) = ca_file else { return Ok(roots) };
    let unusable = |why: String| TlsError {
        path: path.to_owned(),
        why,
    };
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))? {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|it| roots.add(it).map_err(|error| error.to_string()));
        added.map_err(unusable)?;
    }
    if roots.len() == before {
        return Err(unusable("no certificate in it".to_owned()));
    }
    Ok(roots)
}

/// In seconds; the other form, a date, needs the receiver's clock and is hardly ever sent.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What the client says is that it could not send; why, its causes.
fn causes(error: &dyn Error) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    // Some repeat their cause in their own words.
    words.dedup();
    if words.is_empty() {
        words.push(error.to_string());
    }
    windlass_core::types::text::one_line(&words.join(": "))
}
