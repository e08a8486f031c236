//! One POST to a receiver, and what its answer means.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};
use hyper::body::Bytes;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use windlass_core::types::text::one_line;

use super::Endpoint;
use crate::ops::http::{HttpError, Peer, Request};

/// Sends to whatever endpoint.
#[derive(Clone)]
pub struct Poster(TlsConnector);

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
    #[error("returned {status}")]
    Status {
        status: StatusCode,
        /// For how long the receiver wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// None in time.
    #[error("no answer within {0:?}")]
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
        Ok(Self(TlsConnector::from(Arc::new(tls))))
    }

    /// Sends it. Ok: the receiver has it.
    pub async fn post(
        &self,
        endpoint: &Endpoint,
        content_type: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(), PostError> {
        let request = Request {
            method: Method::POST,
            path: endpoint.path(),
            host: &endpoint.to_string(),
            headers: &[
                (CONTENT_TYPE, content_type),
                (USER_AGENT, concat!("windlass/", env!("CARGO_PKG_VERSION"))),
            ],
            body,
            timeout,
            // The status says all.
            limit: None,
        };
        let (name, port) = endpoint.name_and_port();
        let tls = endpoint.is_encrypted().then_some(&self.0);
        let response = request
            .send(Peer::Host { name, port, tls })
            .await
            .map_err(|error| match error {
                HttpError::Timeout(limit) => PostError::Timeout(limit),
                error => PostError::Broken(one_line(&error.to_string())),
            })?;
        if response.status.is_success() {
            return Ok(());
        }
        Err(PostError::Status {
            status: response.status,
            retry_after: retry_after(&response.headers),
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
        return Err(unusable("the file has no certificate".to_owned()));
    }
    Ok(roots)
}

/// In seconds; the other form, a date, needs the receiver's clock and is hardly ever sent.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
