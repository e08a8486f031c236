//! The Helm chart: what it renders, what the API server says to that, and whether the rights that it gives
//! are those that Windlass needs. `cargo xtask chart` runs these alone.

mod admission;
mod flags;
mod guard;
mod helm;
mod limits;
mod monitoring;
mod rights;
mod scene;
mod schema;
mod upgrade;
mod version;
