//! An API server that fails, and what is lost by that: nothing.

mod api_faults;
mod outage;
