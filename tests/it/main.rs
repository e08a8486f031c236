//! Windlass as a black box: the real binary against a real API server, Deployment controller and
//! scheduler, with nodes that only pretend to run containers, or (`in_place::node`) with a real one.
//!
//! Each scenario is a function that reads as a few sentences, has a namespace and a controller of
//! its own, and is run in one or several ways: with the controller watching, stopped, crashed or
//! halted while the changes are made, and against an API server without streaming lists. The table
//! at the head of each module says which. `cargo xtask test` provides the clusters.

mod support;

mod chart;
mod compat;
mod crowd;
mod faults;
mod in_cluster;
mod in_place;
mod ops;
mod policy;
mod rollout;
mod sources;
