//! The token, read anew each time: a Secret may be rotated while we run.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use windlass_core::agent_protocol::challenge::{MAX_TOKEN, Token};

/// Reads the file; an error is one sentence that names it and quotes nothing.
pub(super) async fn read(path: &Path) -> Result<Token, String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || now(&path)).await;
    read.unwrap_or_else(|_| Err("the agent is shutting down".to_owned()))
}

fn now(path: &Path) -> Result<Token, String> {
    let failed = |error: &dyn std::fmt::Display| format!("token file {}: {error}", path.display());
    // Opening a pipe would wait for whoever writes to it.
    let is_file = std::fs::metadata(path).map_err(|error| failed(&error))?.is_file();
    if !is_file {
        return Err(failed(&"not a file"));
    }
    let mut bytes = Vec::new();
    // Room for a line break, and for one byte too many.
    let limit = MAX_TOKEN as u64 + 3;
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| failed(&error))?;
    Token::new(&bytes).map_err(|error| failed(&error))
}
