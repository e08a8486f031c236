//! Changes that reach running pods without a restart.

pub mod agents;
mod applications;
mod greeter;
mod node;
mod pods;
