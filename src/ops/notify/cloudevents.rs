//! CloudEvents 1.0 in the batched content mode of the HTTP binding, as JSON
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>).

use serde_json::{Value, json};
use windlass_core::notice::Notice;

use super::MessageSource;

/// What `dataschema` says; docs/reference/notification.schema.json.
pub const DATA_SCHEMA: &str = "https://windlass.dev/schemas/notification/v1.json";

/// What the request says of its body.
pub const CONTENT_TYPE: &str = "application/cloudevents-batch+json; charset=utf-8";

/// How many events one request has. An event is about a KiB, and receivers refuse what is large.
pub const IN_A_REQUEST: usize = 100;

/// One event.
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
