//! Pods and revisions of one workload, read in the rare case that a decision needs them.

pub mod running;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::Client;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::{Request, Resource as _, Selector};
use serde::Deserialize;
use serde_json::Value;
use windlass_core::annotation;
use windlass_core::types::name::{Namespace, Uid, WorkloadRef};
use windlass_core::types::time::Second;
use windlass_core::workload::kind::{APPS, RevisionHistory};
use windlass_core::workload::rollout_history::{Pod, Revision, RolloutHistory};

use crate::k8s::error::{ApiError, send};
use crate::k8s::lenient::{Field, Lenient, read_from_fields};
use crate::k8s::read;
use crate::k8s::wire::{BASELINE_BYTES, Json, TEMPLATE_DIGEST_BYTES, resource};

#[cfg(test)]
mod tests;

/// Objects a page. A `ReplicaSet` is about 3 KB of JSON, a pod 5 KB.
const PAGE: u32 = 100;

/// Reads everything that a proof needs: one GET and two LISTs, and one GET more where the pod template
/// is another object's. `template`: who has it, the workload itself or another.
///
/// # Errors
/// See [`ApiError`].
pub async fn rollout_history(
    client: &Client,
    workload: &WorkloadRef,
    uid: &Uid,
    template: &WorkloadRef,
    timeout: Duration,
) -> Result<RolloutHistory, ApiError> {
    let found = get(client, workload, uid, template, timeout).await?;
    let revisions = revisions(client, workload, &found, timeout).await?;
    let pods = pods(client, workload, &found, &revisions, timeout, WirePod::pod).await?;
    Ok(RolloutHistory {
        created: found.created,
        revisions: revisions.into_plain(),
        pods,
    })
}

/// Reads the pods alone that are not ended and not on their way out, each as `each` makes it; the same
/// requests. `None`: nothing tells which are the workload's.
///
/// # Errors
/// See [`ApiError`].
pub(super) async fn pods_of<P: PodFields, T>(
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
pub(super) trait PodFields: Lenient {
    /// One of which nothing can be read.
    fn unreadable() -> Self;
    /// Whose it is.
    fn meta(&self) -> &Field<Meta>;
    /// `status.phase`.
    fn phase(&self) -> &str;

    /// Whether it is there to stay. One that has ended runs nothing, whatever else is or is not said of it.
    fn stays(&self) -> bool {
        let deleted = self
            .meta()
            .get()
            .is_some_and(|meta| meta.deletion_timestamp.get().is_some());
        !deleted && !matches!(self.phase(), "Succeeded" | "Failed")
    }
}

pub(super) fn pods_url(namespace: &Namespace) -> String {
    DynamicObject::url_path(&resource("", "v1", "Pod", "pods"), Some(namespace.as_str()))
}

async fn pods<P: PodFields, T>(
    client: &Client,
    workload: &WorkloadRef,
    found: &PodSelector,
    revisions: &Revisions,
    timeout: Duration,
    mut each: impl FnMut(P) -> T,
) -> Result<Option<Vec<T>>, ApiError> {
    let owners: Option<Vec<&str>> = match workload.kind.row().history {
        // Whichever is between it and its pods.
        RevisionHistory::ReplicaSets(_) if revisions.unclear => None,
        // Each pod belongs to one of the ReplicaSets, which belong to the workload.
        RevisionHistory::ReplicaSets(_) => Some(revisions.kept.iter().map(|(uid, _)| uid.as_str()).collect()),
        RevisionHistory::ControllerRevisions => Some(vec![found.uid.as_str()]),
        // Whatever is between it and its pods: all that bear its labels count.
        RevisionHistory::Nowhere => None,
    };
    if found.selector.is_empty() {
        return Ok(None);
    }
    let mut pods = Vec::new();
    let url = pods_url(&workload.namespace);
    list(client, &url, &found.selector, timeout, |pod: Field<P>| {
        let pod = pod.take().unwrap_or_else(P::unreadable);
        let owned = owners.as_ref().is_none_or(|owners| match owner(pod.meta()) {
            Owner::Is(uid) => owners.contains(&uid),
            // It bears the labels: to leave it out would take it for new.
            Owner::Unclear => true,
            Owner::Nobody => false,
        });
        if owned && pod.stays() {
            pods.push(each(pod));
        }
    })
    .await?;
    // Labels alone may not be those of its pods: to have found none then says nothing.
    Ok(Some(pods).filter(|pods| owners.is_some() || !pods.is_empty()))
}

/// Reads only the revisions: as [`rollout_history`] with one LIST less, or nothing for kinds that keep none.
///
/// # Errors
/// See [`ApiError`].
pub async fn history(
    client: &Client,
    workload: &WorkloadRef,
    uid: &Uid,
    template: &WorkloadRef,
    timeout: Duration,
) -> Result<RolloutHistory, ApiError> {
    if workload.kind.row().history == RevisionHistory::Nowhere {
        return Ok(RolloutHistory::default());
    }
    let found = get(client, workload, uid, template, timeout).await?;
    let revisions = revisions(client, workload, &found, timeout).await?;
    Ok(RolloutHistory {
        created: found.created,
        revisions: revisions.into_plain(),
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
    history: RevisionHistory,
    namespace: Option<&str>,
    timeout: Duration,
) -> Result<HashMap<Uid, Box<str>>, ApiError> {
    let mut found: HashMap<Uid, (u64, Box<str>)> = HashMap::new();
    let Some(row) = kept_as(history) else {
        return Ok(HashMap::new());
    };
    let url = DynamicObject::url_path(&row, namespace);
    list(client, &url, "", timeout, |kept: Field<WireRevision>| {
        let kept = kept.or_default();
        let number = kept.number(history);
        if let (Owner::Is(owner), Some(observed)) = (owner(&kept.metadata), kept.observed()) {
            let newest = found.entry(Uid::from(owner)).or_default();
            if newest.1.is_empty() || number > newest.0 {
                *newest = (number, observed.into());
            }
        }
    })
    .await?;
    Ok(found.into_iter().map(|(uid, (_, observed))| (uid, observed)).collect())
}

/// What a workload says of its own pods and revisions.
struct PodSelector {
    uid: String,
    created: Option<Second>,
    /// As a `labelSelector`; empty: the pods of the workload are unknown.
    selector: String,
}

async fn get(
    client: &Client,
    workload: &WorkloadRef,
    uid: &Uid,
    template: &WorkloadRef,
    timeout: Duration,
) -> Result<PodSelector, ApiError> {
    let Json(object) = read::workload(client, workload, timeout).await?;
    let meta = Field::<Meta>::deserialize(object.get("metadata").unwrap_or(&Value::Null));
    let meta = meta.unwrap_or_default().or_default();
    if Uid::from(meta.uid.text()) != *uid {
        return Err(ApiError::Replaced);
    }
    let mut selector = selector_of(workload, &object);
    if selector.is_none() && template != workload {
        let Json(object) = read::workload(client, template, timeout).await?;
        selector = selector_of(template, &object);
    }
    Ok(PodSelector {
        created: meta.created(),
        uid: meta.uid.or_default(),
        selector: selector.unwrap_or_default(),
    })
}

/// The selector that it names, else the labels of its template.
fn selector_of(workload: &WorkloadRef, object: &Value) -> Option<String> {
    let path = workload.kind.row().template;
    let template = path.iter().try_fold(object, |value, field| value.get(field));
    let named = object
        .pointer("/spec/selector")
        .and_then(|selector| LabelSelector::deserialize(selector).ok())
        .and_then(|selector| Selector::try_from(selector).ok());
    let labels = || {
        let labels = template?.pointer("/metadata/labels")?;
        let labels = BTreeMap::<String, String>::deserialize(labels).ok()?;
        Some(labels.into_iter().collect())
    };
    let printed = |selector: Selector| (!selector.selects_all()).then(|| selector.to_string());
    named.and_then(printed).or_else(|| labels().and_then(printed))
}

fn kept_as(history: RevisionHistory) -> Option<ApiResource> {
    let (kind, plural) = history.objects()?;
    Some(resource(APPS, "v1", kind, plural))
}

/// The revisions of one workload.
#[derive(Default)]
struct Revisions {
    /// Each with its uid.
    kept: Vec<(String, Revision)>,
    /// Whether there is one of which nothing tells whose it is.
    unclear: bool,
}

impl Revisions {
    fn into_plain(self) -> Vec<Revision> {
        self.kept.into_iter().map(|(_, revision)| revision).collect()
    }
}

async fn revisions(
    client: &Client,
    workload: &WorkloadRef,
    found: &PodSelector,
    timeout: Duration,
) -> Result<Revisions, ApiError> {
    let history = workload.kind.row().history;
    let mut revisions = Revisions::default();
    let Some(row) = kept_as(history) else {
        return Ok(revisions);
    };
    let url = DynamicObject::url_path(&row, Some(workload.namespace.as_str()));
    list(client, &url, &found.selector, timeout, |kept: Field<WireRevision>| {
        let Field::Value(kept) = kept else {
            revisions.unclear = true;
            return;
        };
        match owner(&kept.metadata) {
            Owner::Is(uid) if uid == found.uid => {
                let uid = kept.metadata.get().map_or("", |meta| meta.uid.text()).to_owned();
                revisions.unclear |= uid.is_empty();
                revisions.kept.push((uid, kept.revision(history)));
            }
            Owner::Unclear => revisions.unclear = true,
            Owner::Is(_) | Owner::Nobody => {}
        }
    })
    .await?;
    if history == RevisionHistory::ControllerRevisions {
        let newest = revisions.kept.iter().map(|(_, revision)| revision.number).max();
        for (_, revision) in &mut revisions.kept {
            revision.newest = Some(newest == Some(revision.number) && !revisions.unclear);
        }
    }
    Ok(revisions)
}

/// One page of a list. Items are read one by one: none makes another unreadable.
#[derive(Deserialize)]
#[serde(bound = "T: Lenient")]
struct Page<T> {
    #[serde(default)]
    metadata: Option<PageMeta>,
    #[serde(default)]
    items: Option<Vec<Field<T>>>,
}

#[derive(Deserialize)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

/// Lists page by page; a page is gone before the next one comes.
async fn list<T: Lenient>(
    client: &Client,
    url: &str,
    selector: &str,
    timeout: Duration,
    mut each: impl FnMut(Field<T>),
) -> Result<(), ApiError> {
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
            .map_err(|_| ApiError::Unexpected("invalid request"))?;
        let page: Page<T> = send(client, request, timeout).await?;
        page.items.into_iter().flatten().for_each(&mut each);
        next = page
            .metadata
            .and_then(|metadata| metadata.next)
            .filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(());
        }
    }
}

// ---- the parts that are read --------------------------------------------------------------------

read_from_fields!(
    Meta,
    OwnerReference,
    WireRevision,
    WireData,
    WireSpec,
    WireTemplate,
    WirePod,
    WirePodStatus,
    ContainerStatus,
    ContainerState,
    Started,
);

/// Of an object's metadata, what tells whose it is.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) name: Field<String>,
    pub(super) uid: Field<String>,
    creation_timestamp: Field<String>,
    deletion_timestamp: Field<String>,
    annotations: Field<BTreeMap<String, String>>,
    owner_references: Field<Vec<Field<OwnerReference>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OwnerReference {
    uid: Field<String>,
    controller: Field<bool>,
}

/// Which object controls another one.
enum Owner<'a> {
    Nobody,
    /// The one with this uid.
    Is(&'a str),
    /// Nothing tells.
    Unclear,
}

fn owner(meta: &Field<Meta>) -> Owner<'_> {
    let Field::Value(meta) = meta else {
        return Owner::Unclear;
    };
    let references = match &meta.owner_references {
        Field::Value(references) => references,
        Field::Absent => return Owner::Nobody,
        Field::Invalid => return Owner::Unclear,
    };
    let controls = |reference: &&OwnerReference| reference.controller.get() == Some(&true);
    match references.iter().filter_map(Field::get).find(controls) {
        Some(OwnerReference {
            uid: Field::Value(uid), ..
        }) => Owner::Is(uid),
        Some(_) => Owner::Unclear,
        None => {
            let unclear = |it: &Field<OwnerReference>| it.get().is_none_or(|it| it.controller.is_invalid());
            if references.iter().any(unclear) {
                Owner::Unclear
            } else {
                Owner::Nobody
            }
        }
    }
}

impl Meta {
    pub(super) fn created(&self) -> Option<Second> {
        Second::parse(self.creation_timestamp.text())
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get()?.get(name).map(String::as_str)
    }
}

/// A `ReplicaSet` or a `ControllerRevision`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireRevision {
    metadata: Field<Meta>,
    /// Of a `ReplicaSet`.
    spec: Field<WireSpec>,
    /// Of a `ControllerRevision`: the part of the workload that it would put back. Those of others hold
    /// anything.
    data: Field<WireData>,
    /// Of a `ControllerRevision`.
    revision: Field<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireData {
    spec: Field<WireSpec>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireSpec {
    template: Field<WireTemplate>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireTemplate {
    metadata: Field<Meta>,
}

impl WireRevision {
    fn number(&self, history: RevisionHistory) -> u64 {
        match history {
            RevisionHistory::ReplicaSets(counted_in) => {
                let text = self.metadata.get().and_then(|meta| meta.annotation(counted_in));
                text.and_then(|text| text.parse().ok()).unwrap_or(0)
            }
            RevisionHistory::ControllerRevisions => self.revision.get().copied().unwrap_or(0),
            RevisionHistory::Nowhere => 0,
        }
    }

    /// The copy of the baseline, if it can be one.
    fn observed(&self) -> Option<&str> {
        let text = self.metadata.get()?.annotation(annotation::OBSERVED)?;
        (text.len() <= BASELINE_BYTES).then_some(text)
    }

    fn revision(&self, history: RevisionHistory) -> Revision {
        let spec = match history {
            RevisionHistory::ReplicaSets(_) | RevisionHistory::Nowhere => self.spec.get(),
            RevisionHistory::ControllerRevisions => self.data.get().and_then(|data| data.spec.get()),
        };
        let template = spec.and_then(|spec| spec.template.get()?.metadata.get());
        let template_digest = template.and_then(|meta| meta.annotation(annotation::CONFIG_DIGEST));
        let template_digest = template_digest.filter(|text| text.len() <= TEMPLATE_DIGEST_BYTES);
        let created = self.metadata.get().and_then(Meta::created);
        Revision {
            number: self.number(history),
            newest: None,
            created: created.unwrap_or(Second::new(0)),
            template_digest: template_digest.map(Into::into),
            observed: self.observed().map(Into::into),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WirePod {
    metadata: Field<Meta>,
    status: Field<WirePodStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WirePodStatus {
    phase: Field<String>,
    container_statuses: Field<Vec<Field<ContainerStatus>>>,
    init_container_statuses: Field<Vec<Field<ContainerStatus>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    state: Field<ContainerState>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    running: Field<Started>,
    terminated: Field<Started>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Started {
    started_at: Field<String>,
}

impl PodFields for WirePod {
    fn unreadable() -> Self {
        Self {
            metadata: Field::Invalid,
            status: Field::Invalid,
        }
    }

    fn meta(&self) -> &Field<Meta> {
        &self.metadata
    }

    fn phase(&self) -> &str {
        self.status.get().map_or("", |status| status.phase.text())
    }
}

/// When a container started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StartTime {
    /// It waits, and will read the present content when it starts.
    NotYet,
    At(Second),
    /// It may have, and nothing tells when.
    Unknown,
}

impl WirePod {
    fn pod(self) -> Pod {
        let meta = self.metadata.get();
        let starts = self
            .status
            .get()
            .map_or(vec![StartTime::Unknown], WirePodStatus::starts);
        Pod {
            uid: Uid::from(meta.map_or("", |meta| meta.uid.text())),
            created: meta.and_then(Meta::created),
            start_unknown: starts.contains(&StartTime::Unknown),
            started: starts
                .into_iter()
                .filter_map(|start| match start {
                    StartTime::At(second) => Some(second),
                    StartTime::NotYet | StartTime::Unknown => None,
                })
                .collect(),
        }
    }
}

impl WirePodStatus {
    fn starts(&self) -> Vec<StartTime> {
        let mut starts = Vec::new();
        for statuses in [&self.container_statuses, &self.init_container_statuses] {
            match statuses {
                Field::Value(statuses) => starts.extend(statuses.iter().map(ContainerStatus::start)),
                Field::Absent => {}
                Field::Invalid => starts.push(StartTime::Unknown),
            }
        }
        // A node that says that it runs names what runs.
        if starts.is_empty() && self.phase.text() != "Pending" {
            starts.push(StartTime::Unknown);
        }
        starts
    }
}

impl ContainerStatus {
    fn start(this: &Field<Self>) -> StartTime {
        let Field::Value(Self { state }) = this else {
            return StartTime::Unknown;
        };
        let state = match state {
            Field::Value(state) => state,
            Field::Absent => return StartTime::NotYet,
            Field::Invalid => return StartTime::Unknown,
        };
        match (&state.running, &state.terminated) {
            (Field::Value(started), _) | (Field::Absent, Field::Value(started)) => {
                Second::parse(started.started_at.text()).map_or(StartTime::Unknown, StartTime::At)
            }
            (Field::Absent, Field::Absent) => StartTime::NotYet,
            (Field::Invalid, _) | (Field::Absent, Field::Invalid) => StartTime::Unknown,
        }
    }
}
