//! `windlass`: parses the command line and runs what it asks for.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass::cli::run()
}
