//! Why an object of the API server cannot be followed.

use crate::feed::Trouble;

/// Why an object of the API server cannot be followed. It never quotes content: kube's own errors, which
/// may, are not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// There is no such object, or there is none any more.
    #[error("{object} does not exist")]
    Missing {
        /// Kind, namespace and name.
        object: String,
    },
    /// The service account may not `get` or `watch` it.
    #[error("no permission to read {object}: get and watch are required (status {code})")]
    Denied {
        /// Kind, namespace and name.
        object: String,
        /// HTTP status: 401 or 403.
        code: u16,
    },
    /// The server answered with another error.
    #[error("cannot read {object}: status {code} {reason}")]
    Status {
        /// Kind, namespace and name.
        object: String,
        /// HTTP status.
        code: u16,
        /// The server's word for it.
        reason: String,
    },
    /// The server did not answer, or its answer ended too early.
    #[error("cannot read {object}: the API server is not reachable")]
    Unreachable {
        /// Kind, namespace and name.
        object: String,
    },
    /// The answer was not such an object.
    #[error("cannot read {object}: unexpected response from the API server")]
    Malformed {
        /// Kind, namespace and name.
        object: String,
    },
}

impl ApiError {
    /// One word out of a fixed list, for the label of a metric.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Denied { .. } => "denied",
            Self::Status { .. } => "status",
            Self::Unreachable { .. } => "unreachable",
            Self::Malformed { .. } => "malformed",
        }
    }

    pub(super) fn of_status(object: String, code: u16, reason: &str) -> Self {
        match code {
            401 | 403 => Self::Denied { object, code },
            404 => Self::Missing { object },
            code => Self::Status {
                object,
                code,
                // A word such as TooManyRequests; whatever else somebody puts there is none.
                reason: reason.chars().filter(char::is_ascii_alphanumeric).take(40).collect(),
            },
        }
    }

    pub(super) fn of_kube(object: String, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(object, status.code, &status.reason),
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::Malformed { object },
            _ => Self::Unreachable { object },
        }
    }
}

impl From<&ApiError> for Trouble {
    fn from(error: &ApiError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
