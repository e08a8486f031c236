//! What counts as a source of a workload, and what a change of a source is.

mod content;
mod cross_namespace;
mod missing;
mod opting_in;
mod patterns;
mod references;
mod removed_keys;
mod secrets;
mod unused;
