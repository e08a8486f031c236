//! Points in time as Kubernetes records them.

use std::num::NonZeroU64;

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

/// Milliseconds since 1970: `Option<Timestamp>` takes three times the room, and there are thousands of these. What
/// is measured by it needs nothing finer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(NonZeroU64);

impl Moment {
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        let milliseconds = i64::try_from(self.0.get()).ok();
        let at = milliseconds.and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok());
        at.unwrap_or(Timestamp::MAX)
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        // No clock of a cluster is before 1970.
        let milliseconds = u64::try_from(at.as_millisecond()).ok();
        Self(milliseconds.and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MIN))
    }
}
