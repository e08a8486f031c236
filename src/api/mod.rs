//! The custom resources: what a policy may say, and how the API server checks it.
//!
//! The types are read per object by whoever watches them, so that one policy of a later version does
//! not hide the others. The schema is made from the same types; whatever it can refuse, it refuses
//! while the author is looking: unknown words, negative durations, a window without a schedule.
//! Everything is bounded, for the cost of the rules in the API server as much as for our own.

mod definition;
mod duration;
pub mod in_place;
pub mod policy;
pub mod restart;
mod schema;
pub mod selector;
pub mod sources;
pub mod status;
#[cfg(test)]
mod tests;
mod validate;

pub use self::definition::definitions;
pub use self::duration::Duration;
pub use self::policy::{ClusterRolloutPolicy, ClusterRolloutPolicySpec, PolicySpec, RolloutPolicy, RolloutPolicySpec};
pub use self::selector::LabelSelector;
pub use self::status::PolicyStatus;
pub use self::validate::Invalid;
