//! The rights that the chart gives: with them everything works and nothing is refused, each of them is
//! used, and without any one of them something is missing, and said to be.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::{
    apps::v1::Deployment,
    coordination::v1::Lease,
    core::v1::{ConfigMap, Pod, Secret},
    events::v1::Event,
};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::{Value, json};
use windlass::api::{ClusterRolloutPolicy, RolloutPolicy};

use super::scene::{LATE, Rendered, Right, Scene, custom_value, define};
use crate::support::{CONFIG_DIGEST, Test, await_condition, controller::Controller, template_annotation, tests};

// Where lists are no watches: every right is needed for itself there.
tests! {
    in_the_whole_cluster_every_right_is_used_and_none_is_missing: live_paged;
    in_single_namespaces_every_right_is_used_and_none_is_missing: live_paged;
    without_secrets_every_right_is_used_and_none_is_missing: live_paged;
    while_it_only_observes_it_reads_the_lease_and_misses_no_right: live_paged;
    without_any_one_right_something_is_missing: live_paged;
}

/// How many controllers run at a time.
const AT_A_TIME: usize = 6;

/// How long anybody may take to notice; nothing takes that long unless something is wrong.
const DEADLINE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(200);

fn quick(mut values: Value) -> Value {
    values["settle"] = json!("0s");
    values["customKinds"] = json!([custom_value()]);
    values
}

/// With an election that is over in less than the default's time, and a leader that a busy machine does not end.
fn elected(values: Value) -> Value {
    let mut values = quick(values);
    values["leaderElection"] = json!({"leaseDuration": "10s", "renewDeadline": "9s", "retryPeriod": "1s"});
    values
}

/// One replica: nobody has to wait for the lease of another.
fn alone(values: Value) -> Value {
    let mut values = quick(values);
    values["replicas"] = json!(1);
    values["leaderElection"] = json!({"enabled": false});
    values
}

/// The requests of the account that have been answered so far.
fn requests(rendered: &Rendered) -> Vec<Value> {
    rendered.audit.as_ref().expect("a cluster of ours").lines()
}

fn refused(requests: &[Value]) -> Vec<String> {
    let forbidden = requests.iter().filter(|it| it["responseStatus"]["code"] == 403);
    forbidden
        .map(|it| format!("{} {}", it["verb"], it["requestURI"]))
        .collect()
}

async fn in_the_whole_cluster_every_right_is_used_and_none_is_missing(t: &Test) {
    define(t).await;
    let scene = Scene::set(t).await;
    // All that is in the cluster, as by default, and of that what belongs to this test.
    let selector = format!("kubernetes.io/metadata.name={}", scene.namespace());
    let values = elected(json!({"namespaceSelector": selector}));
    let rendered = Rendered::new(t, &format!("cluster-{}", scene.namespace()), values);
    every_right_is_used(t, &scene, &rendered).await;
}

async fn in_single_namespaces_every_right_is_used_and_none_is_missing(t: &Test) {
    define(t).await;
    let scene = Scene::set(t).await;
    let values = elected(json!({"namespaces": [scene.namespace()]}));
    let rendered = Rendered::new(t, &format!("single-{}", scene.namespace()), values);
    let mut unused = BTreeSet::new();
    for right in rendered.rights() {
        assert_ne!(right.resource, "clusterrolloutpolicies");
        unused.insert(right);
    }
    let scratch = tempfile::tempdir().expect("a scratch folder");
    rendered.grant(t, None).await;
    let controller = rendered.start(t, scratch.path()).await;
    everything_works(t, &scene, &controller, false).await;
    controller.stop().await;
    // Asked for all the same, and done without: what is of the cluster.
    let of_cluster = ["clusterrolloutpolicies", "namespaces", "customresourcedefinitions"];
    let requests = requests(&rendered);
    let others = requests
        .iter()
        .filter(|it| !of_cluster.iter().any(|of| it["objectRef"]["resource"] == *of));
    let others: Vec<Value> = others.cloned().collect();
    assert_eq!(refused(&others), Vec::<String>::new());
    assert_eq!(left_unused(&rendered, &requests), BTreeSet::new());
}

async fn without_secrets_every_right_is_used_and_none_is_missing(t: &Test) {
    define(t).await;
    let scene = Scene::set(t).await;
    let values = elected(json!({
        "namespaces": [scene.namespace()],
        "rbac": {"clusterPolicies": true},
        "sources": ["configmaps"],
        "inPlace": {"agentTokenSecrets": ["windlass-agent"]},
    }));
    let rendered = Rendered::new(t, &format!("without-{}", scene.namespace()), values);
    for right in rendered.rights() {
        assert!(right.resource != "secrets" || right.name == "windlass-agent", "{right}");
    }
    let scratch = tempfile::tempdir().expect("a scratch folder");
    rendered.grant(t, None).await;
    let controller = rendered.start(t, scratch.path()).await;
    adopted(t, &scene, &controller).await;
    scene.config("B").await;
    nudged(t, &scene).await;
    scene.late().await;
    has_baseline(t, &scene, LATE).await;
    told_again(t, &scene).await;
    used_up(&rendered, &controller).await;
    let key: Api<ConfigMap> = t.api();
    key.get(&format!("{}-digest-key", rendered.name))
        .await
        .expect("the key is in a ConfigMap");
}

async fn while_it_only_observes_it_reads_the_lease_and_misses_no_right(t: &Test) {
    define(t).await;
    let scene = Scene::set(t).await;
    let values = elected(json!({
        "namespaces": [scene.namespace()],
        "rbac": {"clusterPolicies": true},
        "observeOnly": true,
        "replicas": 1,
    }));
    let rendered = Rendered::new(t, &format!("observing-{}", scene.namespace()), values);
    let rights = rendered.rights();
    let of_leases = rights.iter().filter(|right| right.resource == "leases");
    let of_leases: Vec<(&str, &str)> = of_leases.map(|it| (&*it.verb, &*it.name)).collect();
    assert_eq!(of_leases, [("get", &*rendered.name)]);
    let patched = rights.iter().filter(|right| right.verb == "patch");
    let patched: BTreeSet<&str> = patched.map(|it| &*it.resource).collect();
    assert_eq!(
        patched,
        BTreeSet::from(["clusterrolloutpolicies/status", "events", "rolloutpolicies/status"])
    );

    let scratch = tempfile::tempdir().expect("a scratch folder");
    rendered.grant(t, None).await;
    let controller = rendered.start(t, scratch.path()).await;
    controller.await_ready().await;
    scene.secret("B").await;
    told_of_a_restart(t, &scene).await;
    controller.stop().await;

    let requests = requests(&rendered);
    assert_eq!(refused(&requests), Vec::<String>::new());
    let of_leases = requests.iter().filter(|it| it["objectRef"]["resource"] == "leases");
    let of_leases: BTreeSet<&str> = of_leases.filter_map(|it| it["verb"].as_str()).collect();
    assert_eq!(of_leases, BTreeSet::from(["get"]));
}

async fn every_right_is_used(t: &Test, scene: &Scene<'_>, rendered: &Rendered) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    rendered.grant(t, None).await;
    let controller = rendered.start(t, scratch.path()).await;
    everything_works(t, scene, &controller, true).await;
    let keys: Api<Secret> = t.api();
    keys.get(&format!("{}-digest-key", rendered.name))
        .await
        .expect("the key is in a Secret");
    let lease: Lease = t.api().get(&rendered.name).await.expect("there is a Lease");
    let holder = lease.spec.and_then(|spec| spec.holder_identity);
    assert!(holder.is_some_and(|holder| !holder.is_empty()));
    used_up(rendered, &controller).await;
}

/// Ends the controller, whose watches are on record then, and compares.
async fn used_up(rendered: &Rendered, controller: &Controller) {
    await_condition("every right but those to watch to be used", async || {
        let left = left_unused(rendered, &requests(rendered));
        let left: Vec<String> = left
            .iter()
            .filter(|right| right.verb != "watch")
            .map(ToString::to_string)
            .collect();
        ensure!(left.is_empty(), "not used: {left:?}");
        Ok(())
    })
    .await;
    controller.stop().await;
    await_condition("every right to be used", async || {
        let left = left_unused(rendered, &requests(rendered));
        ensure!(left.is_empty(), "not used: {left:?}");
        Ok(())
    })
    .await;
    assert_eq!(refused(&requests(rendered)), Vec::<String>::new());
}

fn left_unused(rendered: &Rendered, requests: &[Value]) -> BTreeSet<Right> {
    let mut left = rendered.rights();
    for request in requests {
        for right in rendered.needed(request) {
            left.remove(&right);
        }
    }
    left
}

/// What people see of every feature.
async fn everything_works(t: &Test, scene: &Scene<'_>, controller: &Controller, cluster: bool) {
    adopted(t, scene, controller).await;
    scene.config("B").await;
    nudged(t, scene).await;
    scene.late().await;
    has_baseline(t, scene, LATE).await;
    scene.secret("B").await;
    let deployments: Api<Deployment> = Api::namespaced(t.client.clone(), scene.namespace());
    await_condition("the Deployment to be restarted for its Secret", async || {
        let deployment = deployments.get("deployment").await?;
        template_annotation(&deployment, CONFIG_DIGEST).context("it is not")
    })
    .await;
    told_of_a_restart(t, scene).await;
    told_again(t, scene).await;
    let policies: Api<RolloutPolicy> = Api::namespaced(t.client.clone(), scene.namespace());
    let of_cluster: Api<ClusterRolloutPolicy> = Api::all(t.client.clone());
    await_condition("the policies to say how far they are", async || {
        let status = policies
            .get("web")
            .await?
            .status
            .context("the one of the namespace does not")?;
        status.workloads.context("it has no workloads")?;
        if cluster {
            of_cluster
                .get(scene.namespace())
                .await?
                .status
                .context("the one of the cluster does not")?;
        }
        Ok(())
    })
    .await;
}

async fn told_of_a_restart(t: &Test, scene: &Scene<'_>) {
    await_condition("an Event to tell of a restart", async || {
        ensure!(is_told(t, scene, "Restarted").await?, "none does");
        Ok(())
    })
    .await;
}

/// Has the same said of the CronJob twice: the second time is counted in the Event that is there.
async fn told_again(t: &Test, scene: &Scene<'_>) {
    await_condition("an Event to tell of the CronJob's next run", async || {
        ensure!(is_told(t, scene, "DeferredToNextRun").await?, "none does");
        Ok(())
    })
    .await;
    scene.config("C").await;
}

async fn is_told(t: &Test, scene: &Scene<'_>, reason: &str) -> Result<bool> {
    let events: Api<Event> = Api::namespaced(t.client.clone(), scene.namespace());
    let events = events.list(&ListParams::default()).await?;
    Ok(events.items.iter().any(|event| event.reason.as_deref() == Some(reason)))
}

async fn adopted(t: &Test, scene: &Scene<'_>, controller: &Controller) {
    controller.await_ready().await;
    has_baseline(t, scene, "deployment").await;
}

async fn has_baseline(t: &Test, scene: &Scene<'_>, name: &str) {
    let deployments: Api<Deployment> = Api::namespaced(t.client.clone(), scene.namespace());
    await_condition("the Deployment to be adopted", async || {
        let deployment = deployments.get(name).await?;
        let observed = deployment.annotations().get("windlass.dev/observed");
        ensure!(observed.is_some(), "it is not");
        Ok(())
    })
    .await;
}

/// Waits until a pod of each kind that has pods here was touched.
async fn nudged(t: &Test, scene: &Scene<'_>) {
    let pods: Api<Pod> = Api::namespaced(t.client.clone(), scene.namespace());
    await_condition("pods of each kind to be touched", async || {
        let pods = pods.list(&ListParams::default()).await?;
        for name in ["deployment", "statefulset", "daemonset"] {
            let of_name = |pod: &&Pod| pod.labels().get("app").is_some_and(|app| app == name);
            let touched = |pod: &Pod| pod.annotations().contains_key("windlass.dev/nudge");
            ensure!(pods.items.iter().filter(of_name).any(touched), "none of {name} is");
        }
        Ok(())
    })
    .await;
}

async fn without_any_one_right_something_is_missing(t: &Test) {
    define(t).await;
    // All rules at once: those of single namespaces, of the cluster, and of the release's own.
    let all = json!({"namespaces": [t.namespace], "rbac": {"clusterPolicies": true}});
    let mut cases = cases(t, &all);
    // And those that are given in place of others.
    let known: BTreeSet<_> = cases.iter().map(|(right, _)| key(right)).collect();
    let tokens = json!({"namespaces": [t.namespace], "rbac": {"clusterPolicies": true}, "sources": ["configmaps"],
        "inPlace": {"agentTokenSecrets": ["windlass-agent"]}});
    let more = self::cases(t, &tokens).into_iter();
    cases.extend(more.filter(|(right, _)| !known.contains(&key(right))));
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let runs = cases
        .iter()
        .enumerate()
        .map(|(number, (right, values))| without(t, scratch.path(), number, right, values));
    let survivors: Vec<String> = stream::iter(runs)
        .buffer_unordered(AT_A_TIME)
        .filter_map(async |it| it.err())
        .collect()
        .await;
    assert!(survivors.is_empty(), "not missed:\n{}", survivors.join("\n"));
    assert!(cases.len() > 40, "only {} rights", cases.len());
}

/// Each right of these values, and the values.
fn cases<'values>(t: &Test, values: &'values Value) -> Vec<(Right, &'values Value)> {
    let rendered = Rendered::new(t, "any", alone(values.clone()));
    rendered.rights().into_iter().map(|right| (right, values)).collect()
}

fn key(right: &Right) -> (String, String, String, bool) {
    let Right {
        group,
        resource,
        verb,
        name,
        ..
    } = right.clone();
    (group, resource, verb, name.is_empty())
}

/// Runs Windlass without this right. An error is that nobody notices.
async fn without(t: &Test, scratch: &Path, number: usize, right: &Right, values: &Value) -> Result<(), String> {
    let scene = Scene::set(t).await;
    let mut values = alone(values.clone());
    values["namespaces"] = json!([scene.namespace()]);
    let rendered = Rendered::new(t, &format!("{}-{number}", t.namespace), values);
    // The names in it are those of this release.
    let same = |own: &&Right| key(own) == key(right);
    let rights = rendered.rights();
    let own = rights.iter().find(same).expect("it is rendered again");
    rendered.grant(t, Some(own)).await;
    let controller = rendered.start(t, scratch).await;
    let outcome = missed(t, &scene, &rendered, &controller, own).await;
    controller.kill().await;
    outcome.map_err(|error| format!("{own}: {error:#}\n{}", controller.log()))
}

/// Goes through everything until the API server has refused what the right is for; then somebody has to be
/// told.
async fn missed(
    t: &Test,
    scene: &Scene<'_>,
    rendered: &Rendered,
    controller: &Controller,
    right: &Right,
) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(t.client.clone(), scene.namespace());
    let (mut changed, mut again) = (false, false);
    let deadline = Instant::now() + DEADLINE;
    let refused = loop {
        let refused = refused(&requests(rendered));
        if !refused.is_empty() {
            break refused;
        }
        ensure!(Instant::now() < deadline, "nothing was refused");
        let adopted = deployments
            .get("deployment")
            .await?
            .annotations()
            .contains_key("windlass.dev/observed");
        if adopted && !changed {
            scene.config("B").await;
            scene.late().await;
            changed = true;
        }
        if changed && !again && is_told(t, scene, "DeferredToNextRun").await? {
            scene.config("C").await;
            again = true;
        }
        tokio::time::sleep(POLL).await;
    };
    let resource = right.resource.split('/').next().unwrap_or_default();
    ensure!(
        refused.iter().any(|request| request.contains(resource)),
        "refused was {refused:?}"
    );
    if of_earlier_times(right, rendered) {
        return Ok(());
    }
    let deadline = Instant::now() + DEADLINE;
    while !told(&controller.log().to_lowercase(), resource) {
        ensure!(Instant::now() < deadline, "the log does not say so");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// For the key of a time in which Secrets did not count it asks once, and does without if there is none:
/// only who had one misses anything.
fn of_earlier_times(right: &Right, rendered: &Rendered) -> bool {
    let makes_secrets = |it: &Right| it.resource == "secrets" && it.verb == "create";
    let by_name = !right.name.is_empty();
    right.resource == "configmaps" && right.verb == "get" && by_name && rendered.rights().iter().any(makes_secrets)
}

/// Whether a line of the log names the resource and that a permission is missing.
fn told(log: &str, resource: &str) -> bool {
    let words = ["forbidden", "no permission", "cannot watch"];
    log.lines()
        .any(|line| line.contains(resource) && words.iter().any(|word| line.contains(word)))
}
