//! Every version of every workload of one kind in the test's namespace, as the API server announced it.
//!
//! Counting `deployment.kubernetes.io/revision` would miss a second template change that comes
//! before the Deployment controller has seen the first; a watch misses none.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    api::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde_json::Value;

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
    /// Records from now on. `template` finds an object's pod template.
    pub fn record(objects: Api<DynamicObject>, template: impl Fn(&DynamicObject) -> Value + Send + 'static) -> Self {
        let history = Self::default();
        let recorder = history.clone();
        tokio::spawn(async move {
            let mut events = Box::pin(watcher(objects, watcher::Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                // An error is followed by a new list: nothing is lost but versions in between,
                // and only a test that stops the API server sees one.
                if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
                    recorder.add(&object, &template(&object));
                }
            }
        });
        history
    }

    fn add(&self, object: &impl ResourceExt, template: &Value) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = all.entry(object.name_any()).or_default();
        if versions.uid != object.uid() {
            *versions = Versions {
                uid: object.uid(),
                ..Versions::default()
            };
        }
        versions.latest = version(object);
        let template = template.to_string();
        if versions.templates.last() != Some(&template) {
            versions.templates.push(template);
        }
    }

    /// How often the template of this very object was changed, once everything up to this
    /// version of it has been seen.
    pub fn template_changes(&self, object: &impl ResourceExt) -> Option<usize> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = all.get(&object.name_any())?;
        let seen = versions.uid == object.uid() && versions.latest >= version(object);
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

fn version(object: &impl ResourceExt) -> u64 {
    object
        .resource_version()
        .and_then(|it| it.parse().ok())
        .unwrap_or_default()
}
