//! The library against directories that are written exactly as the kubelet does, and against an API
//! server that is a script.

mod api;
mod contained;
mod examples;
mod flags;
mod foreign_code;
mod kubelet;
mod live;
mod naive;
mod real_api;
mod support;
mod torn;
mod volume;
