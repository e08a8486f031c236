//! Journeys: when a change was seen, sent, accepted, and had arrived, for traces.
//!
//! Without the feature `otel` nothing is noted, and these calls are nothing.

#[cfg(not(feature = "otel"))]
mod noop;
#[cfg(feature = "otel")]
mod otel;

#[cfg(not(feature = "otel"))]
pub use crate::report::traces::noop::ChangeTraces;
#[cfg(feature = "otel")]
pub use crate::report::traces::otel::ChangeTraces;
