//! Running pods: what their files are made of, and the touch that makes the kubelet write them at once.

use std::net::IpAddr;
use std::time::Duration;

use kube::Client;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::error::{ApiError, send};
use super::evidence::{AnyPod, Meta, pods_of, pods_url};
use super::patch::FIELD_MANAGER;
use crate::core::annotation::NUDGE;
use crate::core::name::{Key, Name, Namespace, SourceKind, Uid, WorkloadRef};
use crate::core::propagation::{Container, Mount, Part, RunningPod, Volume};
use crate::core::time::Second;

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
        .map_err(|_| ApiError::Unexpected("no such request"))?;
    send::<IgnoredAny>(client, request, timeout).await.map(drop)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WirePod {
    metadata: Meta,
    spec: WireSpec,
    status: WireStatus,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireSpec {
    volumes: Vec<WireVolume>,
    containers: Vec<WireContainer>,
    init_containers: Vec<WireContainer>,
    host_network: bool,
    readiness_gates: Vec<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireVolume {
    name: String,
    config_map: Option<WireNamed>,
    secret: Option<WireSecret>,
    projected: Option<WireProjected>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireNamed {
    name: String,
    items: Vec<WireItem>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireSecret {
    secret_name: String,
    items: Vec<WireItem>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireItem {
    key: String,
    path: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireProjected {
    sources: Vec<WireProjection>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireProjection {
    config_map: Option<WireNamed>,
    secret: Option<WireNamed>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireContainer {
    name: String,
    ports: Vec<WirePort>,
    volume_mounts: Vec<WireMount>,
    restart_policy: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WirePort {
    container_port: u16,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireMount {
    name: String,
    mount_path: String,
    sub_path: String,
    sub_path_expr: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireStatus {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: Option<IpAddr>,
    conditions: Vec<WireCondition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireCondition {
    r#type: String,
    status: String,
}

impl AnyPod for WirePod {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn phase(&self) -> &str {
        &self.status.phase
    }
}

impl WirePod {
    fn running(self) -> RunningPod {
        let Self { metadata, spec, status } = self;
        // The node's end is told by this one condition alone; a readiness gate can move it as well.
        let is = |condition: &str, value: &str| {
            let mut all = status.conditions.iter();
            all.any(|known| known.r#type == condition && known.status == value)
        };
        let node_ready = !(is("Ready", "False") && is("ContainersReady", "True") && spec.readiness_gates.is_empty());
        let sidecars = spec.init_containers.into_iter();
        let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
        RunningPod {
            name: metadata.name.into(),
            uid: Uid::from(&*metadata.uid),
            created: Second::parse(&metadata.creation_timestamp),
            address: status.pod_ip,
            host_network: spec.host_network,
            node_ready,
            volumes: spec.volumes.into_iter().map(WireVolume::volume).collect(),
            containers: spec
                .containers
                .into_iter()
                .chain(sidecars)
                .map(WireContainer::container)
                .collect(),
        }
    }
}

impl WireVolume {
    fn volume(self) -> Volume {
        let Self {
            name,
            config_map,
            secret,
            projected,
        } = self;
        let mut others = false;
        let mut parts = Vec::new();
        if let Some(WireNamed { name, items }) = config_map {
            parts.push(part(SourceKind::ConfigMap, &name, items));
        }
        if let Some(WireSecret { secret_name, items }) = secret {
            parts.push(part(SourceKind::Secret, &secret_name, items));
        }
        for WireProjection { config_map, secret } in projected.into_iter().flat_map(|it| it.sources) {
            match (config_map, secret) {
                (Some(WireNamed { name, items }), _) => parts.push(part(SourceKind::ConfigMap, &name, items)),
                (None, Some(WireNamed { name, items })) => parts.push(part(SourceKind::Secret, &name, items)),
                (None, None) => others = true,
            }
        }
        Volume {
            name: name.into(),
            parts,
            others,
        }
    }
}

fn part(kind: SourceKind, name: &str, items: Vec<WireItem>) -> Part {
    let items: Vec<_> = items
        .into_iter()
        .map(|WireItem { key, path }| (Key::from(&*key), path.into()))
        .collect();
    Part {
        kind,
        name: Name::from(name),
        items: (!items.is_empty()).then_some(items),
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
            name: name.into(),
            ports: ports.iter().map(|port| port.container_port).collect(),
            mounts: volume_mounts
                .into_iter()
                .map(|mount| Mount {
                    volume: mount.name.into(),
                    path: mount.mount_path.into(),
                    sub_path: !mount.sub_path.is_empty() || !mount.sub_path_expr.is_empty(),
                })
                .collect(),
        }
    }
}
