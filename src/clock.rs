//! What time it is.

use jiff::Timestamp;

/// The time: of day at the start, monotonic from there, so that a step of the machine's clock
/// neither hurries nor delays anything.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    start: tokio::time::Instant,
    simulated: bool,
}

impl Clock {
    /// Reads the machine's clock, once.
    #[must_use]
    pub fn start() -> Self {
        Self {
            wall: Timestamp::now(),
            start: tokio::time::Instant::now(),
            simulated: false,
        }
    }

    /// One that was started when it was that time of day.
    #[cfg(test)]
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        Self {
            wall,
            simulated: true,
            ..Self::start()
        }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.wall + self.start.elapsed()
    }

    /// The time of day as the machine has it by now: for what begins and ends by the calendar.
    #[must_use]
    pub fn calendar(&self) -> Timestamp {
        if self.simulated { self.now() } else { Timestamp::now() }
    }
}
