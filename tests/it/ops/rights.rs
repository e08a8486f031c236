//! What the API server does not allow is said, and not asked for again and again.

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    apps::v1::Deployment,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{
    CONFIG_DIGEST, Test,
    audit::Request,
    await_condition,
    build::{deployment, env},
    by,
    cluster::LIMITED_USER,
    from, tests,
};

tests! {
    without_the_right_to_list_it_says_so_and_is_not_ready: embedded;
    without_the_right_to_patch_it_says_so_and_does_not_insist: embedded;
    a_patch_that_is_refused_is_reported_and_not_repeated: embedded;
    one_whose_pods_cannot_be_read_gives_its_slot_back: embedded;
}

/// Everything but writing to workloads.
const READ: &str = r#"[
    {"apiGroups": [""], "resources": ["configmaps", "secrets", "pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["statefulsets", "daemonsets"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["windlass.dev"], "resources": ["rolloutpolicies"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["replicasets", "controllerrevisions"], "verbs": ["get", "list"]},
    {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch", "update"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "update", "patch"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update", "patch"]}
]"#;

async fn grant(t: &Test, name: &str, rules: Value) {
    let role = json!({"metadata": {"name": name}, "rules": rules});
    let _: Role = t.create(role).await;
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": LIMITED_USER}]
    });
    let _: RoleBinding = t.create(binding).await;
}

fn own_lease(t: &Test) -> Vec<String> {
    vec!["--lease-namespace".to_owned(), t.namespace.clone()]
}

async fn without_the_right_to_list_it_says_so_and_is_not_ready(t: &Test) {
    let limited = t.cluster.limited.clone().expect("only run in a cluster of ours");
    let controller = t.installation(limited, own_lease(t)).await;

    await_condition("the log to name the missing right", async || {
        let log = controller.log().to_lowercase();
        anyhow::ensure!(log.contains("forbidden"), "not a word of it");
        anyhow::ensure!(
            log.contains("secrets") || log.contains("configmaps"),
            "it does not say on what"
        );
        Ok(())
    })
    .await;
    assert!(!controller.ready().await);
    await_condition("the errors to be counted", async || {
        let errors = controller
            .metric("windlass_errors_total", &[("reason", "Forbidden")])
            .await?;
        anyhow::ensure!(errors > 0.5, "they are not");
        Ok(())
    })
    .await;

    // All but one: the list of Deployments is still missing.
    let mut rules: Vec<Value> = serde_json::from_str(READ).expect("JSON");
    let deployments = rules.remove(1);
    grant(t, "read", json!(rules)).await;
    await_condition("the log to name the right that is still missing", async || {
        let log = controller.log();
        let named = log.lines().any(|line| {
            let line = line.to_lowercase();
            line.contains("forbidden")
                && line.contains("deployments")
                && (line.contains("list") || line.contains("watch"))
        });
        anyhow::ensure!(named, "it does not");
        Ok(())
    })
    .await;
    assert!(!controller.ready().await);

    grant(t, "deployments", json!([deployments])).await;
    controller.await_ready().await;
    controller.stop().await;
}

async fn without_the_right_to_patch_it_says_so_and_does_not_insist(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
    t.stop().await;
    grant(t, "read", serde_json::from_str(READ).expect("JSON")).await;

    let audit = t.audit(LIMITED_USER);
    let limited = t.cluster.limited.clone().expect("only run in a cluster of ours");
    let controller = t.installation(limited, own_lease(t)).await;
    controller.await_ready().await;
    t.config("web", &[("level", "B")]).await;

    let message = t.event("web", "Forbidden").await;
    assert!(
        message.starts_with("The API server does not allow the write")
            && message.contains("patch")
            && message.contains("deployments"),
        "{message}"
    );
    // Nothing to wait for: what must not come would come within seconds.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let patches = patches_of_web(&audit.requests());
    assert!((1..=3).contains(&patches.len()), "{patches:?}");

    let patch = json!([{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}]);
    grant(t, "patch", patch).await;
    t.config("web", &[("level", "C")]).await;
    t.await_template_changes("web", 1).await;
    t.complete("web").await;
    controller.stop().await;
    assert_eq!(t.template_changes("web").await, 1);
}

async fn one_whose_pods_cannot_be_read_gives_its_slot_back(t: &Test) {
    let all = ["first", "second", "third"];
    for name in all {
        t.config(name, &[("level", "A")]).await;
        let workload = deployment(name).uses(env(name, "level"));
        // Its rollout holds the only slot for as long as the test wants.
        let by_hand = name == "first";
        t.deploy(if by_hand {
            workload.made_ready_by_hand()
        } else {
            workload
        })
        .await;
        if by_hand {
            t.complete_by_hand(name).await;
        }
    }
    let mut rules: Vec<Value> = serde_json::from_str(READ).expect("JSON");
    rules[0]["resources"] = json!(["configmaps", "secrets"]);
    rules.push(json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}));
    grant(t, "all-but-pods", json!(rules)).await;
    let limited = t.cluster.limited.clone().expect("only run in a cluster of ours");
    let flags = ["--max-parallel", "1"].map(str::to_owned).into_iter();
    let controller = t.installation(limited, flags.chain(own_lease(t)).collect()).await;
    controller.await_ready().await;
    for name in all {
        t.adopted(name).await;
    }

    t.config("first", &[("level", "B")]).await;
    t.await_template_changes("first", 1).await;
    t.config("second", &[("level", "B")]).await;
    controller
        .await_metric("windlass_workloads_held", &[("reason", "Budget")], 1)
        .await;
    // Whether a pod was started in between, only the pods can tell.
    t.config("second", &[("level", "A")]).await;
    await_condition("the pods to be asked for in vain", async || {
        let refused = controller
            .metric("windlass_api_requests_total", &[("resource", "pods"), ("code", "403")])
            .await?;
        anyhow::ensure!(refused > 0.5, "they are not");
        Ok(())
    })
    .await;

    t.complete_by_hand("first").await;
    t.config("third", &[("level", "B")]).await;
    t.await_template_changes("third", 1).await;
    controller.stop().await;
}

fn patches_of_web(requests: &[Request]) -> Vec<Request> {
    let of_web = |it: &&Request| it.verb == "patch" && it.resource == "deployments" && it.name == "web";
    requests.iter().filter(of_web).cloned().collect()
}

async fn a_patch_that_is_refused_is_reported_and_not_repeated(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
    refuse_restarts_of_web(t).await;
    let audit = t.audit("windlass");

    t.config("web", &[("level", "B")]).await;
    let message = t.event("web", "Rejected").await;
    assert!(
        message.contains("no restarts today"),
        "the policy's own words: {message}"
    );
    t.everything_before_is_done().await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let patches = patches_of_web(&audit.requests());
    assert!((1..=2).contains(&patches.len()), "{patches:?}");
    assert_eq!(t.template_changes("web").await, 0);

    allow_restarts_of_web(t).await;
    t.config("web", &[("level", "C")]).await;
    t.rolls("web", 1).await;
}

/// Refused with 422, as a policy does that states no other reason.
async fn refuse_restarts_of_web(t: &Test) {
    let name = &t.namespace;
    let policy = json!({
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "resourceRules": [{
                    "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"],
                    "resources": ["deployments"], "resourceNames": ["web"]
                }]
            },
            "validations": [{
                "expression": format!("!('{CONFIG_DIGEST}' in object.spec.template.metadata.?annotations.orValue({{}}))"),
                "message": "no restarts today"
            }]
        }
    });
    let binding = json!({
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]}
    });
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(t.client.clone());
    policies
        .create(&PostParams::default(), &from(policy))
        .await
        .expect("a valid policy");
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(t.client.clone());
    bindings
        .create(&PostParams::default(), &from(binding))
        .await
        .expect("a valid binding");
    await_condition("the policy to be in force", async || {
        anyhow::ensure!(try_restart(t).await.is_err(), "it is not");
        Ok(())
    })
    .await;
}

async fn allow_restarts_of_web(t: &Test) {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(t.client.clone());
    bindings
        .delete(&t.namespace, &DeleteParams::default())
        .await
        .expect("it was there");
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(t.client.clone());
    policies
        .delete(&t.namespace, &DeleteParams::default())
        .await
        .expect("it was there");
    await_condition("the policy to be gone", async || Ok(try_restart(t).await?)).await;
}

/// What the controller would do, without doing it.
async fn try_restart(t: &Test) -> kube::Result<()> {
    let annotations = json!({"annotations": {CONFIG_DIGEST: "a-try"}});
    let patch = Patch::Merge(json!({"spec": {"template": {"metadata": annotations}}}));
    let parameters = PatchParams {
        dry_run: true,
        ..by("test").patch()
    };
    t.api::<Deployment>().patch("web", &parameters, &patch).await.map(drop)
}
