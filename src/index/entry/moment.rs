//! A time in eight bytes.

use std::num::NonZeroU64;

use jiff::Timestamp;

/// Milliseconds since 1970: `Option<Timestamp>` takes three times the room, and there is one of these for each
/// workload of a cluster. What is measured by it needs nothing finer.
#[derive(Clone, Copy)]
pub(super) struct Moment(NonZeroU64);

impl Moment {
    pub(super) fn timestamp(self) -> Timestamp {
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
