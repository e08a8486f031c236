//! Policies, as their authors write them.

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, ListParams, Patch, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use windlass::api::{ClusterRolloutPolicy, RolloutPolicy, status::WorkloadCounts};

use super::{Test, await_condition, by, from, unique};

/// The definition of the namespaced policies.
pub const NAMESPACED: &str = "rolloutpolicies.windlass.dev";
/// The definition of the policies of the cluster.
pub const CLUSTER: &str = "clusterrolloutpolicies.windlass.dev";

/// Installs both definitions as an operator does, and returns when policies can be created. All
/// tests of a cluster share them, and any number may install them at the same time.
pub async fn install(t: &Test) {
    for name in [NAMESPACED, CLUSTER] {
        apply(t, name).await;
    }
    await_condition("policies to be served", async || {
        let one = ListParams::default().limit(1);
        policies(t).list(&one).await?;
        cluster_policies(t).list(&one).await?;
        Ok(())
    })
    .await;
}

async fn apply(t: &Test, name: &str) {
    let definitions: Api<CustomResourceDefinition> = Api::all(t.client.clone());
    let definition = Patch::Apply(shipped(name));
    // Another test may be applying the same.
    await_condition(&format!("{name} to be applied"), async || {
        Ok(definitions.patch(name, &by("operator").apply(), &definition).await?)
    })
    .await;
    await_condition(&format!("{name} to be established"), async || {
        let status = definitions.get(name).await?.status.context("no status")?;
        let conditions = status.conditions.unwrap_or_default();
        let established = conditions
            .iter()
            .any(|it| it.type_ == "Established" && it.status == "True");
        ensure!(established, "{conditions:?}");
        Ok(())
    })
    .await;
}

/// The definitions as they were before policies had a bound on patterns.
pub async fn install_without_bounds_on_patterns(t: &Test) {
    install(t).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(t.client.clone());
    let mut definition = shipped(NAMESPACED);
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    for field in ["rules", "sources"] {
        let field = definition.pointer_mut(&format!("{spec}/{field}"));
        let field = field.and_then(Value::as_object_mut).expect("a field");
        field.remove("x-kubernetes-validations").expect("a bound");
    }
    let definition = Patch::Apply(definition);
    let operator = by("operator").apply();
    let applied = definitions.patch(NAMESPACED, &operator, &definition).await;
    applied.expect("the API server accepts the definition");
}

/// A definition as it is shipped.
pub fn shipped(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("crds/{name}.yaml"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The policies of the test's namespace.
pub fn policies(t: &Test) -> Api<RolloutPolicy> {
    t.api()
}

/// The policies of the cluster, those of other tests among them.
pub fn cluster_policies(t: &Test) -> Api<ClusterRolloutPolicy> {
    Api::all(t.client.clone())
}

/// Creates or changes a policy of the test's namespace. `spec` is all that its author says: what it
/// does not say any more is gone.
pub async fn policy(t: &Test, name: &str, spec: Value) -> RolloutPolicy {
    put(&policies(t), name, spec).await
}

/// Creates or changes a policy of the cluster. It holds for other tests too: its name should be
/// [`unique_policy`] and its `namespaceSelector` [`only_here`].
pub async fn cluster_policy(t: &Test, name: &str, spec: Value) -> ClusterRolloutPolicy {
    put(&cluster_policies(t), name, spec).await
}

async fn put<K>(api: &Api<K>, name: &str, spec: Value) -> K
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let manifest = Patch::Apply(manifest::<K>(name, &spec));
    let put = api.patch(name, &by("author").apply(), &manifest).await;
    put.expect("the API server accepts the policy")
}

fn manifest<K: Resource<DynamicType = ()>>(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// The same policy for all that has the label `tier: web`, which no marker has.
pub fn for_web(mut spec: Value) -> Value {
    spec["workloads"] = json!({"selector": {"matchLabels": {"tier": "web"}}});
    spec
}

/// Waits until a policy of the test's namespace says this of itself, about what is written there now.
pub async fn condition(t: &Test, name: &str, type_: &str, status: &str) -> Condition {
    await_condition(&format!("{name} to be {type_}={status}"), async || {
        let policy = policies(t).get(name).await?;
        let generation = policy.metadata.generation;
        let conditions = policy.status.unwrap_or_default().conditions;
        let found = conditions.iter().find(|it| it.type_ == type_);
        let found = found.with_context(|| format!("{conditions:?}"))?;
        ensure!(
            found.status == status && found.observed_generation == generation,
            "{conditions:?}"
        );
        Ok(found.clone())
    })
    .await
}

/// How many workloads a policy of the test's namespace has, and how far they are.
pub async fn counts(t: &Test, name: &str) -> anyhow::Result<WorkloadCounts> {
    let policy = policies(t).get(name).await?;
    policy.status.unwrap_or_default().workloads.context("not counted yet")
}

/// A name that no other test's policy has.
pub fn unique_policy() -> String {
    unique("it")
}

/// Selects the test's namespace alone.
pub fn only_here(t: &Test) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": t.namespace}})
}

/// What the API server makes of a policy of the test's namespace, without keeping it.
pub async fn try_policy(t: &Test, spec: &Value) -> kube::Result<Value> {
    let resource = ApiResource::erase::<RolloutPolicy>(&());
    let api = Api::namespaced_with(t.client.clone(), &t.namespace, &resource);
    tried(&api, manifest::<RolloutPolicy>("tried", spec)).await
}

/// What the API server makes of a policy of the cluster, without keeping it.
pub async fn try_cluster_policy(t: &Test, spec: &Value) -> kube::Result<Value> {
    let resource = ApiResource::erase::<ClusterRolloutPolicy>(&());
    let api = Api::all_with(t.client.clone(), &resource);
    tried(&api, manifest::<ClusterRolloutPolicy>(&unique_policy(), spec)).await
}

async fn tried(api: &Api<DynamicObject>, manifest: Value) -> kube::Result<Value> {
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let made = api.create(&dry, &from(manifest)).await?;
    Ok(made.data["spec"].clone())
}
