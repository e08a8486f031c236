//! What policies say, when they let a restart begin, and how a person steps in.

mod governed;
mod policies;
pub mod policy_docs;
mod policy_schema;
