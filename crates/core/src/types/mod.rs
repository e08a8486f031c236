//! Small values that everything else is made of.

pub mod duration;
pub mod glob;
pub mod labels;
pub mod name;
pub mod text;
pub mod time;
pub mod uid;
mod words;
