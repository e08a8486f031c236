//! The adapters: Kubernetes in, plain values out; plans in, requests out.
//!
//! Each file holds one conversation with the API server. None of them decides anything.

pub mod client;
pub mod discovery;
pub mod error;
pub mod events;
pub mod heartbeat;
pub mod keyring;
pub mod lease;
mod lenient;
#[cfg(test)]
pub mod mock;
pub(crate) mod names;
pub mod patch;
pub mod pod_history;
pub mod policy_status;
pub mod read;
pub(crate) mod selector;
pub mod watch;
pub mod watch_activity;
pub mod wire;
