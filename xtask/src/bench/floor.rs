//! The floor: what remains of such a controller when everything is left out. It watches ConfigMaps
//! and patches the pod templates of the Deployments that use the changed one. No baseline, no
//! digest, no check, no Event. Nothing that acts on a change through the API server can be faster
//! by more than what it saves on one watch and one patch.

use std::{borrow::Cow, path::PathBuf, pin::pin, sync::Arc};

use anyhow::{Context, Result};
use clap::Args;
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
    core::{NamespaceResourceScope, Request},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{
    NAMESPACE,
    layout::{ENVIRONMENT_SUFFIX, FILES_SUFFIX, Subject},
};
use crate::{client, kinds::Kind};

/// As many as the controller has by default.
const WRITERS: usize = 16;

/// Arguments of the hidden command.
#[derive(Args)]
pub struct Options {
    /// As whom to connect.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// How many Deployments use the ConfigMap that all use, if there is one.
    #[arg(long)]
    deployments: usize,
}

/// Prints one line when the first list is complete, then works until it is ended.
pub async fn run(options: &Options) -> Result<()> {
    let client = client::connect(&options.kubeconfig).await?;
    let api: Api<ConfigMap> = Api::all(client.clone());
    let writers = Arc::new(Semaphore::new(WRITERS));
    let mut events = pin!(watcher(api, watcher::Config::default().streaming_lists()).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(config_map)) => {
                for deployment in config_map.users(options.deployments) {
                    // Unbounded tasks would be a fault elsewhere; here a burst has a known size.
                    tokio::spawn(patch(
                        client.clone(),
                        Arc::clone(&writers),
                        deployment,
                        config_map.version(),
                    ));
                }
            }
            Ok(Event::InitDone) => println!("ready"),
            Ok(Event::Init | Event::InitApply(_) | Event::Delete(_)) => {}
            Err(error) => eprintln!("watch: {error}"),
        }
    }
    Ok(())
}

async fn patch(client: Client, writers: Arc<Semaphore>, deployment: String, version: String) {
    let Ok(_permit) = writers.acquire().await else { return };
    if let Err(error) = try_patch(&client, &deployment, &version).await {
        eprintln!("patch of {deployment}: {error:#}");
    }
}

async fn try_patch(client: &Client, deployment: &str, version: &str) -> Result<()> {
    // The same places and about the same sizes as the controller's patch: bytes cost time, too.
    let body = json!({
        "metadata": {"annotations": {"floor.windlass.dev/observed": format!("{version:0>320}")}},
        "spec": {"template": {"metadata": {"annotations": {
            "floor.windlass.dev/config-digest": format!("{version:0>32}"),
            "floor.windlass.dev/cause": format!("{version:0>120}"),
        }}}},
    });
    let parameters = PatchParams {
        field_manager: Some("floor".to_owned()),
        ..PatchParams::default()
    };
    let request = Request::new(Kind::Deployment.path(NAMESPACE)).patch(deployment, &parameters, &Patch::Merge(body))?;
    client.request_text(request).await.context("send it")?;
    Ok(())
}

/// The metadata that the loop needs; the content is skipped while decoding.
#[derive(Clone, Debug, Deserialize)]
struct ConfigMap {
    #[serde(deserialize_with = "lean_metadata")]
    metadata: ObjectMeta,
}

impl ConfigMap {
    /// Known from the name; a controller would have to look it up.
    fn users(&self, deployments: usize) -> Vec<String> {
        if self.metadata.name.as_deref() == Some(Subject::Floor.shared()) {
            let kinds = [(Kind::Deployment, deployments)];
            return Subject::Floor.workloads(&kinds).map(|workload| workload.name).collect();
        }
        self.user().into_iter().collect()
    }

    fn user(&self) -> Option<String> {
        let name = self.metadata.name.as_deref()?;
        let deployment = name
            .strip_suffix(ENVIRONMENT_SUFFIX)
            .or_else(|| name.strip_suffix(FILES_SUFFIX))?;
        deployment
            .starts_with(&Subject::Floor.to_string())
            .then(|| deployment.to_owned())
    }

    fn version(&self) -> String {
        self.metadata.resource_version.clone().unwrap_or_default()
    }
}

fn lean_metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Lean {
        name: Option<String>,
        namespace: Option<String>,
        resource_version: Option<String>,
    }
    let Lean {
        name,
        namespace,
        resource_version,
    } = Lean::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name,
        namespace,
        resource_version,
        ..ObjectMeta::default()
    })
}

impl Resource for ConfigMap {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "ConfigMap".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "configmaps".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
