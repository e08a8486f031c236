//! What others say, made fit for a log line and an answer.

#[cfg(test)]
mod tests;

/// Bytes of a message.
pub(super) const MESSAGE: usize = 300;

/// One line without control characters, at most [`MESSAGE`] bytes. Of a longer one both ends are kept: some
/// programs begin with what is wrong, and others first tell what is right.
pub(super) fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line = String::new();
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !is_invisible(*c)));
    }
    shorten(line)
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

/// Characters that turn the direction of text around or cannot be seen: a log line could be made to look
/// like another one.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
