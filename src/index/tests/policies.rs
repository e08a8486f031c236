//! Policies that cannot be read: whom they hold, and whom they opt in.

use windlass_core::policy::effective_policy::PolicyProblem;

use super::*;
use crate::k8s::wire::WatchedPolicy;

/// As a later version may write it: nobody here knows that strategy.
const UNKNOWN: &str = "Reload";

fn fed() -> Fed {
    let mut fed = Fed::new();
    fed.index.serve_policies();
    fed
}

/// Gives whether workloads have to be listed anew.
fn apply(fed: &mut Fed, namespace: Option<&str>, name: &str, spec: &Value) -> bool {
    let object = json!({
        "metadata": { "name": name, "namespace": namespace, "uid": name, "resourceVersion": "3", "generation": 1 },
        "spec": spec,
    });
    let policy: WatchedPolicy = serde_json::from_str(&object.to_string()).expect("it decodes");
    fed.index.apply_policy(policy.policy(), policy.metadata()).relist
}

/// With a label of its own name, and opted in by itself or not.
fn see(fed: &mut Fed, name: &str, asks: bool) {
    let annotations = if asks {
        json!({ "windlass.dev/enabled": "true" })
    } else {
        json!({})
    };
    let object = json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "resourceVersion": "10",
            "labels": { "app": name }, "annotations": annotations,
        },
        "spec": { "template": { "spec": { "containers": [env("app", "one")] } } },
    });
    let workload = serde_json::from_str::<WatchedWorkload>(&object.to_string())
        .expect("it decodes")
        .workload(DEPLOYMENT, AnnotationOptions::default());
    fed.workload(workload);
}

#[derive(Debug, PartialEq)]
enum Stands {
    NotOptedIn,
    Free,
    HeldBy(String),
}

fn stands(fed: &Fed, name: &str) -> Stands {
    let Some(entry) = fed.index.workload(&reference(name)) else {
        return Stands::NotOptedIn;
    };
    match entry.effective_policy().and_then(|policy| policy.problem.as_ref()) {
        None => Stands::Free,
        Some(PolicyProblem::Missing(policy) | PolicyProblem::Invalid(policy, _)) => Stands::HeldBy(policy.to_string()),
    }
}

fn held_by(policy: &str) -> Stands {
    Stands::HeldBy(policy.to_owned())
}

#[test]
fn one_whose_selection_cannot_be_read_holds_who_asks_and_opts_in_nobody() {
    for workloads in [json!({}), json!({ "selector": { "matchLabels": 5 } }), json!("all")] {
        let mut fed = fed();
        assert!(!apply(
            &mut fed,
            Some("shop"),
            "own",
            &json!({ "workloads": workloads })
        ));
        see(&mut fed, "asks", true);
        see(&mut fed, "web", false);
        assert_eq!(stands(&fed, "asks"), held_by("RolloutPolicy shop/own"), "{workloads}");
        assert_eq!(stands(&fed, "web"), Stands::NotOptedIn, "{workloads}");
    }
}

#[test]
fn one_whose_selection_alone_can_be_read_opts_in_that_and_holds_it() {
    let mut fed = fed();
    let spec = json!({ "workloads": { "selector": { "matchLabels": { "app": "web" } } }, "strategy": UNKNOWN });
    assert!(apply(&mut fed, Some("shop"), "own", &spec));
    for (name, asks) in [("web", false), ("db", false), ("asks", true)] {
        see(&mut fed, name, asks);
    }
    assert_eq!(stands(&fed, "web"), held_by("RolloutPolicy shop/own"));
    assert_eq!(stands(&fed, "db"), Stands::NotOptedIn);
    assert_eq!(stands(&fed, "asks"), Stands::Free, "it is not selected");
}

#[test]
fn one_that_selects_nobody_opts_in_nobody_however_little_else_can_be_read() {
    let mut fed = fed();
    apply(&mut fed, Some("shop"), "own", &json!({ "strategy": UNKNOWN }));
    see(&mut fed, "asks", true);
    see(&mut fed, "web", false);
    assert_eq!(stands(&fed, "asks"), Stands::Free);
    assert_eq!(stands(&fed, "web"), Stands::NotOptedIn);
}

#[test]
fn whom_another_policy_opts_in_is_held_by_one_that_cannot_be_read() {
    let mut fed = fed();
    apply(
        &mut fed,
        None,
        "all",
        &json!({ "workloads": { "selector": {} }, "strategy": "Restart" }),
    );
    see(&mut fed, "web", false);
    assert_eq!(stands(&fed, "web"), Stands::Free);
    apply(&mut fed, Some("shop"), "own", &json!({ "workloads": {} }));
    assert_eq!(
        stands(&fed, "web"),
        held_by("RolloutPolicy shop/own"),
        "nothing looser takes its place"
    );
}

#[test]
fn once_it_can_be_read_workloads_are_listed_anew() {
    let mut fed = fed();
    let selecting = json!({ "workloads": { "selector": {} } });
    let garbled = json!({ "workloads": {} });
    assert!(apply(&mut fed, Some("shop"), "own", &selecting));
    see(&mut fed, "web", false);
    assert_eq!(stands(&fed, "web"), Stands::Free);
    assert!(!apply(&mut fed, Some("shop"), "own", &garbled));
    assert_eq!(stands(&fed, "web"), Stands::NotOptedIn, "it may be meant no longer");
    assert!(apply(&mut fed, Some("shop"), "own", &selecting));
}

#[test]
fn one_of_the_cluster_that_cannot_be_read_opts_in_nobody() {
    let mut fed = fed();
    for spec in [
        json!({ "workloads": {}, "strategy": "Restart" }),
        json!({ "workloads": { "selector": {} }, "strategy": UNKNOWN }),
    ] {
        assert!(!apply(&mut fed, None, "all", &spec), "{spec}");
        see(&mut fed, "asks", true);
        see(&mut fed, "web", false);
        assert_eq!(stands(&fed, "asks"), held_by("ClusterRolloutPolicy all"), "{spec}");
        assert_eq!(stands(&fed, "web"), Stands::NotOptedIn, "{spec}");
    }
}
