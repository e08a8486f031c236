//! Programs that are none of ours.

use std::path::{Path, PathBuf};

/// A program that is none of ours, where `cargo xtask test` puts it.
pub fn application(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".windlass/applications")
        .join(name);
    assert!(
        program.is_file(),
        "there is no {}: `cargo xtask test` puts it there from Debian's package; elsewhere install nginx and prometheus \
         first",
        program.display()
    );
    program
}
