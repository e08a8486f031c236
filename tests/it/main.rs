//! Windlass as a black box: the real binary against a real API server, Deployment controller and
//! scheduler, with nodes that only pretend to run containers, or (`node`) with a real one.
//!
//! Each scenario is a function that reads as a few sentences, has a namespace and a controller of
//! its own, and is run in one or several ways: with the controller watching, stopped, crashed or
//! halted while the changes are made, and against an API server without streaming lists. The table
//! at the head of each module says which. `cargo xtask test` provides the clusters.

mod support;

mod adoption;
mod agents;
mod alerts;
mod api_faults;
mod applications;
mod argo;
mod baseline;
mod changes;
mod chart;
mod content;
mod cron_jobs;
mod cross_namespace;
mod crowd;
mod custom_kinds;
mod dashboard;
mod election;
mod events;
mod evicted;
mod faults;
mod foreign;
mod gitops;
mod governed;
mod governor;
mod greeter;
mod in_cluster;
mod in_place;
mod kinds;
mod migrate;
mod missing;
mod namespaces;
mod node;
mod notifications;
mod opting_in;
mod owners;
mod patterns;
mod policies;
mod policy_docs;
mod policy_schema;
mod process;
mod references;
mod reloader;
mod removed_keys;
mod requests;
mod rights;
mod rollouts;
mod secrets;
#[cfg(feature = "otel")]
mod traces;
mod undo;
mod unused;
mod wave;
