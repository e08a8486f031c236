//! Configuration that an application keeps current by itself.
//!
//! A mounted `ConfigMap` or Secret changes under the application that reads it. This library reads it whole,
//! so that no two keys are of different versions; checks what it read, and keeps the last good version
//! when the new one is bad; and tells the application what is new, within milliseconds of the kubelet's
//! writing.
//!
//! ```text
//!   mounted volume ──▶ Volume ──┐                ┌──▶ Live<T>: one key as a type
//!                               ├──▶ Snapshot ──▶┤
//!   API server ───────▶ api ────┘                └──▶ Flags: many typed values
//! ```
//!
//! [`Volume`] follows a directory or file. [`Live`] is one key of it as a type of yours, read without a
//! lock. [`Flags`] are many small values, from the command line first and from one file for each after it.
#![cfg_attr(
    feature = "kube",
    doc = "[`api`] is the same, fed by the API server without a mount."
)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "kube")]
pub mod api;
mod content;
mod feed;
pub mod flags;
mod live;
mod snapshot;
mod volume;

#[cfg(feature = "kube")]
pub use api::{ApiError, ApiSource, ApiSourceBuilder};
pub use content::Content;
pub use feed::{Changes, Feed, Trouble};
pub use flags::{FlagSet, Flags, SourceKind};
pub use live::{Live, LiveBuilder, Loaded, Problem, Refused, Subscriber, parse};
pub use snapshot::{Entry, Iter, Snapshot, Unreadable};
pub use volume::{Volume, VolumeBuilder, VolumeError, Watching};

/// The code of the guide has to compile.
#[cfg(all(doctest, feature = "json", feature = "yaml", feature = "kube"))]
#[doc = include_str!("../../../docs/live.md")]
struct Guide;
