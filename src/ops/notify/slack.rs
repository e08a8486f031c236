//! A message for an incoming webhook of Slack.
//!
//! `&`, `<` and `>` are escaped: everything that Slack acts upon (links, mentions of people, groups and
//! channels) is written with them (<https://docs.slack.dev/messaging/formatting-message-text#escaping>).
//! `verbatim` keeps it from finding links and channels in plain text.

use serde_json::{Value, json};
use windlass_core::notice::Batch;

use super::MessageSource;
use super::words::{NAMED, headline, rest, sentence};

/// The body of the request.
pub fn message(batch: &Batch, origin: &MessageSource) -> Value {
    let headline = escaped(&headline(batch, origin));
    let foremost = batch.foremost(NAMED);
    let mut blocks = vec![section(&format!("*{headline}*"))];
    blocks.extend(foremost.iter().map(|notice| {
        let word = notice.kind.as_str();
        section(&format!("*{word}* {}", escaped(&sentence(notice))))
    }));
    blocks.extend(rest(batch, foremost.len()).map(|more| section(&more)));
    json!({
        // For where blocks cannot be shown, such as a phone's lock screen.
        "text": headline,
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "verbatim": true, "text": text}})
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
