//! What people and tools see of it: Events, metrics, traces, the status of policies.

pub mod events;
pub mod gauges;
pub mod labels;
pub mod policy_status;
pub mod traces;
mod watches;
