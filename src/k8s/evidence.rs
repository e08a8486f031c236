//! Pods and revisions of one workload, read in the rare case that a decision needs them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use kube::Client;
use kube::api::{DynamicObject, GetParams, ListParams};
use kube::core::{Request, Resource as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::{ApiError, send};
use super::lean::{REVISION, resource, workload_resource};
use crate::core::annotation;
use crate::core::name::{Uid, WorkloadRef};
use crate::core::proof::{Pod, Proof, Revision};
use crate::core::time::Second;

/// Objects a page. A `ReplicaSet` is about 3 KB of JSON, a pod 5 KB.
const PAGE: u32 = 100;

/// Reads everything that a proof needs: one GET and two LISTs.
///
/// # Errors
/// See [`ApiError`].
pub async fn proof(client: &Client, workload: &WorkloadRef, uid: &Uid, timeout: Duration) -> Result<Proof, ApiError> {
    let (selector, revisions) = selector_and_revisions(client, workload, uid, timeout).await?;
    let owners: Vec<&str> = revisions.iter().map(|(uid, _)| uid.as_str()).collect();
    let mut pods = Vec::new();
    let url = DynamicObject::url_path(&resource("", "v1", "Pod", "pods"), Some(workload.namespace.as_str()));
    list(client, &url, &selector, timeout, |pod: WirePod| {
        let owned = pod
            .metadata
            .owner()
            .is_some_and(|owner| owners.contains(&owner.uid.as_str()));
        if owned && pod.metadata.deletion_timestamp.is_none() && !pod.status.ended() {
            pods.push(Pod {
                started: pod.status.started(),
                uid: Uid::from(&*pod.metadata.uid),
            });
        }
    })
    .await?;
    Ok(Proof {
        revisions: revisions.into_iter().map(|(_, revision)| revision).collect(),
        pods,
    })
}

/// Reads only the revisions: one GET and one LIST.
///
/// # Errors
/// See [`ApiError`].
pub async fn history(client: &Client, workload: &WorkloadRef, uid: &Uid, timeout: Duration) -> Result<Proof, ApiError> {
    let (_, revisions) = selector_and_revisions(client, workload, uid, timeout).await?;
    Ok(Proof {
        revisions: revisions.into_iter().map(|(_, revision)| revision).collect(),
        pods: Vec::new(),
    })
}

/// The last baseline that each Deployment's `ReplicaSet`s kept, by the Deployment's uid: one paged
/// LIST instead of one for each workload, for the first start in a cluster that has thousands.
///
/// # Errors
/// See [`ApiError`].
pub async fn all_observed(
    client: &Client,
    namespace: Option<&str>,
    timeout: Duration,
) -> Result<HashMap<Uid, Box<str>>, ApiError> {
    let mut found: HashMap<Uid, (u64, Box<str>)> = HashMap::new();
    let url = DynamicObject::url_path(&replica_sets(), namespace);
    list(client, &url, "", timeout, |set: WireReplicaSet| {
        let (number, owner) = (
            set.metadata.number(),
            set.metadata.owner().map(|owner| owner.uid.clone()),
        );
        if let (Some(owner), Some(observed)) = (owner, set.metadata.annotations.get(annotation::OBSERVED)) {
            let newest = found.entry(Uid::from(&*owner)).or_default();
            if newest.1.is_empty() || number > newest.0 {
                *newest = (number, observed.as_str().into());
            }
        }
    })
    .await?;
    Ok(found.into_iter().map(|(uid, (_, observed))| (uid, observed)).collect())
}

async fn selector_and_revisions(
    client: &Client,
    workload: &WorkloadRef,
    uid: &Uid,
    timeout: Duration,
) -> Result<(String, Vec<(String, Revision)>), ApiError> {
    let url = DynamicObject::url_path(&workload_resource(workload.kind), Some(workload.namespace.as_str()));
    let request = Request::new(url)
        .get(workload.name.as_str(), &GetParams::default())
        .map_err(|_| ApiError::Unexpected("no such request"))?;
    let found: WireDeployment = send(client, request, timeout).await?;
    if found.metadata.uid != uid.as_str() {
        return Err(ApiError::Replaced);
    }
    let selector = found.spec.selector.print();
    let mut revisions = Vec::new();
    let url = DynamicObject::url_path(&replica_sets(), Some(workload.namespace.as_str()));
    list(client, &url, &selector, timeout, |set: WireReplicaSet| {
        if set.metadata.owner().is_some_and(|owner| owner.uid == uid.as_str()) {
            revisions.push((set.metadata.uid.clone(), set.revision()));
        }
    })
    .await?;
    Ok((selector, revisions))
}

/// Lists page by page; a page is gone before the next one comes.
async fn list<T: DeserializeOwned>(
    client: &Client,
    url: &str,
    selector: &str,
    timeout: Duration,
    mut each: impl FnMut(T),
) -> Result<(), ApiError> {
    #[derive(Deserialize)]
    struct Page<T> {
        metadata: PageMeta,
        items: Vec<T>,
    }
    #[derive(Deserialize)]
    struct PageMeta {
        #[serde(default, rename = "continue")]
        next: Option<String>,
    }
    let mut next: Option<String> = None;
    loop {
        let params = ListParams {
            label_selector: (!selector.is_empty()).then(|| selector.to_owned()),
            limit: Some(PAGE),
            continue_token: next.take(),
            ..ListParams::default()
        };
        let request = Request::new(url)
            .list(&params)
            .map_err(|_| ApiError::Unexpected("no such request"))?;
        let page: Page<T> = send(client, request, timeout).await?;
        page.items.into_iter().for_each(&mut each);
        next = page.metadata.next.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(());
        }
    }
}

fn replica_sets() -> kube::api::ApiResource {
    resource("apps", "v1", "ReplicaSet", "replicasets")
}

// ---- the parts that are read --------------------------------------------------------------------

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    uid: String,
    creation_timestamp: String,
    deletion_timestamp: Option<String>,
    annotations: BTreeMap<String, String>,
    owner_references: Vec<Owner>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Owner {
    uid: String,
    controller: bool,
}

impl Meta {
    fn owner(&self) -> Option<&Owner> {
        self.owner_references.iter().find(|owner| owner.controller)
    }

    fn number(&self) -> u64 {
        self.annotations
            .get(REVISION)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireDeployment {
    metadata: Meta,
    spec: WireDeploymentSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireDeploymentSpec {
    selector: Selector,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Expression>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Expression {
    key: String,
    operator: String,
    values: Vec<String>,
}

impl Selector {
    /// In the syntax of the `labelSelector` parameter.
    fn print(&self) -> String {
        let labels = self.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
        let expressions = self
            .match_expressions
            .iter()
            .map(|Expression { key, operator, values }| {
                let values = values.join(",");
                match operator.as_str() {
                    "In" => format!("{key} in ({values})"),
                    "NotIn" => format!("{key} notin ({values})"),
                    "DoesNotExist" => format!("!{key}"),
                    _ => key.clone(),
                }
            });
        labels.chain(expressions).collect::<Vec<_>>().join(",")
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireReplicaSet {
    metadata: Meta,
    spec: WireReplicaSetSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireReplicaSetSpec {
    template: WireTemplate,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireTemplate {
    metadata: Meta,
}

impl WireReplicaSet {
    fn revision(mut self) -> Revision {
        Revision {
            number: self.metadata.number(),
            created: Second::parse(&self.metadata.creation_timestamp).unwrap_or(Second::new(0)),
            witness: self
                .spec
                .template
                .metadata
                .annotations
                .remove(annotation::CONFIG_DIGEST)
                .map(Into::into),
            observed: self.metadata.annotations.remove(annotation::OBSERVED).map(Into::into),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WirePod {
    metadata: Meta,
    status: WirePodStatus,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WirePodStatus {
    phase: String,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    state: ContainerState,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    running: Option<Started>,
    terminated: Option<Started>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Started {
    started_at: String,
}

impl WirePodStatus {
    fn ended(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }

    /// A container that waits will read the present content when it starts.
    fn started(&self) -> Vec<Second> {
        self.container_statuses
            .iter()
            .chain(&self.init_container_statuses)
            .filter_map(|container| container.state.running.as_ref().or(container.state.terminated.as_ref()))
            .filter_map(|started| Second::parse(&started.started_at))
            .collect()
    }
}
