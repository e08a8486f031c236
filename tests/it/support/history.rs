//! Every version of every Deployment of the test's namespace, as the API server announced it.
//!
//! Counting `deployment.kubernetes.io/revision` would miss a second template change that comes
//! before the Deployment controller has seen the first; a watch misses none.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};

/// The recorder; it runs as long as the test's runtime.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<BTreeMap<String, Versions>>>);

#[derive(Default)]
struct Versions {
    uid: Option<String>,
    latest: u64,
    templates: Vec<String>,
}

impl History {
    /// Records from now on.
    pub fn record(deployments: Api<Deployment>) -> Self {
        let history = Self::default();
        let recorder = history.clone();
        tokio::spawn(async move {
            let mut events = Box::pin(watcher(deployments, watcher::Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                // An error is followed by a new list: nothing is lost but versions in between,
                // and only a test that stops the API server sees one.
                if let Ok(Event::Apply(deployment) | Event::InitApply(deployment)) = event {
                    recorder.add(&deployment);
                }
            }
        });
        history
    }

    fn add(&self, deployment: &Deployment) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = all.entry(deployment.name_any()).or_default();
        if versions.uid != deployment.uid() {
            *versions = Versions {
                uid: deployment.uid(),
                ..Versions::default()
            };
        }
        versions.latest = version(deployment);
        let template = deployment.spec.as_ref().map(|spec| &spec.template);
        let template = serde_json::to_string(&template).expect("a template is JSON");
        if versions.templates.last() != Some(&template) {
            versions.templates.push(template);
        }
    }

    /// How often the template of this very object was changed, once everything up to this
    /// version of it has been seen.
    pub fn template_changes(&self, deployment: &Deployment) -> Option<usize> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = all.get(&deployment.name_any())?;
        let seen = versions.uid == deployment.uid() && versions.latest >= version(deployment);
        seen.then(|| versions.templates.len() - 1)
    }

    /// The templates one after the other, for the message of a test that failed.
    pub fn describe(&self, name: &str) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name)
            .map(|versions| versions.templates.join("\n"))
            .unwrap_or_default()
    }
}

fn version(deployment: &Deployment) -> u64 {
    deployment
        .resource_version()
        .and_then(|it| it.parse().ok())
        .unwrap_or_default()
}
