//! One HTTP request on a connection of its own: no redirect is followed, no proxy asked, nothing kept open.
//!
//! What answers may be anything, so the time and the size of an answer are bounded. The agent uses this as well, so
//! there is nothing of a Kubernetes client in it, and TLS only in the controller.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
#[cfg(feature = "controller")]
use tokio_rustls::TlsConnector;

#[cfg(test)]
mod tests;

#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub method: Method,
    /// Path and query.
    pub path: &'a str,
    /// The header `Host`.
    pub host: &'a str,
    /// Further headers.
    pub headers: &'a [(HeaderName, &'a str)],
    pub body: Bytes,
    /// The longest that all of it may take, from the connection to the end of the answer.
    pub timeout: Duration,
    /// The most bytes that the answer's body may have. `None`: it is not read.
    pub limit: Option<usize>,
}

/// Whom to ask.
#[derive(Clone, Copy)]
pub enum Peer<'a> {
    /// The first of these that takes a connection.
    Addresses(&'a [SocketAddr]),
    /// A host by its name or address.
    #[cfg(feature = "controller")]
    Host {
        /// Without brackets.
        name: &'a str,
        port: u16,
        /// `None`: plain HTTP.
        tls: Option<&'a TlsConnector>,
    },
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body; empty if it was not to be read.
    pub body: Bytes,
}

/// Why there is no answer. Has no part of the request in it but the port.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The host has no address.
    #[error("cannot resolve the host: {0}")]
    Lookup(io::Error),
    /// Nobody listens there, or the way is closed.
    #[error("cannot connect to port {port}: {why}")]
    Connect {
        port: u16,
        /// What the operating system said.
        why: io::Error,
    },
    /// No encrypted connection.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    /// It takes too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// More than anybody would send.
    #[error("the response is too long")]
    TooLong,
    /// What came is not HTTP, or ended in the middle.
    #[error("invalid HTTP response: {0}")]
    Broken(hyper::Error),
    /// Path or header cannot be sent.
    #[error("invalid request")]
    Request,
}

impl Request<'_> {
    /// Sends it and reads the answer.
    ///
    /// # Errors
    /// See [`HttpError`]. An answer with any status is none.
    pub async fn send(&self, peer: Peer<'_>) -> Result<Response, HttpError> {
        timeout(self.timeout, self.ask(peer))
            .await
            .map_err(|_| HttpError::Timeout(self.timeout))?
    }

    async fn ask(&self, peer: Peer<'_>) -> Result<Response, HttpError> {
        match peer {
            Peer::Addresses(addresses) => self.exchange(self.connect(addresses).await?).await,
            #[cfg(feature = "controller")]
            Peer::Host { name, port, tls } => {
                let found = tokio::net::lookup_host((name, port)).await;
                let addresses: Vec<SocketAddr> = found.map_err(HttpError::Lookup)?.collect();
                let stream = self.connect(&addresses).await?;
                let Some(tls) = tls else {
                    return self.exchange(stream).await;
                };
                let name = rustls::pki_types::ServerName::try_from(name.to_owned()).map_err(|_| HttpError::Request)?;
                let stream = tls.connect(name, stream).await.map_err(HttpError::Tls)?;
                self.exchange(stream).await
            }
        }
    }

    async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, HttpError> {
        let mut failed = (0, io::Error::from(io::ErrorKind::AddrNotAvailable));
        for (at, address) in addresses.iter().enumerate() {
            let connecting = TcpStream::connect(address);
            let connected = if at + 1 == addresses.len() {
                connecting.await
            } else {
                // An address that swallows everything must leave time for the next ones.
                let share = self.timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
                let late = |_| Err(io::ErrorKind::TimedOut.into());
                timeout(share, connecting).await.unwrap_or_else(late)
            };
            match connected {
                Ok(stream) => {
                    // What is asked is one small segment: nothing is gained by waiting for more. Harmless if refused.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(why) => failed = (address.port(), why),
            }
        }
        let (port, why) = failed;
        Err(HttpError::Connect { port, why })
    }

    async fn exchange(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<Response, HttpError> {
        let mut request = hyper::Request::builder()
            .method(&self.method)
            .uri(self.path)
            .header(HOST, self.host)
            .header(CONNECTION, "close");
        if self.method != Method::GET {
            request = request.header(CONTENT_LENGTH, self.body.len());
        }
        for (name, value) in self.headers {
            request = request.header(name, *value);
        }
        let body = Once(Some(self.body.clone()).filter(|body| !body.is_empty()));
        let request = request.body(body).map_err(|_| HttpError::Request)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(HttpError::Broken)?;
        let limit = self.limit;
        let mut answered = pin!(async move {
            let response = sender.send_request(request).await.map_err(HttpError::Broken)?;
            let (head, body) = response.into_parts();
            Ok(Response {
                status: head.status,
                headers: head.headers,
                body: match limit {
                    Some(limit) => read(body, limit).await?,
                    // It is dropped with the connection.
                    None => Bytes::new(),
                },
            })
        });
        // The connection moves only while it is looked at; an answer may outlive it by what is buffered.
        tokio::select! {
            biased;
            result = &mut answered => result,
            _ = connection => answered.await,
        }
    }
}

async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, HttpError> {
    let mut read = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        // What is no data are trailers.
        let Ok(data) = frame.map_err(HttpError::Broken)?.into_data() else {
            continue;
        };
        if data.len() > limit - read.len() {
            return Err(HttpError::TooLong);
        }
        read.extend_from_slice(&data);
    }
    Ok(read.into())
}

/// A body that is there at once, or none.
struct Once(Option<Bytes>);

impl Body for Once {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
