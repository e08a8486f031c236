//! The pure rules: what counts, what changed, and what to do about it.
//!
//! Nothing here knows Kubernetes clients, async, files or clocks. Every input is an argument, `now`
//! included, and every result is a value, so that the same rules serve the controller, a person who
//! asks for an explanation, and thousands of simulated histories.

pub mod annotation;
pub mod baseline;
pub mod cause;
pub mod challenge;
pub mod class;
pub mod compat;
pub mod content;
pub mod content_time;
pub mod decide;
pub mod digest;
pub mod duration;
pub mod event;
pub mod event_limit;
pub mod event_queue;
pub mod glob;
pub mod governor;
pub mod in_place;
pub mod kind;
pub mod labels;
pub mod lease;
pub mod lever;
pub mod marks;
pub mod name;
pub mod notice;
pub mod optin;
pub mod pattern;
pub mod policy;
pub mod proof;
pub mod propagation;
pub mod reason;
pub mod reference;
pub mod template;
pub mod terms;
pub mod text;
pub mod time;
pub mod uid;
pub mod value;
pub mod window;
pub mod workload;
