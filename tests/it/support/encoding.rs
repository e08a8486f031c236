//! Bytes as text.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The bytes as the API has them in a Secret.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes as two digits each.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes anything");
    }
    text
}
