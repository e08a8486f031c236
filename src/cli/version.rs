//! `windlass version`

use std::process::ExitCode;

use super::Run;
use super::process::print;
use crate::ops::{REVISION, VERSION};

/// Print the version
#[derive(Debug, clap::Args)]
pub(super) struct Version;

impl Run for Version {
    fn run(self) -> ExitCode {
        print(&text())
    }
}

/// The version and the revision, on one line.
pub(super) fn text() -> String {
    format!("windlass {VERSION} (revision {REVISION})\n")
}
