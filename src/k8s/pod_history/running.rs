//! Running pods: what their files are made of, and the touch that makes the kubelet write them at once.

use std::net::IpAddr;
use std::time::Duration;

use kube::Client;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use windlass_core::agent_protocol::propagation::{Container, Mount, RunningPod, Volume, VolumePart};
use windlass_core::annotation::NUDGE;
use windlass_core::types::name::{Key, Name, Namespace, SourceKind, Uid, WorkloadRef};

use super::{Meta, PodFields, pods_of, pods_url};
use crate::k8s::error::{ApiError, send};
use crate::k8s::lenient::{Field, read_from_fields};
use crate::k8s::patch::FIELD_MANAGER;

/// Reads the pods of a workload that run: one GET and two LISTs, and one GET more where the pod template
/// is another object's. `None`: nothing tells which are the workload's.
///
/// # Errors
/// See [`ApiError`].
pub async fn running(
    client: &Client,
    workload: &WorkloadRef,
    uid: &Uid,
    template: &WorkloadRef,
    timeout: Duration,
) -> Result<Option<Vec<RunningPod>>, ApiError> {
    pods_of(client, workload, uid, template, timeout, WirePod::running).await
}

/// Touches a pod, so that its kubelet looks at it and its volumes at once. `mark` has to differ from the
/// one before, or nothing is changed and nobody looks.
///
/// # Errors
/// See [`ApiError`]; another pod of that name is [`ApiError::Replaced`].
pub async fn nudge(
    client: &Client,
    namespace: &Namespace,
    pod: &RunningPod,
    mark: &str,
    timeout: Duration,
) -> Result<(), ApiError> {
    let body = json!({ "metadata": { "uid": pod.uid.to_string(), "annotations": { NUDGE: mark } } });
    let request = Request::new(pods_url(namespace))
        .patch(&pod.name, &PatchParams::apply(FIELD_MANAGER), &Patch::Merge(body))
        .map_err(|_| ApiError::Unexpected("invalid request"))?;
    send::<IgnoredAny>(client, request, timeout).await.map(drop)
}

read_from_fields!(
    WirePod,
    WireSpec,
    WireVolume,
    WireNamed,
    WireSecret,
    WireItem,
    WireProjected,
    WireProjection,
    WireContainer,
    WirePort,
    WireMount,
    WireStatus,
    WireCondition,
);

/// A list in which each item may be anything.
type List<T> = Field<Vec<Field<T>>>;

/// Those of a list that can be read.
fn readable<T>(list: List<T>) -> impl Iterator<Item = T> {
    list.take().into_iter().flatten().filter_map(Field::take)
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct WirePod {
    metadata: Field<Meta>,
    spec: Field<WireSpec>,
    status: Field<WireStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireSpec {
    volumes: List<WireVolume>,
    containers: List<WireContainer>,
    init_containers: List<WireContainer>,
    host_network: Field<bool>,
    readiness_gates: List<WireCondition>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireVolume {
    name: Field<String>,
    config_map: Field<WireNamed>,
    secret: Field<WireSecret>,
    projected: Field<WireProjected>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireNamed {
    name: Field<String>,
    items: List<WireItem>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireSecret {
    secret_name: Field<String>,
    items: List<WireItem>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireItem {
    key: Field<String>,
    path: Field<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireProjected {
    sources: List<WireProjection>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireProjection {
    config_map: Field<WireNamed>,
    secret: Field<WireNamed>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireContainer {
    name: Field<String>,
    ports: List<WirePort>,
    volume_mounts: List<WireMount>,
    restart_policy: Field<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WirePort {
    container_port: Field<u16>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireMount {
    name: Field<String>,
    mount_path: Field<String>,
    sub_path: Field<String>,
    sub_path_expr: Field<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireStatus {
    phase: Field<String>,
    #[serde(rename = "podIP")]
    pod_ip: Field<IpAddr>,
    conditions: List<WireCondition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireCondition {
    r#type: Field<String>,
    status: Field<String>,
}

impl PodFields for WirePod {
    fn unreadable() -> Self {
        Self {
            metadata: Field::Invalid,
            spec: Field::Invalid,
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

impl WirePod {
    fn running(self) -> RunningPod {
        let Self { metadata, spec, status } = self;
        let clear = spec.get().is_some_and(WireSpec::is_clear);
        let spec = spec.or_default();
        let meta = metadata.or_default();
        let status = status.or_default();
        let address = status.pod_ip.take();
        let conditions: Vec<WireCondition> = readable(status.conditions).collect();
        // The node's end is told by this one condition alone; a readiness gate can move it as well.
        let is = |condition: &str, value: &str| {
            let mut all = conditions.iter();
            all.any(|known| known.r#type.text() == condition && known.status.text() == value)
        };
        let no_gates = spec.readiness_gates.get().is_none_or(Vec::is_empty);
        let node_ready = !(is("Ready", "False") && is("ContainersReady", "True") && no_gates);
        let sidecars = readable(spec.init_containers);
        let sidecars = sidecars.filter(|container| container.restart_policy.text() == "Always");
        RunningPod {
            created: meta.created(),
            name: meta.name.text().into(),
            uid: Uid::from(meta.uid.text()),
            address,
            host_network: spec.host_network.take() == Some(true),
            node_ready,
            unclear: !clear,
            volumes: readable(spec.volumes).map(WireVolume::volume).collect(),
            containers: readable(spec.containers)
                .chain(sidecars)
                .map(WireContainer::container)
                .collect(),
        }
    }
}

/// Whether a list can be read to its end, by what of each item has to be readable.
fn is_clear<T>(list: &List<T>, item: impl Fn(&T) -> bool) -> bool {
    match list {
        Field::Value(items) => items.iter().all(|it| it.get().is_some_and(&item)),
        Field::Absent => true,
        Field::Invalid => false,
    }
}

fn is_named(items: &List<WireItem>) -> bool {
    is_clear(items, |item| item.key.get().is_some() && item.path.get().is_some())
}

impl WireSpec {
    /// Whether all can be read that tells which sources are in its files.
    fn is_clear(&self) -> bool {
        let mounts = |container: &WireContainer| {
            is_clear(&container.volume_mounts, |mount| {
                mount.name.get().is_some() && mount.mount_path.get().is_some() && !mount.is_odd()
            })
        };
        is_clear(&self.volumes, WireVolume::is_clear)
            && is_clear(&self.containers, mounts)
            && is_clear(&self.init_containers, mounts)
    }
}

impl WireVolume {
    fn is_clear(&self) -> bool {
        let config_map = |it: &WireNamed| it.name.get().is_some() && is_named(&it.items);
        let whole = match (&self.config_map, &self.secret, &self.projected) {
            (Field::Invalid, _, _) | (_, Field::Invalid, _) | (_, _, Field::Invalid) => false,
            (Field::Value(it), _, _) => config_map(it),
            (_, Field::Value(it), _) => it.secret_name.get().is_some() && is_named(&it.items),
            (_, _, Field::Value(it)) => is_clear(&it.sources, |part| match (&part.config_map, &part.secret) {
                (Field::Invalid, _) | (_, Field::Invalid) => false,
                (Field::Value(it), _) | (_, Field::Value(it)) => config_map(it),
                (Field::Absent, Field::Absent) => true,
            }),
            (Field::Absent, Field::Absent, Field::Absent) => true,
        };
        self.name.get().is_some() && whole
    }

    fn volume(self) -> Volume {
        let mut others = false;
        let mut parts = Vec::new();
        if let Some(WireNamed { name, items }) = self.config_map.take() {
            parts.push(part(SourceKind::ConfigMap, name.text(), items));
        }
        if let Some(WireSecret { secret_name, items }) = self.secret.take() {
            parts.push(part(SourceKind::Secret, secret_name.text(), items));
        }
        let sources = self.projected.take().map(|projected| projected.sources);
        for WireProjection { config_map, secret } in sources.into_iter().flat_map(readable) {
            match (config_map.take(), secret.take()) {
                (Some(WireNamed { name, items }), _) => parts.push(part(SourceKind::ConfigMap, name.text(), items)),
                (None, Some(WireNamed { name, items })) => parts.push(part(SourceKind::Secret, name.text(), items)),
                (None, None) => others = true,
            }
        }
        Volume {
            name: self.name.text().into(),
            parts,
            others,
        }
    }
}

fn part(kind: SourceKind, name: &str, items: List<WireItem>) -> VolumePart {
    let items: Vec<_> = readable(items)
        .map(|WireItem { key, path }| (Key::from(key.text()), path.text().into()))
        .collect();
    VolumePart {
        kind,
        name: Name::from(name),
        items: (!items.is_empty()).then_some(items),
    }
}

impl WireMount {
    fn is_odd(&self) -> bool {
        self.sub_path.is_invalid() || self.sub_path_expr.is_invalid()
    }
}

impl WireContainer {
    fn container(self) -> Container {
        let Self {
            name,
            ports,
            volume_mounts,
            restart_policy: _,
        } = self;
        Container {
            name: name.text().into(),
            ports: readable(ports).filter_map(|port| port.container_port.take()).collect(),
            mounts: readable(volume_mounts)
                .map(|mount| Mount {
                    volume: mount.name.text().into(),
                    path: mount.mount_path.text().into(),
                    sub_path: !mount.sub_path.text().is_empty() || !mount.sub_path_expr.text().is_empty(),
                })
                .collect(),
        }
    }
}
