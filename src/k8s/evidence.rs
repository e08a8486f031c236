//! Pods and revisions of one workload, read in the rare case that a decision needs them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use kube::Client;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::{Request, Resource as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{ApiError, send};
use super::lean::{BASELINE_BYTES, Json, WITNESS_BYTES, resource};
use super::read;
use crate::core::annotation;
use crate::core::kind::History;
use crate::core::name::{Namespace, Uid, WorkloadRef};
use crate::core::proof::{Pod, Proof, Revision};
use crate::core::time::Second;

#[cfg(test)]
mod tests;

/// Objects a page. A `ReplicaSet` is about 3 KB of JSON, a pod 5 KB.
const PAGE: u32 = 100;

/// Reads everything that a proof needs: one GET and two LISTs, and one GET more where the pod template
/// is another object's. `template`: who has it, the workload itself or another.
///
/// # Errors
/// See [`ApiError`].
pub async fn proof(
    client: &Client,
    workload: &WorkloadRef,
    uid: &Uid,
    template: &WorkloadRef,
    timeout: Duration,
) -> Result<Proof, ApiError> {
    let found = get(client, workload, uid, template, timeout).await?;
    let revisions = revisions(client, workload, &found, timeout).await?;
    let pods = pods(client, workload, &found, &revisions, timeout, |pod: WirePod| Pod {
        started: pod.status.started(),
        uid: Uid::from(&*pod.metadata.uid),
    })
    .await?;
    Ok(Proof {
        created: found.created,
        revisions: revisions.into_iter().map(|(_, revision)| revision).collect(),
        pods,
    })
}

/// Reads the pods alone that are not ended and not on their way out, each as `each` makes it; the same
/// requests. `None`: nothing tells which are the workload's.
///
/// # Errors
/// See [`ApiError`].
pub(super) async fn pods_of<P: AnyPod, T>(
    client: &Client,
    workload: &WorkloadRef,
    uid: &Uid,
    template: &WorkloadRef,
    timeout: Duration,
    each: impl FnMut(P) -> T,
) -> Result<Option<Vec<T>>, ApiError> {
    let found = get(client, workload, uid, template, timeout).await?;
    let revisions = revisions(client, workload, &found, timeout).await?;
    pods(client, workload, &found, &revisions, timeout, each).await
}

/// As much of a pod as somebody needs.
pub(super) trait AnyPod: DeserializeOwned {
    /// Whose it is.
    fn meta(&self) -> &Meta;
    /// `status.phase`.
    fn phase(&self) -> &str;

    /// Whether it is there to stay.
    fn stays(&self) -> bool {
        self.meta().deletion_timestamp.is_none() && !matches!(self.phase(), "Succeeded" | "Failed")
    }
}

/// Where the pods of a namespace are.
pub(super) fn pods_url(namespace: &Namespace) -> String {
    DynamicObject::url_path(&resource("", "v1", "Pod", "pods"), Some(namespace.as_str()))
}

async fn pods<P: AnyPod, T>(
    client: &Client,
    workload: &WorkloadRef,
    found: &Found,
    revisions: &[(String, Revision)],
    timeout: Duration,
    mut each: impl FnMut(P) -> T,
) -> Result<Option<Vec<T>>, ApiError> {
    let owners: Option<Vec<&str>> = match workload.kind.row().history {
        // Each pod belongs to one of the ReplicaSets, which belong to the workload.
        History::ReplicaSets(_) => Some(revisions.iter().map(|(uid, _)| uid.as_str()).collect()),
        History::ControllerRevisions => Some(vec![found.uid.as_str()]),
        // Whatever is between it and its pods: all that bear its labels count.
        History::Nowhere => None,
    };
    if found.selector.is_empty() {
        return Ok(None);
    }
    let mut pods = Vec::new();
    let url = pods_url(&workload.namespace);
    list(client, &url, &found.selector, timeout, |pod: P| {
        let owner = pod.meta().owner().map_or("", |owner| owner.uid.as_str());
        let owned = owners.as_ref().is_none_or(|owners| owners.contains(&owner));
        if owned && pod.stays() {
            pods.push(each(pod));
        }
    })
    .await?;
    // Labels alone may not be those of its pods: to have found none then says nothing.
    Ok(Some(pods).filter(|pods| owners.is_some() || !pods.is_empty()))
}

/// Reads only the revisions: as [`proof`] with one LIST less, or nothing for kinds that keep none.
///
/// # Errors
/// See [`ApiError`].
pub async fn history(
    client: &Client,
    workload: &WorkloadRef,
    uid: &Uid,
    template: &WorkloadRef,
    timeout: Duration,
) -> Result<Proof, ApiError> {
    if workload.kind.row().history == History::Nowhere {
        return Ok(Proof::default());
    }
    let found = get(client, workload, uid, template, timeout).await?;
    let revisions = revisions(client, workload, &found, timeout).await?;
    Ok(Proof {
        created: found.created,
        revisions: revisions.into_iter().map(|(_, revision)| revision).collect(),
        pods: None,
    })
}

/// The last baseline that the revisions of each workload kept, by the workload's uid: one paged LIST
/// instead of one for each workload, for the first start in a cluster that has thousands.
///
/// # Errors
/// See [`ApiError`].
pub async fn all_observed(
    client: &Client,
    history: History,
    namespace: Option<&str>,
    timeout: Duration,
) -> Result<HashMap<Uid, Box<str>>, ApiError> {
    let mut found: HashMap<Uid, (u64, Box<str>)> = HashMap::new();
    let Some(row) = kept_as(history) else {
        return Ok(HashMap::new());
    };
    let url = DynamicObject::url_path(&row, namespace);
    list(client, &url, "", timeout, |kept: WireRevision| {
        let number = kept.number(history);
        let owner = kept.metadata.owner().map(|owner| owner.uid.clone());
        if let (Some(owner), Some(observed)) = (owner, kept.observed()) {
            let newest = found.entry(Uid::from(&*owner)).or_default();
            if newest.1.is_empty() || number > newest.0 {
                *newest = (number, observed.into());
            }
        }
    })
    .await?;
    Ok(found.into_iter().map(|(uid, (_, observed))| (uid, observed)).collect())
}

/// What a workload says of its own pods and revisions.
struct Found {
    uid: String,
    created: Option<Second>,
    /// As a `labelSelector`; empty: nothing tells which pods are its own.
    selector: String,
}

async fn get(
    client: &Client,
    workload: &WorkloadRef,
    uid: &Uid,
    template: &WorkloadRef,
    timeout: Duration,
) -> Result<Found, ApiError> {
    let Json(object) = read::workload(client, workload, timeout).await?;
    let meta = Meta::deserialize(object.get("metadata").unwrap_or(&Value::Null)).unwrap_or_default();
    if Uid::from(&*meta.uid) != *uid {
        return Err(ApiError::Replaced);
    }
    let mut selector = selector_of(workload, &object);
    if selector.is_none() && template != workload {
        let Json(object) = read::workload(client, template, timeout).await?;
        selector = selector_of(template, &object);
    }
    Ok(Found {
        created: Second::parse(&meta.creation_timestamp),
        uid: meta.uid,
        selector: selector.unwrap_or_default(),
    })
}

/// The selector that it names, else the labels of its template.
fn selector_of(workload: &WorkloadRef, object: &Value) -> Option<String> {
    let path = workload.kind.row().template;
    let template = path.iter().try_fold(object, |value, field| value.get(field));
    let named = object
        .pointer("/spec/selector")
        .and_then(|selector| Selector::deserialize(selector).ok());
    let labels = || {
        let labels = template?.pointer("/metadata/labels")?;
        Some(Selector {
            match_labels: BTreeMap::deserialize(labels).ok()?,
            match_expressions: Vec::new(),
        })
    };
    let printed = |selector: Selector| Some(selector.print()).filter(|text| !text.is_empty());
    named.and_then(printed).or_else(|| labels().and_then(printed))
}

fn kept_as(history: History) -> Option<ApiResource> {
    match history {
        History::ReplicaSets(_) => Some(resource("apps", "v1", "ReplicaSet", "replicasets")),
        History::ControllerRevisions => Some(resource("apps", "v1", "ControllerRevision", "controllerrevisions")),
        History::Nowhere => None,
    }
}

async fn revisions(
    client: &Client,
    workload: &WorkloadRef,
    found: &Found,
    timeout: Duration,
) -> Result<Vec<(String, Revision)>, ApiError> {
    let history = workload.kind.row().history;
    let Some(row) = kept_as(history) else {
        return Ok(Vec::new());
    };
    let mut revisions = Vec::new();
    let url = DynamicObject::url_path(&row, Some(workload.namespace.as_str()));
    list(client, &url, &found.selector, timeout, |kept: WireRevision| {
        if kept.metadata.owner().is_some_and(|owner| owner.uid == found.uid) {
            revisions.push((kept.metadata.uid.clone(), kept.revision(history)));
        }
    })
    .await?;
    if history == History::ControllerRevisions {
        let newest = revisions.iter().map(|(_, revision)| revision.number).max();
        for (_, revision) in &mut revisions {
            revision.newest = Some(newest == Some(revision.number));
        }
    }
    Ok(revisions)
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

// ---- the parts that are read --------------------------------------------------------------------

/// Of an object's metadata, what tells whose it is.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) uid: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) creation_timestamp: String,
    deletion_timestamp: Option<String>,
    #[serde(deserialize_with = "or_default")]
    annotations: BTreeMap<String, String>,
    owner_references: Vec<Owner>,
}

/// `null` is as good as nothing: a `ControllerRevision` keeps templates with a creation time of null.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// What is shaped otherwise is as good as nothing.
fn or_odd<'de, D: serde::Deserializer<'de>, T: Default + DeserializeOwned>(from: D) -> Result<T, D::Error> {
    let text = Box::<RawValue>::deserialize(from)?;
    Ok(serde_json::from_str(text.get()).unwrap_or_default())
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

/// A `ReplicaSet` or a `ControllerRevision`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireRevision {
    metadata: Meta,
    /// Of a `ReplicaSet`.
    spec: WireSpec,
    /// Of a `ControllerRevision`: the part of the workload that it would put back. Those of others hold
    /// anything.
    #[serde(deserialize_with = "or_odd")]
    data: WireData,
    /// Of a `ControllerRevision`.
    revision: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireData {
    spec: WireSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireSpec {
    template: WireTemplate,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireTemplate {
    metadata: Meta,
}

impl WireRevision {
    fn number(&self, history: History) -> u64 {
        match history {
            History::ReplicaSets(counted_in) => {
                let text = self.metadata.annotations.get(counted_in);
                text.and_then(|text| text.parse().ok()).unwrap_or(0)
            }
            History::ControllerRevisions => self.revision,
            History::Nowhere => 0,
        }
    }

    /// The copy of the baseline, if it can be one.
    fn observed(&self) -> Option<&str> {
        let text = self.metadata.annotations.get(annotation::OBSERVED)?;
        (text.len() <= BASELINE_BYTES).then_some(text)
    }

    fn revision(mut self, history: History) -> Revision {
        let template = match history {
            History::ReplicaSets(_) | History::Nowhere => &mut self.spec.template,
            History::ControllerRevisions => &mut self.data.spec.template,
        };
        let witness = template.metadata.annotations.remove(annotation::CONFIG_DIGEST);
        let witness = witness.filter(|text| text.len() <= WITNESS_BYTES);
        Revision {
            number: self.number(history),
            newest: None,
            created: Second::parse(&self.metadata.creation_timestamp).unwrap_or(Second::new(0)),
            witness: witness.map(Into::into),
            observed: self.observed().map(Into::into),
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

impl AnyPod for WirePod {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn phase(&self) -> &str {
        &self.status.phase
    }
}

impl WirePodStatus {
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
