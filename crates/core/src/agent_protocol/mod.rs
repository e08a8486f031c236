//! What the controller and the agent in a pod say to each other.

pub mod challenge;
pub mod propagation;
