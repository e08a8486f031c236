//! A receiver's address. Whoever has it may write there, so all of it but the host is a secret.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

/// An `http` or `https` URL that only its host is ever shown of.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// Not an address that can be told to. Says nothing of what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a URL http(s)://HOST[:PORT]/PATH without a user")]
pub struct EndpointError;

impl Endpoint {
    /// Path and query.
    pub(super) fn path(&self) -> &str {
        self.0.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    /// The host without the brackets of an IPv6 address, and the port that is meant if none is named.
    pub(super) fn name_and_port(&self) -> (&str, u16) {
        let host = self.0.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let usual = if self.is_encrypted() { 443 } else { 80 };
        (bare.unwrap_or(host), self.0.port_u16().unwrap_or(usual))
    }

    /// Whether it is asked for by TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.trim().parse().map_err(|_| EndpointError)?;
        let known = [Scheme::HTTP, Scheme::HTTPS].iter().any(|it| uri.scheme() == Some(it));
        // A user's name and password would be sent as part of the host and help nobody.
        let plain = uri
            .authority()
            .is_some_and(|it| !it.host().is_empty() && !it.as_str().contains('@'));
        if known && plain {
            Ok(Self(uri))
        } else {
            Err(EndpointError)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.authority().map_or("", http::uri::Authority::as_str))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}
