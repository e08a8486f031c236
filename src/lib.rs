//! Windlass keeps running workloads true to their configuration.
//!
//! When a `ConfigMap` changes, every pod that uses it runs the new content, by a safe rollout.
//! Nothing restarts without need, nothing is missed while Windlass is down, and at any moment it can
//! be asked which workloads are not current, and why.
//!
//! ```text
//!   API server ──watch──▶ k8s ──▶ controller::index ──▶ decide ──▶ k8s::patch ──▶ API server
//!                      (digested      (small values,      (pure: state  (uid and
//!                      on the way)    who uses what)      against state) version checked)
//! ```
//!
//! Where to begin: [`controller::reconcile`] is the way of one change, four calls;
//! [`windlass_core::decide`] is the decision, an ordered list of small checks.
//!
//! | module | holds | may import |
//! |---|---|---|
//! | [`windlass_core`] | the pure rules, a crate of its own | nothing of ours |
//! | [`api`] | the types of the policies, and their schema | `windlass_core` |
//! | [`k8s`] | adapters: watches, patches, Events, evidence | `windlass_core`, api |
//! | [`controller`] | the loop: index, gather, write, observe | `windlass_core`, api, k8s, ops |
//! | [`ops`] | metrics, admin server, logging, notifications, shutdown | `windlass_core` |
//! | [`agent`] | the sidecar: volumes, validation, notices, answers | `windlass_core`'s agent protocol, ops |
//! | [`cli`] | raw arguments to typed configuration | all |

#![forbid(unsafe_code)]

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "controller")]
pub mod api;
pub mod cli;
#[cfg(feature = "controller")]
pub mod controller;
#[cfg(feature = "controller")]
pub mod k8s;
pub mod ops;

#[cfg(all(test, feature = "controller"))]
mod tests;
