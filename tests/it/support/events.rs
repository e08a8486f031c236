//! Events, as people read them.

use anyhow::Context;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;

use super::{Test, await_condition};

impl Test {
    /// The Events about the Deployment with this reason word, as (message, how often).
    pub async fn events(&self, name: &str, reason: &str) -> Vec<(String, i32)> {
        let about = ListParams::default().fields(&format!("involvedObject.name={name},reason={reason}"));
        let events = self.api::<Event>().list(&about).await.expect("a list of Events");
        let count = |event: &Event| {
            event
                .series
                .as_ref()
                .and_then(|it| it.count)
                .or(event.count)
                .unwrap_or(1)
                .max(1)
        };
        events
            .items
            .into_iter()
            .map(|it| (it.message.clone().unwrap_or_default(), count(&it)))
            .collect()
    }

    /// Waits for an Event about the Deployment with this reason word and returns its message.
    pub async fn event(&self, name: &str, reason: &str) -> String {
        await_condition(&format!("an Event {reason} about {name}"), async || {
            let (message, _) = self.events(name, reason).await.pop().context("there is none")?;
            Ok(message)
        })
        .await
    }

    /// Waits for an Event about the Deployment with this reason word whose message has all of these words, and
    /// returns the message. The first one may know less than those that follow.
    pub async fn event_with(&self, name: &str, reason: &str, words: &[&str]) -> String {
        await_condition(&format!("an Event {reason} about {name} with {words:?}"), async || {
            let messages = self.events(name, reason).await;
            let found = messages
                .iter()
                .find(|(message, _)| words.iter().all(|word| message.contains(word)));
            let (message, _) = found.with_context(|| format!("{messages:?}"))?;
            Ok(message.clone())
        })
        .await
    }

    /// Waits for a Warning Event about the Deployment with this reason word and returns its message.
    pub async fn warning(&self, name: &str, reason: &str) -> String {
        await_condition(&format!("a Warning {reason} about {name}"), async || {
            let about = ListParams::default().fields(&format!("involvedObject.name={name},reason={reason}"));
            let event = self.api::<Event>().list(&about).await?.items.pop();
            let event = event.context("there is none")?;
            assert_eq!(event.type_.as_deref(), Some("Warning"), "{event:?}");
            Ok(event.message.unwrap_or_default())
        })
        .await
    }

    /// How often this was said about the Deployment, by the time that everything which the controller
    /// has done so far is said: Events are written behind the patches.
    pub async fn event_count(&self, name: &str, reason: &str) -> i32 {
        self.everything_is_said().await;
        self.said(name, reason).await
    }

    async fn said(&self, name: &str, reason: &str) -> i32 {
        self.events(name, reason).await.iter().map(|(_, count)| count).sum()
    }
}
