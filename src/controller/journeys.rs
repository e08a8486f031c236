//! Journeys: when a change was seen, sent, accepted, and had arrived, for traces.
//!
//! Without the feature `otel` nothing is noted, and these calls are nothing.

#[cfg(not(feature = "otel"))]
mod none;
#[cfg(feature = "otel")]
mod noted;

#[cfg(not(feature = "otel"))]
pub use none::Journeys;
#[cfg(feature = "otel")]
pub use noted::Journeys;
