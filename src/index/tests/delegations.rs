//! Argo Rollouts that run the template of a Deployment.

use windlass_core::workload::kind::{KindId, RolloutProgress};

use super::*;
use crate::k8s::wire::Role;

fn rollout(version: u64, opted_in: bool, target: &str, phase: &str) -> Role {
    let annotations = if opted_in {
        json!({ "windlass.dev/enabled": "true" })
    } else {
        json!({})
    };
    let object = json!({
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "r", "resourceVersion": version.to_string(),
            "generation": 1, "annotations": annotations,
        },
        "spec": { "workloadRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": target } },
        "status": { "phase": phase, "observedGeneration": "1" },
    });
    let kind = KindId::named("Rollout").expect("it is built in");
    serde_json::from_str::<WatchedWorkload>(&object.to_string())
        .expect("it decodes")
        .role(kind, AnnotationOptions::default())
}

fn by() -> WorkloadRef {
    WorkloadRef {
        kind: KindId::named("Rollout").expect("it is built in"),
        ..reference("web")
    }
}

impl Fed {
    fn rollout(&mut self, role: Role) -> Option<WorkloadRef> {
        let Role::Delegation(delegation) = role else {
            panic!("it has a workloadRef")
        };
        self.index.apply_delegation(self.workloads, *delegation)
    }
}

fn template(name: &str, annotations: Value) -> Workload {
    deployment(name, "d", 6, annotations, env("web", "a"))
}

#[test]
fn the_one_with_the_template_is_asked_for_and_stands_for_both() {
    let mut fed = Fed::new();
    assert!(!fed.workload(template("base", json!({}))), "it asks for nothing");
    assert_eq!(fed.rollout(rollout(7, true, "base", "Healthy")), None);
    assert_eq!(
        fed.index.take_fetch_requests(),
        [FetchRequest::Workload(reference("base"))]
    );
    assert!(fed.workload(template("base", json!({}))), "the Rollout asks for it");
    let entry = fed.entry("base");
    assert_eq!(entry.workload().rollout_status.progress, RolloutProgress::Complete);
    assert_eq!(entry.workload().delegate().map(|it| it.reference.clone()), Some(by()));
    assert_eq!(fed.index.workloads().count(), 1);
}

#[test]
fn how_far_it_has_come_is_what_the_rollout_says() {
    let mut fed = Fed::new();
    fed.rollout(rollout(5, false, "base", "Healthy"));
    assert_eq!(fed.index.take_fetch_requests(), [], "nobody asks for anything");
    fed.workload(template("base", Value::Null));
    assert_eq!(fed.rollout(rollout(7, false, "base", "Healthy")), None, "as before");
    let effect = fed.rollout(rollout(8, false, "base", "Degraded"));
    assert_eq!(effect, Some(reference("base")));
    assert_eq!(
        fed.entry("base").workload().rollout_status.progress,
        RolloutProgress::Failed
    );
    let (whose, uid) = fed.index.runs_pods_of(&reference("base"), &Uid::from("d"));
    assert_eq!((whose, uid), (by(), Uid::from("r")));
}

#[test]
fn when_the_rollout_goes_the_other_is_read_anew() {
    let mut fed = Fed::new();
    fed.rollout(rollout(5, true, "base", "Healthy"));
    fed.workload(template("base", json!({})));
    fed.index.take_fetch_requests();
    fed.index.forget(&by());
    assert_eq!(fed.index.workloads().count(), 0);
    assert_eq!(
        fed.index.take_fetch_requests(),
        [FetchRequest::Workload(reference("base"))]
    );
    assert!(!fed.workload(template("base", json!({}))), "it asks for nothing itself");
}

#[test]
fn it_may_come_to_name_another_one() {
    let mut fed = Fed::new();
    fed.rollout(rollout(5, true, "base", "Healthy"));
    fed.workload(template("base", json!({})));
    fed.rollout(rollout(7, true, "other", "Healthy"));
    assert!(fed.index.workload(&reference("base")).is_none());
    assert!(fed.workload(template("other", json!({}))));
}
