use serde_json::json;

use super::*;
use crate::k8s::mock::{Answer, Api};

const LIST: &str = "GET /apis/apps/v1/controllerrevisions?&limit=100";

fn revision(owner: &str, observed: &str, data: &Value) -> Value {
    json!({
        "metadata": {
            "name": owner, "uid": owner, "annotations": { "windlass.dev/observed": observed },
            "ownerReferences": [{ "uid": owner, "controller": true }],
        },
        "data": data, "revision": 1,
    })
}

#[tokio::test]
async fn revisions_of_others_may_hold_anything() {
    let odd = [
        json!(null),
        json!("text"),
        json!(["a", 1]),
        json!({ "spec": 7 }),
        json!({ "spec": { "template": "text" } }),
        json!({ "spec": { "template": { "metadata": { "annotations": { "a": 1 } } } } }),
    ];
    let mut items: Vec<Value> = odd.iter().map(|data| revision("other", "x", data)).collect();
    items.push(revision("web", "baseline", &json!({ "spec": { "template": {} } })));
    items.push(revision("long", &"x".repeat(BASELINE_BYTES + 1), &Value::Null));
    let api = Api::expecting([(LIST, Answer::ok(json!({ "metadata": {}, "items": items })))]);
    let found = all_observed(
        &api.client(),
        History::ControllerRevisions,
        None,
        Duration::from_secs(5),
    )
    .await;
    let found = found.expect("a list");
    assert_eq!(found.get(&Uid::from("web")).map(|text| &**text), Some("baseline"));
    assert_eq!(found.get(&Uid::from("long")), None, "that is none of ours");
    api.finish().await;
}

#[test]
fn the_digest_of_a_revision_is_found() {
    let witness = |data: &Value| -> Option<Box<str>> {
        let kept: WireRevision = serde_json::from_value(revision("web", "x", data)).expect("it decodes");
        kept.revision(History::ControllerRevisions).witness
    };
    let template = |digest: &str| {
        json!({ "spec": { "template": { "metadata": {
            "creationTimestamp": null, "annotations": { "windlass.dev/config-digest": digest },
        } } } })
    };
    assert_eq!(witness(&template("k1.abc")).as_deref(), Some("k1.abc"));
    assert_eq!(witness(&template(&"x".repeat(WITNESS_BYTES + 1))), None);
}
