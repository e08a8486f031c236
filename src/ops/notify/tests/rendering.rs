use std::collections::BTreeSet;

use serde_json::{Value, json};
use windlass_core::notice::NOTE_BYTES;
use windlass_core::reason::{Reason, State};

use super::*;

/// What somebody might like to have in a channel: mentions, links, markup, another message.
const EVIL: &str = "<!channel> <@U123> <https://evil.example.org|click> [click](https://evil.example.org) \
                    <at>all</at> @here *bold* `code` & \"}]\n\nWindlass: 0 held\u{202e}";

fn messages(batch: &Batch) -> [Value; 2] {
    [slack::message(batch, &origin()), teams::message(batch, &origin())]
}

/// All texts in a value, without those that say what something is.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(text) if name == "text" => vec![text.clone()],
                Value::String(_) => Vec::new(),
                other => texts(other),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn an_event_has_every_attribute_that_the_specification_wants() {
    let batch = trouble(&[("shop", "web", "a required source is missing: ConfigMap web")]);
    let event = cloudevents::event(&as_restarted(&batch, DEPLOYMENT), &origin());
    let expected = json!({
        "specversion": "1.0",
        "id": "0123",
        "source": "/clusters/prod/windlass/windlass-system/windlass",
        "type": "dev.windlass.workload.restarted",
        "subject": "/apis/apps/v1/namespaces/shop/deployments/web",
        "time": "2026-11-21T10:00:00.123Z",
        "datacontenttype": "application/json",
        "dataschema": "https://windlass.dev/schemas/notification/v1.json",
        "data": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "namespace": "shop",
            "name": "web",
            "uid": "uid",
            "occasion": "Restarted",
            "state": "Held",
            "reason": "SourceMissing",
            "message": "a required source is missing: ConfigMap web",
            "installation": "windlass-system/windlass",
            "cluster": "prod",
        },
    });
    assert_eq!(event, expected);
}

#[test]
fn a_kind_of_the_core_group_has_the_path_of_that() {
    let kind = KindId::described("", "v1", "Thing", "things", &["spec".to_owned()]);
    let batch = trouble(&[("shop", "web", "")]);
    let event = cloudevents::event(&as_restarted(&batch, kind), &origin());
    assert_eq!(event["subject"], "/api/v1/namespaces/shop/things/web");
    assert_eq!(event["data"]["apiVersion"], "v1");
}

#[test]
fn without_a_cluster_name_an_event_has_none() {
    let nameless = MessageSource {
        cluster: None,
        ..origin()
    };
    let batch = trouble(&[("shop", "web", "")]);
    let event = cloudevents::event(notice(&batch), &nameless);
    assert_eq!(event["source"], "/windlass/windlass-system/windlass");
    assert!(event["data"].get("cluster").is_none(), "{event}");
}

#[test]
fn the_schema_of_the_data_is_what_is_sent() {
    let text = include_str!("../../../../docs/reference/notification.schema.json");
    let schema: Value = serde_json::from_str(text).expect("it is JSON");
    assert_eq!(schema["$id"], DATA_SCHEMA);
    assert_eq!(schema["additionalProperties"], true, "later ones may say more");
    let batch = trouble(&[("shop", "web", "")]);
    let event = cloudevents::event(notice(&batch), &origin());
    let names = |value: &Value| -> BTreeSet<String> {
        let fields = value.as_object().expect("an object");
        fields.keys().cloned().collect()
    };
    let properties = names(&schema["properties"]);
    assert_eq!(properties, names(&event["data"]));
    let mut required: BTreeSet<String> = serde_json::from_value(schema["required"].clone()).expect("names");
    required.insert("cluster".to_owned());
    assert_eq!(required, properties);
    let words = |property: &str| -> Vec<String> {
        serde_json::from_value(schema["properties"][property]["enum"].clone()).expect("words")
    };
    assert_eq!(words("occasion"), NoticeKind::ALL.map(|it| it.as_str().to_owned()));
    assert_eq!(words("state"), State::ALL.map(State::as_str));
    assert_eq!(words("reason"), Reason::ALL.map(Reason::as_str));
}

#[test]
fn slack_is_told_in_blocks() {
    let batch = trouble(&[("shop", "web", "a required source is missing: ConfigMap web")]);
    let section = |text: &str| json!({"type": "section", "text": {"type": "mrkdwn", "verbatim": true, "text": text}});
    let expected = json!({
        "text": "Windlass (prod): 1 held",
        "blocks": [
            section("*Windlass (prod): 1 held*"),
            section("*Held* Deployment shop/web: a required source is missing: ConfigMap web"),
        ],
        "unfurl_links": false,
        "unfurl_media": false,
    });
    assert_eq!(slack::message(&batch, &origin()), expected);
}

#[test]
fn teams_are_told_by_a_card() {
    let batch = trouble(&[("shop", "web", "a required source is missing: ConfigMap web")]);
    let expected = json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": [
                    {"type": "RichTextBlock", "inlines": [
                        {"type": "TextRun", "text": "Windlass (prod): 1 held", "weight": "Bolder"},
                    ]},
                    {"type": "RichTextBlock", "inlines": [
                        {"type": "TextRun", "text": "Held", "weight": "Bolder"},
                        {"type": "TextRun", "text": " Deployment shop/web: a required source is missing: ConfigMap web"},
                    ]},
                ],
            },
        }],
    });
    assert_eq!(teams::message(&batch, &origin()), expected);
}

#[test]
fn nothing_that_slack_acts_upon_comes_from_the_cluster() {
    let batch = trouble(&[("shop", "web", EVIL)]);
    let message = slack::message(&batch, &origin());
    for text in texts(&message) {
        assert!(!text.contains(['<', '>', '\n', '\u{202e}']), "{text}");
        let left = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
        assert!(!left.contains('&'), "{text}");
    }
    assert_eq!(message["text"], "Windlass (prod): 1 held", "what a phone shows is ours");
    for block in message["blocks"].as_array().expect("blocks") {
        assert_eq!(block["text"]["verbatim"], true, "{block}");
    }
}

#[test]
fn nothing_that_teams_acts_upon_comes_from_the_cluster() {
    let batch = trouble(&[("shop", "web", EVIL)]);
    let message = teams::message(&batch, &origin());
    let content = &message["attachments"][0]["content"];
    assert!(content["msteams"].get("entities").is_none(), "nobody can be mentioned");
    for block in content["body"].as_array().expect("a body") {
        assert_eq!(block["type"], "RichTextBlock", "knows no Markdown");
        for inline in block["inlines"].as_array().expect("inlines") {
            assert_eq!(inline["type"], "TextRun", "knows no Markdown");
            assert!(inline.get("selectAction").is_none(), "{inline}");
            let text = inline["text"].as_str().expect("text");
            assert!(!text.contains(['\n', '\u{202e}']), "{text}");
        }
    }
}

#[test]
fn a_message_names_twenty_and_counts_the_rest() {
    let names: Vec<String> = (0..30).map(|number| format!("web-{number:02}")).collect();
    let of: Vec<(&str, &str, &str)> = names.iter().map(|name| ("shop", name.as_str(), "why")).collect();
    for message in messages(&trouble(&of)) {
        let text = texts(&message).join("\n");
        assert_eq!(text.matches("shop/web-").count(), 20, "{text}");
        assert!(text.contains("30 held") && text.contains("and 10 more"), "{text}");
    }
}

#[test]
fn the_largest_message_is_one_that_receivers_take() {
    let long = "n".repeat(253);
    let names: Vec<String> = (0..30).map(|number| format!("{long}{number:02}")).collect();
    for filler in ["&", "\"", "ä", "\u{1f600}"] {
        let note = filler.repeat(NOTE_BYTES);
        let of: Vec<(&str, &str, &str)> = names.iter().map(|name| (&long[..63], name.as_str(), &*note)).collect();
        let batch = trouble(&of);
        let card = teams::message(&batch, &origin()).to_string();
        assert!(card.len() <= 28 * 1024, "{} bytes of {filler}", card.len());
        let blocks = slack::message(&batch, &origin());
        assert!(blocks["blocks"].as_array().expect("blocks").len() <= 50);
        for text in texts(&blocks) {
            assert!(
                text.chars().count() <= 3000,
                "{} characters of {filler}",
                text.chars().count()
            );
        }
    }
}
