//! Taking over from Reloader and Wave.

mod migrate;
mod reloader;
mod wave;
