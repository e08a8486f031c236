//! Who may import whom. Parses the code and links nothing of it.
//!
//! | file | holds |
//! |---|---|
//! | [`modules`] | the modules of a crate, read from their `mod` declarations |
//! | [`names`] | the paths that a module names |
//! | [`graph`] | which file imports which, and the cycles in that |
//! | [`layers`] | the import table, and the tests of the code |
//! | [`tests`] | tests of the test, on code in memory |

mod graph;
mod layers;
mod modules;
mod names;
mod tests;
