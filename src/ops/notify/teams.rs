//! A message for a webhook of a Teams workflow: an Adaptive Card.
//!
//! What comes from the cluster stands in `TextRun`s, which know no Markdown, unlike `TextBlock`s and facts: no
//! link can be made up there. A mention needs an entity of the card, and there is none.
//! <https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format>

use serde_json::{Value, json};
use windlass_core::notice::Batch;

use super::MessageSource;
use super::words::{NAMED, headline, rest, sentence};

/// The body of the request.
pub fn message(batch: &Batch, origin: &MessageSource) -> Value {
    let foremost = batch.foremost(NAMED);
    let mut body = vec![paragraph(&[bold(&headline(batch, origin))])];
    body.extend(foremost.iter().map(|notice| {
        let word = notice.kind.as_str();
        paragraph(&[bold(word), plain(&format!(" {}", sentence(notice)))])
    }));
    body.extend(rest(batch, foremost.len()).map(|more| paragraph(&[plain(&more)])));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": body,
            },
        }],
    })
}

fn paragraph(inlines: &[Value]) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn plain(text: &str) -> Value {
    json!({"type": "TextRun", "text": text})
}

fn bold(text: &str) -> Value {
    json!({"type": "TextRun", "text": text, "weight": "Bolder"})
}
