//! CloudEvents 1.0 in the batched content mode of the HTTP binding, as JSON
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>).

use serde_json::{Value, json};
use windlass_core::notice::{Batch, Notice};

use super::{MessageSource, Request};

/// What `dataschema` says; docs/reference/notification.schema.json.
pub const DATA_SCHEMA: &str = "https://windlass.dev/schemas/notification/v1.json";

/// What the request says of its body.
const CONTENT_TYPE: &str = "application/cloudevents-batch+json; charset=utf-8";

/// How many events one request has. An event is about a KiB, and receivers refuse what is large.
const IN_A_REQUEST: usize = 100;

/// The notices of a batch, some of them in each request.
pub fn requests(batch: &Batch, origin: &MessageSource) -> Vec<Request> {
    let some = batch.notices.chunks(IN_A_REQUEST);
    some.map(|notices| Request {
        content_type: CONTENT_TYPE,
        body: Value::Array(notices.iter().map(|notice| event(notice, origin)).collect())
            .to_string()
            .into(),
        notifications: notices.len(),
    })
    .collect()
}

pub fn event(notice: &Notice, origin: &MessageSource) -> Value {
    let Notice {
        id,
        kind: occasion,
        workload,
        uid,
        state,
        reason,
        note,
        at,
    } = notice;
    let row = workload.kind.row();
    let (root, api_version) = match row.group {
        "" => ("api", row.version.to_owned()),
        group => ("apis", format!("{group}/{}", row.version)),
    };
    let (namespace, name) = (workload.namespace.as_str(), workload.name.as_str());
    let mut data = json!({
        "apiVersion": api_version,
        "kind": row.kind,
        "namespace": namespace,
        "name": name,
        "uid": uid.to_string(),
        "occasion": occasion.as_str(),
        "state": state.as_str(),
        "reason": reason.as_str(),
        "message": note,
        "installation": origin.installation,
    });
    if let (Some(cluster), Some(data)) = (&origin.cluster, data.as_object_mut()) {
        data.insert("cluster".to_owned(), json!(cluster));
    }
    json!({
        "specversion": "1.0",
        "id": id,
        "source": source(origin),
        "type": format!("dev.windlass.workload.{}", occasion.as_str().to_lowercase()),
        "subject": format!("/{root}/{api_version}/namespaces/{namespace}/{}/{name}", row.plural),
        "time": format!("{at:.3}"),
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
        "data": data,
    })
}

/// One for each installation: ids are compared within it.
fn source(origin: &MessageSource) -> String {
    let MessageSource { installation, cluster } = origin;
    let cluster = cluster
        .as_ref()
        .map(|name| format!("/clusters/{name}"))
        .unwrap_or_default();
    format!("{cluster}/windlass/{installation}")
}
