//! One HTTP request to one address: no name is looked up, no redirect followed, nothing kept open.
//!
//! What answers is a pod of somebody's and may be anything, so time and size are bounded.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A request.
#[derive(Clone, Debug)]
pub struct Fetch<'a> {
    /// Whom to ask.
    pub address: SocketAddr,
    /// How.
    pub method: Method,
    /// Path and query.
    pub path: &'a str,
    /// Headers besides Host.
    pub headers: &'a [(HeaderName, String)],
    /// How long all of it may take.
    pub timeout: Duration,
    /// The most that an answer may have, in bytes.
    pub limit: usize,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody listens there, or the way is closed.
    #[error("cannot connect to port {port}: {why}")]
    Connect {
        /// The port.
        port: u16,
        /// What the operating system said.
        why: io::Error,
    },
    /// It takes too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// More than anybody would send.
    #[error("the answer is too long")]
    TooLong,
    /// What came is not HTTP, or ended in the middle.
    #[error("the answer is not HTTP")]
    Garbage,
    /// Path or header cannot be sent.
    #[error("no such request")]
    Request,
}

impl Fetch<'_> {
    /// Sends it and reads the answer to its end.
    ///
    /// # Errors
    /// See [`FetchError`]. An answer with any status is none.
    pub async fn send(&self) -> Result<Fetched, FetchError> {
        tokio::time::timeout(self.timeout, self.exchange())
            .await
            .map_err(|_| FetchError::Timeout(self.timeout))?
    }

    async fn exchange(&self) -> Result<Fetched, FetchError> {
        let mut request = Request::builder()
            .method(&self.method)
            .uri(self.path)
            .header(HOST, self.address.to_string())
            .header(CONNECTION, HeaderValue::from_static("close"));
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|_| FetchError::Request)?;
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|why| FetchError::Connect {
                port: self.address.port(),
                why,
            })?;
        // What is asked is one small segment: nothing is gained by waiting for more. Harmless if refused.
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| FetchError::Garbage)?;
        let answered = async move {
            let response = sender.send_request(request).await.map_err(|_| FetchError::Garbage)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, self.limit).collect().await.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    FetchError::TooLong
                } else {
                    FetchError::Garbage
                }
            })?;
            Ok(Fetched {
                status: head.status,
                headers: head.headers,
                body: body.to_bytes(),
            })
        };
        // The connection moves only while it is looked at; an answer may outlive it by what is buffered.
        tokio::pin!(answered);
        tokio::select! {
            result = &mut answered => result,
            _ = connection => answered.await,
        }
    }
}
