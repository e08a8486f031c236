//! Removing a key leaves no time in `managedFields`: the API server moves a manager's time only for
//! fields that it takes. Whatever the way of writing, a pod that has read the key is found.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{ResourceExt, api::Patch};
use serde_json::{Value, json};

use crate::support::{
    Test, Workload,
    build::{deployment, env_from, volume},
    by, next_second, tests, value,
};

tests! {
    a_key_removed_after_a_restart_is_one_more_rollout: live, down, crashed, paused, down_paged;
    a_key_removed_after_a_change_and_a_restart_is_one_more_rollout: down;
    a_key_added_and_removed_with_a_pod_started_in_between_is_one_rollout: live, down, paused;
    a_key_added_and_removed_with_no_pod_started_is_none: live, down, paused;
    a_label_by_somebody_else_with_a_pod_started_is_none: live, down, paused;
    an_upgrade_that_adds_a_key_is_one_rollout: live, down, paused;
}

/// How a key of a `ConfigMap` is removed.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// `kubectl patch --type=json`.
    JsonPatch,
    /// `kubectl patch --type=merge`, with null.
    MergePatch,
    /// `kubectl replace`, `kubectl edit` of old, client-go's Update.
    Replace,
    /// `kubectl apply --server-side` by the owner, without the key.
    Apply,
}

const WAYS: [Way; 4] = [Way::JsonPatch, Way::MergePatch, Way::Replace, Way::Apply];

impl Way {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    async fn remove(self, t: &Test, config: &str, key: &str, left: &[(&str, &str)]) {
        let configs = t.api::<ConfigMap>();
        match self {
            Self::JsonPatch => {
                let patch = json!([{"op": "remove", "path": format!("/data/{key}")}]);
                kubectl_patch(t, config, "json", &patch).await;
            }
            Self::MergePatch => kubectl_patch(t, config, "merge", &json!({"data": {key: null}})).await,
            Self::Replace => {
                let mut object = configs.get(config).await.expect("it is there");
                object.data.as_mut().and_then(|data| data.remove(key));
                let replaced = configs.replace(config, &by("editor").post(), &object).await;
                replaced.expect("the API server accepts it");
            }
            Self::Apply => t.config(config, left).await,
        }
        let data = configs.get(config).await.expect("it is there").data.unwrap_or_default();
        assert!(!data.contains_key(key), "{key} is gone");
    }
}

async fn kubectl_patch(t: &Test, config: &str, of_type: &str, patch: &Value) {
    let (of_type, patch) = (format!("--type={of_type}"), format!("--patch={patch}"));
    t.cluster
        .kubectl(&[
            "--namespace",
            &t.namespace,
            "patch",
            "configmap",
            config,
            &of_type,
            &patch,
        ])
        .await;
}

const BOTH: &[(&str, &str)] = &[("A", "1"), ("B", "1")];

/// One `ConfigMap` and one Deployment that uses all of it for each way of writing.
async fn one_for_each_way(t: &Test, flags: &[&str]) {
    for way in WAYS {
        t.config(&way.name(), BOTH).await;
        t.deploy(uses_all(way)).await;
    }
    t.start_and_adopt(flags).await;
}

fn uses_all(way: Way) -> Workload {
    let name = way.name();
    match way {
        // What is mounted is fixed no less where a change is to be a restart.
        Way::MergePatch => deployment(&name).uses(volume(&name)),
        Way::JsonPatch | Way::Replace | Way::Apply => deployment(&name).uses(env_from(&name)),
    }
}

async fn restart_all(t: &Test) {
    for way in WAYS {
        t.rollout_restart(&way.name()).await;
    }
    for way in WAYS {
        t.complete(&way.name()).await;
    }
    next_second().await;
}

async fn a_key_removed_after_a_restart_is_one_more_rollout(t: &Test) {
    one_for_each_way(t, &[]).await;
    next_second().await;

    t.meanwhile(async {
        restart_all(t).await;
        for way in WAYS {
            way.remove(t, &way.name(), "B", &[("A", "1")]).await;
        }
    })
    .await;

    for way in WAYS {
        t.rolls(&way.name(), 2).await;
    }
}

async fn a_key_removed_after_a_change_and_a_restart_is_one_more_rollout(t: &Test) {
    one_for_each_way(t, &[]).await;

    t.meanwhile(async {
        for way in WAYS {
            t.config(&way.name(), &[("A", "2"), ("B", "1")]).await;
        }
        next_second().await;
        restart_all(t).await;
        for way in WAYS {
            way.remove(t, &way.name(), "B", &[("A", "2")]).await;
        }
    })
    .await;

    for way in WAYS {
        t.rolls(&way.name(), 2).await;
    }
}

/// Long enough for the steps of these scenarios, so that no restart comes in between.
const LONG_SETTLE: &[&str] = &["--settle", "30s"];

/// Adds a key that nobody else owns.
async fn add(t: &Test, config: &str, key: &str) {
    let patch = Patch::Merge(json!({"data": {key: value("1")}}));
    let added = t
        .api::<ConfigMap>()
        .patch(config, &by("somebody").patch(), &patch)
        .await;
    added.expect("the API server accepts the patch");
}

async fn a_key_added_and_removed_with_a_pod_started_in_between_is_one_rollout(t: &Test) {
    t.config("app", BOTH).await;
    t.deploy(deployment("app").uses(env_from("app"))).await;
    t.start_and_adopt(LONG_SETTLE).await;

    t.meanwhile(async {
        add(t, "app", "C").await;
        next_second().await;
        t.replace_pods("app").await;
        next_second().await;
        Way::JsonPatch.remove(t, "app", "C", BOTH).await;
    })
    .await;

    t.rolls("app", 1).await;
}

async fn a_key_added_and_removed_with_no_pod_started_is_none(t: &Test) {
    t.config("app", BOTH).await;
    t.deploy(deployment("app").uses(env_from("app"))).await;
    t.start_and_adopt(LONG_SETTLE).await;
    next_second().await;

    t.meanwhile(async {
        add(t, "app", "C").await;
        next_second().await;
        Way::JsonPatch.remove(t, "app", "C", BOTH).await;
    })
    .await;

    t.rolls("app", 0).await;
}

async fn a_label_by_somebody_else_with_a_pod_started_is_none(t: &Test) {
    t.config("app", BOTH).await;
    t.deploy(deployment("app").uses(env_from("app"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"team": "shop"}}}));
        let configs = t.api::<ConfigMap>();
        let labelled = configs.patch("app", &by("kubectl-label").patch(), &patch).await;
        assert!(
            labelled
                .expect("the API server accepts it")
                .labels()
                .contains_key("team")
        );
        next_second().await;
        t.replace_pods("app").await;
    })
    .await;

    t.rolls("app", 0).await;
}

async fn an_upgrade_that_adds_a_key_is_one_rollout(t: &Test) {
    t.config("app", BOTH).await;
    t.deploy(deployment("app").uses(env_from("app"))).await;
    t.start_and_adopt(LONG_SETTLE).await;

    t.meanwhile(async {
        t.config("app", &[("A", "1"), ("B", "2"), ("C", "2")]).await;
        next_second().await;
        t.upgrade("app", "2").await;
        t.complete("app").await;
    })
    .await;

    t.rolls("app", 1).await;
}
