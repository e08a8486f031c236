//! The pure rules: what counts, what changed, and what to do about it.
//!
//! Nothing here knows Kubernetes clients, async, files or clocks. Every input is an argument, `now`
//! included, and every result is a value, so that the same rules serve the controller, a person who
//! asks for an explanation, and thousands of simulated histories.
//!
//! | module | holds |
//! |---|---|
//! | [`types`] | names, uids, times, durations, globs, labels |
//! | [`workload`] | workloads: kinds, templates, what they use, what their annotations ask for |
//! | [`content`] | content of sources, its digests, and the baseline that is kept of it |
//! | [`policy`] | policies: windows, freezes, what holds for a workload |
//! | [`decide`] | the decision, an ordered list of small checks |
//! | [`compat`] | the annotations and marks of Reloader and Wave |
//! | [`rollout_slots`] | how many workloads roll at a time |
//! | [`lease`] | which of several replicas writes |
//! | [`notice`] | Events and notifications: limits and order |
//! | [`agent_protocol`] | how the controller asks the agent in a pod, and what an answer proves |
//! | [`reason`] | why a workload is where it is |
//! | [`annotation`] | the keys of annotations |

#![forbid(unsafe_code)]

pub mod agent_protocol;
pub mod annotation;
pub mod compat;
pub mod content;
pub mod decide;
pub mod lease;
pub mod notice;
pub mod policy;
pub mod reason;
pub mod rollout_slots;
pub mod types;
pub mod workload;
