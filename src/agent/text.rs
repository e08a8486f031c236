//! What others say, made fit for a log line and an answer.

use windlass_core::types::text::one_line;

#[cfg(test)]
mod tests;

/// Bytes of a message.
pub(super) const MESSAGE: usize = 300;

/// One line without control characters, at most [`MESSAGE`] bytes. Of a longer one both ends are kept: some
/// programs begin with what is wrong, and others first tell what is right.
pub(super) fn clean(bytes: &[u8]) -> String {
    shorten(one_line(&String::from_utf8_lossy(bytes)))
}

fn shorten(line: String) -> String {
    if line.len() <= MESSAGE {
        return line;
    }
    let room = MESSAGE - '…'.len_utf8();
    let (head, _) = line.split_at(line.floor_char_boundary(room / 2));
    let (_, tail) = line.split_at(line.ceil_char_boundary(line.len() - room / 2));
    format!("{head}…{tail}")
}
