//! Points in time as Kubernetes records them.

use jiff::Timestamp;

/// A time that the API server or a kubelet recorded: whole seconds, the fraction cut off.
///
/// Two events of one second cannot be told apart by it, so every comparison in these rules asks for
/// a strictly later second before it takes "after" for proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Second(i64);

impl Second {
    /// Seconds since 1970 (UTC).
    #[must_use]
    pub const fn new(unix: i64) -> Self {
        Self(unix)
    }

    /// Reads `metav1.Time`, RFC 3339. `None` if it is no such time.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<Timestamp>().ok().map(Self::from)
    }

    /// Seconds since 1970 (UTC).
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0
    }
}

impl From<Timestamp> for Second {
    fn from(at: Timestamp) -> Self {
        Self(at.as_second())
    }
}
