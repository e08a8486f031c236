//! Windlass keeps running workloads true to their configuration.
//!
//! When a `ConfigMap` changes, every pod that uses it runs the new content, by a safe rollout.
//! Nothing restarts without need, nothing is missed while Windlass is down, and at any moment it can
//! be asked which workloads are not current, and why.
//!
//! ```text
//!   API server ──▶ watch ──▶ index ──▶ reconcile: gather → decide → write → observe ──▶ API server
//!               (digested   (small        (decide is pure,             (report: Events,
//!               on the way)  values)       in windlass_core)            metrics, status)
//! ```
//!
//! The folders are the way of a change:
//!
//! | module | holds |
//! |---|---|
//! | [`windlass_core`] | the pure rules, a crate of its own: the decision is [`windlass_core::decide`] |
//! | [`api`] | the types of the policies, and their schema |
//! | [`k8s`] | adapters: what is on the wire, patches, Events, pods, the Lease |
//! | `scope`, `config` | what is watched; how the controller runs |
//! | `index` | what is known of the cluster |
//! | `reader` | what watching and deciding share: nothing of it writes |
//! | `watch` | fills the index from the API server |
//! | `reconcile` | gather, decide, write, observe: one workload at a time |
//! | `election`, `context` | who may write; what writing shares |
//! | `in_place` | brings files of running pods up to date |
//! | `report` | what people and tools see: Events, metrics, traces, the status of policies |
//! | [`controller`] | starts all of it, in order |
//! | [`agent`] | the sidecar |
//! | [`ops`] | metrics, admin server, logs, notifications, signals |
//! | [`cli`] | the commands |
//! | `flags` | how flags read their values |
//!
//! What a folder may import is a table in a test, `tests/architecture/layers.rs`.

#![forbid(unsafe_code)]

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "controller")]
pub mod api;
#[cfg(feature = "controller")]
mod backoff;
pub mod cli;
#[cfg(feature = "controller")]
mod clock;
#[cfg(feature = "controller")]
mod config;
#[cfg(feature = "controller")]
mod context;
#[cfg(feature = "controller")]
pub mod controller;
#[cfg(feature = "controller")]
mod election;
#[cfg(all(test, feature = "controller"))]
mod fixtures;
mod flags;
#[cfg(feature = "controller")]
mod in_place;
#[cfg(feature = "controller")]
mod index;
#[cfg(feature = "controller")]
pub mod k8s;
pub mod ops;
#[cfg(feature = "controller")]
mod queue;
#[cfg(feature = "controller")]
mod reader;
#[cfg(feature = "controller")]
mod reconcile;
#[cfg(feature = "controller")]
mod report;
#[cfg(feature = "controller")]
mod scope;
#[cfg(all(test, feature = "controller"))]
#[path = "../tests/simulation/mod.rs"]
mod simulation;
#[cfg(feature = "controller")]
mod watch;

#[cfg(all(test, feature = "controller"))]
mod tests;
