use serde_json::json;
use windlass_core::workload::opt_in::AnnotationOptions;

use super::*;
use crate::fixtures;
use crate::index::{Index, IndexSettings, Observation, WatchedKind};
use crate::k8s::mock::{Answer, Api};
use crate::k8s::wire::WatchedWorkload;

const LIST: &str = "GET /apis/apps/v1/replicasets?&limit=100";

/// Knows a Deployment `web` without a baseline.
fn reader(api: &Api) -> Reader {
    let mut index = Index::new(IndexSettings::default());
    let watch = index.add_watch(WatchedKind::Workloads(DEPLOYMENT), None, None);
    let object = json!({
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 1,
            "annotations": { "windlass.dev/enabled": "true", "deployment.kubernetes.io/revision": "1" },
        },
        "spec": { "template": {} },
    });
    let object: WatchedWorkload = serde_json::from_str(&object.to_string()).expect("it decodes");
    index.apply_workload(
        watch,
        object.workload(DEPLOYMENT, AnnotationOptions::default()),
        Observation::Listed,
        jiff::Timestamp::now(),
    );
    fixtures::reader(index, api.client())
}

fn revisions_searched(reader: &Reader) -> bool {
    let index = reader.index();
    index.workloads().all(|(_, entry)| entry.revisions_searched())
}

#[tokio::test(start_paused = true)]
async fn a_list_of_revisions_that_makes_no_sense_is_not_waited_for() {
    for (code, body) in [(200, json!({ "items": 7 })), (403, json!({ "message": "no right" }))] {
        let api = Api::expecting([(LIST, Answer { code, body })]);
        let reader = reader(&api);
        recover(&reader, &[]).await;
        assert!(!revisions_searched(&reader), "it asks for itself");
        drop(reader);
        api.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_is_waited_for() {
    let away = Answer {
        code: 503,
        body: json!({ "message": "etcd leader changed" }),
    };
    let list = Answer::ok(json!({ "metadata": {}, "items": [] }));
    let api = Api::expecting([(LIST, away), (LIST, list)]);
    let reader = reader(&api);
    recover(&reader, &[]).await;
    assert!(revisions_searched(&reader));
    drop(reader);
    api.finish().await;
}
